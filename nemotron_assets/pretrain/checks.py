"""Checks of the base model: its loss went down, and plain transformers can load what was saved."""

import dagster as dg

from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BASE)
def loss_decreased(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every loss of the newest model's training is finite, and the last tenth of the steps is below the first tenth."""
    from nemotron_assets.models.registry import newest
    from nemotron_assets.training.metrics import stored

    losses = stored(lake, newest(lake.read(BASE))["id"])["loss"]
    tenth = max(1, len(losses) // 10)
    first, last = losses.head(tenth).mean(), losses.tail(tenth).mean()
    return dg.AssetCheckResult(
        passed=bool(len(losses) > 1 and losses.is_finite().all() and last < first),
        metadata={"first": first or 0.0, "last": last or 0.0, "rows": len(losses)},
    )


@table_check(BASE, blocking=True)
def loads_with_transformers(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The newest weights load with plain transformers: no weight is missing or left over, and there are as many as the
    row says."""
    from nemotron_assets.model.nemotron_h import load_report
    from nemotron_assets.models.registry import newest

    model = newest(lake.read(BASE))
    parameters, problems = load_report(lake.get_weights(model["uri"]))
    return dg.AssetCheckResult(
        passed=parameters == model["parameters"] and not problems,
        metadata={"parameters": parameters, "expected": model["parameters"], "problems": ", ".join(problems) or "none"},
    )


CHECKS = [loss_decreased, loads_with_transformers]
