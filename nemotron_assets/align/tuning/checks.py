"""Checks of the supervised stages: every answer ends with its trained end of turn, sequences are whole, losses are
finite, the weights load, and the models end their turns."""

import dagster as dg

from nemotron_assets.align.tuning.tables import SEQUENCES, STAGES, TOKEN_SHARDS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from nemotron_assets.training.checks import loads_with_transformers, loss_decreased, loss_is_finite
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse


@table_check(TOKEN_SHARDS, blocking=True)
def answers_end_their_turn(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The trained tokens of every row are one answer: all of it, to its end of turn, and nothing that others wrote."""
    from nemotron_assets.align.tuning import audit

    rows = lake.read(TOKEN_SHARDS)
    broken = audit.broken_rows(rows.scan())
    return dg.AssetCheckResult(passed=rows.rows > 0 and not any(broken.values()), metadata=broken)


@table_check(SEQUENCES, blocking=True, reads=[TOKEN_SHARDS])
def rows_are_whole(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """In every stage, each row that is read stands in one sequence, whole; no held-out row is read, no sequence is too
    long, and a stage that does not pack has one row in each."""
    from nemotron_assets.align.tuning import audit
    from nemotron_assets.align.tuning.sequences import parts_of

    sequences, rows = lake.read(SEQUENCES).scan(), lake.read(TOKEN_SHARDS).scan()
    stages = parts_of(recipe.align.tuning)
    broken = {name: audit.broken_sequences(sequences, rows, name, stage) for name, stage in stages.items()}
    return dg.AssetCheckResult(
        passed=not any(count for found in broken.values() for count in found.values()), metadata=broken
    )


def _ends_its_turns(table: Table) -> dg.AssetChecksDefinition:
    @table_check(table, reads=[TOKEN_SHARDS])
    def ends_its_turns(
        lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe], gpu: dg.ResourceParam[Gpu]
    ) -> dg.AssetCheckResult:
        """On answers that no stage was trained on, the newest model gives the end of turn a high probability where they
        end: at least the recipe's least_end_of_turn in the mean."""
        from nemotron_assets.align.tuning import audit, report
        from nemotron_assets.models.registry import newest

        rows, model = audit.held_out_rows(lake.read(TOKEN_SHARDS).scan()), newest(lake.read(table))
        with gpu.lock() as devices:
            found = audit.end_of_turn(lake.get_weights(model["uri"]), rows, devices[0].label)
        mean = float((found["probability"] * found["rows"]).sum() / max(1, found["rows"].sum()))
        shown = {
            "probability": mean,
            "answers": rows.height,
            "by domain": report.as_table(found.columns, found.iter_rows()),
        }
        return dg.AssetCheckResult(
            passed=rows.height > 0 and mean >= recipe.align.tuning.least_end_of_turn, metadata=shown
        )

    return ends_its_turns


_first, *_others = STAGES.values()

CHECKS = [
    answers_end_their_turn,
    rows_are_whole,
    loss_decreased(_first),
    *map(loss_is_finite, _others),
    *map(loads_with_transformers, STAGES.values()),
    *map(_ends_its_turns, STAGES.values()),
]
