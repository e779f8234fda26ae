"""The processes of vLLM's server; `resources.server` starts them as `serve_worker watch PARENT`.

The first process watches the second, in which vLLM runs with an engine in further processes. While vLLM starts, it may
not notice that it is to end. So when a signal comes, or PARENT ends, the first process ends the whole group after a
while. The standard input is a JSON object with the arguments of `vllm serve` by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from resources.processes import die_with_parent, ending

END_S = 10.0  # how long vLLM may take to end by itself


def watch(parent: int) -> int:
    """Run the server until it ends by itself; returns its exit status. A signal ends it and all that it started."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    server = None
    try:
        die_with_parent(parent, by=signal.SIGTERM)
        server = subprocess.Popen([sys.executable, "-m", __spec__.name, "serve", str(os.getpid())])
        while (code := server.poll()) is None:
            time.sleep(0.2)
    except SystemExit:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not stop the end of the others
        code = 0
        if server is not None:
            server.terminate()
            end = time.monotonic() + END_S
            while server.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
    finally:
        _end_group()  # also when the server has ended by itself: its engine may not have noticed
    if code < 0:
        print(f"vLLM's server {ending(code)}", file=sys.stderr)
    return code if code >= 0 else 1


def _end_group() -> None:
    """Kill the other processes of the group that this process leads, and those that they start meanwhile."""
    import psutil

    def others() -> list[psutil.Process]:
        found = []
        if os.getpgrp() != os.getpid():
            return found
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
                if alive and os.getpgid(process.pid) == os.getpgrp():
                    found.append(process)
        return found

    while left := others():
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)


def serve(parent: int) -> None:
    """Serve until a signal comes."""
    die_with_parent(parent)
    order = json.load(sys.stdin)
    if order["cpu"]:
        os.environ["OMP_NUM_THREADS"] = str(order["threads"])
    from resources.engines import VLLM_ENVIRONMENT, keep_to_own_modules

    # The server has its engine in a second process.
    os.environ.update(VLLM_ENVIRONMENT | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_LOGGING_LEVEL": "INFO"})
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    keep_to_own_modules()
    import uvloop
    from vllm.entrypoints.launchers.api_server.entry import run_server

    uvloop.run(run_server(_arguments(order["arguments"])))


def _arguments(given: dict[str, Any]) -> Any:
    """vLLM's own defaults with the given values. Raises ValueError for an argument that vLLM does not have."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    if unknown := given.keys() - vars(arguments).keys():
        raise ValueError(f"vLLM's server has no argument {', '.join(sorted(unknown))}")
    for name, value in given.items():
        setattr(arguments, name, value)
    validate_parsed_serve_args(arguments)
    return arguments


if __name__ == "__main__":
    sys.exit({"watch": watch, "serve": serve}[sys.argv[1]](int(sys.argv[2])))
