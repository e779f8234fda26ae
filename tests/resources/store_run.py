"""A process that stores a part in a lake, and is killed while it makes the next one. Argument: the root of the lake."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import polars as pl

from nemotron_assets.table.parts import Part, Parts
from resources.lakehouse import Lakehouse
from tests.resources.lakehouse.rows import DOCS, docs


def cut_short() -> Iterator[pl.DataFrame]:
    yield docs("B", "y", [2])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    made = [Part("x", "x:[1]", lambda: docs("B", "x", [1])), Part("y", "y:[2]", cut_short)]
    Lakehouse(root=sys.argv[1], row_group_rows=1_024).write(DOCS, Parts(made), "B")
