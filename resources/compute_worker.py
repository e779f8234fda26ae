"""What runs in a worker process (`resources/worker_process.py`): receives batches, applies a function, answers.

It runs as `python -m resources.compute_worker FD PARENT`: FD is the descriptor of its connection and PARENT the id of
the process that started it. It is a new interpreter that shares nothing with that process (no open Delta table, no
loaded model). It imports polars and the module of the mapped function, neither Dagster nor the definitions. A task is
the pickled function, the name of the key column, how to go through the batch, and the batch. An answer is JSON and
Arrow, never a pickle: a worker handles untrusted data, so its parent must not have to trust the worker. A batch that is
gone through row by row has one answer per row, so that the parent knows which row the worker is at.
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

#: How to go through a batch: one call of the function for all its rows, or one call and one answer per row.
WHOLE, BY_ROW = b"whole", b"by row"

Rejected = tuple[str, str, str]
"""(row id, cause, detail) of one row that the function failed on."""


def cause_of(error: BaseException) -> str:
    """The class of an exception as a quarantine cause: `UnicodeDecodeError` becomes `unicode_decode_error`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(error).__name__).lower()


def apply(fn: Callable, frame: pl.DataFrame, key: str) -> tuple[list[pl.DataFrame], list[Rejected]]:
    """Apply `fn` to a frame. If it raises, the frame is halved until the rows at which it raises are alone.

    Returns the results for the other rows, in order, and the rejected rows.
    """
    try:
        return [fn(frame)], []
    except Exception as error:
        if frame.height == 1:
            detail = str(error)[:500].encode(errors="replace").decode()
            return [], [(str(frame[key][0]), cause_of(error), detail)]
    # Outside the handler, because the traceback would keep the memory of the failed call alive.
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
    """Answer tasks until the parent closes the connection."""
    die_with_parent(int(sys.argv[2]))
    # The parent handles Ctrl-C: it stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import polars as pl

    connection = Connection(int(sys.argv[1]))

    def answer(kind: str, rejected: list[Rejected] = [], frames: list[bytes] = [], detail: str = "") -> None:  # noqa: B006
        header = {"kind": kind, "rejected": rejected, "frames": len(frames), "detail": detail}
        connection.send_bytes(json.dumps(header).encode())
        for frame in frames:
            connection.send_bytes(frame)

    answer("ready")
    loaded: tuple[bytes, Callable] | None = None
    while True:
        try:
            pickled, key, how, batch = (connection.recv_bytes() for _ in range(4))
        except EOFError:
            return
        if loaded is None or loaded[0] != pickled:
            try:
                loaded = (pickled, pickle.loads(pickled))  # noqa: S301 - comes from the parent process, which is trusted
            except Exception:
                answer("broken", detail=traceback.format_exc(limit=-4))
                return
        rows = pl.read_ipc_stream(batch)
        for part in [rows] if how == WHOLE else rows.iter_slices(1):
            frames, rejected = apply(loaded[1], part, key.decode())
            if wrong := [frame for frame in frames if not isinstance(frame, pl.DataFrame)]:
                answer("broken", detail=f"it returned {type(wrong[0]).__name__}, not a polars DataFrame")
                return
            answer("done", rejected, [frame_to_ipc(frame) for frame in frames])


if __name__ == "__main__":
    main()
