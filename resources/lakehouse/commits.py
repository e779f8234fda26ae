"""What all commits share: the notes they carry, and how they are tried again after a conflict."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nemotron_assets.table.schema import Table
from resources.contract import CommitConflict

if TYPE_CHECKING:
    from deltalake import CommitProperties
    from deltalake.transaction import Transaction


def properties(run_id: str, code_version: str = "", marks: list[Transaction] | None = None) -> CommitProperties:
    """The notes of a commit in the Delta log: the run and the code version that made it, and the marks of its part."""
    from deltalake import CommitProperties

    noted = {"dagster_run_id": run_id, "code_version": code_version}
    return CommitProperties(app_transactions=marks, custom_metadata=noted)


def mark(kind: str, partition: str | None, part: str) -> str:
    """The name of a part's mark. `kind` is "made" for the mark of its fingerprint, "data" for that of its content."""
    return f"{kind}:{partition or ''}:{part}"


def attempts(table: Table, most: int = 10) -> Iterator[int]:
    """Count the attempts at a commit that meets concurrent writers, with growing waits between them. Raises
    `CommitConflict` after the last attempt."""
    for attempt in range(most):
        yield attempt
        time.sleep(0.05 * 2**attempt)
    raise CommitConflict(f"{table.full_name}: {most} commits in a row met a concurrent writer; try again later")


@contextlib.contextmanager
def conflicts() -> Iterator[None]:
    """Suppress a commit conflict, so that the caller's next attempt sees the newer table."""
    with contextlib.suppress(CommitConflict):
        yield
