"""Checks of the mathematics corpus: no formula is lost, TeX parses, no benchmark item is left, ids are unique."""

import dagster as dg

from nemotron_assets.math.corpus.tables import CLEANED, CONTAMINATION, DUPLICATES, MIND, NEMOTRON_CC_MATH, QUALITY
from nemotron_assets.math.tables import RENDERED
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(CLEANED, blocking=True, reads=[RENDERED])
def no_formula_is_lost(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every formula (as normalised TeX) and code block of a rendered page stands in its cleaned text as often as
    before. Losses in texts that were cut at the recipe's longest length are counted separately."""
    from nemotron_assets.math.corpus.audit import losses

    found = losses(lake.read(RENDERED, context.partition_key), lake.read(CLEANED, context.partition_key))
    allowed = recipe.math.corpus.cleaner.max_lost
    return dg.AssetCheckResult(
        passed=found.lost <= allowed,
        metadata={
            "formulas_and_code_blocks": found.wanted,
            "lost": found.lost,
            "allowed": allowed,
            "lost_by_cuts": found.cut,
            "pages": found.pages,
            "pages_dropped": found.dropped,
            "first_losses": dg.MetadataValue.json(found.first),
        },
    )


@table_check(CLEANED)
def formulas_are_well_formed(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of formulas whose TeX parses (groups, environments and fences close) reaches the recipe's limit. The
    metadata also give the share of texts in which every dollar sign belongs to a formula or a price."""
    from nemotron_assets.math.corpus.audit import tex_quality

    found = tex_quality(lake.read(CLEANED, context.partition_key))
    share = found.parse / max(1, found.formulas)
    least = recipe.math.corpus.cleaner.min_parseable
    return dg.AssetCheckResult(
        passed=share >= least,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "formulas": found.formulas,
            "parseable_share": round(share, 6),
            "at_least": least,
            "balanced_pages_share": round(found.balanced / max(1, found.pages), 6),
            "first_unparseable": dg.MetadataValue.json(found.first),
        },
    )


@table_check(QUALITY, blocking=True)
def every_page_is_scored(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Every cleaned page has one score from 0 to 5, and int_score is that score rounded."""
    import polars as pl

    from nemotron_assets.math.corpus.audit import count

    snapshot = context.partition_key
    pages = lake.read(CLEANED, snapshot).scan().select(page="id")
    scores = lake.read(QUALITY, snapshot).scan().with_columns(page=pl.col("parents").list.first())
    wrong = ~pl.col("score").is_between(0, 5) | ((pl.col("score") - pl.col("int_score")).abs() > 0.5)
    facts = {
        "pages": count(pages),
        "scored_twice": count(scores) - count(scores.select("page").unique()),
        "invalid_scores": count(scores.filter(wrong)),
        "not_scored": count(pages.join(scores, on="page", how="anti")) - _rejected(lake, QUALITY.full_name, snapshot),
        "scores_without_page": count(scores.join(pages, on="page", how="anti")),
    }
    return dg.AssetCheckResult(passed=not any(facts[n] for n in facts if n != "pages"), metadata=facts)


@table_check(DUPLICATES, blocking=True)
def kept_pages_exist(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every dropped page exists and is dropped once, as a duplicate of an existing page of this or an earlier
    snapshot."""
    import polars as pl

    from nemotron_assets.math.corpus.audit import count

    snapshot = context.partition_key
    rows = lake.read(DUPLICATES, snapshot).scan().with_columns(page=pl.col("parents").list.first())
    pages = lake.read(CLEANED).scan().select(page="id")
    facts = {
        "dropped": count(rows),
        "dropped_twice": count(rows) - count(rows.select("page").unique()),
        "dropped_page_missing": count(rows.join(pages, on="page", how="anti")),
        "kept_page_missing": count(rows.join(pages, left_on="duplicate_of", right_on="page", how="anti")),
        "kept_page_is_later": count(rows.filter(pl.col("duplicate_of_snapshot") > pl.col("snapshot"))),
    }
    return dg.AssetCheckResult(passed=not any(facts[n] for n in facts if n != "dropped"), metadata=facts)


@table_check(CONTAMINATION)
def removals_are_few(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of rendered pages removed for benchmark items is within the recipe's limit. In the embedded sample, all
    planted items are found, and no page that must be kept is removed."""
    import polars as pl

    from nemotron_assets.math.corpus.audit import planted

    snapshot = context.partition_key
    rows = lake.read(CONTAMINATION, snapshot).scan().filter("removed").collect()
    rendered = rows.filter(pl.col("sources").list.first() == RENDERED.full_name)
    removed, pages = rendered["parents"].list.first().n_unique(), lake.read(RENDERED, snapshot).rows
    share, allowed = removed / max(1, pages), recipe.math.corpus.contamination.max_share
    known = {}
    if recipe.snapshots.crawl.source == "sample":
        known = planted(rows, lake.read(RENDERED, snapshot).scan().select("url").collect()["url"], snapshot)
    return dg.AssetCheckResult(
        passed=share <= allowed and not known.get("missed") and not known.get("wrongly_removed"),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "removed": removed,
            "share": round(share, 6),
            "allowed": allowed,
            **{name: ", ".join(items) or "none" for name, items in known.items()},
        },
    )


@table_check(NEMOTRON_CC_MATH, blocking=True, reads=[CLEANED, CONTAMINATION, DUPLICATES])
def published_pages_are_sound(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Ids are unique, every page is in the subset of its score, no text is empty, and no duplicate or contaminated page
    is published."""
    from nemotron_assets.math.corpus.audit import published_faults

    snapshot = context.partition_key
    tables = (lake.read(table, snapshot).scan() for table in (NEMOTRON_CC_MATH, CLEANED, DUPLICATES, CONTAMINATION))
    facts = published_faults(*tables, recipe.math.corpus.release)
    return dg.AssetCheckResult(passed=not any(facts[n] for n in facts if n != "pages"), metadata=facts)


@table_check(MIND, blocking=True)
def dialogues_are_whole(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every dialogue is long enough, consists of turns of at least two of its style's speakers, and is about a
    published page. Ids are unique."""
    from nemotron_assets.math.corpus.audit import dialogue_faults

    snapshot = context.partition_key
    rows, pages = (lake.read(table, snapshot).scan() for table in (MIND, NEMOTRON_CC_MATH))
    facts = dialogue_faults(rows, pages, recipe.math.corpus.mind)
    passed = not (facts["duplicate_ids"] or facts["invalid"] or facts["without_page"])
    return dg.AssetCheckResult(passed=passed, metadata=facts)


@table_check(MIND)
def dialogues_are_usable(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of answers that are not usable dialogues is within the recipe's limit. The laptop recipe allows many,
    because a small model often fails."""
    snapshot = context.partition_key
    rejected, accepted = _rejected(lake, MIND.full_name, snapshot), lake.read(MIND, snapshot).rows
    share, allowed = rejected / max(1, rejected + accepted), recipe.math.corpus.mind.max_reject_share
    return dg.AssetCheckResult(
        passed=share <= allowed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"accepted": accepted, "rejected": rejected, "rejected_share": share, "allowed": allowed},
    )


def _rejected(lake: Lakehouse, stage: str, partition: str) -> int:
    """The number of rows that a stage has put into the quarantine for a partition."""
    import polars as pl

    from nemotron_assets.math.corpus.audit import count

    own = (pl.col("stage") == stage) & (pl.col("partition") == partition)
    return count(lake.read(QUARANTINE).scan().filter(own))


CHECKS = [
    no_formula_is_lost,
    formulas_are_well_formed,
    every_page_is_scored,
    kept_pages_exist,
    removals_are_few,
    published_pages_are_sound,
    dialogues_are_whole,
    dialogues_are_usable,
]
