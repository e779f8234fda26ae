"""Branches of a lake: a branch has some tables of its own and reads all others from another lake, without a copy.

A file at the root of the branch says which lake it reads from and which tables are its own, so that every process that
opens the branch by its root sees the same tables. A table of the other lake is never written through a branch, except
the generation ledger: an answer that a branch has paid for is there for all.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resources.contract import LakeError
from resources.files import replaced

FILE = "_branch.json"
#: Tables of the other lake that a branch writes too. Their rows are the same for every recipe.
SHARED = frozenset({"llm.generations"})


@dataclass(frozen=True)
class Branch:
    """`of` is the root of the lake that is read, which may be a branch itself. `own` are the full names of the tables
    that the branch has itself."""

    of: str
    own: frozenset[str]


def make_branch(root: Path, of: str, own: Iterable[str]) -> None:
    """Make a local folder the root of a branch. A folder that is a branch already keeps its tables; then the lake and
    the tables must be the same. Raises `LakeError` otherwise."""
    wanted = {"of": of, "own": sorted(set(own) - SHARED)}
    if "://" in of:
        raise LakeError(f"a branch reads tables below a folder, and the lake is at {of}: copy it to a folder first")
    if (root / FILE).exists():
        found = json.loads((root / FILE).read_text())
        if found != wanted:
            raise LakeError(f"{root} is a branch of {found['of']} with other tables of its own: delete the folder")
        return
    root.mkdir(parents=True, exist_ok=True)
    with replaced(root / FILE) as new:
        new.write_text(json.dumps(wanted, indent=1))


def branch_at(root: str) -> Branch | None:
    """The branch at the root of a lake; None for a lake that is not a branch."""
    path = os.path.join(root, FILE)
    return _read(path) if "://" not in root and os.path.exists(path) else None


@functools.cache
def _read(path: str) -> Branch:
    found = json.loads(Path(path).read_text())
    return Branch(found["of"].rstrip("/"), frozenset(found["own"]))


def root_of(root: str, table: str) -> str:
    """The root of the lake that has a table (its full name), seen from the lake at `root`."""
    branch = branch_at(root)
    return root if branch is None or table in branch.own else root_of(branch.of, table)


def roots(root: str) -> list[str]:
    """A lake, the lake that it is a branch of, and so on."""
    branch = branch_at(root)
    return [root, *(roots(branch.of) if branch else ())]


def check_writable(root: str, table: str) -> None:
    """Raise `LakeError` if a table belongs to the lake that this one is a branch of."""
    branch = branch_at(root)
    if branch and table not in branch.own | SHARED:
        raise LakeError(
            f"{table} belongs to the lake {branch.of}, of which {root} is a branch: a branch writes only "
            f"{', '.join(sorted(branch.own))}"
        )
