"""Asset checks that every trained model has: its losses are finite or fell, and plain transformers can load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    import polars as pl


def loss_decreased(table: Table) -> dg.AssetChecksDefinition:
    """The check of this name for the newest model of a table."""

    @table_check(table)
    def loss_decreased(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
        """Every stored loss of the newest model's training is finite, and the mean loss of the last tenth of the steps
        is lower than that of the first tenth. Of short trainings at least four steps count, because the losses of
        single steps differ with their data: more for a language that is rare in it."""
        losses = _losses(lake, table)
        counted = max(1, len(losses) // 10, min(4, len(losses) // 2))
        first, last = losses.head(counted).mean(), losses.tail(counted).mean()
        return dg.AssetCheckResult(
            passed=bool(len(losses) > 1 and losses.is_finite().all() and last < first),
            metadata={"first": first or 0.0, "last": last or 0.0, "rows": len(losses)},
        )

    return loss_decreased


def loss_is_finite(table: Table) -> dg.AssetChecksDefinition:
    """The check of this name for the newest model of a table."""

    @table_check(table)
    def loss_is_finite(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
        """The training of the newest model has stored losses, and each is finite. It continues another model, and few
        steps differ so much in their data that their losses need not fall."""
        losses = _losses(lake, table)
        return dg.AssetCheckResult(
            passed=bool(len(losses) and losses.is_finite().all()),
            metadata={"first": losses.first() or 0.0, "last": losses.last() or 0.0, "rows": len(losses)},
        )

    return loss_is_finite


def loads_with_transformers(table: Table) -> dg.AssetChecksDefinition:
    """The check of this name for the newest model of a table. Models that do not load are not evaluated or trained."""

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


def _losses(lake: Lakehouse, table: Table) -> pl.Series:
    """The stored losses of the newest model's training, in the order of the steps."""
    from nemotron_assets.models.registry import newest
    from nemotron_assets.training.metrics import stored

    return stored(lake, newest(lake.read(table))["id"])["loss"]
