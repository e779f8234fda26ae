"""Checks of the pretrained models: losses are finite, that of the base model fell, and plain transformers can load the
weights. What the long-context model gains over the base model is checked where it is measured, in the evaluation."""

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    import polars as pl


@table_check(BASE)
def loss_decreased(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every stored loss of the newest model's training is finite, and the mean loss of the last tenth of the steps is
    lower than that of the first tenth."""
    losses = _losses(lake, BASE)
    tenth = max(1, len(losses) // 10)
    first, last = losses.head(tenth).mean(), losses.tail(tenth).mean()
    return dg.AssetCheckResult(
        passed=bool(len(losses) > 1 and losses.is_finite().all() and last < first),
        metadata={"first": first or 0.0, "last": last or 0.0, "rows": len(losses)},
    )


@table_check(LONG_CONTEXT)
def loss_is_finite(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The training of the newest model has stored losses, and each is finite. A few long sequences differ so much that
    their losses need not fall."""
    losses = _losses(lake, LONG_CONTEXT)
    return dg.AssetCheckResult(
        passed=bool(len(losses) and losses.is_finite().all()),
        metadata={"first": losses.first() or 0.0, "last": losses.last() or 0.0, "rows": len(losses)},
    )


def _losses(lake: Lakehouse, table: Table) -> "pl.Series":
    """The stored losses of the newest model's training, in the order of the steps."""
    from nemotron_assets.models.registry import newest
    from nemotron_assets.training.metrics import stored

    return stored(lake, newest(lake.read(table))["id"])["loss"]


def _loads_with_transformers(table: Table) -> dg.AssetChecksDefinition:
    @table_check(table, blocking=True)
    def loads_with_transformers(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
        """The newest weights load with plain transformers: no weight is missing or unexpected, and the number of
        parameters is the one in the model's row."""
        from nemotron_assets.model.nemotron_h import load_report
        from nemotron_assets.models.registry import newest

        model = newest(lake.read(table))
        parameters, problems = load_report(lake.get_weights(model["uri"]))
        found = {"parameters": parameters, "expected": model["parameters"], "problems": ", ".join(problems) or "none"}
        return dg.AssetCheckResult(passed=parameters == model["parameters"] and not problems, metadata=found)

    return loads_with_transformers


CHECKS = [loss_decreased, loss_is_finite, *map(_loads_with_transformers, (BASE, LONG_CONTEXT))]
