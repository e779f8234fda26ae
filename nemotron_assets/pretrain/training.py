"""Plans the trainings of the pretraining: the identity of each model, and the configuration of its training.

The base model starts from fresh weights and reads the phases of the blend. The long-context model starts from the
base model that the same recipe asks for, and reads the phase for long context, in longer sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.blend import tables as blend
from nemotron_assets.models.asked import asked_for
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.pretrain import CODE, LONG_CONTEXT_CODE
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from nemotron_assets.text.tokenizer import BOS, EOS, PAD
from nemotron_assets.training.mixture import Entry
from nemotron_assets.training.plan import Plan, TrainingError, shards_config, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import NEXT_TOKEN

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Lakehouse, Reader

#: The tables that a pretrained model is made from, beside the model that it continues.
INPUTS = (blend.TOKENIZER, blend.TOKEN_SHARDS, blend.SEQUENCES, blend.PHASES)


@dataclass(frozen=True)
class _Training:
    """What tells the training of one model from that of the other.

    - `stage`: the last part of the model's name.
    - `section`, `run`: the section of the recipe with the numbers of the training, and these numbers.
    - `length`, `length_from`: tokens in a sequence, and the value of the recipe that says so.
    - `phases`: the rows of `blend.phases` that the training reads.
    - `start`: the starting weights, see `worker.start_of`.
    - `decides`: the recipe values that decide the weights. Their names are hashed too, so they must not change.
    - `parent`, `parent_table`: the model that the training continues, and its table at the version that was read.
    """

    table: Table
    stage: str
    section: str
    run: TrainingRun
    length: int
    length_from: str
    phases: pl.Expr
    start: dict[str, Any]
    decides: dict[str, Any]
    parent: Parent | None = None
    parent_table: Reader | None = None


def base(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The base model that the recipe, the packed sequences and the phases ask for now. Raises `TrainingError` when
    inputs are missing or do not fit the recipe."""
    import polars as pl

    training = _Training(
        table=BASE,
        stage="base",
        section="train.base",
        run=recipe.train.base,
        length=recipe.blend.sequence_length,
        length_from="blend.sequence_length",
        phases=pl.col("phase") != blend.LONG_CONTEXT,
        start={
            "fresh": recipe.model.model_dump(),
            "vocabulary": recipe.tokenizer.vocabulary,
            "special": {"pad": PAD, "bos": BOS, "eos": EOS},
        },
        decides={
            "code": CODE,
            "model": recipe.model.model_dump(),
            "pretrain": recipe.train.base.deciding(),
            "vocabulary": recipe.tokenizer.vocabulary,
            "sequence_length": recipe.blend.sequence_length,
        },
    )
    return _plan(training, recipe, lake)


def long_context(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The long-context model that the recipe and the packed sequences ask for now. It continues the base model that
    they ask for. Raises `TrainingError` when inputs are missing or do not fit, and `ModelError` when the lake does not
    have this base model."""
    import polars as pl

    models = lake.read(BASE)
    parent = asked_for(models, recipe, lake)
    training = _Training(
        table=LONG_CONTEXT,
        stage="long-context",
        section="train.long_context",
        run=recipe.train.long_context,
        length=recipe.blend.long_context.sequence_length,
        length_from="blend.long_context.sequence_length",
        phases=pl.col("phase") == blend.LONG_CONTEXT,
        start={"folder": str(lake.get_weights(parent["uri"]))},
        decides={
            "code": LONG_CONTEXT_CODE,
            "long_context": recipe.train.long_context.deciding(),
            "sequence_length": recipe.blend.long_context.sequence_length,
        },
        parent=Parent(BASE.full_name, parent["id"]),
        parent_table=models,
    )
    return _plan(training, recipe, lake)


def _plan(training: _Training, recipe: Recipe, lake: Lakehouse) -> Plan:
    inputs = [lake.read(table) for table in INPUTS]
    if missing := [reader.table.asset_key.to_user_string() for reader in inputs if not reader.exists]:
        raise TrainingError(f"there is nothing to train on: materialise {', '.join(missing)} first")
    tokenizer, shards, sequences, phases = inputs
    vocabulary, length = tokenizer.only_row(), training.length
    if vocabulary["vocabulary"] > recipe.tokenizer.vocabulary:
        raise TrainingError(
            f"the tokenizer has {vocabulary['vocabulary']} entries, but tokenizer.vocabulary is "
            f"{recipe.tokenizer.vocabulary}: materialise blend/tokenizer and its downstream assets again"
        )
    steps = total_steps(training.run, length)
    entries = _entries(phases.scan().filter(training.phases).collect(), steps)
    packed = sequences.parts()
    if str(length) not in packed:
        raise TrainingError(
            f"blend.sequences has no sequences of {length} tokens ({training.length_from}): materialise "
            "blend/sequences and its downstream assets again"
        )
    # The id depends on the content of the tables, not on their Delta versions: after an identical rewrite the same
    # model is found.
    left_out = sorted(recipe.blend.left_out)
    contents = [*(f"{key}={content}" for key, content in shards.parts().items()), *left_out]
    recipe_hash = content_hash(repr(sorted(training.decides.items())).encode())
    continued = [training.parent.id] if training.parent else []
    decided_by = (recipe_hash, vocabulary["sha256"], packed[str(length)], repr(entries), *continued, *contents)
    id_ = row_id(training.table.full_name, *decided_by)
    read = [*inputs, training.parent_table] if training.parent_table else inputs
    return Plan(
        table=training.table,
        identity=Identity(
            name=f"{recipe.name}-{training.stage}",
            id=id_,
            recipe_hash=recipe_hash,
            inputs=tuple(reader.input_version for reader in read),
            parents=(training.parent,) if training.parent else (),
        ),
        entry=NEXT_TOKEN,
        config={
            "start": training.start,
            "training": training.run.model_dump(),
            "section": training.section,
            "sequence_length": length,
            "folder": working_folder(id_),
            "sequences": f"{sequences.table.full_name}/{length}",
            "shards": shards_config(lake, shards, sequences, length, left_out),
            "entries": entries,
        },
        steps=steps,
        tokenizer=lake.get_weights(vocabulary["uri"]),
        source_versions=_source_versions(shards),
    )


def _source_versions(shards: Reader) -> tuple[str, ...]:
    """The versions of the tables that the token shards were made from."""
    import polars as pl

    first = shards.scan().group_by(blend.TOKEN_SHARDS.part_by).agg(pl.col("read_versions").first())
    return tuple(first.collect(engine="streaming")["read_versions"].explode().drop_nulls().unique().sort())


def _entries(phases: pl.DataFrame, steps: int) -> list[dict[str, Any]]:
    """The shares of the categories from which step on, as JSON values, from rows of `blend.phases`. Raises
    `TrainingError` when the phases are for a training of another number of steps."""
    import polars as pl

    by_phase = phases.filter(pl.col("steps") > 0).sort("number").partition_by("number", maintain_order=True)
    planned = sum(rows["steps"][0] for rows in by_phase)
    if planned != steps:
        raise TrainingError(
            f"the phases are for {planned} steps, but the recipe's training has {steps}: materialise blend/phases again"
        )
    return [
        Entry(
            rows["phase"][0],
            rows["first_step"][0],
            dict(rows.filter(pl.col("share") > 0).select("category", "share").unique().sort("category").iter_rows()),
        ).as_dict()
        for rows in by_phase
    ]


#: The plan of each table of models, for stages that continue one (see models/asked.py).
PLANS = {BASE.full_name: base, LONG_CONTEXT.full_name: long_context}
