"""Checks of the base model: its training went down, and others can load what was saved."""

import dagster as dg

from nemotron_assets.models import BASE
from resources.lakehouse import Lakehouse


@dg.asset_check(asset=BASE.asset_key)
def loss_decreased(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every loss of the latest training is finite, and the last tenth of the steps is below the first tenth."""
    from nemotron_assets.pretrain.training import metrics

    model = lake.read(BASE).scan().sort("at").tail(1).collect().row(0, named=True)
    losses = metrics(lake, model["id"])["loss"]
    tenth = max(1, len(losses) // 10)
    first, last = losses.head(tenth).mean(), losses.tail(tenth).mean()
    return dg.AssetCheckResult(
        passed=bool(len(losses) > 1 and losses.is_finite().all() and last < first),
        metadata={"first": first or 0.0, "last": last or 0.0, "rows": len(losses)},
    )


@dg.asset_check(asset=BASE.asset_key, blocking=True)
def loads_with_transformers(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The latest weights load with plain transformers, none missing or left over, and are as many as the row says."""
    from nemotron_assets.model.nemotron_h import load_report

    model = lake.read(BASE).scan().sort("at").tail(1).collect().row(0, named=True)
    parameters, problems = load_report(lake.get_weights(model["uri"]))
    return dg.AssetCheckResult(
        passed=parameters == model["parameters"] and not problems,
        metadata={"parameters": parameters, "expected": model["parameters"], "problems": ", ".join(problems) or "none"},
    )


CHECKS = [loss_decreased, loads_with_transformers]
