"""Checks of candidate and rendered pages: the detector finds known pages, no candidate vanishes, formulas are whole."""

import dagster as dg

from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(
    CANDIDATE_PAGES,
)
def detector_finds_mathematics(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The precision and recall of the detector reach the recipe's limits on the embedded sample, whose pages with
    formulas are known. On any other crawl the check passes, and its metadata say that the formulas are not known."""
    from nemotron_assets.math.truth import detector_scores
    from nemotron_assets.snapshots.tables import PAGES

    settings, snapshot = recipe.math.pages.candidates, context.partition_key
    pages = lake.read(PAGES, snapshot).scan().select("id", "url")
    found = lake.read(CANDIDATE_PAGES, snapshot).scan().select("url", "score")
    scores = (
        detector_scores(snapshot, pages, found, settings.min_score)
        if recipe.snapshots.crawl.source == "sample"
        else None
    )
    if scores is None or not settings.detector:
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
    rejects = lake.read(QUARANTINE).scan().filter(own).group_by("cause").len().collect()
    causes = dict(rejects.iter_rows())
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
    from nemotron_assets.math import tex

    formulas = formulas_found = blocks = blocks_found = 0
    wrong: list[str] = []
    rows = lake.read(RENDERED, context.partition_key).batches(
        ["url", "text", "formulas", "code_blocks"], batch_size=256
    )
    for url, text, number, code in (tuple(row.values()) for batch in rows for row in batch.to_pylist()):
        here, spans = sum(1 for _ in tex.find(text)), len(tex.code_spans(text))
        formulas, formulas_found = formulas + number, formulas_found + here
        blocks, blocks_found = blocks + code, blocks_found + spans
        if (here, spans) != (number, code):
            wrong.append(f"{url}: {here} of {number} formulas, {spans} of {code} code blocks")
    return dg.AssetCheckResult(
        passed=abs(formulas_found - formulas) <= 0.01 * formulas and abs(blocks_found - blocks) <= 0.01 * blocks,
        metadata={
            "formulas": formulas,
            "formulas_found": formulas_found,
            "code_blocks": blocks,
            "code_blocks_found": blocks_found,
            "pages_that_differ": dg.MetadataValue.json(wrong[:50]),
        },
    )


CHECKS = [detector_finds_mathematics, every_candidate_rendered, formulas_stand_in_the_text]
