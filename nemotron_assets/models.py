"""The models schema: every model the lakehouse holds, one row per version, with its weights in the lake.

`models.generator` is the language model that writes synthetic data.
"""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import ID, Column, Table, row_id, table_asset
from resources.lakehouse import Lakehouse, Reader

# -- columns that tables of models share ------------------------------------------------------------------------------


def _stored(what: str = "folder of its weights in the lake") -> tuple[Column, Column]:
    """Where the files of a model are, and which ones they are."""
    return Column("uri", "string", what), Column("sha256", "string", "sha256 over the names and contents of its files")


def _version(counted: str) -> Column:
    return Column("version", "string", f"1, 2, ...: counts the {counted}")


def _metrics(what: str) -> Column:
    return Column("metrics", "string", f"{what}, as a JSON object of numbers")


def _provenance(an_input: str, made: str = "made", finished: str = "made") -> tuple[Column, ...]:
    """What a version was made by and from; `an_input` is an example of a table and its version."""
    return (
        Column("recipe_hash", "string", "hash of the recipe's values that decide the weights"),
        Column("input_versions", "list[string]", f"tables it was made from, as {an_input}", volatile=True),
        Column("run_id", "string", f"Dagster run that {finished} it", volatile=True),
        Column("at", "timestamp", f"when it was {made} or, {made} already, asked for again"),
    )


_PUT_AT = Column("at", "timestamp", "when it was put into the lake", volatile=True)

# -- models.generator: the model that writes synthetic data -----------------------------------------------------------

GENERATOR = Table(
    schema="models",
    name="generator",
    description="The language model that writes synthetic data. Behind an endpoint, only its tokenizer is kept here.",
    columns=(
        ID,
        Column("name", "string", "name of the model"),
        *_stored("folder of the weights (safetensors, tokenizer, chat template) in the lake"),
        Column("parameters", "int64", "number of parameters; null behind an endpoint", nullable=True),
        Column("dtype", "string", "precision the weights are stored in"),
        _PUT_AT,
    ),
)


@table_asset(GENERATOR, recipe=("llm.engine", "llm.model", "llm.tokenizer"), kinds={"huggingface"})
def generator(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The language model that writes synthetic data: embedded, a folder, or downloaded from Hugging Face once."""
    made = _language_model(recipe.llm.model, "generator", recipe, lake)
    name, sha256, parameters = made.select("name", "sha256", "parameters").row(0)
    context.add_output_metadata({"model": name, "parameters": parameters or 0, "sha256": sha256})
    return made


def _language_model(model: str, place: str, recipe: Recipe, lake: Lakehouse):
    """The row of `models.generator` for a model, whose weights (behind an endpoint, a tokenizer) are put into the
    lake."""
    import tempfile
    from datetime import UTC, datetime
    from pathlib import Path

    import polars as pl

    from resources import pretrained

    llm, remote = recipe.llm, recipe.llm.engine == "openai"
    with tempfile.TemporaryDirectory() as scratch:
        source = llm.tokenizer if remote else model
        name, folder = pretrained.fetch(source, Path(scratch, "model"), tokenizer_only=remote)
        name = model if remote else name
        uri, sha256 = lake.put_weights(folder, place)
        parameters, dtype = pretrained.parameters(folder), "remote" if remote else pretrained.dtype(folder)
    row = {"id": row_id(GENERATOR.full_name, name, sha256), "name": name, "uri": uri, "sha256": sha256}
    row |= {"parameters": parameters, "dtype": dtype, "at": datetime.now(UTC)}
    return pl.DataFrame([row], schema_overrides={"parameters": pl.Int64})


# -- models.math_writer: the model that cleans pages on mathematics and writes dialogues about them --------------------

MATH_WRITER = Table(
    schema="models",
    name="math_writer",
    description="The language model that cleans pages on mathematics and writes dialogues about them: that of "
    "models.generator, or another one (published: phi-4).",
    columns=GENERATOR.columns,
)


@table_asset(
    MATH_WRITER,
    recipe=("math_corpus.writer.model", "llm.engine", "llm.model", "llm.tokenizer"),
    kinds={"huggingface"},
    ins={"generator": dg.AssetIn(GENERATOR.asset_key)},
)
def math_writer(
    context: dg.AssetExecutionContext,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The language model that cleans pages on mathematics and writes dialogues about them: the generator unless the
    recipe names another one, which is then put into the lake once."""
    import polars as pl

    model = recipe.math_corpus.writer.model
    made = generator.scan().collect() if model == "generator" else _language_model(model, "math_writer", recipe, lake)
    name, sha256 = made.select("name", "sha256").row(0)
    context.add_output_metadata({"model": name, "sha256": sha256})
    return made.with_columns(id=pl.lit(row_id(MATH_WRITER.full_name, name, sha256)))


# -- models.math_scorers: what scores pages on mathematics, made in nemotron_assets/math/corpus ------------------------

MATH_SCORERS = Table(
    schema="models",
    name="math_scorers",
    description="The scorer of pages on mathematics, 0 to 5, one row per version; the latest by `at` is used.",
    columns=(
        ID,
        Column("name", "string", "math"),
        _version("scorers"),
        Column("kind", "string", "ridge (trained here) or classifier (a published checkpoint)"),
        Column("source", "string", "embedded, or the checkpoint's name"),
        Column("teacher", "string", "what it learnt from, in words"),
        *_stored(),
        Column("parameters", "int64", "weights that are not zero", nullable=True),
        _metrics("what was measured on left-out pages"),
        *_provenance("math.cleaned@2"),
    ),
)

# -- models.base: pretrained models, made in nemotron_assets/pretrain ------------------------------------------------

BASE = Table(
    schema="models",
    name="base",
    description="Pretrained models, one row per version; the latest by `at` is current. Earlier versions stay.",
    columns=(
        ID,
        Column("name", "string", "name of the model: recipe and stage"),
        _version("models of this table"),
        *_stored("Hugging Face directory (safetensors, config, tokenizer) in the lake"),
        Column("parameters", "int64", "number of parameters"),
        Column("tokens_seen", "int64", "tokens trained on in all, padding included"),
        Column("steps", "int64", "optimizer steps"),
        Column("final_loss", "float64", "loss of the last step, in nats per predicted token"),
        Column("parent_version", "string", "version it was trained on from; null: from fresh weights", nullable=True),
        *_provenance("blend.token_shards@12", made="trained", finished="finished"),
        Column(
            "source_versions",
            "list[string]",
            "tables that its training sequences were packed from, as code.curated@3; null: not noted",
            nullable=True,
            volatile=True,
        ),
    ),
)

TRAINING_METRICS = Table(
    schema="models",
    name="training_metrics",
    description="Loss, learning rate, gradient norm and speed of every training, appended while it runs.",
    columns=(
        Column("model", "string", "name of the model"),
        Column("model_id", "string", "id of the model version that is trained; its row appears when it is finished"),
        Column("run_id", "string", "Dagster run that stored the row"),
        Column("step", "int64", "optimizer step, from 1"),
        Column("tokens", "int64", "tokens seen with this step"),
        Column("loss", "float64", "loss of this step, in nats per predicted token"),
        Column("lr", "float64", "learning rate of this step"),
        Column("grad_norm", "float64", "norm of the gradient before clipping"),
        Column("tokens_per_second", "float64", "since the row before"),
        Column("at", "timestamp", "when the step ended"),
    ),
    key=("model_id", "step"),
)

# -- models.quality_scorers: what judges web documents, made in nemotron_assets/web/quality ---------------------------

QUALITY_SCORERS = Table(
    schema="models",
    name="quality_scorers",
    description="The three scorers of the quality ensemble, one row per version; the latest of a name by `at` is used.",
    columns=(
        ID,
        Column("name", "string", "place in the ensemble: edu_a, edu_b or reference"),
        _version("scorers of this name"),
        Column("kind", "string", "ridge or ngrams (trained here), classifier or fasttext (a published checkpoint)"),
        Column("source", "string", "embedded, or the checkpoint's name"),
        *_stored(),
        Column("parameters", "int64", "weights that are not zero; null for fastText", nullable=True),
        _metrics("what was measured on left-out texts"),
        *_provenance("web.annotations@2"),
    ),
)


# -- models.perplexity: made in nemotron_assets/web/quality ------------------------------------------------------------

PERPLEXITY = Table(
    schema="models",
    name="perplexity",
    description="The n-gram model of good text whose perplexity is a filter.",
    columns=(
        ID,
        Column("name", "string", "embedded, or where it came from"),
        Column("kind", "string", "characters (trained here), or kenlm"),
        *_stored("folder of the model in the lake"),
        Column("ngrams", "int64", "n-grams it knows; null for KenLM", nullable=True),
        _metrics("what it learnt and how well"),
        _PUT_AT,
    ),
)


TABLES = [GENERATOR, MATH_WRITER, MATH_SCORERS, BASE, TRAINING_METRICS, QUALITY_SCORERS, PERPLEXITY]
ASSETS = [generator, math_writer]
CHECKS = []
