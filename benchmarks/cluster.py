"""On a Ray cluster of three nodes, web and code tables are those of local processes, for at most 15% more CPU time.

The bar on CPU time is for 20,000 documents and more: the start of the workers takes about three CPU seconds, however
few documents there are.

Three nodes of one core each run on this machine (`ray.cluster_utils`). `nemotron run` makes `web/documents` of a crawl
that is made of installed documentation, once with worker processes of this machine and once on the cluster; the CPU
time of everything is compared, the start of the cluster apart. Then a node is killed while it works, in a third run.
Then the steps of the web, the mathematics and the code that map over rows are made of the embedded sample both ways.
All tables must have the same content, by the hash that the lake stores for each.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import Claim, table, verdict
from benchmarks.ingest import SNAPSHOT, make

#: What is made of the sample.
STEPS = ("math/candidate_pages", "math/rendered", "web/documents", "code/files", "code/annotations")
NODES = 3
_NODE_MB = 5_120  # memory that each node offers: enough for one worker of the laptop's recipe


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small crawl; in it the start of workers weighs more")
    parser.add_argument("--only", choices=["documents", "sample"], help="one of the two comparisons")
    parser.add_argument(
        "--mb", type=int, default=90, help="size of the crawl's WARC file; 90 MB hold about 20,000 pages"
    )
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="nemotron-cluster-") as folder:
        claims = []
        if options.only != "sample":
            claims += _documents(_crawl(Path(folder, "own"), 4 if options.quick else options.mb))
        if options.only != "documents":
            claims += _steps_of_the_sample(_sample(Path(folder, "sample")))
        return verdict(claims)


class Lake:
    """A home whose inputs are made, and copies of it in which steps run."""

    def __init__(self, home: Path, recipe: str) -> None:
        self.home, self._recipe = home, recipe
        home.mkdir(parents=True)

    def run(self, copy: str, selection: str, cluster: Any = None, force: bool = False) -> subprocess.Popen:
        """Start `nemotron run` in a copy; "" is the home itself."""
        home = self.home / copy if copy else self.home / "base"
        if copy and not home.exists():
            shutil.copytree(self.home / "base", home)
        compute = "{workers: 2}" if cluster is None else "{backend: ray, workers: 0, queue: 3}"
        recipe = home.with_name(f"{home.name}.yaml")
        recipe.write_text(f"extends: laptop\n{self._recipe}compute: {compute}\n")
        address = {} if cluster is None else {"RAY_ADDRESS": cluster.address}
        env = os.environ | {"NEMOTRON_HOME": str(home), "NEMOTRON_RECIPE": str(recipe)} | address
        command = [sys.executable, "-m", "nemotron_assets.commands", "run", selection, *["--force"] * force]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def contents(self, copy: str, names: tuple[str, ...]) -> dict[tuple[str, str | None], str]:
        """{(table, partition): the hash of its content}."""
        from nemotron_assets.stages import all_tables
        from resources.lakehouse import Lakehouse

        lake, found = Lakehouse(root=str(self.home / copy / "lake")), {}
        for name in names:
            whole = lake.read(all_tables()[name.replace("/", ".")])
            for partition in whole.snapshots() if whole.table.partition_by else [None]:
                found[name, partition] = whole.within(partition).content()
        return found

    def rows(self, copy: str, name: str) -> int:
        from nemotron_assets.stages import all_tables
        from resources.lakehouse import Lakehouse

        return Lakehouse(root=str(self.home / copy / "lake")).read(all_tables()[name.replace("/", ".")]).rows


def _crawl(home: Path, mb: int) -> Lake:
    """A crawl of one snapshot whose pages are stored."""
    make(home.parent / "crawl", mb * 1_000_000)
    crawl = f"{{source: {home.parent / 'crawl'}, first: {SNAPSHOT}, last: {SNAPSHOT}}}"
    lake = Lake(home, f"snapshots: {{crawl: {crawl}}}\n")
    _ended(lake.run("", "+snapshots/pages"))
    return lake


def _sample(home: Path) -> Lake:
    """The embedded sample, in which local processes have made the steps and what they are made from."""
    lake = Lake(home, "snapshots: {crawl: {max_snapshots: 1, max_warc_files: 1}}\n")
    _ended(lake.run("", f"({' or '.join(f'+{step}' for step in STEPS)})"))
    return lake


def _ended(run: subprocess.Popen) -> str:
    output = run.communicate()[0]
    if run.returncode:
        raise RuntimeError(f"{' '.join(run.args)} ended with {run.returncode}:\n{output[-4_000:]}")
    return output


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(NODES):
            _add_node(cluster, {"num_cpus": 1, "memory": _NODE_MB << 20, "include_dashboard": False}, tries=5)
        cluster.wait_for_nodes()
        time.sleep(5)  # the nodes have started their processes
        yield cluster
    finally:
        cluster.shutdown()


def _add_node(cluster: Any, options: dict[str, Any], tries: int) -> None:
    """Add a node, again if Ray gives it up because it takes more than 30 s on a busy machine."""
    for left in reversed(range(tries)):
        try:
            cluster.add_node(**options)
            return
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise


class _Clock:
    """CPU seconds of this process, what it started, and what that started."""

    def __init__(self) -> None:
        self._began, self._at = self._spent(), time.monotonic()

    def read(self) -> tuple[float, float]:
        """(CPU seconds, seconds) since the clock was made."""
        return self._spent() - self._began, time.monotonic() - self._at

    @staticmethod
    def _spent() -> float:
        own = psutil.Process()
        spent = sum(own.cpu_times()[:4])
        for child in own.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                spent += sum(child.cpu_times()[:4])
        return spent


def _documents(lake: Lake) -> list[Claim]:
    """Make `web/documents` with local processes, on the cluster, and on the cluster while a node of it is killed."""
    step, rows = ("web/documents",), []

    def timed(name: str, copy: str, cluster: Any = None) -> float:
        clock = _Clock()
        _ended(lake.run(copy, step[0], cluster))
        cpu, wall = clock.read()
        rows.append((name, cpu, wall))
        return cpu

    local = timed("local processes", "local")
    with _cluster() as cluster:
        idle = _Clock()
        time.sleep(10)
        rows.append((f"{NODES} nodes, idle", *idle.read()))
        on_ray = timed(f"{NODES} nodes", "ray", cluster)
        run = lake.run("killed", step[0], cluster)
        killed_at = _kill_a_node(cluster, run)
        _ended(run)
    expected = lake.contents("local", step)
    documents = lake.rows("local", step[0])
    print(f"{documents:,} documents\n\n{table(('web/documents', 'CPU s', 's'), rows)}")
    print(f"\na node was killed {killed_at:.1f} s after the start of the third run")
    return [
        Claim(
            "overhead of Ray, share of CPU seconds", on_ray / local - 1, at_most=0.15 if documents >= 20_000 else None
        ),
        Claim("documents on the cluster: same content", float(lake.contents("ray", step) == expected), at_least=1),
        Claim("with a node killed: same content", float(lake.contents("killed", step) == expected), at_least=1),
    ]


def _steps_of_the_sample(lake: Lake) -> list[Claim]:
    with _cluster() as cluster:
        _ended(lake.run("ray", " or ".join(STEPS), cluster, force=True))
    expected = lake.contents("base", STEPS)
    for name in STEPS:
        print(f"{name}: {lake.rows('ray', name):,} rows")
    same = sum(value == expected[key] for key, value in lake.contents("ray", STEPS).items())
    return [
        Claim(
            f"of {len(expected)} tables and partitions of the sample, with the same content",
            same,
            at_least=len(expected),
        )
    ]


def _kill_a_node(cluster: Any, run: subprocess.Popen) -> float:
    """Kill a node, not that of the head, when a worker process on it has worked for 2 s."""
    node = cluster.list_all_nodes()[-1]
    began = time.monotonic()
    while run.poll() is None:
        for process in _workers(node):
            with contextlib.suppress(psutil.Error):
                if sum(process.cpu_times()[:2]) > 2:
                    cluster.remove_node(node, allow_graceful=False)
                    return time.monotonic() - began
        time.sleep(0.1)
    raise RuntimeError("the run ended before the node could be killed: make the crawl larger (--mb)")


def _workers(node: Any) -> list[psutil.Process]:
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(raylet).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "resources.compute_worker" in process.cmdline():
                    found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
