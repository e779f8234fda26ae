"""Quality checks: every English document has one judgement, and the judges are worth something."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import snapshot_partitions
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import ANNOTATIONS, QUALITY, QUALITY_SCORES, QUALITY_THRESHOLDS
from resources.lakehouse import QUARANTINE, Lakehouse

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------


@dg.asset_check(asset=ANNOTATIONS.asset_key)
def annotators_know_good_text(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Nearly every judgement could be read, and passages known to be good beat their own words in random order as
    often as the recipe asks for; a small model hardly can, which the laptop recipe allows."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.annotate import agreement, facts_table

    settings, rows = recipe.quality.annotations, lake.read(ANNOTATIONS).scan().collect()
    rejected = lake.read(QUARANTINE).scan().filter(pl.col("stage") == ANNOTATIONS.full_name).collect().height
    share, facts = rejected / max(1, rows.height + rejected), agreement(rows)
    weak = [name for name, found in facts.items() if found["over_shuffled"] < settings.min_over_shuffled]
    marks = rows.group_by("annotator", "score").len().sort("annotator", "score").iter_rows()
    plot = bars({f"{name} {score}": count for name, score, count in marks}, "Judgements per mark", "texts")
    return dg.AssetCheckResult(
        passed=share <= settings.max_reject_share and not weak,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rejected_share": share, "judgements": rows.height, "annotators": dg.MetadataValue.md(facts_table(facts)),
            "marks": plot, "weak": ", ".join(weak) or "none",
        },
    )  # fmt: skip


@dg.asset_check(asset=QUALITY_SCORES.asset_key, partitions_def=snapshot_partitions, blocking=True)
def scores_in_range(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Educational values lie in 0..5, probabilities in 0..1."""
    import polars as pl

    rows = lake.read(QUALITY_SCORES, context.partition_key).scan()
    most = {"edu_a_score": 5.0, "edu_b_score": 5.0, "reference_score": 1.0}
    outside = [(~pl.col(name).is_between(0.0, top)).sum().alias(name) for name, top in most.items()]
    counts = rows.select(pl.len().alias("rows"), *outside).collect(engine="streaming").row(0, named=True)
    return dg.AssetCheckResult(passed=not any(counts[name] for name in most), metadata=counts)


@dg.asset_check(asset=QUALITY_THRESHOLDS.asset_key, blocking=True)
def cuts_ascend(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every set has one finite cut point per scorer and percentile, ascending with the percentile."""
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


@dg.asset_check(asset=QUALITY.asset_key, partitions_def=snapshot_partitions, blocking=True)
def every_document_judged(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """One row per English document (or it is in the quarantine), ids are unique, the bucket is the largest of three."""
    import polars as pl

    from nemotron_assets.web.quality.annotate import LANGUAGE
    from nemotron_assets.web.quality.ensemble import BUCKETS

    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().filter(pl.col("language") == LANGUAGE)
    rows = lake.read(QUALITY, context.partition_key).scan()
    mine = (pl.col("stage") == QUALITY_SCORES.full_name) & (pl.col("partition") == context.partition_key)
    rejected = lake.read(QUARANTINE).scan().filter(mine).select(id="row_id")
    judged = rows.select(id=pl.col("parents").list.first())
    top = len(recipe.quality.thresholds.percentiles)
    wrong = (pl.col("bucket") != pl.max_horizontal(*BUCKETS)) | ~pl.col("bucket").is_between(0, top)
    facts = rows.select(
        rows=pl.len(), doubled=pl.len() - pl.col("id").n_unique(), wrong=wrong.sum(),
        doubly_judged=pl.len() - pl.col("parents").list.first().n_unique(),
    )  # fmt: skip
    metadata = facts.collect(engine="streaming").row(0, named=True)
    missing = documents.select("id").join(judged, on="id", how="anti").join(rejected, on="id", how="anti")
    orphans = judged.join(documents.select("id"), on="id", how="anti")
    for name, frame in (("missing", missing), ("orphans", orphans)):
        metadata[name] = frame.select(pl.len()).collect(engine="streaming").item()
    problems = ("doubled", "doubly_judged", "wrong", "missing", "orphans")
    return dg.AssetCheckResult(passed=not any(metadata[name] for name in problems), metadata=metadata)


@dg.asset_check(asset=QUALITY.asset_key, partitions_def=snapshot_partitions)
def level_shares(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Each level's share of the bytes is as published, within the recipe's tolerance."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.ensemble import level_shares as shares

    rows = lake.read(QUALITY, context.partition_key).scan()
    found, published = shares(rows), recipe.quality.published_shares
    tolerance = recipe.quality.share_tolerance
    outside = [level for level, share in found.items() if abs(share - published[level]) > tolerance]
    sizes = dict(rows.group_by("bucket").agg(pl.col("bytes").sum()).collect(engine="streaming").iter_rows())
    integers = range(len(recipe.quality.thresholds.percentiles) + 1)
    buckets = {str(integer): sizes.get(integer, 0) / 1e6 for integer in integers}
    table = ["| level | share | published |", "|---|--:|--:|"]
    table += [f"| {level} | {share:.2%} | {published[level]:.2%} |" for level, share in found.items()]
    return dg.AssetCheckResult(
        passed=not outside or not sizes,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "shares": dg.MetadataValue.md("\n".join(table)), "tolerance": tolerance,
            "outside": ", ".join(outside) or "none",
            "levels": bars(found, f"Share of the bytes per level, {context.partition_key}"),
            "buckets": bars(buckets, f"Text per bucket, {context.partition_key}", "MB"),
        },
    )  # fmt: skip


@dg.asset_check(asset=QUALITY.asset_key, partitions_def=snapshot_partitions)
def scorers_tell_documents_apart(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """No scorer puts more than half of the documents into one of its integers: as the largest of three counts, it would
    decide everything or nothing. Shows how much the scorers agree (rank correlation) and what each finds alone."""
    import polars as pl

    from nemotron_assets.web.quality.ensemble import BUCKETS, SCORERS, SCORES, rank_correlation, sample

    rows = sample(lake.read(QUALITY, context.partition_key).scan(), 1.0, 1_000_000, also=BUCKETS)
    crowded = {
        name: float(rows[bucket].value_counts()["count"].max() or 0) / max(1, rows.height)
        for name, bucket in zip(SCORERS, BUCKETS, strict=True)
    }
    scores = {name: rows[score].to_numpy() for name, score in zip(SCORERS, SCORES, strict=True)}
    table = ["| rank correlation | " + " | ".join(SCORERS) + " |", "|---|" + "--:|" * len(SCORERS)]
    table += [
        f"| {a} | " + " | ".join(f"{rank_correlation(scores[a], scores[b]):.2f}" for b in SCORERS) + " |"
        for a in SCORERS
    ]
    top = {name: pl.col(bucket) == pl.max_horizontal(*BUCKETS) for name, bucket in zip(SCORERS, BUCKETS, strict=True)}
    alone = {
        name: pl.all_horizontal(here, *(~other for key, other in top.items() if key != name)).mean().alias(name)
        for name, here in top.items()
    }
    decided = rows.select(**alone).row(0, named=True)
    return dg.AssetCheckResult(
        passed=rows.height < 20 or max(crowded.values()) <= 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "correlations": dg.MetadataValue.md("\n".join(table)),
            **{f"largest_integer_of_{name}": share for name, share in crowded.items()},
            **{f"decided_by_{name}_alone": share or 0.0 for name, share in decided.items()},
        },
    )


CHECKS = [
    annotators_know_good_text,
    scores_in_range,
    cuts_ascend,
    every_document_judged,
    level_shares,
    scorers_tell_documents_apart,
]
