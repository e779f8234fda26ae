"""Checks of candidate and rendered pages: the detector finds known pages, no candidate vanishes, formulas are whole."""

from dataclasses import asdict

import dagster as dg

from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_check
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(CANDIDATE_PAGES)
def detector_finds_mathematics(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The precision and recall of the detector reach the recipe's limits on the embedded sample, whose pages with
    formulas are known. On any other crawl the check passes, and its metadata say that the formulas are not known."""
    from nemotron_assets.math.truth import detector_scores

    settings, snapshot, scores = recipe.math.pages.candidates, context.partition_key, None
    if recipe.snapshots.crawl.source == "sample" and settings.detector:
        pages, candidates = (lake.read(table, snapshot).scan() for table in (PAGES, CANDIDATE_PAGES))
        scores = detector_scores(snapshot, pages, candidates, settings.min_score)
    if scores is None:
        return dg.AssetCheckResult(passed=True, metadata={"truth": "not known, or the detector is off"})
    return dg.AssetCheckResult(
        passed=scores.recall >= settings.min_recall and scores.precision >= settings.min_precision,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "recall": scores.recall,
            "precision": scores.precision,
            "pages_with_formulas": scores.true,
            "found": scores.found,
            "missed": dg.MetadataValue.json(scores.missed[:50]),
            "wrong": dg.MetadataValue.json(scores.wrong[:50]),
        },
    )


@table_check(CANDIDATE_PAGES, blocking=True)
def no_candidate_opted_out(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No candidate page is on an opt-out list, and none comes from a page of the snapshot that opts out itself."""
    from nemotron_assets.math.audit import candidates_opted_out

    snapshot, opt_outs = context.partition_key, recipe.web.documents.opt_outs
    found = candidates_opted_out(lake.read(CANDIDATE_PAGES, snapshot), lake.read(PAGES, snapshot), opt_outs)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(RENDERED, blocking=True)
def every_candidate_rendered(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every candidate page became one text or stands in the quarantine with its reason. Ids are unique. The share of
    pages that failed is within the recipe's limit; a page that is too short did not fail."""
    import polars as pl

    snapshot = context.partition_key
    candidates = lake.read(CANDIDATE_PAGES, snapshot).rows
    rows, distinct = lake.read(RENDERED, snapshot).scan().select(pl.len(), pl.col("id").n_unique()).collect().row(0)
    own = (pl.col("stage") == RENDERED.full_name) & (pl.col("partition") == snapshot)
    causes = dict(lake.read(QUARANTINE).scan().filter(own).group_by("cause").len().collect().iter_rows())
    failed = sum(number for cause, number in causes.items() if cause != "too_short")
    share = failed / max(1, candidates)
    return dg.AssetCheckResult(
        passed=rows == distinct and rows + sum(causes.values()) == candidates and share <= recipe.quarantine.max_share,
        metadata={
            "candidates": candidates,
            "rendered": rows,
            "duplicate_ids": rows - distinct,
            "failed_share": share,
            "rejected": dg.MetadataValue.json(causes),
        },
    )


@table_check(RENDERED, blocking=True)
def formulas_stand_in_the_text(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Each text, when it is parsed, has as many formulas between delimiters and as many code blocks as were written
    into it. Over all texts, 1% may differ."""
    from nemotron_assets.math.audit import formulas_in_texts

    found = formulas_in_texts(lake.read(RENDERED, context.partition_key))
    metadata = asdict(found) | {"pages_that_differ": dg.MetadataValue.json(found.pages_that_differ)}
    return dg.AssetCheckResult(passed=found.within(0.01), metadata=metadata)


CHECKS = [detector_finds_mathematics, no_candidate_opted_out, every_candidate_rendered, formulas_stand_in_the_text]
