"""The process on the other end of `resources/worker_pool.py`: receives batches, applies a function, answers.

It runs as `python -m resources.compute_worker FD PARENT`, a fresh interpreter that shares nothing with the process
that started it (no open Delta table, no loaded model) and imports neither Dagster nor the definitions. A task is the
pickled function, the name of the key column and a batch; an answer is JSON and Arrow only, never a pickle, because a
worker handles what strangers wrote and its parent must not have to trust it.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from resources.processes import die_with_parent

if TYPE_CHECKING:
    import polars as pl

Rejected = tuple[str, str, str]
"""(row id, cause, detail) of one row the function could not do."""


def cause_of(error: BaseException) -> str:
    """The exception's kind as a quarantine cause: `UnicodeDecodeError` -> `unicode_decode_error`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(error).__name__).lower()


def apply(fn: Callable, frame: pl.DataFrame, key: str) -> tuple[list[pl.DataFrame], list[Rejected]]:
    """`fn(frame)`; where it raises, the frame is halved until the rows that raise are alone.

    Returns the frames of the rows that went through, in order, and the rows that did not.
    """
    try:
        return [fn(frame)], []
    except Exception as error:
        if frame.height == 1:
            detail = str(error)[:500].encode(errors="replace").decode()
            return [], [(str(frame[key][0]), cause_of(error), detail)]
    # Outside the handler: the exception's traceback would keep the failed call's memory alive during the halves.
    middle = frame.height // 2
    left, left_rejected = apply(fn, frame[:middle], key)
    right, right_rejected = apply(fn, frame[middle:], key)
    return left + right, left_rejected + right_rejected


def frame_to_ipc(frame: pl.DataFrame) -> bytes:
    """`frame` as an Arrow IPC stream."""
    sink = io.BytesIO()
    frame.write_ipc_stream(sink)
    return sink.getvalue()


def main() -> None:
    """Serve until the parent closes the connection."""
    die_with_parent(int(sys.argv[2]))
    # Ctrl-C is the parent's to handle: it stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import polars as pl

    connection = Connection(int(sys.argv[1]))

    def answer(kind: str, rejected: list[Rejected] = [], frames: list[bytes] = [], detail: str = "") -> None:  # noqa: B006
        header = {"kind": kind, "rejected": rejected, "frames": len(frames), "detail": detail}
        connection.send_bytes(json.dumps(header).encode())
        for frame in frames:
            connection.send_bytes(frame)

    answer("ready")
    known: tuple[bytes, Callable] | None = None
    while True:
        try:
            pickled, key, batch = connection.recv_bytes(), connection.recv_bytes().decode(), connection.recv_bytes()
        except EOFError:
            return
        if known is None or known[0] != pickled:
            try:
                known = (pickled, pickle.loads(pickled))  # noqa: S301 - written by our own parent a moment ago
            except Exception:
                answer("broken", detail=traceback.format_exc(limit=-4))
                return
        frames, rejected = apply(known[1], pl.read_ipc_stream(batch), key)
        if wrong := [frame for frame in frames if not isinstance(frame, pl.DataFrame)]:
            answer("broken", detail=f"it returned {type(wrong[0]).__name__}, not a polars DataFrame")
            return
        answer("done", rejected, [frame_to_ipc(frame) for frame in frames])


if __name__ == "__main__":
    main()
