"""vLLM's OpenAI-compatible server in a process of its own, for as long as somebody needs it.

The server process ends when the process that started it ends, however that happens. What the server prints is kept in a
file, and its end is part of the error if the server does not start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.engines import EngineSettings, engine_arguments
from resources.home import cache_dir
from resources.processes import ending
from resources.serve_worker import END_S

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FIRST_PORT, _PORTS = 8000, 100
_END_S = END_S + 10.0  # how long a server may take to end with its engine
_TAIL = 3_000  # characters of the server's output in an error


class ServerError(RuntimeError):
    """A server did not start, or ended by itself. The message has the end of what it printed."""


@dataclass(frozen=True)
class Place:
    """Where a server listens: `port` None takes the first free port from 8000 on. `api_key` is what clients must send.

    Raises ValueError for an address that other machines reach, without a key.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    api_key: str | None = None

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.api_key:
            raise ValueError(f"{self.host} can be reached from other machines: a server there needs an API key")


@dataclass(frozen=True)
class Server:
    """A server that answers. `url` is its base URL for clients; `output` the file of what it prints."""

    url: str
    names: tuple[str, ...]
    output: Path
    process: subprocess.Popen

    def wait(self) -> None:
        """Wait until the server ends. Raises `ServerError`, because it ends by itself only when it fails."""
        # Libraries have system calls go on after a signal, so a wait without an end would not notice Ctrl-C.
        while (code := self.process.poll()) is None:
            time.sleep(0.2)
        raise ServerError(f"the server {ending(code)}; the end of {self.output}:\n{_end_of(self.output)}")


@contextlib.contextmanager
def running(
    folder: Path,
    names: Sequence[str],
    settings: EngineSettings,
    options: Mapping[str, Any],
    at: Place,
    log: Callable[[str], None],
) -> Iterator[Server]:
    """A server of the model in `folder`; see `Gpu.serve`. Raises `ServerError` if it does not start."""
    port = free_port(at.host) if at.port is None else at.port
    output = cache_dir("server") / f"port-{port}.log"
    with tempfile.TemporaryDirectory(prefix="nemotron-serve-") as scratch:
        generation = Path(scratch)
        (generation / "generation_config.json").write_text(json.dumps(_generation(folder, options)))
        arguments = engine_arguments(folder, settings) | {
            "served_model_name": list(names),
            "host": at.host,
            "port": port,
            "generation_config": scratch,
            "disable_uvicorn_access_log": True,
            **{name: value for name, value in options.items() if name != "stop_token_ids"},
        }
        order = {"arguments": arguments, "threads": settings.threads, "cpu": settings.device == "cpu"}
        log(f"starting vLLM; its output goes to {output}")
        process = _start(order, at.api_key, output)
        try:
            url = f"http://{f'[{at.host}]' if ':' in at.host else at.host}:{port}"
            _wait_until_ready(process, f"{url}/health", output)
            yield Server(f"{url}/v1", tuple(names), output, process)
        finally:
            _end(process)


def free_port(host: str) -> int:
    """The first port from 8000 on that nobody uses. Raises `ServerError` if a hundred ports are in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise ServerError(f"no port of {host} from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free: give --port")


def _generation(folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The model's generation_config.json, where answers also end at `stop_token_ids` of the options."""
    path = folder / "generation_config.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    ends = known.get("eos_token_id") or []
    ends = [ends] if isinstance(ends, int) else ends
    return known | {"eos_token_id": sorted({*ends, *options.get("stop_token_ids", ())})}


def _start(order: Mapping[str, Any], api_key: str | None, output: Path) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("VLLM_API_KEY", None)
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "resources.serve_worker", "watch", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a Ctrl-C of the terminal reaches this process alone, which ends the server
            env=environment | ({"VLLM_API_KEY": api_key} if api_key else {}),
        )
    with process.stdin, contextlib.suppress(BrokenPipeError):  # the process has ended: its output says why
        process.stdin.write(json.dumps(order).encode())
    return process


def _wait_until_ready(process: subprocess.Popen, health: str, output: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while (code := process.poll()) is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            with opener.open(health, timeout=5):
                return
        time.sleep(0.2)
    raise ServerError(f"vLLM's server {ending(code)} before it was ready; the end of {output}:\n{_end_of(output)}")


def _end_of(output: Path) -> str:
    return output.read_text(errors="replace")[-_TAIL:]


def _end(process: subprocess.Popen) -> None:
    """End the server and every process that it started."""
    try:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_END_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the server leads a session, in which its engine is too
        process.wait()
