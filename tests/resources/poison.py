"""Mapped functions that misbehave on purpose; worker processes import them (see `test_compute.py`).

Rows have an `id`, a `value`, and `behave`: what the row does to the worker process.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import polars as pl


def behave(frame: pl.DataFrame) -> pl.DataFrame:
    """`id` and the doubled `value`. Rows with a `behave` crash, hang, exit, raise or use up the memory."""
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


def counted(frame: pl.DataFrame, log: str) -> pl.DataFrame:
    """As `behave`; every row that a call sees is first appended to the file `log`."""
    with open(log, "a", encoding="utf-8") as lines:
        lines.writelines(f"{row}\n" for row in frame["id"])
    return behave(frame)


def slow(frame: pl.DataFrame) -> pl.DataFrame:
    """Sleep `value` milliseconds per row."""
    time.sleep(frame["value"].sum() / 1000)
    return frame.select("id", "value")


def scaled(frame: pl.DataFrame, factor: int) -> pl.DataFrame:
    """`id` and `value` times `factor`, for use with `functools.partial`."""
    return frame.select("id", pl.col("value") * factor)


def lengths(frame: pl.DataFrame) -> pl.DataFrame:
    """`id` and the number of bytes of `value`."""
    return frame.select("id", pl.col("value").str.len_bytes())


def process(frame: pl.DataFrame) -> pl.DataFrame:
    """The id of the worker process, and which heavy modules it has loaded."""
    heavy = [name for name in ("dagster", "torch", "deltalake") if name in sys.modules]
    return frame.select("id", pid=pl.lit(os.getpid()), heavy=pl.lit(" ".join(heavy)))


def ends_its_parent(frame: pl.DataFrame, once: str) -> pl.DataFrame:
    """Ends the process that started this worker process, unless the file `once` exists, and makes this file. Without a
    name of a file, it ends the process every time."""
    if not once or not os.path.exists(once):
        if once:
            open(once, "w").close()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)
    return frame.select("id")


def wrong(frame: pl.DataFrame) -> list:
    """Returns a list, which is not a frame."""
    return frame["id"].to_list()


def busy(frame: pl.DataFrame) -> pl.DataFrame:
    """Compute for `value` milliseconds per row on the first core that the process may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    end = time.thread_time() + frame["value"].sum() / 1000
    while time.thread_time() < end:
        pass
    return frame.select("id", "value")
