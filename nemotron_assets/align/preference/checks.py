"""Checks of the preference pairs and of DPO: pairs are what they claim to be, and the training did what it is for."""

import dagster as dg

from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.training.checks import loads_with_transformers
from nemotron_assets.training.preference.columns import REFERENCE
from resources.lakehouse import Lakehouse

#: With fewer logged steps than this, margins have no time to rise.
FEW = 4


@table_check(PREFERENCES)
def pairs_are_sound(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """The better answer of every pair has the higher score and ends its turn, both answers have tokens and differ, and
    a reference answer stands in only where no sample was right and the recipe allows it."""
    import polars as pl

    from nemotron_assets.chat.template import END_OF_TURN_ID

    allowed = [kind for kind in ("tools", "preference") if getattr(recipe.align.preference, kind).reference_positives]
    stands_in = pl.col("chosen_from") == REFERENCE
    wrong = {
        "margins": pl.col("margin") <= 0,
        "same_answer": pl.col("chosen_tokens") == pl.col("rejected_tokens"),
        "unfinished": pl.col("chosen_tokens").list.last() != END_OF_TURN_ID,
        "empty": pl.col("rejected_tokens").list.len() == 0,
        "references": stands_in & ((pl.col("right_samples") > 0) | ~pl.col("kind").is_in(allowed)),
    }
    counts = [condition.sum().alias(name) for name, condition in wrong.items()]
    found = lake.read(PREFERENCES).scan().select(pl.len().alias("pairs"), *counts).collect().row(0, named=True)
    return dg.AssetCheckResult(passed=found["pairs"] > 0 and not sum(found[name] for name in wrong), metadata=found)


@table_check(DPO, reads=[TRAINING_METRICS])
def loss_is_finite_and_margins_rose(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every stored loss of the newest model's training is finite, and the margin between better and worse answers is
    higher in the last quarter of the steps than in the first. Of a training of few steps, of which the first ones warm
    up, only the losses are checked."""
    from nemotron_assets.models.registry import newest
    from nemotron_assets.training.metrics import measure, stored

    rows = stored(lake, newest(lake.read(DPO))["id"])
    margins, quarter = measure(rows, "rewards/margins"), max(1, rows.height // 4)
    first, last = margins.head(quarter).mean(), margins.tail(quarter).mean()
    rose = rows.height < FEW or (first is not None and last > first)
    return dg.AssetCheckResult(
        passed=bool(rows.height and rows["loss"].is_finite().all() and rose),
        metadata={"first": first or 0.0, "last": last or 0.0, "rows": rows.height},
    )


@table_check(DPO)
def held_out_pairs_are_told_apart(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """By its implicit reward, the newest model prefers the better answer in more than half of the held-out pairs. Held-
    out pairs of a small recipe are few, so the check warns only."""
    import json

    from nemotron_assets.models.registry import newest

    found = json.loads(newest(lake.read(DPO))["metrics"])
    accuracy = found["held_out_accuracy"]
    return dg.AssetCheckResult(
        passed=accuracy is not None and accuracy > 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: value if value is not None else "no held-out pairs" for name, value in found.items()},
    )


CHECKS = [
    pairs_are_sound,
    loss_is_finite_and_margins_rose,
    held_out_pairs_are_told_apart,
    loads_with_transformers(DPO),
]
