"""Checks of the mathematics: the detector where truth is known, every candidate accounted for, formulas whole."""

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
    """Precision and recall of the detector on a crawl whose pages with formulas are known (the embedded sample). On
    any other crawl it passes and says that nothing is known."""
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
        return dg.AssetCheckResult(passed=True, metadata={"truth": "none for this crawl"})
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
    """Every candidate page became one text or has a reason in the quarantine; ids are unique; no more pages failed
    than the recipe allows."""
    import polars as pl

    snapshot = context.partition_key
    candidates = lake.read(CANDIDATE_PAGES, snapshot).rows
    rows, distinct = lake.read(RENDERED, snapshot).scan().select(pl.len(), pl.col("id").n_unique()).collect().row(0)
    mine = (pl.col("stage") == RENDERED.full_name) & (pl.col("partition") == snapshot)
    rejects = lake.read(QUARANTINE).scan().filter(mine).group_by("cause").len().collect()
    causes = dict(rejects.iter_rows())
    failed = sum(number for cause, number in causes.items() if cause != "too_short")
    share = failed / max(1, candidates)
    return dg.AssetCheckResult(
        passed=rows == distinct and rows + sum(causes.values()) == candidates and share <= recipe.quarantine.max_share,
        metadata={
            "candidates": candidates,
            "rendered": rows,
            "doubled": rows - distinct,
            "failed_share": share,
            "rejected": dg.MetadataValue.json(causes),
        },
    )


@table_check(RENDERED, blocking=True)
def formulas_stand_in_the_text(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Reading the texts again finds as many formulas between delimiters as were put there, and as many code blocks."""
    from nemotron_assets.math import tex

    formulas = found = blocks = fenced = 0
    wrong: list[str] = []
    rows = lake.read(RENDERED, context.partition_key).batches(
        ["url", "text", "formulas", "code_blocks"], batch_size=256
    )
    for url, text, number, code in (tuple(row.values()) for batch in rows for row in batch.to_pylist()):
        here, spans = sum(1 for _ in tex.find(text)), len(tex.code_spans(text))
        formulas, found, blocks, fenced = formulas + number, found + here, blocks + code, fenced + spans
        if (here, spans) != (number, code):
            wrong.append(f"{url}: {here} of {number} formulas, {spans} of {code} code blocks")
    return dg.AssetCheckResult(
        passed=abs(found - formulas) <= 0.01 * formulas and abs(fenced - blocks) <= 0.01 * blocks,
        metadata={
            "formulas": formulas,
            "found": found,
            "code_blocks": blocks,
            "fenced": fenced,
            "pages_that_differ": dg.MetadataValue.json(wrong[:50]),
        },
    )


CHECKS = [detector_finds_mathematics, every_candidate_rendered, formulas_stand_in_the_text]
