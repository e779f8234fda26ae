"""The web UI in headless Chromium: it shows the graph and materialises a group, which is checked through GraphQL.

`nemotron ui` is started with its daemon, as a user starts it. Before that, a webserver without a daemon stops the
sensors: they would materialise everything downstream of the new pages, which other tests cover.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
# Without these options the browser also asks its maker's servers for updates.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

REPOSITORY = '{repositoryLocationName: "nemotron", repositoryName: "__repository__"}'
SENSORS = f"""{{sensorsOrError(repositorySelector: {REPOSITORY}) {{
    ... on Sensors {{results {{name sensorState {{id status}}}}}} ... on PythonError {{message}}}}}}"""
STOP = """mutation($id: String!) {stopSensor(id: $id) {__typename
    ... on StopSensorMutationResult {instigationState {status}} ... on PythonError {message}}}"""
GROUP = """{assetNodes(group: {groupName: "snapshots", repositoryName: "__repository__",
    repositoryLocationName: "nemotron"}) {assetKey {path} isPartitioned
    partitionStats {numMaterialized numFailed numPartitions}
    assetMaterializations(limit: 10) {partition runId}}}"""
RUNS = """{runsOrError {... on Runs {results {runId status}} ... on PythonError {message}}}"""


@dataclass
class Server:
    """A running web UI."""

    url: str
    log: Path | None = None

    def query(self, query: str, **variables: object) -> dict:
        """The data of a GraphQL answer; an error is an exception."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)
        assert not content.get("errors"), content["errors"]
        return content["data"]

    def group(self) -> dict[str, dict]:
        return {node["assetKey"]["path"][-1]: node for node in self.query(GROUP)["assetNodes"]}


def wait_for(what: str, condition: Callable[[], object], seconds: float = 120) -> object:
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/server_info", timeout=5).status == 200
    except OSError:
        return False


@contextmanager
def serving(command: list[str], port: int, env: dict[str, str], log: Path):
    """Runs a server until the block ends; its output goes to `log`. Fails if it or a child survives a SIGTERM."""
    import psutil

    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=output, stderr=output, start_new_session=True)
    tree: list[psutil.Process] = []
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{command[0]} (see {log})", lambda: process.poll() is not None or answers(url))
        assert process.poll() is None, log.read_text()[-3000:]
        yield Server(url)
    finally:
        if process.poll() is None:
            tree = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        _, alive = psutil.wait_procs(tree, timeout=30)
        for survivor in alive:
            survivor.kill()
    assert not alive, f"still running after SIGTERM: {alive}"


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """`nemotron ui` on a new lake that has only the catalogue of snapshots, with all sensors stopped."""
    folder = tmp_path_factory.mktemp("ui")
    home = folder / "home"
    env = {**os.environ, "NEMOTRON_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    env |= {"PATH": f"{BIN}{os.pathsep}{env['PATH']}", "DAGSTER_HOME": str(home / "dagster")}
    nemotron = [sys.executable, "-c", "from nemotron_assets.commands.__main__ import main; main()"]
    subprocess.run([*nemotron, "run", "snapshots/catalog"], cwd=PROJECT, env=env, check=True, timeout=120)

    port, log = free_port(), folder / "server.log"
    webserver = [str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    with serving(webserver, port, env, log) as server:
        for sensor in server.query(SENSORS)["sensorsOrError"]["results"]:
            stopped = server.query(STOP, id=sensor["sensorState"]["id"])["stopSensor"]
            assert stopped["instigationState"]["status"] == "STOPPED", stopped
    with serving([*nemotron, "ui", "--port", str(port)], port, env, folder / "ui.log") as server:
        server.log = folder / "ui.log"
        yield server


@pytest.fixture(scope="module")
def page(ui, tmp_path_factory):
    """A browser window on the UI; a screenshot of how it was left is kept in pytest's temporary folder."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no Chromium found: apt-get install chromium, or set CHROMIUM=/path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        window = browser.new_page(viewport={"width": 1600, "height": 1000})
        window.set_default_timeout(90_000)
        yield window
        window.screenshot(path=tmp_path_factory.mktemp("screenshots") / "last.png")
        browser.close()


def test_listens_on_this_machine_only(ui):
    import psutil

    port = int(ui.url.rsplit(":", 1)[1])
    listening = [c for c in psutil.net_connections("inet") if c.status == "LISTEN" and c.laddr.port == port]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_asset_graph_shows_every_group(ui, page, tmp_path):
    page.goto(f"{ui.url}/asset-groups")
    for group in ("snapshots", "generators", "web", "math", "code", "blend", "pretrain", "align", "evaluate"):
        page.get_by_text(group, exact=True).first.wait_for()
    page.screenshot(path=tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 10_000


def test_materialising_a_group_by_clicking(ui, page, tmp_path):
    assert ui.group()["pages"]["partitionStats"]["numMaterialized"] == 0
    before = {run["runId"] for run in ui.query(RUNS)["runsOrError"]["results"]}
    page.goto(f"{ui.url}/locations/nemotron/asset-groups/snapshots/lineage")
    page.get_by_text("pages", exact=True).first.wait_for()
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    dialog.get_by_text("2 partitions", exact=True).first.wait_for()
    dialog.get_by_role("button", name="Launch backfill").click()
    dialog.wait_for(state="detached")
    page.screenshot(path=tmp_path / "launched.png")

    def finished() -> list[str]:
        runs = {r["runId"]: r["status"] for r in ui.query(RUNS)["runsOrError"]["results"] if r["runId"] not in before}
        assert "FAILURE" not in runs.values(), runs
        done = ui.group()["pages"]["partitionStats"]["numMaterialized"] == 2
        return list(runs) if done and set(runs.values()) == {"SUCCESS"} else []

    runs = wait_for("the group to be materialised", finished, seconds=400)
    group = ui.group()
    assert group["pages"]["partitionStats"] == {"numMaterialized": 2, "numFailed": 0, "numPartitions": 2}
    assert {m["runId"] for m in group["pages"]["assetMaterializations"]} <= set(runs)
    page.get_by_text("100% filled").first.wait_for()
    page.screenshot(path=tmp_path / "materialised.png")


def test_the_terminal_shows_no_debug_messages(ui):
    """After the runs of the tests above: the events of a run are in the UI, not in the terminal."""
    shown = ui.log.read_text()
    assert "http://127.0.0.1:" in shown
    assert "DEBUG" not in shown
