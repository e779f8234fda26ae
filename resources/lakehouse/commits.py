"""What all commits have in common: what they note, how they choose rows, and what becomes of their failures."""

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
    """What a commit notes in the log: the run and the code that made it, and the marks of the part it wrote."""
    from deltalake import CommitProperties

    noted = {"dagster_run_id": run_id, "code_version": code_version}
    return CommitProperties(app_transactions=marks, custom_metadata=noted)


def mark(kind: str, partition: str | None, part: str) -> str:
    """The name of a part's mark: `kind` is "made" (its fingerprint) or "data" (its content)."""
    return f"{kind}:{partition or ''}:{part}"


def rows_with(wanted: Mapping[str | None, str | Sequence[str] | None]) -> str | None:
    """The SQL predicate of rows with these values by column, each one value or one of several; columns whose value is
    None are left out. None for all rows."""
    terms = [
        f"{column} = {literal(value)}" if isinstance(value, str) else f"{column} IN ({', '.join(map(literal, value))})"
        for column, value in wanted.items()
        if value is not None
    ]
    return " AND ".join(terms) or None


def attempts(table: Table, most: int = 10) -> Iterator[int]:
    """Attempts at a commit that others may race for; the last conflict becomes an error."""
    for attempt in range(most):
        yield attempt
        time.sleep(0.05 * 2**attempt)
    raise CommitConflict(f"{table.full_name}: {most} commits in a row met a concurrent writer; try again later")


@contextlib.contextmanager
def conflicts() -> Iterator[None]:
    """Swallow a commit conflict, so that the caller's next attempt sees the newer table."""
    from deltalake.exceptions import CommitFailedError

    with contextlib.suppress(CommitFailedError):
        yield


def explained(error: BaseException, root: str) -> LakeError | None:
    """The error in the lake's words, where it has any: another writer was faster, the disk is full."""
    from deltalake.exceptions import CommitFailedError

    if isinstance(error, CommitFailedError):
        return CommitConflict(f"another writer committed to the same partition: {error}")
    if "No space left on device" in str(error) or "os error 28" in str(error):
        return LakeError(f"the disk of {root} is full; nothing of this write was kept. Free some space and run again.")
    return None
