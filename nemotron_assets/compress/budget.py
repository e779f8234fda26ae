"""What the device of the recipe leaves for a model, and what the models that are compressed take of it.

Beside them stand the published shapes of Nemotron Nano 2 on the published device, whose memory is known: 26.07 GiB for
12B, 23.34 GiB with 56 layers, 18.69 GiB for 9B, with 19.66 GiB allowed (report §4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nemotron_assets.compress.tables import BUDGET
from nemotron_assets.model.memory import BYTES, GIB, Serving, engine_cache, footprint
from nemotron_assets.recipe.compress import Budget
from nemotron_assets.recipe.model import Model
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse

#: The published device: an A10G that serves one sequence of 131,072 tokens in BF16.
A10G = Budget(device_gib=22.06, buffer_share=0.05, reserve_gib=1.3, context=131_072)
#: Sizes that the three published shapes share, and what each changes (report §2.1 and §4.2; config.json of the models).
NANO_12B = Model(
    pattern="M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-",
    hidden_size=5120, ffn_size=20_480, attention_heads=40, kv_heads=8, head_dim=128, mamba_heads=128,
    mamba_head_dim=80, mamba_groups=8, mamba_state=128, mamba_conv=4, chunk_size=128, norm_eps=1e-5, init_std=0.0125,
)  # fmt: skip
NANO_DEPTH = NANO_12B.model_copy(update={"pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"})
NANO_9B = NANO_DEPTH.model_copy(update={"hidden_size": 4480, "ffn_size": 15_680})
PUBLISHED = {"Nemotron-Nano-12B-v2": NANO_12B, "56 layers, not narrowed": NANO_DEPTH, "Nemotron-Nano-9B-v2": NANO_9B}
_VOCABULARY = 131_072


def serving(budget: Budget) -> Serving:
    """How the budget's device serves a model."""
    size = BYTES[budget.dtype]
    return Serving(budget.context, budget.sequences, size, size, BYTES["float32"], size)


def memory_columns(model: Model, vocabulary: int, budget: Budget) -> dict[str, Any]:
    """The columns that a row of `compress.budget` and one of `compress.candidates` have in common."""
    served = serving(budget)
    found = footprint(model, vocabulary, served)
    engine = found.weights + engine_cache(model, served, budget.page_tokens).total
    return {
        "pattern": model.pattern,
        "parameters": model.parameters(vocabulary),
        "weight_bytes": found.weights,
        "kv_bytes": found.kv,
        "ssm_bytes": found.ssm,
        "conv_bytes": found.conv,
        "total_bytes": found.total,
        "engine_bytes": engine,
        "allowed_bytes": budget.allowed_bytes,
        "fits": max(found.total, engine) <= budget.allowed_bytes,
    }


def rows(recipe: Recipe, lake: Lakehouse, run_id: str) -> pl.DataFrame:
    """The rows of `compress.budget`. Raises `ModelError` when a model that is to be compressed is missing."""
    import polars as pl

    from nemotron_assets.compress.parents import parents

    own = recipe.compress.budget
    at = {"run_id": run_id, "at": datetime.now(UTC)}
    found = []
    for parent in parents(lake):
        known = {"parents": [parent.row["id"]], "sources": [parent.table], "input_versions": [parent.input_version]}
        found.append(_row(parent.row["name"], parent.row["id"], parent.model, parent.vocabulary, own) | known | at)
    for name, model in PUBLISHED.items():
        known = {"parents": [], "sources": [], "input_versions": []}
        found.append(_row(name, name, model, _VOCABULARY, A10G) | known | at)
    return pl.DataFrame(found, schema=BUDGET.empty().schema)


def _row(name: str, key: str, model: Model, vocabulary: int, budget: Budget) -> dict[str, Any]:
    pages = engine_cache(model, serving(budget), budget.page_tokens)
    device = int(budget.device_gib * GIB)
    return {
        "id": row_id(BUDGET.full_name, key),
        "model": name,
        "device_bytes": device,
        "buffer_bytes": int(device * budget.buffer_share),
        "reserve_bytes": int(budget.reserve_gib * GIB),
        "context": budget.context,
        "sequences": budget.sequences,
        "dtype": budget.dtype,
        "block_tokens": pages.block_tokens,
        "page_bytes": pages.page,
        "padding_bytes": pages.padding,
        **memory_columns(model, vocabulary, budget),
    }


def shown(frame: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    """The rows as texts for people: name, bytes by what they hold, budget."""
    columns = ("weight_bytes", "kv_bytes", "ssm_bytes", "conv_bytes", "total_bytes", "engine_bytes", "allowed_bytes")
    for row in frame.to_dicts():
        unit, name = (GIB, "GiB") if row["total_bytes"] >= GIB else (1 << 20, "MiB")
        yield (
            row["model"],
            *(f"{row[column] / unit:,.3f} {name}" for column in columns),
            "yes" if row["fits"] else "no",
        )
