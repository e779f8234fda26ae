"""Assets that decide which documents are kept: the ensemble of classifiers (annotations, scorers, scores, cut points,
levels), then the heuristics (perplexity, measures, verdicts), then the kept documents."""

import dagster as dg

from nemotron_assets.conditions import follow_inputs, made_once
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.scorers import TRAINING_CODE
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import RETRIES, table_asset
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality import ANNOTATION_CODE
from nemotron_assets.web.quality.tables import (
    ANNOTATIONS,
    CURATED,
    MEASURES,
    MULTILINGUAL,
    PERPLEXITY,
    QUALITY,
    QUALITY_SCORERS,
    QUALITY_SCORES,
    QUALITY_THRESHOLDS,
    VERDICTS,
)
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------


@table_asset(
    ANNOTATIONS,
    recipe=("web.quality.annotations", "web.quality.scorers.edu_a", "web.quality.scorers.edu_b"),
    code=ANNOTATION_CODE,
    kinds={"vllm"},
    pool=POOL,
    automation=made_once(GENERATOR),
    retry_policy=RETRIES,
    ins={
        "unique_documents": UNIQUE_DOCUMENTS,
        "generator": GENERATOR,
    },
)
def annotations(
    context: dg.AssetExecutionContext,
    unique_documents: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Educational value, 0 to 5, of a sample of English documents. A language model scores each document twice, for two
    wordings of the question (Nemotron-CC §2.2). The sample is annotated once; later snapshots and runs keep it. Empty
    when the recipe names published scorers, which need no annotations."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.models.registry import newest
    from nemotron_assets.web.quality import annotate

    quality, annotators = recipe.web.quality, annotate.annotators_to_ask(recipe.web.quality.scorers)
    request = annotate.request_hash(quality.annotations, annotators, newest(generator)["sha256"])
    stored = annotate.reusable(lake.read(ANNOTATIONS).scan().collect(), annotators, request)
    if stored is not None:
        context.log.info(
            f"nothing to annotate: {'web.annotations is complete' if annotators else 'no scorer needs it'}"
        )
        return stored
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    return annotate.write(unique_documents.scan(), quality, annotators, request, writer)


@table_asset(
    QUALITY_SCORERS,
    recipe="web.quality.scorers",
    code=TRAINING_CODE,
    kinds={"scikitlearn", "huggingface"},
    automation=made_once(ANNOTATIONS),
    retry_policy=RETRIES,
    ins={
        "annotations": ANNOTATIONS,
        "unique_documents": UNIQUE_DOCUMENTS,
    },
)
def quality_scorers(
    context: dg.AssetExecutionContext,
    annotations: Reader,
    unique_documents: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The three scorers of the ensemble: published checkpoints that the recipe names, or scorers trained here on
    annotations and reference texts. Another recipe or other annotations make another version; a new snapshot does
    not."""
    from nemotron_assets.models.registry import Registry
    from nemotron_assets.web.quality import versions

    registry = Registry(lake, QUALITY_SCORERS, context.run_id, context.log.info)
    inputs = annotations.input_version, unique_documents.input_version
    scores, documents = annotations.scan().collect(), unique_documents.scan()
    models = versions.want_scorers(registry, recipe.web.quality.scorers, scores, documents, inputs, context.log.info)
    metrics, in_use = versions.describe_scorers(models)
    context.add_output_metadata({"metrics": dg.MetadataValue.md(metrics), "versions": in_use})
    return registry.parts()


@table_asset(
    QUALITY_SCORES,
    recipe="web.quality.scorers",
    kinds={"scikitlearn"},
    pool=POOL if current_recipe().web.quality.scorers.want_accelerator else None,
    ins={
        "unique_documents": UNIQUE_DOCUMENTS,
        "quality_scorers": QUALITY_SCORERS,
    },
)
def quality_scores(
    context: dg.AssetExecutionContext,
    unique_documents: Reader,
    quality_scorers: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Three scores of every English document. Runs on the accelerator if a scorer is a transformer, else on every
    core."""
    from nemotron_assets.scorers.running import scored
    from nemotron_assets.table.spill import spill
    from nemotron_assets.web.quality import scoring, versions

    numbers, rejects = recipe.web.quality, Rejects()
    models = versions.scorers_in_use(quality_scorers)
    score = scoring.score_function(models, numbers.scorers, lake.get_weights)
    batches = scoring.english_documents(unique_documents.batches(scoring.DOCUMENT_COLUMNS, numbers.batch_rows))
    accelerated, log = numbers.scorers.want_accelerator, context.log.info
    with scored(batches, score, QUALITY_SCORES, accelerated, gpu, compute, rejects.add, log) as scores:
        rows = spill(scoring.score_rows(scores, versions.ensemble_hash(models), rejects.add))
    return Batches(rows, rejects)


@table_asset(
    QUALITY_THRESHOLDS,
    recipe="web.quality.thresholds",
    kinds={"numpy"},
    automation=made_once(QUALITY_SCORERS),
    ins={
        "quality_scores": QUALITY_SCORES,
        "quality_scorers": QUALITY_SCORERS,
    },
)
def quality_thresholds(
    context: dg.AssetExecutionContext,
    quality_scores: Reader,
    quality_scorers: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """Percentiles of each score over documents weighted by length. A set is computed once, from the documents that are
    scored first, and used for all later snapshots. Other scorers, other settings or a higher
    web.quality.thresholds.version make another set."""
    from nemotron_assets.web.quality import thresholds, versions

    settings, models = recipe.web.quality.thresholds, versions.scorers_in_use(quality_scorers)
    rows = thresholds.add_missing_set(
        lake.read(QUALITY_THRESHOLDS).scan().collect(),
        quality_scores.scan(),
        models,
        settings,
        [quality_scores.input_version, quality_scorers.input_version],
        context.log.info,
    )
    context.add_output_metadata(thresholds.threshold_facts(rows, models, settings))
    return rows


@table_asset(
    QUALITY,
    recipe=("web.quality.thresholds", "web.quality.lowest_bucket"),
    kinds={"numpy"},
    ins={
        "quality_scores": QUALITY_SCORES,
        "quality_thresholds": QUALITY_THRESHOLDS,
        "quality_scorers": QUALITY_SCORERS,
    },
)
def quality(
    quality_scores: Reader,
    quality_thresholds: Reader,
    quality_scorers: Reader,
    recipe: dg.ResourceParam[Recipe],
):
    """Quality of every English document. Each score becomes a bucket 0..19, and the largest of the three buckets
    decides the level (Nemotron-CC §2.2). The cut points are the stored ones; a new snapshot does not change them."""
    from nemotron_assets.web.quality import thresholds, versions

    models, cuts = versions.scorers_in_use(quality_scorers), quality_thresholds.scan().collect()
    return thresholds.quality_rows(quality_scores.scan(), cuts, models, recipe.web.quality)


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


@table_asset(
    PERPLEXITY,
    recipe=("web.perplexity", "web.quality.scorers.references", "web.quality.scorers.max_references"),
    kinds={"numpy"},
    automation=follow_inputs(after=PAGES),
    retry_policy=RETRIES,
)
def perplexity(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The n-gram model of good text, whose perplexity is a filter: a published KenLM model, or a Kneser-Ney model of
    characters trained here on the reference texts. The metadata compares the perplexity of held-out reference texts
    with that of the same words in random order, which should be higher."""
    import json

    from nemotron_assets.models.registry import Identity, Registry
    from nemotron_assets.web.quality import versions

    registry = Registry(lake, PERPLEXITY, context.run_id, context.log.info)
    make = versions.perplexity_model(recipe.web.perplexity, recipe.web.quality.scorers)
    model = registry.want(Identity(recipe.web.perplexity.model, None), make)
    context.add_output_metadata(
        {"model": model["name"], "ngrams": model["ngrams"] or 0, **json.loads(model["metrics"])}
    )
    return registry.parts()


@table_asset(
    MEASURES,
    recipe=("web.measures", "web.heuristics.languages", "web.perplexity.characters", "web.perplexity.token_characters"),
    kinds={"numba"},
    ins={
        "unique_documents": UNIQUE_DOCUMENTS,
        "perplexity": PERPLEXITY,
    },
)
def measures(
    context: dg.AssetExecutionContext,
    unique_documents: Reader,
    perplexity: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """The numbers of every text that the 28 rules compare with their bounds, computed in compiled passes over the
    bytes, and the perplexity of English texts. The meaning of each column says what its number counts."""
    from nemotron_assets.models.registry import newest
    from nemotron_assets.web.quality import measuring

    model = lake.get_weights(newest(perplexity)["uri"])
    documents = unique_documents.batches(measuring.DOCUMENT_COLUMNS, recipe.storage.batch_rows)
    return measuring.measures(documents, recipe.web, model, compute)


@table_asset(
    VERDICTS,
    recipe="web.heuristics",
    kinds={"polars"},
    ins={"measures": MEASURES, "quality": QUALITY},
)
def verdicts(context: dg.AssetExecutionContext, measures: Reader, quality: Reader, recipe: dg.ResourceParam[Recipe]):
    """Whether a document is kept (Nemotron-CC §2.3). English documents of the lower levels must pass all rules and the
    largest perplexity; documents in other languages must pass the rules that the recipe leaves on. Reads the numbers in
    web.measures, not the texts."""
    from nemotron_assets.web.quality import verdicts as rules
    from nemotron_assets.web.quality.report import funnel_facts

    judged = rules.verdicts(measures.scan(), quality.scan(), recipe.web.heuristics)
    context.add_output_metadata(funnel_facts(judged))
    return rules.verdict_rows(judged, VERDICTS.full_name, VERDICTS.column_names)


_KEPT = {
    "unique_documents": UNIQUE_DOCUMENTS,
    "verdicts": VERDICTS,
}


@table_asset(CURATED, recipe="web.dedup.memory_mb", kinds={"polars"}, ins=_KEPT)
def curated(unique_documents: Reader, verdicts: Reader, recipe: dg.ResourceParam[Recipe]):
    """The English documents that are kept, with their quality level: all documents of the best levels, and the
    documents of other levels that fail no rule (Nemotron-CC §2.3)."""
    from nemotron_assets.web.quality.verdicts import kept_rows

    made = CURATED.full_name, CURATED.column_names, recipe.web.dedup.memory_mb
    return kept_rows(unique_documents.scan(), verdicts.scan(), True, *made)


@table_asset(MULTILINGUAL, recipe="web.dedup.memory_mb", kinds={"polars"}, ins=_KEPT)
def multilingual(unique_documents: Reader, verdicts: Reader, recipe: dg.ResourceParam[Recipe]):
    """The documents in other languages that are kept, because they fail no rule of their language (Nano 2 §2.2)."""
    from nemotron_assets.web.quality.verdicts import kept_rows

    made = MULTILINGUAL.full_name, MULTILINGUAL.column_names, recipe.web.dedup.memory_mb
    return kept_rows(unique_documents.scan(), verdicts.scan(), False, *made)


ASSETS = [
    annotations,
    quality_scorers,
    quality_scores,
    quality_thresholds,
    quality,
    perplexity,
    measures,
    verdicts,
    curated,
    multilingual,
]
