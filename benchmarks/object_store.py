"""The graph on an object store of which one request in twenty fails makes the same tables, with nothing damaged.

An S3 server (moto) is asked through a proxy that lets 5% of all requests fail: status 500 or 503, an answer that is
lost after the server did its work, silence, or an answer that ends in its middle (tests/faulty_proxy.py). There
`nemotron run` makes the assets of a selection, is killed (kill -9) after two minutes, and started again; then it makes
the same in a local folder. The claims:

 - the run on the object store ends without a failed asset;
 - every table has the same number of rows and the same content as in the local folder;
 - `nemotron maintain --verify`, without faults, finds no damage.

--select names the assets (default: snapshots, the web up to `web/unique_documents`, and the code up to `code/files`),
--share the share of requests that fail, --quick makes only the snapshots.
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

from benchmarks.harness import Claim, table, verdict

ROOT = Path(__file__).resolve().parents[1]
_SELECT = "+web/unique_documents or +code/files"
_KILL_S, _SILENCE_S = 120.0, 5.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="object_store", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--select", default=_SELECT, metavar="SELECTION", help="assets to make")
    parser.add_argument("--share", type=float, default=0.05, help="share of requests that fail")
    parser.add_argument("--quick", action="store_true", help="make the snapshots alone")
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
            run(remote, selection, kill_after=_KILL_S / (8 if options.quick else 1))
            failed = run(remote, selection)
            seconds = time.monotonic() - started
        local = settings(Path(name) / "local", f"{name}/local/lake")
        run(local, selection)
        remote["AWS_ENDPOINT_URL"] = server
        contents = {place: content(own) for place, own in (("remote", remote), ("local", local))}
        damage = nemotron(remote, "maintain", "--verify").returncode
    made = sum(proxy.made.values())
    differing = [name for name, found in contents["local"].items() if contents["remote"].get(name) != found]
    rows = [["requests", proxy.requests], ["of them failed", made], ["seconds, with the kill", round(seconds)]]
    rows += [[f"failed: {kind}", count] for kind, count in sorted(proxy.made.items()) if kind]
    print(table(["on the object store", "number"], [*rows, ["tables compared", len(contents["local"])]]))
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
    if endpoint:
        own |= {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
        own |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_EC2_METADATA_DISABLED": "true"}
    return own


def run(own: dict[str, str], selection: str, kill_after: float | None = None) -> int:
    """The exit code of `nemotron run`; with `kill_after` it and all that it started are killed after these seconds."""
    command = [sys.executable, "-m", "nemotron_assets.commands", "run", "--jobs", "1", selection]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, start_new_session=True)
    try:
        return process.wait(kill_after)
    except subprocess.TimeoutExpired:
        import psutil

        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in tree:
            member.send_signal(signal.SIGKILL)
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
