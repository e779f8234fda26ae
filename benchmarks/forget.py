"""What `nemotron forget --vacuum` removes is nowhere afterwards, and the lake is as if it had never been there.

The embedded sample is made twice, up to `web.unique_documents`, `math.rendered`, `code.licenses` and `code.duplicates`:
once whole, and once from sources that never had a host, a page with near copies in two snapshots, and a repository
with a fork. These are then forgotten in the whole lake. The command is killed (kill -9) ten times, always further on.

 - The same request ends the removal, and `nemotron forget --verify` finds nothing in any file of the home.
 - All tables up to the four have the data versions of the lake that never had the sources.
 - What was dropped for a removed page or file is back: documents and files that were duplicates are unique again.
 - A run afterwards finds nothing stale, and all checks of the assets hold.

--home copies the home of a finished `make run` instead of making the whole lake; then models and generated texts are
removed from, too. --kills is the number of kills, --quick removes the pages alone, from one WARC file per snapshot.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._forget_sources import without
from benchmarks.harness import Claim, table, verdict

ROOT = Path(__file__).resolve().parents[1]
HOST = "mpmath-notes.example"  # pages with formulas; other hosts have copies
URL = "https://werkzeug-project.example/en/stable/levels.html"  # other versions of the manual are near copies
REPOSITORY = "jashkenas/underscore"
_WEB = "+web/unique_documents or +math/rendered"
_CODE = "+code/licenses or +code/duplicates"
#: Lines of `nemotron run` about an asset that was made.
_MADE = re.compile(r"^made\s+(\w+/\w+)", re.MULTILINE)
_ALWAYS = {"snapshots/catalog"}  # it runs every time
_LINES = 12  # new lines after which a kill comes at the latest


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="forget", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="home of a finished `make run`, which is copied")
    parser.add_argument("--kills", type=int, help="how often the removal is killed; default: 10, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="pages alone, of one WARC file per snapshot")
    options = parser.parse_args(argv)
    kills = options.kills if options.kills is not None else 2 if options.quick else 10
    selection = _WEB if options.quick else f"{_WEB} or {_CODE}"
    wanted = [HOST, URL, *([] if options.quick else [REPOSITORY])]
    with tempfile.TemporaryDirectory(prefix="nemotron-forget-") as name:
        folder = Path(name)
        left_out = without(folder / "sources", HOST, URL, REPOSITORY)
        homes = {part: settings(folder, part, options.quick) for part in ("whole", "never")}
        if options.home:
            shutil.copytree(options.home, folder / "whole", symlinks=True)
        for own in homes.values():
            nemotron(own, "run", selection).check_returncode()
        before, never = state(homes["whole"]), state(homes["never"])
        forgotten = forget(homes["whole"], wanted, kills)
        again = nemotron(homes["whole"], "run", selection)
        after = state(homes["whole"])
        verified = nemotron(homes["whole"], "forget", "--verify", *wanted)
    made = set(_MADE.findall(again.stdout))
    tables = sorted({*after["versions"], *never["versions"]})
    differing = [name for name in tables if after["versions"].get(name) != never["versions"].get(name)]
    changed = [name for name in tables if after["versions"].get(name) != before["versions"].get(name)]
    back = {kind: len(set(after[kind]) - set(before[kind])) for kind in ("documents", "files")}
    rows = [[kind, len(before[kind]), len(after[kind]), len(never[kind]), back[kind]] for kind in back]
    print(table(["unique", "before", "after", "never had them", "back"], rows))
    print(f"\n{left_out} page records were left out of the sources; {len(changed)} of {len(tables)} versions changed")
    print(f"the removal took {forgotten['seconds']:.0f} s after the last kill, and {forgotten['cpu']:.0f} CPU s in all")
    print("\n".join(f"differs: {name}" for name in differing))
    return verdict(
        [
            Claim("kills of the removal", float(forgotten["kills"]), at_least=kills),
            Claim("exit code of the removal, which verifies itself", float(forgotten["code"]), at_most=0),
            Claim("exit code of forget --verify", float(verified.returncode), at_most=0),
            Claim("data versions that differ from the lake that never had them", float(len(differing)), at_most=0),
            Claim("data versions that the removal changed", float(len(changed)), at_least=1),
            Claim("documents that are back", float(back["documents"]), at_least=1),
            *([] if options.quick else [Claim("files of code that are back", float(back["files"]), at_least=1)]),
            Claim("exit code of a run afterwards, with all checks", float(again.returncode), at_most=0),
            Claim("stale assets that the run made", float(len(made - _ALWAYS)), at_most=0),
            Claim("assets that run every time", float(len(made & _ALWAYS)), at_least=1),
        ]
    )


def settings(folder: Path, part: str, quick: bool) -> dict[str, str]:
    """The environment of the commands on one of the lakes."""
    crawl = {"max_warc_files": 1} if quick else {}
    recipe: dict = {"extends": "laptop", "name": "forgetting", "snapshots": {"crawl": crawl}}
    if part == "never":
        crawl["source"] = str(folder / "sources")
        source = {"name": "sample", "kind": "parquet", "path": str(folder / "sources" / "code")}
        recipe["code"] = {"sources": {"sources": [source]}}
    file = folder / f"{part}.yaml"
    file.write_text(json.dumps(recipe))  # JSON is YAML
    home = folder / part
    own = {"NEMOTRON_HOME": str(home), "NEMOTRON_LAKE": str(home / "lake"), "DAGSTER_HOME": str(home / "dagster")}
    return own | {"NEMOTRON_RECIPE": str(file), "PYTHONPATH": str(ROOT)}


def nemotron(own: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    """Run a command on a lake; prints its end if it fails."""
    command = [sys.executable, "-m", "nemotron_assets.commands", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True)
    if done.returncode:
        print(f"nemotron {' '.join(arguments)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done


def forget(own: dict[str, str], wanted: list[str], kills: int) -> dict[str, float]:
    """Remove what is wanted. The command and what it started are killed some times, each time after some lines that no
    earlier attempt printed: so each attempt gets further, however slow the machine is."""
    command = [sys.executable, "-m", "nemotron_assets.commands", "forget", "--vacuum", *wanted]
    started, draw, seen, killed = os.times(), random.Random(1), set(), []
    for number in range(kills + 1):
        begun, fresh, left = time.monotonic(), draw.randint(1, _LINES), []
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | own, start_new_session=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        for line in process.stdout:
            left.append(line)
            fresh -= line not in seen
            seen.add(line)
            if fresh == 0 and number < kills:
                time.sleep(draw.random())
                kill(process)
                killed.append(line.strip())
                break
        else:
            break
    if process.wait():
        print("".join(left)[-4000:])
    print("\n".join(f"killed after: {line}" for line in killed))
    ended = os.times()
    cpu = ended.children_user + ended.children_system - started.children_user - started.children_system
    return {"kills": len(killed), "code": process.returncode, "seconds": time.monotonic() - begun, "cpu": cpu}


def kill(process: subprocess.Popen) -> None:
    """Kill a process and all that it started."""
    import psutil

    for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()


_STATE = """
import json
import dagster as dg
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.definitions import lake
from nemotron_assets.instance import instance
from nemotron_assets.rights.forgetting import MADE_AGAIN, REPOSITORIES
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
versions = {}
for table in (PAGES, *(table for table in MADE_AGAIN if table != REPOSITORIES)):
    reader = lake.read(table)
    for partition in reader.snapshots() if table.partition_by and reader.exists else [None] if reader.exists else []:
        chosen = dg.AssetRecordsFilter(table.asset_key, asset_partitions=[partition] if partition else None)
        record = instance().fetch_materializations(chosen, limit=1).records[0]
        name = f"{table.full_name} {partition or ''}".strip()
        known = record.asset_materialization.tags["dagster/data_version"]
        versions[name] = [known, reader.within(partition).content(), reader.within(partition).rows]
documents = lake.read(UNIQUE_DOCUMENTS).scan().select("id").collect()["id"].to_list()
files, copies = lake.read(FILES), lake.read(DUPLICATES)
kept = set(files.scan().select("id").collect()["id"]) if files.exists else set()
kept -= {p[0] for p in copies.scan().select("parents").collect()["parents"].to_list()} if copies.exists else set()
print(json.dumps({"versions": versions, "documents": documents, "files": sorted(kept)}))
"""


def state(own: dict[str, str]) -> dict:
    """The data versions of all tables up to the four, and the ids of the documents and files that are kept."""
    command = [sys.executable, "-c", _STATE]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
