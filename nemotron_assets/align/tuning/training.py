"""Plans the trainings of the supervised stages: the identity of each model, and the configuration of its training.

Stage 1 starts from the long-context model that the recipe asks for, stages 2 and 3 from the stage before. The loss is
that of the next token, at the tokens that the assistant wrote. Before stage 1, the rows of the chat template's special
tokens are drawn again in both embeddings, as in the published checkpoint ("sp_emb_reinit").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.tuning import CODE
from nemotron_assets.align.tuning.sequences import UNTRUNCATED
from nemotron_assets.align.tuning.tables import SEQUENCES, STAGES, TOKEN_SHARDS
from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.chat.template import source as template
from nemotron_assets.models.asked import asked_for
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.align.tuning import Stage
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from nemotron_assets.training.mixture import Entry
from nemotron_assets.training.plan import Plan, TrainingError, shards_config, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import NEXT_TOKEN

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: The table of the model that each stage continues.
_BEFORE = dict(zip(STAGES, (LONG_CONTEXT, *STAGES.values()), strict=False))


def special_ids() -> tuple[int, ...]:
    """The ids of the special tokens that the chat template writes; <SPECIAL_12> has the id 12."""
    return tuple(sorted({int(number) for number in re.findall(r"<SPECIAL_(\d+)>", template())}))


def stage(name: str, recipe: Recipe, lake: Lakehouse, part: str = "") -> Plan:
    """The model of a supervised stage (sft_1, ...) that the recipe and the sequences ask for now. `part` is the part of
    align.sequences that it reads, the stage's own by default. Raises `TrainingError` when inputs are missing, and
    `ModelError` when the lake does not have the model that it continues."""
    table, numbers, part = STAGES[name], recipe.align.tuning.stages()[name], part or name
    inputs = [lake.read(needed) for needed in (TOKENIZER, TOKEN_SHARDS, SEQUENCES)]
    if missing := [reader.table.asset_key.to_user_string() for reader in inputs if not reader.exists]:
        raise TrainingError(f"there is nothing to train on: materialise {', '.join(missing)} first")
    tokenizer, shards, sequences = inputs
    vocabulary, packed = tokenizer.only_row(), sequences.parts()
    if part not in packed:
        raise TrainingError(
            f"align.sequences has no sequences for {part}, which reads the conversations that align.tuning.{name}."
            f"chosen names ({', '.join(numbers.chosen.variants)}): the lake has none of them, or align/sequences must "
            "be materialised again"
        )
    before = lake.read(_BEFORE[name])
    parent = asked_for(before, recipe, lake)
    fresh = special_ids() if name == "sft_1" else ()
    decides = {"code": CODE, "training": numbers.training.deciding(), "length": numbers.sequence_length, "fresh": fresh}
    decides |= {"weights": numbers.chosen.weights}
    recipe_hash = content_hash(repr(sorted(decides.items())).encode())
    contents = [f"{key}={content}" for key, content in shards.parts().items()]
    id_ = row_id(table.full_name, recipe_hash, vocabulary["sha256"], parent["id"], part, packed[part], *contents)
    return Plan(
        table=table,
        identity=Identity(
            name=f"{recipe.name}-{part.replace('_', '-')}",
            id=id_,
            recipe_hash=recipe_hash,
            inputs=tuple(reader.input_version for reader in (*inputs, before)),
            parents=(Parent(before.table.full_name, parent["id"]),),
        ),
        entry=NEXT_TOKEN,
        config={
            "start": {"folder": str(lake.get_weights(parent["uri"])), "fresh_tokens": fresh},
            "training": numbers.training.model_dump(),
            "section": f"align.tuning.{name}.training",
            "sequence_length": numbers.sequence_length,
            "folder": working_folder(id_),
            "sequences": f"{sequences.table.full_name}/{part}",
            "shards": shards_config(lake, shards, sequences, part),
            "by_length": True,
            "entries": _entries(name, numbers),
        },
        steps=total_steps(numbers.training, numbers.sequence_length),
        tokenizer=lake.get_weights(vocabulary["uri"]),
        source_versions=(lake.read(TOKEN_SHARDS).input_version,),
    )


def _entries(name: str, numbers: Stage) -> list[dict[str, Any]]:
    """The shares of the domains, as JSON values; none if every sequence is read equally often."""
    return [Entry(name, 1, numbers.chosen.weights).as_dict()] if numbers.chosen.weights else []


def plans(table: Table, recipe: Recipe, lake: Lakehouse) -> list[Plan]:
    """The models of a stage that the recipe asks for. The last one is the one in use, which later stages continue."""
    (name,) = (name for name, own in STAGES.items() if own == table)
    compared = name == "sft_3" and recipe.align.tuning.without_truncated
    return [*([stage(name, recipe, lake, UNTRUNCATED)] if compared else []), stage(name, recipe, lake)]


#: The plan of each table of models, for stages that continue one (see models/asked.py).
PLANS: dict[str, Callable[[Recipe, Lakehouse], Plan]] = {
    table.full_name: functools.partial(stage, name) for name, table in STAGES.items()
}
