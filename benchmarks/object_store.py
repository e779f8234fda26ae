"""The whole graph on an object store of which one request in twenty fails makes the same tables, nothing damaged.

An S3 server (moto) is asked through a proxy that lets 5% of all requests fail: status 500 or 503, an answer that is
lost after the server did its work, silence, or an answer that ends in its middle (tests/faulty_proxy.py). There
`nemotron run` makes all assets of the smallest recipe (tests/e2e/recipe.yaml), models, evaluation and report among
them. It is killed (kill -9) while it works on the documents, and started again; then it makes the same in a local
folder. The claims:

 - the run on the object store ends without a failed asset;
 - every table has the same number of rows and the same content as in the local folder, but for tables with measured
   times (`_TIMED`);
 - `nemotron maintain --verify`, without faults, finds no damage.

--select names other assets, --share the share of requests that fail, --quick makes only the snapshots, --local names a
home in which the same assets were made before.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.harness import Claim, table, verdict

ROOT = Path(__file__).resolve().parents[1]
_SILENCE_S = 2.0
_KILL_AT, _KILL_AFTER_S = "start   web/documents", 4.0
#: Tables that hold measured times, or what was chosen by them.
_TIMED = ("evaluate.throughput", "compress.candidates")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="object_store", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--select", default="", metavar="SELECTION", help="assets to make, by default all")
    parser.add_argument("--share", type=float, default=0.05, help="share of requests that fail")
    parser.add_argument("--quick", action="store_true", help="make the snapshots alone")
    parser.add_argument("--local", metavar="HOME", help="home with a lake in a folder, instead of making it")
    options = parser.parse_args(argv)
    selection = "+snapshots/pages" if options.quick else options.select
    from tests.faulty_proxy import FaultyProxy
    from tests.s3 import s3_server

    with tempfile.TemporaryDirectory(prefix="nemotron-object-store-") as name, s3_server() as server:
        proxy = FaultyProxy(server, options.share, seed=1, silence_s=_SILENCE_S)
        urllib.request.urlopen(urllib.request.Request(f"{server}/lake", method="PUT"), timeout=30).close()
        with proxy.serve() as address:
            remote = settings(Path(name) / "remote", "s3://lake/root", address)
            started = time.monotonic()
            run(remote, selection, kill_at="start   snapshots/pages" if options.quick else _KILL_AT)
            failed = run(remote, selection)
            seconds = time.monotonic() - started
        home = Path(options.local or f"{name}/local")
        local = settings(home, f"{home}/lake")
        if not options.local:
            run(local, selection)
        remote["AWS_ENDPOINT_URL"] = server
        contents = {place: content(own) for place, own in (("remote", remote), ("local", local))}
        damage = nemotron(remote, "maintain", "--verify").returncode
    made = sum(proxy.made.values())
    compared = {name: found for name, found in contents["local"].items() if name not in _TIMED}
    differing = [name for name, found in compared.items() if contents["remote"].get(name) != found]
    rows = [["requests", proxy.requests], ["of them failed", made], ["seconds, with the kill", round(seconds)]]
    rows += [[f"failed: {kind}", count] for kind, count in sorted(proxy.made.items()) if kind]
    print(table(["on the object store", "number"], [*rows, ["tables compared", len(compared)]]))
    print("\n".join(f"differs: {name}" for name in differing))
    return verdict(
        [
            Claim("exit code of the run on the object store", float(failed), at_most=0),
            Claim("tables that differ from those in a folder", float(len(differing)), at_most=0),
            Claim("exit code of maintain --verify", float(damage), at_most=0),
            Claim("failed requests", float(made), at_least=5),
        ]
    )


def settings(home: Path, lake: str, endpoint: str = "") -> dict[str, str]:
    """The environment of the commands on a lake."""
    own = {"NEMOTRON_HOME": str(home), "NEMOTRON_LAKE": lake, "PYTHONPATH": str(ROOT)}
    own["NEMOTRON_RECIPE"] = str(ROOT / "tests" / "e2e" / "recipe.yaml")
    return own | (s3_settings(endpoint) if endpoint else {})


def s3_settings(endpoint: str) -> dict[str, str]:
    """The environment of a program that uses an S3 server of moto."""
    own = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
    own |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_EC2_METADATA_DISABLED": "true"}
    return own


def run(own: dict[str, str], selection: str, kill_at: str | None = None) -> int:
    """The exit code of `nemotron run`. With `kill_at` it and all that it started are killed a few seconds after the
    line that begins so."""
    command = [sys.executable, "-m", "nemotron_assets.commands", "run", "--jobs", "1", *filter(None, [selection])]
    options = {"cwd": ROOT, "env": os.environ | own | {"PYTHONUNBUFFERED": "1"}, "start_new_session": True}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    for line in process.stdout:
        print(line, end="", flush=True)
        if kill_at and line.startswith(kill_at):
            time.sleep(_KILL_AFTER_S)
            for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                member.send_signal(signal.SIGKILL)
            break
    return process.wait()


def nemotron(own: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nemotron_assets.commands", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | own)


_CONTENT = """
import json
from nemotron_assets.definitions import lake
from nemotron_assets.stages import all_tables
found = {}
for table in all_tables().values():
    reader = lake.read(table)
    if reader.exists and table.kind == "rows":
        readers = [reader.within(name) for name in reader.snapshots()] if table.partition_by else [reader]
        contents = [one.content() for one in readers]
        found[table.full_name] = [reader.rows, [text for text in contents if not text.startswith("version")]]
print(json.dumps(found))
"""


def content(own: dict[str, str]) -> dict[str, list]:
    """The number of rows and the content of every table of a lake, from a process with its environment. Of a table
    without marks of its content only the rows count."""
    command = [sys.executable, "-c", _CONTENT]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
