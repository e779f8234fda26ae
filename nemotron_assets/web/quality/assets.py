"""Quality assets: the ensemble of scorers (annotations, scorers, scores, cut points, levels), then the heuristics
(perplexity, measures, verdicts) and what is kept."""

import dagster as dg

from nemotron_assets.models import GENERATOR, PERPLEXITY, QUALITY_SCORERS
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table import RETRIES, made_once, table_asset
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import (
    ANNOTATIONS,
    CURATED,
    MEASURES,
    MULTILINGUAL,
    QUALITY,
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
    recipe=("quality.annotations", "quality.scorers.edu_a", "quality.scorers.edu_b"),
    kinds={"vllm"},
    pool=POOL,
    automation=made_once(GENERATOR.asset_key),
    retry_policy=RETRIES,
    ins={
        "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
        "generator": dg.AssetIn(GENERATOR.asset_key),
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
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.quality import annotate, scorers
    from nemotron_assets.web.synthetic.writing import Writer

    settings, asked = recipe.quality.annotations, annotate.needed(recipe.quality.scorers)
    request = annotate.request_hash(settings, asked, generator.scan().select("sha256").collect().item())
    kept = annotate.kept(lake.read(ANNOTATIONS).scan().collect(), asked, request)
    if kept is not None:
        context.log.info("these judgements are in already" if asked else "no scorer is trained here")
        return kept
    chosen = annotate.choose(unique_documents.scan(), settings).collect_batches(chunk_size=256, engine="streaming")
    passages, reject = scorers.passages(recipe.quality.scorers), lake.rejects(ANNOTATIONS).add
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    with gpu.lock(context.log.info):
        return spooled(
            annotate.annotations(
                chosen,
                passages,
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
    recipe="quality.scorers",
    kinds={"scikitlearn", "huggingface"},
    automation=made_once(ANNOTATIONS.asset_key),
    retry_policy=RETRIES,
    ins={
        "annotations": dg.AssetIn(ANNOTATIONS.asset_key),
        "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
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
    from nemotron_assets.web.quality import versions

    rows = versions.scorer_rows(
        lake.read(QUALITY_SCORERS).scan().collect(),
        recipe.quality.scorers,
        annotations.scan().collect(),
        unique_documents.scan(),
        lake,
        [annotations.input_version, unique_documents.input_version],
        context.run_id,
        context.log.info,
    )
    measured, current = versions.described(versions.current(rows))
    context.add_output_metadata({"metrics": dg.MetadataValue.md(measured), "versions": current})
    return rows


@table_asset(
    QUALITY_SCORES,
    recipe="quality.scorers",
    kinds={"scikitlearn"},
    pool=POOL if current_recipe().quality.scorers.want_accelerator else None,
    ins={
        "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
        "quality_scorers": dg.AssetIn(QUALITY_SCORERS.asset_key),
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
    import functools

    from nemotron_assets.spool import spooled
    from nemotron_assets.web.quality import scorers, versions

    models = versions.current(quality_scorers.scan().collect())
    chosen = tuple((m["name"], m["kind"], str(lake.get_weights(m["uri"]))) for m in models)
    score = functools.partial(scorers.score, chosen=chosen, recipe=recipe.quality.scorers)
    batches = scorers.english(unique_documents.batches(scorers.READ, recipe.quality.batch_rows))
    reject = lake.rejects(QUALITY_SCORES, context.partition_key).add
    with scorers.scored(
        batches,
        score,
        accelerated=recipe.quality.scorers.want_accelerator,
        gpu=gpu,
        compute=compute,
        reject=reject,
        stage=QUALITY_SCORES.full_name,
        log=context.log.info,
    ) as scored:
        return spooled(versions.score_rows(scored, versions.ensemble_hash(models), reject))


@table_asset(
    QUALITY_THRESHOLDS,
    recipe="quality.thresholds",
    kinds={"numpy"},
    automation=made_once(QUALITY_SCORERS.asset_key),
    ins={
        "quality_scores": dg.AssetIn(QUALITY_SCORES.asset_key),
        "quality_scorers": dg.AssetIn(QUALITY_SCORERS.asset_key),
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
    snapshots; other scorers, other settings or a higher quality.thresholds.version make another set."""
    from nemotron_assets.web.quality import versions

    settings, models = recipe.quality.thresholds, versions.current(quality_scorers.scan().collect())
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
    recipe=("quality.thresholds", "quality.lowest_bucket"),
    kinds={"numpy"},
    ins={
        "quality_scores": dg.AssetIn(QUALITY_SCORES.asset_key),
        "quality_thresholds": dg.AssetIn(QUALITY_THRESHOLDS.asset_key),
        "quality_scorers": dg.AssetIn(QUALITY_SCORERS.asset_key),
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

    models = versions.current(quality_scorers.scan().collect())
    return versions.quality_rows(quality_scores.scan(), quality_thresholds.scan().collect(), models, recipe.quality)


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


@table_asset(
    PERPLEXITY,
    recipe=("perplexity", "quality.scorers.references", "quality.scorers.max_references"),
    kinds={"numpy"},
    retry_policy=RETRIES,
)
def perplexity(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The n-gram model of good text: a published KenLM model, or one of characters, trained here on the reference texts
    (Kneser-Ney). Held-out references must surprise it less than the same words shuffled."""
    import json

    from nemotron_assets.web.quality import versions

    rows = versions.perplexity_rows(recipe.perplexity, recipe.quality.scorers, lake)
    name, ngrams, metrics = rows.select("name", "ngrams", "metrics").row(0)
    context.add_output_metadata({"model": name, "ngrams": ngrams or 0, **json.loads(metrics)})
    return rows


@table_asset(
    MEASURES,
    recipe=("measures", "heuristics.languages", "perplexity.characters", "perplexity.token_characters"),
    kinds={"numba"},
    ins={
        "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
        "perplexity": dg.AssetIn(PERPLEXITY.asset_key),
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
    of English ones. What a number counts is written at its column and in web/quality/heuristics.py."""
    import functools

    from nemotron_assets.web.quality import measuring

    model = str(lake.get_weights(perplexity.scan().select("uri").collect().item()))
    measuring.compile_passes(recipe.measures)  # once here, not in every worker at the same time
    measure = functools.partial(
        measuring.measure_rows, strings=recipe.measures, perplexity=recipe.perplexity, model=model
    )
    batches = measuring.wanted(
        unique_documents.batches(measuring.READ, recipe.storage.batch_rows), recipe.heuristics.languages
    )
    reject = lake.rejects(MEASURES, context.partition_key).add
    return compute.map(batches, measure, reject=reject, stage=MEASURES.full_name)


@table_asset(
    VERDICTS,
    recipe="heuristics",
    kinds={"polars"},
    ins={"measures": dg.AssetIn(MEASURES.asset_key), "quality": dg.AssetIn(QUALITY.asset_key)},
)
def verdicts(context: dg.AssetExecutionContext, measures: Reader, quality: Reader, recipe: dg.ResourceParam[Recipe]):
    """Whether a document is kept: the rules' bounds and the largest perplexity, for English documents of the lower
    levels; for other languages the rules that are not off (Nemotron-CC §2.3). Reads numbers, no text."""
    from nemotron_assets.web.quality import verdicts as rules

    judged = rules.verdicts(measures.scan(), quality.scan(), recipe.heuristics)
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
    "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
    "verdicts": dg.AssetIn(VERDICTS.asset_key),
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
