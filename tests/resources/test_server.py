"""The life of a server process: ready, ended with all it started, failed. A small program stands for vLLM's server;
tests/chat/test_serving.py has the real one."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from resources import server
from resources.engines import EngineSettings
from resources.server import Place, ServerError, running

SETTINGS = EngineSettings("cpu", "float32", 256, 4, 64 << 20, 0.5, 1)
HEALTHY = """
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
subprocess.Popen(["sleep", "1000"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "nemotron_h"}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 2, "temperature": 0.6}')
    return tmp_path


def start(monkeypatch, program: str) -> list[dict]:
    """Let a program be started instead of vLLM; returns the orders that it gets, with the generation_config.json."""
    orders = []

    def started(order, api_key, output):
        given = order["arguments"]
        with open(f"{given['generation_config']}/generation_config.json") as file:
            orders.append({**given, "generation": json.load(file)})
        command = [sys.executable, "-c", program, str(given["port"])]
        with output.open("wb") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    monkeypatch.setattr(server, "_start", started)
    return orders


def run(folder, **options):
    return running(folder, ["m"], SETTINGS, options, Place(), lambda line: None)


def test_a_server_ends_with_all_that_it_started(folder, monkeypatch):
    start(monkeypatch, HEALTHY)
    with run(folder) as found:
        family = [psutil.Process(found.process.pid), *psutil.Process(found.process.pid).children()]
        assert len(family) == 2 and found.names == ("m",) and found.url.startswith("http://127.0.0.1:80")
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


def test_what_a_server_is_started_with(folder, monkeypatch):
    """The model's own end of text and the end of turn both end an answer; the state of Mamba is kept in float32."""
    orders = start(monkeypatch, HEALTHY)
    with run(folder, stop_token_ids=[12], reasoning_parser="nemotron"):
        pass
    (order,) = orders
    assert order["generation"] == {"eos_token_id": [2, 12], "temperature": 0.6}
    assert (order["reasoning_parser"], order["mamba_ssm_cache_dtype"]) == ("nemotron", "float32")
    assert (order["served_model_name"], order["host"]) == (["m"], "127.0.0.1")
    assert "stop_token_ids" not in order


def test_a_server_that_does_not_start_says_why(folder, monkeypatch):
    start(monkeypatch, "import sys; print('no memory'); sys.exit(3)")
    with pytest.raises(ServerError, match=r"ended with exit status 3 before it was ready[\s\S]*no memory"), run(folder):
        pass


def test_a_server_that_is_killed_says_so(folder, monkeypatch):
    start(monkeypatch, HEALTHY)
    with run(folder) as found, pytest.raises(ServerError, match="was killed by SIGKILL"):
        found.process.send_signal(signal.SIGKILL)
        found.wait()


def test_a_port_in_use_is_passed_over():
    first = server.free_port("127.0.0.1")
    with socket.socket() as used:
        used.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        used.bind(("127.0.0.1", first))
        used.listen()
        assert server.free_port("127.0.0.1") > first


def test_other_machines_need_a_key():
    with pytest.raises(ValueError, match=r"0\.0\.0\.0 can be reached .* needs an API key"):
        Place("0.0.0.0")
    assert Place("0.0.0.0", api_key="k").api_key == "k" and Place("::1").api_key is None
