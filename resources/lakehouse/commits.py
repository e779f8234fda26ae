"""What all commits share: the notes they carry, the predicates that choose rows, and how their failures are handled."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nemotron_assets.table.quoting import literal
from nemotron_assets.table.schema import Table
from resources.contract import CommitConflict, LakeError

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


def rows_with(wanted: Mapping[str | None, str | Sequence[str] | None]) -> str | None:
    """An SQL predicate from values by column: {"snapshot": "S1", "file": ["a", "b"]} matches the rows of S1 whose file
    is a or b. A column with the value None is left out; without any other column the predicate is None (all rows)."""
    terms = [
        f"{column} = {literal(value)}" if isinstance(value, str) else f"{column} IN ({', '.join(map(literal, value))})"
        for column, value in wanted.items()
        if value is not None
    ]
    return " AND ".join(terms) or None


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
    from deltalake.exceptions import CommitFailedError

    with contextlib.suppress(CommitFailedError):
        yield


def explained(error: BaseException, root: str) -> LakeError | None:
    """The `LakeError` that says what an error means: a concurrent writer, or a full disk. None for any other error."""
    from deltalake.exceptions import CommitFailedError

    if isinstance(error, CommitFailedError):
        return CommitConflict(f"another writer committed to the same partition first; run the step again: {error}")
    if "No space left on device" in str(error) or "os error 28" in str(error):
        return LakeError(f"the disk of {root} is full; nothing of this write was kept. Free some space and run again.")
    return None
