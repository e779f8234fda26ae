"""Checks of the base model: its training loss went down, and plain transformers can load its weights."""

import dagster as dg

from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BASE)
def loss_decreased(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every stored loss of the newest model's training is finite, and the mean loss of the last tenth of the steps is
    lower than that of the first tenth."""
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
    """The newest weights load with plain transformers: no weight is missing or unexpected, and the number of parameters
    is the one in the model's row."""
    from nemotron_assets.model.nemotron_h import load_report
    from nemotron_assets.models.registry import newest

    model = newest(lake.read(BASE))
    parameters, problems = load_report(lake.get_weights(model["uri"]))
    return dg.AssetCheckResult(
        passed=parameters == model["parameters"] and not problems,
        metadata={"parameters": parameters, "expected": model["parameters"], "problems": ", ".join(problems) or "none"},
    )


CHECKS = [loss_decreased, loads_with_transformers]
