"""Cuts the log of a table down to its newest version, so that no word of an earlier version stays in it.

A Delta log names more than files: statistics have the first and the last value of the part column, and marks have the
part, such as a repository. Vacuum deletes data files and leaves all of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resources.delta_log import DeltaLog
from resources.lakehouse import commits
from resources.lakehouse.changes import Change
from resources.store import steadily

if TYPE_CHECKING:
    from nemotron_assets.table.schema import Table
    from resources.lakehouse.lake import Lake


def cut_log(lake: Lake, table: Table, keep: Callable[[str], bool] = lambda mark: True) -> None:
    """Make a commit without changes, which notes the run that wrote the table last, and delete everything before it.
    Marks that `keep` refuses go, too. Nobody may write to the table meanwhile."""
    with lake.lock(table):
        last = lake.read(table).commit()
        with Change(lake, table) as change:
            notes = commits.properties(last.get("dagster_run_id", ""), last.get("code_version", ""))
            change.commit(lake.open(table), notes)
        delta = lake.open(table)
        steadily(delta.create_checkpoint, f"a checkpoint of {table.full_name}")
        DeltaLog(lake.path(table)).cut(keep)
