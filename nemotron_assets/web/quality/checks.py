"""Checks of the quality tables: one row per document, plausible numbers, scorers and annotators that can be trusted."""

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
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
from resources.lakehouse import QUARANTINE, Lakehouse

if TYPE_CHECKING:
    import polars as pl

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------


@table_check(ANNOTATIONS)
def annotators_know_good_text(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Few answers were unusable, and passages that are known to be good have higher scores than the same passages with
    shuffled words, as often as the recipe asks for. The laptop recipe asks for little, because a small model can hardly
    tell them apart."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.report import agreement, facts_table

    settings, rows = recipe.web.quality.annotations, lake.read(ANNOTATIONS).scan().collect()
    rejected = lake.read(QUARANTINE).scan().filter(pl.col("stage") == ANNOTATIONS.full_name).collect().height
    share, facts = rejected / max(1, rows.height + rejected), agreement(rows)
    weak = [name for name, found in facts.items() if found["over_shuffled"] < settings.min_over_shuffled]
    marks = rows.group_by("annotator", "score").len().sort("annotator", "score").iter_rows()
    plot = bars({f"{name} {score}": count for name, score, count in marks}, "Annotations per score", "texts")
    return dg.AssetCheckResult(
        passed=share <= settings.max_reject_share and not weak,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rejected_share": share,
            "judgements": rows.height,
            "annotators": dg.MetadataValue.md(facts_table(facts)),
            "marks": plot,
            "weak": ", ".join(weak) or "none",
        },
    )


@table_check(QUALITY_SCORES, blocking=True)
def scores_in_range(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Educational values lie in 0..5, probabilities in 0..1."""
    import polars as pl

    rows = lake.read(QUALITY_SCORES, context.partition_key).scan()
    most = {"edu_a_score": 5.0, "edu_b_score": 5.0, "reference_score": 1.0}
    outside = [(~pl.col(name).is_between(0.0, top)).sum().alias(name) for name, top in most.items()]
    counts = rows.select(pl.len().alias("rows"), *outside).collect(engine="streaming").row(0, named=True)
    return dg.AssetCheckResult(passed=not any(counts[name] for name in most), metadata=counts)


@table_check(QUALITY_THRESHOLDS, blocking=True)
def cuts_ascend(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every set has one finite cut point per scorer and percentile, and the cut points ascend with the percentiles."""
    import polars as pl

    rows = lake.read(QUALITY_THRESHOLDS).scan().collect().sort("thresholds", "scorer", "percentile")
    sets = rows.group_by("thresholds", "scorer").agg(
        bad=(pl.col("cut").diff().fill_null(0) < 0).any()
        | ~pl.col("cut").is_finite().all()
        | pl.col("percentile").is_duplicated().any()
    )
    return dg.AssetCheckResult(
        passed=not sets["bad"].any(), metadata={"sets": rows["thresholds"].n_unique(), "cuts": rows.height}
    )


@table_check(QUALITY, blocking=True)
def every_document_judged(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every English document has one row, unless it is in the quarantine. Ids are unique, and the bucket of a document
    is the largest of its three buckets."""
    import polars as pl

    from nemotron_assets.web.quality.ensemble import BUCKETS, ENGLISH
    from nemotron_assets.web.quality.report import one_row_each

    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().filter(pl.col("language") == ENGLISH)
    rows = lake.read(QUALITY, context.partition_key).scan()
    top = len(recipe.web.quality.thresholds.percentiles)
    wrong = (pl.col("bucket") != pl.max_horizontal(*BUCKETS)) | ~pl.col("bucket").is_between(0, top)
    faults = one_row_each(rows, documents, _rejected(lake, QUALITY_SCORES, context.partition_key))
    faults["wrong"] = rows.select(wrong.sum()).collect(engine="streaming").item()
    count = lake.read(QUALITY, context.partition_key).rows
    return dg.AssetCheckResult(passed=not any(faults.values()), metadata={"rows": count, **faults})


@table_check(QUALITY)
def level_shares(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Each level's share of the bytes differs from the published share by at most the recipe's tolerance."""
    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.ensemble import level_shares as shares
    from nemotron_assets.web.quality.report import bucket_megabytes, shares_table

    quality, rows = recipe.web.quality, lake.read(QUALITY, context.partition_key).scan()
    found, published = shares(rows), quality.published_shares
    outside = [level for level, share in found.items() if abs(share - published[level]) > quality.share_tolerance]
    buckets = bucket_megabytes(rows, len(quality.thresholds.percentiles))
    return dg.AssetCheckResult(
        passed=not outside or not any(found.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "shares": dg.MetadataValue.md(shares_table(found, published)),
            "tolerance": quality.share_tolerance,
            "outside": ", ".join(outside) or "none",
            "levels": bars(found, f"Share of the bytes per level, {context.partition_key}"),
            "buckets": bars(buckets, f"Text per bucket, {context.partition_key}", "MB"),
        },
    )


@table_check(QUALITY)
def scorers_tell_documents_apart(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """No scorer puts more than half of the documents into one bucket. The largest of three buckets counts, so such a
    scorer would decide every level or none. Shows how much the scorers agree (rank correlation), and how many documents
    each scorer decides alone."""
    from nemotron_assets.web.quality import report

    sample = report.score_sample(lake.read(QUALITY, context.partition_key).scan())
    crowded, alone = report.largest_bucket_shares(sample), report.decided_alone(sample)
    return dg.AssetCheckResult(
        passed=sample.height < 20 or max(crowded.values()) <= 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "correlations": dg.MetadataValue.md(report.correlations_table(sample)),
            **{f"largest_integer_of_{name}": share for name, share in crowded.items()},
            **{f"decided_by_{name}_alone": share for name, share in alone.items()},
        },
    )


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


@table_check(MEASURES, blocking=True)
def numbers_are_possible(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every unique document in English or in a language of the recipe has one row of numbers, unless it is in the
    quarantine. Every number is possible: a share lies in 0..1, for example."""
    import polars as pl

    from nemotron_assets.web.quality.ensemble import ENGLISH
    from nemotron_assets.web.quality.report import impossible, one_row_each

    languages = [ENGLISH, *recipe.web.heuristics.languages]
    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().filter(pl.col("language").is_in(languages))
    rows = lake.read(MEASURES, context.partition_key).scan()
    faults = one_row_each(rows, documents, _rejected(lake, MEASURES, context.partition_key))
    faults["impossible"] = impossible(rows)
    return dg.AssetCheckResult(passed=not any(faults.values()), metadata=faults)


@table_check(VERDICTS, blocking=True)
def every_document_has_a_verdict(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Every measured document has one verdict, and a document is kept if it fails no rule. Shows how many documents
    each rule drops, and how many are left per level and language."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.report import failed_rules, funnel, funnel_table, one_row_each

    snapshot = context.partition_key
    rows = lake.read(VERDICTS, snapshot).scan()
    faults = one_row_each(rows, lake.read(MEASURES, snapshot).scan().select(id=pl.col("parents").list.first()))
    contradictory = pl.col("kept") != (pl.col("failed").list.len() == 0)
    faults["contradictory"] = rows.select(contradictory.sum()).collect(engine="streaming").item()
    failed, left = failed_rules(rows), funnel(rows)
    shares = {group: kept / documents for group, documents, kept, *_ in left.iter_rows()}
    return dg.AssetCheckResult(
        passed=not any(faults.values()),
        metadata={
            **faults,
            "rules": bars(failed, f"Documents that fail a rule, {snapshot}", "documents"),
            "levels": bars(shares, f"Share of the documents that are kept, {snapshot}"),
            "failed": dg.MetadataValue.json(failed),
            "funnel": dg.MetadataValue.md(funnel_table(left)),
        },
    )


def _kept_check(table: Table, english: bool) -> dg.AssetChecksDefinition:
    """The check that a table of kept documents agrees with the verdicts, and has no text twice."""

    @table_check(
        table,
        name="kept_as_judged",
        blocking=True,
        description="The table has exactly the documents that web.verdicts keeps. Ids are unique, and no text is in it "
        "twice.",
    )
    def kept_as_judged(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
    ) -> dg.AssetCheckResult:
        import polars as pl

        from nemotron_assets.table.buckets import distinct
        from nemotron_assets.web.quality.ensemble import ENGLISH
        from nemotron_assets.web.quality.report import one_row_each

        rows = lake.read(table, context.partition_key).scan()
        of_language = (pl.col("language") == ENGLISH) == english
        judged = lake.read(VERDICTS, context.partition_key).scan().filter(pl.col("kept"), of_language)
        faults = one_row_each(rows, judged.select(id=pl.col("parents").list.first()))
        documents = lake.read(table, context.partition_key).rows
        if recipe.web.dedup.enabled:  # a recipe without deduplication keeps equal texts
            faults["doubled_texts"] = documents - distinct(rows, "content_hash")
        tokens = rows.select((pl.col("characters") // 4).sum()).collect(engine="streaming").item()
        return dg.AssetCheckResult(
            passed=not any(faults.values()),
            metadata={**faults, "documents": documents, "estimated_tokens": tokens},
        )

    return kept_as_judged


def _purity_check(table: Table) -> dg.AssetChecksDefinition:
    """The check that the documents of a table are in the language of their row."""

    @table_check(
        table,
        name="language_purity",
        description="A second language detector (CLD2) finds the language of the row in most documents of a sample.",
    )
    def language_purity(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
    ) -> dg.AssetCheckResult:
        from nemotron_assets.plots import bars
        from nemotron_assets.web.quality.report import purity

        rows = lake.read(table, context.partition_key).scan()
        found = purity(rows, recipe.web.heuristics.purity_sample, recipe.web.documents)
        right, count = int(found["right"].sum()), int(found["documents"].sum())
        share = right / count if count else 1.0
        shares = {language: right / documents for language, documents, right in found.iter_rows()}
        return dg.AssetCheckResult(
            passed=share >= recipe.web.heuristics.min_purity,
            metadata={
                "share": share,
                "allowed": recipe.web.heuristics.min_purity,
                "documents": count,
                "languages": bars(shares, f"Share of documents in the language of their row, {context.partition_key}"),
            },
        )

    return language_purity


def _rejected(lake: Lakehouse, table: Table, partition: str) -> "pl.LazyFrame":
    """The ids of the documents that are in the quarantine instead of in a partition of a table."""
    import polars as pl

    of_table = (pl.col("stage") == table.full_name) & (pl.col("partition") == partition)
    return lake.read(QUARANTINE).scan().filter(of_table).select(id="row_id")


CHECKS = [
    annotators_know_good_text,
    scores_in_range,
    cuts_ascend,
    every_document_judged,
    level_shares,
    scorers_tell_documents_apart,
    numbers_are_possible,
    every_document_has_a_verdict,
    _kept_check(CURATED, True),
    _kept_check(MULTILINGUAL, False),
    _purity_check(CURATED),
    _purity_check(MULTILINGUAL),
]
