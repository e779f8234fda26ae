"""Assets of the mathematics corpus: clean-up, scores, near-duplicates, contamination, subsets, dialogues."""

from dataclasses import replace
from typing import Any

import dagster as dg

from nemotron_assets.conditions import made_once
from nemotron_assets.dedup.corpus import CorpusTables
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.math.corpus import scorer_code
from nemotron_assets.math.corpus.tables import (
    CLEANED,
    CONTAMINATION,
    DUPLICATES,
    MATH_SCORERS,
    MATH_WRITER,
    MIND,
    NEAR_DUPLICATES,
    NEMOTRON_CC_MATH,
    QUALITY,
    SIGNATURES,
)
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table.asset import RETRIES, rewriting, table_asset
from nemotron_assets.table.parts import Batches, Parts, Rejects
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import REPEATED_SPANS
from nemotron_assets.web.quality.tables import QUALITY_SCORERS
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

#: The scorer of `models.quality_scorers` that scores the educational value of pages on mathematics.
EDU_SCORER = "edu_a"

# A retry continues where the failed step stopped: the ledger has every answer that the model has written.
_WRITES = {"kinds": {"vllm"}, "pool": POOL, "retry_policy": RETRIES}
# One step of each pool at a time: a step also rewrites the partitions of other snapshots.
_DUPLICATES_POOL = "math_duplicates"
_RELEASE_POOL = "math_release"
_CORPUS = CorpusTables(CLEANED, SIGNATURES, NEAR_DUPLICATES, DUPLICATES)


def _writer(context: dg.AssetExecutionContext, model: Reader, recipe: Recipe, gpu: Gpu, lake: Lakehouse):
    """The language model of `models.math_writer`, with the context window that the recipe sets for it."""
    from nemotron_assets.generation.writing import Writer

    if window := recipe.math.corpus.writer.max_model_len:
        gpu = gpu.model_copy(update={"max_model_len": window})
    return Writer(model, gpu, lake, run_id=context.run_id, log=context.log.info)


# -- the language model ------------------------------------------------------------------------------------------------


@table_asset(
    MATH_WRITER,
    recipe=("math.corpus.writer.model", "llm.engine", "llm.model", "llm.tokenizer"),
    code="2",
    kinds={"huggingface"},
    ins={"generator": GENERATOR},
)
def math_writer(
    context: dg.AssetExecutionContext,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The language model that cleans pages on mathematics and writes dialogues about them. It is the generator of the
    web data, unless the recipe names another model; another model is put into the lake once."""
    from nemotron_assets.models.registry import Registry
    from nemotron_assets.models.writer import want_writer

    registry = Registry(lake, MATH_WRITER, context.run_id, context.log.info)
    model = want_writer(registry, recipe.math.corpus.writer.model, recipe.llm, generator, lake)
    context.add_output_metadata({"model": model["name"], "sha256": model["sha256"]})
    return registry.parts()


# -- clean-up ----------------------------------------------------------------------------------------------------------


@table_asset(
    CLEANED,
    recipe=("math.corpus.cleaner", "math.corpus.writer"),
    ins={"rendered": RENDERED, "math_writer": MATH_WRITER},
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
    """Rendered pages without navigation and other boilerplate. A language model rewrites them chunk by chunk, and a
    guard compares each answer with its chunk. The guard puts lost formulas back; if the answer differs too much, rules
    clean the chunk instead. No formula and no code block is lost (Nemotron-CC-Math §2.3). Pages that the recipe does
    not give to the model are cleaned by rules."""
    from nemotron_assets.math.corpus import report
    from nemotron_assets.math.corpus.cleaning import Cleaning

    snapshot = context.partition_key
    work = Cleaning(rendered, recipe.math.corpus.cleaner, _writer(context, math_writer, recipe, gpu, lake))
    return Parts(
        work.parts(),
        metadata=lambda: {**report.cleaned(lake.read(CLEANED, snapshot).scan(), snapshot), **work.written()},
        rejects=work.rejects,
    )


# -- scores ------------------------------------------------------------------------------------------------------------


@table_asset(
    MATH_SCORERS,
    recipe="math.corpus.quality",
    code=scorer_code(),
    kinds={"scikitlearn", "huggingface"},
    automation=made_once(),
    retry_policy=RETRIES,
    ins={"cleaned": CLEANED},
)
def math_scorers(
    context: dg.AssetExecutionContext,
    cleaned: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The scorer of pages on mathematics. It is a published classifier such as FineMath's, or it is trained here to
    predict the points of a rubric (density of formulas, words that argue, share of sentences, length); the metadata say
    which. A new snapshot does not change it."""
    from nemotron_assets.math.corpus.quality import want_scorer
    from nemotron_assets.models.registry import Registry

    registry = Registry(lake, MATH_SCORERS, context.run_id, context.log.info)
    model = want_scorer(registry, recipe.math.corpus.quality, cleaned.scan(), (cleaned.input_version,))
    context.add_output_metadata({name: model[name] for name in ("kind", "source", "teacher", "version", "metrics")})
    return registry.parts()


@table_asset(
    QUALITY,
    recipe=("math.corpus.quality", "web.quality.scorers"),
    kinds={"scikitlearn"},
    pool=POOL if current_recipe().math.corpus.quality.want_accelerator else None,
    ins={
        "cleaned": CLEANED,
        "math_scorers": MATH_SCORERS,
        "quality_scorers": QUALITY_SCORERS,
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
    """Two scores of every cleaned page, each from 0 to 5, exact and rounded: how well it teaches mathematics, from a
    crop of its middle (Nemotron-CC-Math §2.4), and its educational value, from the first of the web's scorers."""
    from nemotron_assets.math.corpus import quality as q
    from nemotron_assets.math.corpus import report
    from nemotron_assets.models.registry import newest
    from nemotron_assets.scorers.running import scored

    snapshot, numbers, rejects = context.partition_key, recipe.math.corpus.quality, Rejects()
    models = q.stored_scorer(math_scorers, numbers), newest(quality_scorers, EDU_SCORER)
    score = q.scoring_function(models, numbers, recipe.web.quality.scorers, lake.get_weights)
    accelerated = numbers.want_accelerator or recipe.web.quality.scorers.want_accelerator
    batches = cleaned.batches(q.READ, numbers.batch_rows)
    with scored(batches, score, QUALITY, accelerated, gpu, compute, rejects.add, context.log.info) as scores:
        made = q.quality_rows(scores, snapshot, models[0]["id"], rejects.add)
    context.add_output_metadata(report.scores(made.lazy(), snapshot))
    return Batches([made], rejects)


# -- near-duplicates ---------------------------------------------------------------------------------------------------


@table_asset(
    SIGNATURES,
    recipe="math.corpus.dedup.signatures",
    kinds={"numba", "duckdb"},
    ins={"cleaned": CLEANED},
)
def signatures(cleaned: Reader, recipe: dg.ResourceParam[Recipe]):
    """MinHash signatures and LSH bands of the distinct texts among the cleaned pages (Nemotron-CC-Math §2.5), computed
    like those of web documents. A text that several pages have is signed once, at the earliest page."""
    from nemotron_assets.dedup.signatures import signature_parts

    return signature_parts(cleaned, recipe.math.corpus.dedup, SIGNATURES)


@table_asset(
    NEAR_DUPLICATES,
    recipe=tuple(f"math.corpus.dedup.{name}" for name in ("signatures", "min_similarity", "verify", "max_bucket")),
    code="2",  # adds the column containment
    kinds={"duckdb", "numba"},
    deps=[SIGNATURES, CLEANED],
    pool=_DUPLICATES_POOL,
)
def near_duplicates(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    compute: dg.ResourceParam[Compute],
):
    """Pairs of cleaned pages with nearly the same text: two pages of this snapshot, or one of this and one of an
    earlier snapshot (Nemotron-CC-Math §2.5). If the recipe asks for it, each pair is verified by its exact Jaccard
    similarity."""
    from nemotron_assets.dedup.candidates import across
    from nemotron_assets.dedup.near import CascadingPairs

    run = rewriting(context, NEAR_DUPLICATES)
    pairs = CascadingPairs(lake, context.partition_key, recipe.math.corpus.dedup, _CORPUS, across(compute), **run)
    return pairs.parts()


@table_asset(
    DUPLICATES,
    recipe=tuple(f"math.corpus.dedup.{name}" for name in ("signatures", "linkage", "memory_mb", "enabled")),
    code="2",  # adds the column document
    kinds={"duckdb"},
    deps=[CLEANED, NEAR_DUPLICATES],
    pool=_DUPLICATES_POOL,
)
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Cleaned pages that are dropped because another page has the same or nearly the same text. Of such pages the
    earliest one of all snapshots is kept. If a snapshot arrives late, the rows of other snapshots that change are
    rewritten, and Dagster is told."""
    from nemotron_assets.dedup.arrivals import snapshot_names
    from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others

    numbers, snapshot = recipe.math.corpus.dedup, context.partition_key
    updated = rewrite_others(snapshot, lake, numbers, _CORPUS, **rewriting(context, DUPLICATES))
    context.add_output_metadata({"rewritten_partitions": snapshot_names(updated)})
    return duplicates_of(snapshot, lake, numbers, _CORPUS)


# -- contamination -----------------------------------------------------------------------------------------------------


@table_asset(
    CONTAMINATION,
    recipe="math.corpus.contamination",
    kinds={"numpy"},
    ins={
        "rendered": RENDERED,
        "documents": DOCUMENTS,
        "benchmarks": BENCHMARKS,
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
    """Benchmark items found in pages: which item, by which rule, and the text in which it stands (Nemotron-CC-Math
    §2.6). All rendered pages are searched, before any page is dropped for its score, and the snapshot's other web
    documents as well. Pages that only resemble an item are listed, but kept."""
    from nemotron_assets.math.corpus import report
    from nemotron_assets.math.corpus.search import search_snapshot

    numbers, rejects = recipe.math.corpus.contamination, Rejects()
    found = search_snapshot(rendered, documents, benchmarks, numbers, compute, rejects.add)
    context.add_output_metadata(report.contamination(found.lazy()))
    return Batches([found], rejects)


# -- published tables --------------------------------------------------------------------------------------------------


@table_asset(
    NEMOTRON_CC_MATH,
    recipe="math.corpus.release",
    code="2",  # the addresses of a page decide whether it is held out
    kinds={"polars"},
    deps=(
        CANDIDATE_PAGES,
        RENDERED,
        CLEANED,
        QUALITY,
        DUPLICATES,
        CONTAMINATION,
        DOCUMENTS,
        WEB_DUPLICATES,
        REPEATED_SPANS,
    ),
    pool=_RELEASE_POOL,
)
def nemotron_cc_math(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """Nemotron-CC-Math as published: the subset "3" has the cleaned pages with a score of 3, the subset "4plus" those
    with a score of 4 or 5. Near-duplicates and pages with benchmark items are left out. The column origin_hash puts a
    page and its web document on the same side of the held-out split. Other snapshots with pages that share an address
    or a text with pages of this one are brought up to date."""
    from nemotron_assets.math.corpus import report
    from nemotron_assets.math.corpus.release import CascadingRelease

    snapshot, run = context.partition_key, rewriting(context, NEMOTRON_CC_MATH)
    release = CascadingRelease(lake, snapshot, recipe.math.corpus.release, **run)

    def metadata() -> dict[str, Any]:
        rows = lake.read(NEMOTRON_CC_MATH, snapshot).scan()
        return {**report.published(rows, release.left_out, snapshot), **release.metadata()}

    return replace(release.parts(), metadata=metadata)


@table_asset(
    MIND,
    recipe=("math.corpus.mind", "math.corpus.writer"),
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"pages": NEMOTRON_CC_MATH, "math_writer": MATH_WRITER},
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
    """Dialogues about pages of the subset 4plus (4plus_MIND) that a language model writes in seven styles: two
    professors, teacher and student, two students, interview, group solving a problem, layman and expert, debate.
    Dialogues that are in the ledger of generations are not asked for again."""
    from nemotron_assets.generation.asking import Tally
    from nemotron_assets.math.corpus import mind as dialogues

    numbers, writer = recipe.math.corpus.mind, _writer(context, math_writer, recipe, gpu, lake)
    tallies = {style: Tally() for style in numbers.styles}
    chosen, description = dialogues.choose_pages(pages.scan(), numbers)
    written = writer.write(MIND, lambda reject: dialogues.dialogue_rows(chosen, writer, numbers, reject, tallies))
    context.add_output_metadata({"written_about": description, **writer.metadata(tallies)})
    return written


ASSETS = [
    math_writer,
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
