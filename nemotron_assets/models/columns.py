"""How a table of models is declared, so that every model can be found, traced and evaluated in the same way."""

from __future__ import annotations

from collections.abc import Iterable

from nemotron_assets.table.columns import ID, SOURCES
from nemotron_assets.table.schema import Column, Table


def model_table(
    name: str,
    description: str,
    *,
    named: str,
    own: Iterable[Column] = (),
    weights: str = "folder with the model's files in the lake",
    example_input: str = "blend.token_shards@12",
) -> Table:
    """The table `models.<name>`, one row per version of a model; each row is a part of its own.

    `named` says what the column `name` holds, `own` are the columns that only this kind of model has.
    """
    return Table(
        schema="models",
        name=name,
        description=f"{description} One row per version; the newest by `at` is in use, earlier versions stay.",
        columns=(
            ID,
            Column("name", "string", named),
            Column("version", "string", "1, 2, ...: counts the versions of this name"),
            Column("uri", "string", weights),
            Column("sha256", "string", "sha256 over the names and contents of the model's files"),
            *own,
            Column(
                "parents", "list[string]",
                "ids of the models this one was made from (a base and a teacher, say); empty for a model from scratch",
            ),
            SOURCES,
            Column("recipe_hash", "string", "hash of the recipe values that decide the weights; empty if none does"),
            Column(
                "input_versions", "list[string]", f"tables it was made from, each with its Delta version: {example_input}",
                volatile=True,
            ),
            Column("run_id", "string", "Dagster run that stored it", volatile=True),
            Column("at", "timestamp", "when it was made, or last asked for again after another version was in use"),
        ),
        part_by="id",
        version=2,
        kind="model",
    )  # fmt: skip


#: What a model that was trained here has besides.
TRAINED = (
    Column("parameters", "int64", "number of parameters"),
    Column("tokens_seen", "int64", "tokens trained on in all, padding included"),
    Column("steps", "int64", "optimizer steps of its last training"),
    Column("final_loss", "float64", "training loss of the last step, in nats per predicted token"),
    Column(
        "source_versions",
        "list[string]",
        "tables that its training sequences were packed from, each with its Delta version: code.curated@3",
        volatile=True,
    ),
)


def metrics(what: str) -> Column:
    """The column of what was measured when the model was made."""
    return Column("metrics", "string", f"{what}, as a JSON object of numbers")


#: What a model has besides that scores texts.
SCORER = (
    Column("kind", "string", "ridge or ngrams (trained here), classifier or fasttext (a published checkpoint)"),
    Column("source", "string", "embedded for a scorer trained here, else the checkpoint's name"),
    Column("parameters", "int64", "weights that are not zero; null for fastText", nullable=True),
    metrics("what was measured on texts left out of the training"),
)
