"""Measures the models that are compressed, and stores their scores; reads the scores back for pruning."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nemotron_assets.compress import CODE
from nemotron_assets.compress.calibration import Source, batches
from nemotron_assets.compress.parents import ParentModel, parents
from nemotron_assets.compress.tables import IMPORTANCE
from nemotron_assets.models.registry import ModelError
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from resources.home import cache_dir

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.model.importance import Removal
    from nemotron_assets.model.pruning import Importance
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.model import Model
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse


@dataclass
class Measuring:
    """The measuring of both models, in one lake."""

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]

    def parts(self) -> Parts:
        """A part per model. A model is measured again when its weights, its sequences or the numbers change."""
        return Parts([self._part(parent) for parent in parents(self.lake)])

    def _part(self, parent: ParentModel) -> Part:
        own, search = self.recipe.compress.importance, self.recipe.compress.search
        source = Source.of(parent.table, self.recipe, self.lake)
        numbers = own.model_dump(exclude={"batch", "scale_norms"}), search.layers, search.attention
        fingerprint = content_hash("\x1f".join([CODE, parent.row["sha256"], repr(numbers), source.fingerprint]))
        return Part(parent.row["id"], fingerprint, lambda: self.measured(parent, source, fingerprint))

    def measured(self, parent: ParentModel, source: Source, fingerprint: str) -> pl.DataFrame:
        """The rows of a model. What was added up so far lies in the cache folder until the rows are complete."""
        from nemotron_assets.model.importance import layers, widths
        from nemotron_assets.rollouts.transformers_engine import load

        own, search = self.recipe.compress.importance, self.recipe.compress.search
        folder = cache_dir("importance") / fingerprint[:32]
        folder.mkdir(parents=True, exist_ok=True)
        with self.gpu.lock(self.log) as devices:
            device, dtype = devices[0].label, "bfloat16" if devices[0].kind == "cuda" else "float32"
            model = load(parent.folder, device, dtype)

            def read(samples: int) -> list[Any]:
                return batches(source, samples, own.batch, own.seed, folder / "shards", device)

            self.log(f"{parent.row['name']}: widths on {own.samples} sequences of at most {source.length} tokens")
            scores = widths(model, read(own.samples), folder / "widths.safetensors")
            self.log(f"{parent.row['name']}: layers on {own.layer_samples} of them")
            state = folder / "layers.json"
            removals = layers(model, read(own.layer_samples), search.layers, search.attention, state, self.log)
        common = {
            "parents": [parent.row["id"]],
            "sources": [parent.table],
            "part": parent.row["id"],
            "model": parent.row["name"],
            "input_versions": [parent.input_version, *source.input_versions],
            "run_id": self.run_id,
            "at": datetime.now(UTC),
        }
        frame = to_rows(scores, removals, parent.model.pattern, (own.samples, own.layer_samples), common)
        shutil.rmtree(folder)
        return frame


def to_rows(
    scores: Importance, removals: list[Removal], pattern: str, sequences: tuple[int, int], common: dict[str, Any]
) -> pl.DataFrame:
    """Scores and removals as rows of `compress.importance`. `sequences` were read for the widths and for the layers."""
    import polars as pl

    found = [
        {"axis": axis, "layer": layer, "scores": values.flatten().tolist(), "sequences": sequences[0]}
        for axis, layer, values in _flat(scores)
    ]
    gone = {removal.layer: (step, removal) for step, removal in enumerate(removals, 1)}
    for layer in range(len(pattern)):
        step, removal = gone.get(layer, (None, None))
        alone = removals[0].errors.get(layer) if removals else None
        found.append(
            {
                "axis": "layer",
                "layer": layer,
                "scores": [] if alone is None else [alone],
                "sequences": sequences[1],
                "removed": step,
                "logit_mse": removal and removal.mse,
                "normalised_mse": removal and removal.normalised,
            }
        )
    blank = {"removed": None, "logit_mse": None, "normalised_mse": None}
    rows = [
        blank | row | common | {
            "id": row_id(IMPORTANCE.full_name, common["part"], row["axis"], row["layer"]),
            "kind": pattern[row["layer"]] if row["layer"] >= 0 else "",
        }
        for row in found
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=IMPORTANCE.empty().schema)


def _flat(scores: Importance) -> Iterator[tuple[str, int, Any]]:
    """(axis, layer, scores) of all axes."""
    yield "channels", -1, scores.channels
    for axis in ("neurons", "mamba", "shares", "gated_shares"):
        for layer, values in sorted(getattr(scores, axis).items()):
            yield axis, layer, values


def read_importance(rows: pl.DataFrame, model: Model, scale_norms: bool = True) -> Importance:
    """The scores of one model for `model.pruning.prune`, from its rows of `compress.importance`. `model` has its sizes,
    `scale_norms` is the recipe's value of this name."""
    import torch

    from nemotron_assets.model.pruning import Importance

    found: dict[str, dict[int, Any]] = {axis: {} for axis in rows["axis"].unique()}
    for axis, layer, values in rows.select("axis", "layer", "scores").iter_rows():
        found[axis][layer] = torch.tensor(values, dtype=torch.float64)
    heads = model.mamba_heads, model.mamba_head_dim

    def by_head(axis: str) -> dict[int, Any]:
        return {layer: values.view(heads) for layer, values in found.get(axis, {}).items()}

    scores = Importance(
        found["channels"][-1], found.get("neurons", {}), by_head("mamba"), found["shares"], by_head("gated_shares")
    )
    return scores if scale_norms else scores.published()


def kept(rows: pl.DataFrame, pattern: str, target: int) -> tuple[int, ...]:
    """The layers of one model that stay when so many are left, from its rows of `compress.importance`. Raises
    `ModelError` when it was not measured so far."""
    import polars as pl

    own = rows.filter(pl.col("axis") == "layer")
    gone = own.filter(pl.col("removed") <= len(pattern) - target)["layer"].to_list()
    layers = tuple(layer for layer in range(len(pattern)) if layer not in gone)
    if own.is_empty() or len(layers) != target:
        raise ModelError(
            f"{IMPORTANCE.full_name} does not say which {target} of {len(pattern)} layers stay: materialise "
            f"{IMPORTANCE.asset_key.to_user_string()} again"
        )
    return layers
