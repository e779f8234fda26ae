"""The processes of vLLM's server; `resources.server` starts them as `serve_worker watch PARENT`.

The first process watches the second, in which vLLM runs with an engine in further processes. While vLLM starts, it may
not notice that it is to end. So when a signal comes, or PARENT ends, the first process ends the whole group after a
while. The standard input is a JSON object with the arguments of `vllm serve` by name.
"""

from __future__ import annotations

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
    die_with_parent(parent, by=signal.SIGTERM)
    server = subprocess.Popen([sys.executable, "-m", __spec__.name, "serve", str(os.getpid())])
    try:
        while (code := server.poll()) is None:
            time.sleep(0.2)
    except SystemExit:
        server.terminate()
        end = time.monotonic() + END_S
        while server.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        os.killpg(os.getpgrp(), signal.SIGKILL)
    if code < 0:
        print(f"vLLM's server {ending(code)}", file=sys.stderr)
    return code if code >= 0 else 1


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
