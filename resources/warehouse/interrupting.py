"""Lets Ctrl-C and SIGTERM end a query of DuckDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@contextlib.contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Inside the context, a signal that comes during a query of the connection ends it and raises KeyboardInterrupt.

    DuckDB itself only leaves the query: its threads go on, and the next use of the connection, closing it included,
    waits for them. And it raises a RuntimeError in place of KeyboardInterrupt.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        connection.interrupt()
        raise KeyboardInterrupt from None
