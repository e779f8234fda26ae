"""Functions that misbehave on purpose, importable by worker processes (see `test_compute.py`).

Rows have `id` and `behave`: what the row does to the process that handles it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import polars as pl


def behave(frame: pl.DataFrame) -> pl.DataFrame:
    """`id` and its doubled `value`; rows whose `behave` says so crash, hang, exit, raise or eat memory."""
    for how in frame["behave"]:
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif how == "hang":
            time.sleep(3600)
        elif how == "exit":
            sys.exit(3)
        elif how == "raise":
            raise UnicodeError("bad \ud800 text")
        elif how == "memory":
            held = []
            while True:
                held.append(b"x" * 10_000_000)
    return frame.select("id", pl.col("value") * 2)


def slow(frame: pl.DataFrame) -> pl.DataFrame:
    """Sleeps `value` milliseconds per row."""
    time.sleep(frame["value"].sum() / 1000)
    return frame.select("id", "value")


def scaled(frame: pl.DataFrame, factor: int) -> pl.DataFrame:
    """For `functools.partial`."""
    return frame.select("id", pl.col("value") * factor)


def process(frame: pl.DataFrame) -> pl.DataFrame:
    """The process each row was handled in, the modules it had loaded, and a child it started."""
    heavy = [name for name in ("dagster", "torch", "deltalake") if name in sys.modules]
    return frame.select("id", pid=pl.lit(os.getpid()), heavy=pl.lit(" ".join(heavy)))


def wrong(frame: pl.DataFrame) -> list:
    """Not a frame."""
    return frame["id"].to_list()
