"""Quality assets: the ensemble of scorers (annotations, scorers, scores, cut points, levels), then the heuristics
(perplexity, measures, verdicts) and what is kept."""

import dagster as dg

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.scorers import TRAINING_CODE
from nemotron_assets.table.asset import RETRIES, made_once, table_asset
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
    """Educational value, 0 to 5, of a sample of English documents: a language model judges each in two wordings
    (Nemotron-CC §2.2). Judged once; later snapshots and runs keep the same sample. Empty when no scorer learns here."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.models.registry import newest
    from nemotron_assets.scorers.references import passages
    from nemotron_assets.web.quality import annotate

    settings, asked = recipe.web.quality.annotations, annotate.needed(recipe.web.quality.scorers)
    request = annotate.request_hash(settings, asked, newest(generator)["sha256"])
    kept = annotate.kept(lake.read(ANNOTATIONS).scan().collect(), asked, request)
    if kept is not None:
        context.log.info("these judgements are in already" if asked else "no scorer is trained here")
        return kept
    good = passages(recipe.web.quality.scorers)
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    return writer.write_frames(
        lambda reject: annotate.annotations(
            annotate.chosen(unique_documents.scan(), settings),
            good,
            settings,
            asked,
            generator=writer.name,
            request=request,
            count=writer.count,
            generate=writer.ask,
            reject=reject,
        )
    )


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
    """The three scorers of the ensemble: checkpoints named in the recipe, or trained here on annotations and reference
    texts. New snapshots do not change them; another recipe or other annotations make another version."""
    from nemotron_assets.models.registry import Registry
    from nemotron_assets.web.quality import versions

    registry = Registry(lake, QUALITY_SCORERS, context.run_id, context.log.info)
    inputs = annotations.input_version, unique_documents.input_version
    judged, documents = annotations.scan().collect(), unique_documents.scan()
    models = versions.want_scorers(registry, recipe.web.quality.scorers, judged, documents, inputs, context.log.info)
    measured, current = versions.described(models)
    context.add_output_metadata({"metrics": dg.MetadataValue.md(measured), "versions": current})
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
    """Three scores of every English document: on the accelerator if a scorer is a transformer, else on every core."""
    from nemotron_assets.scorers.running import scored
    from nemotron_assets.table.spill import spill
    from nemotron_assets.web.quality import scoring, versions

    numbers, rejects = recipe.web.quality, Rejects()
    models = versions.current(quality_scorers)
    score = scoring.scorer(models, numbers.scorers, lake.get_weights)
    batches = scoring.english(unique_documents.batches(scoring.READ, numbers.batch_rows))
    accelerated, log = numbers.scorers.want_accelerator, context.log.info
    with scored(batches, score, QUALITY_SCORES, accelerated, gpu, compute, rejects.add, log) as scores:
        rows = spill(versions.score_rows(scores, versions.ensemble_hash(models), rejects.add))
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
    """Length-weighted percentiles of each score. Computed once from the documents scored first and used for all later
    snapshots; other scorers, other settings or a higher web.quality.thresholds.version make another set."""
    from nemotron_assets.web.quality import versions

    settings, models = recipe.web.quality.thresholds, versions.current(quality_scorers)
    rows = versions.all_thresholds(
        lake.read(QUALITY_THRESHOLDS).scan().collect(),
        quality_scores.scan(),
        models,
        settings,
        [quality_scores.input_version, quality_scorers.input_version],
        context.log.info,
    )
    context.add_output_metadata(versions.threshold_facts(rows, models, settings))
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
    """Quality of every English document: each score becomes an integer 0..19, the largest decides the level
    (Nemotron-CC §2.2). Uses the cut points there are: a new snapshot does not move them."""
    from nemotron_assets.web.quality import versions

    models = versions.current(quality_scorers)
    return versions.quality_rows(quality_scores.scan(), quality_thresholds.scan().collect(), models, recipe.web.quality)


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


@table_asset(
    PERPLEXITY,
    recipe=("web.perplexity", "web.quality.scorers.references", "web.quality.scorers.max_references"),
    kinds={"numpy"},
    retry_policy=RETRIES,
)
def perplexity(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The n-gram model of good text: a published KenLM model, or one of characters, trained here on the reference texts
    (Kneser-Ney). Held-out references must surprise it less than the same words shuffled."""
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
    """Numbers of every text: those that the 28 rules decide by, in compiled passes over the bytes, and the perplexity
    of English ones. What a number counts is written at its column and in text/heuristics.py."""
    import functools

    from nemotron_assets.models.registry import newest
    from nemotron_assets.web.quality import measuring

    model = str(lake.get_weights(newest(perplexity)["uri"]))
    measuring.compile_passes(recipe.web.measures)  # once here, not in every worker at the same time
    measure = functools.partial(
        measuring.measure_rows, strings=recipe.web.measures, perplexity=recipe.web.perplexity, model=model
    )
    batches = measuring.wanted(
        unique_documents.batches(measuring.READ, recipe.storage.batch_rows), recipe.web.heuristics.languages
    )
    rejects = Rejects()
    return Batches(compute.map(batches, measure, reject=rejects.add, stage=MEASURES.full_name), rejects)


@table_asset(
    VERDICTS,
    recipe="web.heuristics",
    kinds={"polars"},
    ins={"measures": MEASURES, "quality": QUALITY},
)
def verdicts(context: dg.AssetExecutionContext, measures: Reader, quality: Reader, recipe: dg.ResourceParam[Recipe]):
    """Whether a document is kept: the rules' bounds and the largest perplexity, for English documents of the lower
    levels; for other languages the rules that are not off (Nemotron-CC §2.3). Reads numbers, no text."""
    from nemotron_assets.web.quality import verdicts as rules

    judged = rules.verdicts(measures.scan(), quality.scan(), recipe.web.heuristics)
    kept = rules.funnel(judged)
    context.add_output_metadata(
        {
            "tokens": int(kept["tokens_kept"].sum()),
            "documents": int(kept["documents"].sum()),
            "documents_kept": int(kept["kept"].sum()),
            "funnel": dg.MetadataValue.md(rules.funnel_table(kept)),
        }
    )
    return rules.verdict_rows(judged, VERDICTS.full_name, VERDICTS.column_names)


_KEPT = {
    "unique_documents": UNIQUE_DOCUMENTS,
    "verdicts": VERDICTS,
}


@table_asset(CURATED, recipe=(), kinds={"polars"}, ins=_KEPT)
def curated(unique_documents: Reader, verdicts: Reader):
    """English documents that are kept, with their quality level: all of the best levels, and of the others those that
    fail no rule (Nemotron-CC §2.3)."""
    from nemotron_assets.web.quality.verdicts import kept_rows

    return kept_rows(unique_documents.scan(), verdicts.scan(), True, CURATED.full_name, CURATED.column_names)


@table_asset(MULTILINGUAL, recipe=(), kinds={"polars"}, ins=_KEPT)
def multilingual(unique_documents: Reader, verdicts: Reader):
    """Documents in the other languages that are kept: those that fail no rule of their language (Nano 2 §2.2)."""
    from nemotron_assets.web.quality.verdicts import kept_rows

    return kept_rows(unique_documents.scan(), verdicts.scan(), False, MULTILINGUAL.full_name, MULTILINGUAL.column_names)


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
