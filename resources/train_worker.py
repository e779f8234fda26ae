"""The processes that `Gpu.train` starts for training on several devices: the launcher of torchrun, and one per device.

Every process asks the kernel to kill it when its parent dies, so that a killed run leaves no process that holds the
devices. Rank 0 writes metrics as JSON lines, and the result into a file; the parent process reads both.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resources.processes import die_with_parent


def resolve(entry: str) -> Callable[[dict[str, Any], Callable[..., None]], dict[str, Any] | None]:
    """The function named "module:function". Raises `ValueError` when the module has no such function."""
    module, _, name = entry.partition(":")
    function = getattr(importlib.import_module(module), name, None) if name else None
    if not callable(function):
        raise ValueError(f"there is no training function {entry!r}; expected module:function")
    return function


def main(arguments: list[str]) -> None:
    """`launch PARENT FOLDER OPTIONS` starts torchrun with these options; it starts `work FOLDER` in each process.
    PARENT is the id of the process that asks for it."""
    role, *rest = arguments
    if role == "launch":
        parent, folder, *options = rest
        die_with_parent(int(parent))
        from torch.distributed.run import main as torchrun

        os.environ["NEMOTRON_LAUNCHER"] = str(os.getpid())
        torchrun([*options, "-m", __spec__.name, "work", folder])
    else:
        die_with_parent(int(os.environ["NEMOTRON_LAUNCHER"]))
        _work(Path(rest[0]))


def _work(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    first = os.environ["RANK"] == "0"
    with (folder / "metrics.jsonl").open("a") if first else open(os.devnull, "w") as metrics:

        def emit(rows: list[dict[str, Any]]) -> None:
            metrics.write(json.dumps(rows) + "\n")
            metrics.flush()

        result = resolve(job["entry"])(job["config"], emit)
    if first:
        partial = folder / "result.partial"
        partial.write_text(json.dumps(result or {}))
        partial.rename(folder / "result.json")


if __name__ == "__main__":
    main(sys.argv[1:])
