"""Checks of synthetic web data: every sample is whole, and not too many answers were unusable."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import snapshot_partitions
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from resources.lakehouse import QUARANTINE, Lakehouse


@dg.asset_check(asset=DIVERSE_QA.asset_key, partitions_def=snapshot_partitions, blocking=True)
def pairs_are_whole(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every sample ends with as many question/answer pairs as it says, about a document that exists; ids are unique."""
    import polars as pl

    rows = lake.read(DIVERSE_QA, context.partition_key).scan()
    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().select(document="id")
    pairs = pl.col("text").str.count_matches(r"\n\nQuestion: [^\n]+\nAnswer: [^\n]+")
    parent = pl.col("parents").list.first()
    wrong = (pairs < pl.col("question_count")) | ~pl.col("text").str.contains(r"\n\nQuestion: [^\n]+\nAnswer: [^\n]+$")
    facts = rows.select(samples=pl.len(), doubled=pl.len() - pl.col("id").n_unique(), broken=wrong.sum())
    metadata = facts.collect(engine="streaming").row(0, named=True)
    orphans = rows.select(document=parent).join(documents, on="document", how="anti").select(pl.len())
    metadata["orphans"] = orphans.collect(engine="streaming").item()
    passed = not (metadata["doubled"] or metadata["broken"] or metadata["orphans"])
    return dg.AssetCheckResult(passed=passed, metadata=metadata)


@dg.asset_check(asset=DIVERSE_QA.asset_key, partitions_def=snapshot_partitions)
def answers_are_usable(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of segments whose answer gave no sample (truncated, unparsable, too short) is within the recipe's
    limit; a small model may fail often, which the laptop recipe allows."""
    import polars as pl

    mine = (pl.col("stage") == DIVERSE_QA.full_name) & (pl.col("partition") == context.partition_key)
    causes = lake.read(QUARANTINE).scan().filter(mine).group_by("cause").len().sort("cause").collect()
    accepted, rejected = lake.read(DIVERSE_QA, context.partition_key).rows, causes["len"].sum()
    share = rejected / max(1, accepted + rejected)
    return dg.AssetCheckResult(
        passed=share <= recipe.diverse_qa.max_reject_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "accepted": accepted, "rejected_share": share, "allowed": recipe.diverse_qa.max_reject_share,
            **dict(causes.iter_rows()),
        },
    )  # fmt: skip


CHECKS = [pairs_are_whole, answers_are_usable]
