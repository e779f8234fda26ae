"""Assets of the mathematics corpus: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""

import dagster as dg

from nemotron_assets.evaluate.tables import BENCHMARKS
from nemotron_assets.math.corpus.tables import (
    CLEANED,
    CONTAMINATION,
    DUPLICATES,
    MIND,
    NEAR_DUPLICATES,
    NEMOTRON_CC_MATH,
    QUALITY,
    SIGNATURES,
)
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.models import MATH_SCORERS, MATH_WRITER, QUALITY_SCORERS
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table import RETRIES, Parts, made_once, table_asset
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A step that ends in an error goes on where it was: what the model has written is in the ledger.
_WRITES = {
    "kinds": {"vllm"},
    "pool": POOL,
    "retry_policy": RETRIES,
}
# Partitions of other snapshots are brought up to date in the same step, so one step at a time.
_DUPLICATES_POOL = "math_duplicates"


def _writer(context: dg.AssetExecutionContext, model: Reader, recipe: Recipe, gpu: Gpu, lake: Lakehouse):
    """The language model for mathematics, with the context window that the recipe gives it."""
    from nemotron_assets.web.synthetic.writing import Writer

    if window := recipe.math_corpus.writer.max_model_len:
        gpu = gpu.model_copy(update={"max_model_len": window})
    return Writer(model, gpu, lake, run_id=context.run_id, log=context.log.info)


# -- clean-up ----------------------------------------------------------------------------------------------------------


@table_asset(
    CLEANED,
    recipe=("math_corpus.cleaner", "math_corpus.writer"),
    ins={"rendered": dg.AssetIn(RENDERED.asset_key), "math_writer": dg.AssetIn(MATH_WRITER.asset_key)},
    **_WRITES,
)
def cleaned(
    context: dg.AssetExecutionContext,
    rendered: Reader,
    math_writer: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Rendered pages without navigation and clutter, rewritten by a language model chunk by chunk; a guard compares
    every answer with its chunk and puts back, or does by rules, what the model damaged: no formula and no code block is
    lost (Nemotron-CC-Math §2.3). Pages that the recipe does not give to the model are cleaned by rules."""
    from nemotron_assets.math.corpus import report
    from nemotron_assets.math.corpus.cleaning import Cleaning

    snapshot = context.partition_key
    work = Cleaning(
        rendered,
        recipe.math_corpus.cleaner,
        _writer(context, math_writer, recipe, gpu, lake),
        lake.rejects(CLEANED, snapshot).add,
        lambda: gpu.lock(context.log.info),
    )
    return Parts(
        work.parts(),
        metadata=lambda: {
            **report.cleaned(lake.read(CLEANED, snapshot).scan(), snapshot),
            "new_generations": work.new,
            "output_tokens": work.tokens,
        },
    )


# -- scores ------------------------------------------------------------------------------------------------------------


@table_asset(
    MATH_SCORERS,
    recipe="math_corpus.quality",
    kinds={"scikitlearn", "huggingface"},
    automation=made_once(),
    retry_policy=RETRIES,
    ins={"cleaned": dg.AssetIn(CLEANED.asset_key)},
)
def math_scorers(
    context: dg.AssetExecutionContext,
    cleaned: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The scorer of pages on mathematics: FineMath's classifier by name, or one trained here on a rubric of countable
    features (density of formulas, words that argue, share of sentences, length), which its metadata says. A new
    snapshot does not change it."""
    from nemotron_assets.math.corpus import quality

    rows = quality.scorer_rows(
        lake.read(MATH_SCORERS).scan().collect(),
        recipe.math_corpus.quality,
        cleaned.scan(),
        lake,
        [cleaned.input_version],
        context.run_id,
        context.log.info,
    )
    made = quality.current(rows, recipe.math_corpus.quality)
    context.add_output_metadata({name: made[name] for name in ("kind", "source", "teacher", "version", "metrics")})
    return rows


@table_asset(
    QUALITY,
    recipe=("math_corpus.quality", "quality.scorers"),
    kinds={"scikitlearn"},
    pool=POOL if current_recipe().math_corpus.quality.want_accelerator else None,
    ins={
        "cleaned": dg.AssetIn(CLEANED.asset_key),
        "math_scorers": dg.AssetIn(MATH_SCORERS.asset_key),
        "quality_scorers": dg.AssetIn(QUALITY_SCORERS.asset_key),
    },
)
def quality(
    context: dg.AssetExecutionContext,
    cleaned: Reader,
    math_scorers: Reader,
    quality_scorers: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """The score of every cleaned page, 0 to 5, of a crop from its middle (Nemotron-CC-Math §2.4), and its educational
    value by the web's first scorer; as numbers and rounded."""
    from nemotron_assets.math.corpus import quality as q
    from nemotron_assets.math.corpus import report
    from nemotron_assets.web.quality import scorers, versions

    snapshot, numbers = context.partition_key, recipe.math_corpus.quality
    model = q.current(math_scorers.scan().collect(), numbers)
    edu = versions.current(quality_scorers.scan().collect())[0]
    score = q.scorer((model, edu), numbers, recipe.quality.scorers, lake.get_weights)
    batches, reject = cleaned.batches(q.READ, numbers.batch_rows), lake.rejects(QUALITY, snapshot).add
    with scorers.scored(
        batches,
        score,
        accelerated=numbers.want_accelerator or recipe.quality.scorers.want_accelerator,
        gpu=gpu,
        compute=compute,
        reject=reject,
        stage=QUALITY.full_name,
        log=context.log.info,
    ) as scored:
        made = q.quality_rows(scored, snapshot, model["id"], reject)
    context.add_output_metadata(report.scores(made.lazy(), snapshot))
    return made


# -- near-duplicates ---------------------------------------------------------------------------------------------------


def _family():
    from nemotron_assets.web.dedup.family import Family

    return Family(CLEANED, SIGNATURES, NEAR_DUPLICATES, DUPLICATES)


@table_asset(
    SIGNATURES,
    recipe="math_corpus.dedup.signatures",
    kinds={"numba", "duckdb"},
    ins={"cleaned": dg.AssetIn(CLEANED.asset_key)},
)
def signatures(cleaned: Reader, recipe: dg.ResourceParam[Recipe]):
    """MinHash signature and LSH bands of every distinct cleaned page (Nemotron-CC-Math §2.5), by the web's kernel."""
    from nemotron_assets.web.dedup.signatures import signature_parts

    return signature_parts(cleaned, recipe.math_corpus.dedup, SIGNATURES)


@table_asset(
    NEAR_DUPLICATES,
    recipe=tuple(f"math_corpus.dedup.{name}" for name in ("signatures", "min_similarity", "verify", "max_bucket")),
    kinds={"duckdb", "numba"},
    deps=[SIGNATURES.asset_key, CLEANED.asset_key],
    pool=_DUPLICATES_POOL,
)
def near_duplicates(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """Pairs of cleaned pages alike, of this snapshot with itself and with every earlier one, each verified by its exact
    Jaccard similarity where the recipe asks for it (Nemotron-CC-Math §2.5)."""
    from nemotron_assets.web.dedup.announce import of_run
    from nemotron_assets.web.dedup.near import ArrivingPairs

    run = of_run(NEAR_DUPLICATES, context)
    return ArrivingPairs(lake, context.partition_key, recipe.math_corpus.dedup, _family(), **run).parts()


@table_asset(
    DUPLICATES,
    recipe=tuple(f"math_corpus.dedup.{name}" for name in ("signatures", "linkage", "memory_mb")),
    kinds={"duckdb"},
    deps=[CLEANED.asset_key, NEAR_DUPLICATES.asset_key],
    pool=_DUPLICATES_POOL,
)
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Cleaned pages that are dropped because one that is kept has (nearly) the same text; the earliest over all
    snapshots is kept. When a snapshot arrives late, the rows of others that change are rewritten and announced."""
    from nemotron_assets.web.dedup.announce import of_run
    from nemotron_assets.web.dedup.arrivals import named
    from nemotron_assets.web.dedup.duplicates import duplicates_of, rewrite_others

    numbers, snapshot, tables = recipe.math_corpus.dedup, context.partition_key, _family()
    rewritten = rewrite_others(snapshot, lake, numbers, tables, **of_run(DUPLICATES, context))
    context.add_output_metadata({"rewritten_partitions": named(rewritten)})
    return duplicates_of(snapshot, lake, numbers, tables=tables)


# -- contamination -----------------------------------------------------------------------------------------------------


@table_asset(
    CONTAMINATION,
    recipe="math_corpus.contamination",
    kinds={"numpy"},
    ins={
        "rendered": dg.AssetIn(RENDERED.asset_key),
        "documents": dg.AssetIn(DOCUMENTS.asset_key),
        "benchmarks": dg.AssetIn(BENCHMARKS.asset_key),
    },
)
def contamination(
    context: dg.AssetExecutionContext,
    rendered: Reader,
    documents: Reader,
    benchmarks: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Benchmark items in pages, judged on every rendered page before any cut, and on the snapshot's other documents:
    which item, by which rule, and the text in which it stands (Nemotron-CC-Math §2.6). What is only like an item is
    listed and kept."""
    from nemotron_assets.math.corpus import report
    from nemotron_assets.math.corpus.judging import judged

    snapshot = context.partition_key
    reject = lake.rejects(CONTAMINATION, snapshot).add
    made = judged(rendered, documents, benchmarks, recipe.math_corpus.contamination, compute, reject)
    context.add_output_metadata(report.contamination(made.lazy()))
    return made


# -- what is published -------------------------------------------------------------------------------------------------


@table_asset(
    NEMOTRON_CC_MATH,
    recipe="math_corpus.release",
    kinds={"polars"},
    deps=[
        table.asset_key
        for table in (
            CANDIDATE_PAGES,
            RENDERED,
            CLEANED,
            QUALITY,
            DUPLICATES,
            CONTAMINATION,
            DOCUMENTS,
            WEB_DUPLICATES,
            UNIQUE_DOCUMENTS,
        )
    ],
)
def nemotron_cc_math(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """Nemotron-CC-Math as it is published: cleaned pages with a score of 3 (subset 3) and from 4 on (4plus), without
    near-duplicates and contaminated pages, each with the web document that decides whether it is held out."""
    from collections import Counter

    from nemotron_assets.math.corpus import release, report

    snapshot, left_out = context.partition_key, Counter()
    return Parts(
        release.parts(lake, snapshot, recipe.math_corpus.release, left_out),
        metadata=lambda: report.published(lake.read(NEMOTRON_CC_MATH, snapshot).scan(), left_out, snapshot),
    )


@table_asset(
    MIND,
    recipe=("math_corpus.mind", "math_corpus.writer"),
    ins={"pages": dg.AssetIn(NEMOTRON_CC_MATH.asset_key), "math_writer": dg.AssetIn(MATH_WRITER.asset_key)},
    **_WRITES,
)
def mind(
    context: dg.AssetExecutionContext,
    pages: Reader,
    math_writer: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Dialogues in seven styles about pages of the subset 4plus (4plus_MIND): two professors, teacher and student, two
    students, interview, group solving a problem, layman and expert, debate. Generations that are in the ledger are not
    asked for again."""
    from nemotron_assets.math.corpus import mind as dialogues
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.synthetic.asking import Tally, frames

    numbers = recipe.math_corpus.mind
    writer = _writer(context, math_writer, recipe, gpu, lake)
    tallies = {style: Tally() for style in numbers.styles}
    chosen, told = dialogues.chosen(pages.scan(), numbers)
    with gpu.lock(context.log.info):
        rows = dialogues.rows(
            dialogues.jobs(chosen, numbers, writer),
            writer.ask,
            numbers,
            generator=writer.name,
            count=writer.count,
            reject=lake.rejects(MIND, context.partition_key).add,
            tallies=tallies,
        )
        written = spooled(frames(rows, MIND))
    context.add_output_metadata({"written_about": told, **writer.metadata(tallies)})
    return written


ASSETS = [
    cleaned,
    math_scorers,
    quality,
    signatures,
    near_duplicates,
    duplicates,
    contamination,
    nemotron_cc_math,
    mind,
]
