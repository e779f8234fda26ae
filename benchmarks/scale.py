"""Deduplicating 4 million documents costs 1.15 times as much per document as 250,000, in less than 4 GB of memory.

Generated documents of 3 kB, 15% of them copies, are written as `web.documents` and taken through the code of the assets
to `web.unique_documents`. Then a second snapshot is added to the largest corpus, and the same documents alone are
deduplicated for comparison. Each snapshot has a process of its own. The CPU time of a stage counts with that of its
children; loading modules and compiled kernels does not count, for which the process first deduplicates 400 documents.
Memory is the peak of the process tree. Disk is the lake with all temporary files.

A stage that is finished is not run again: start the same command with `--folder` once more to go on. A run ends after
`--minutes`, at the end of a stage. The results of all stages are in results.json of the folder.

Recall is the share of the true pairs (a copy with a similarity of at least 0.8, and its original) of which one document
is dropped because of the other; precision is the share of dropped documents that are dropped because of a true pair.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._scale_documents import Corpus, document_id
from benchmarks.harness import Claim, machine, measure, table, verdict

OLD, NEW = "CC-MAIN-2024-51", "CC-MAIN-2025-08"
STAGES = ("signatures", "near_duplicates", "duplicates", "repeated_spans", "unique_documents")
#: Stages of the substring group, whose cost for a second snapshot is that of the whole window of snapshots.
SUBSTRING = ("repeated_spans",)
TRUTH = "truth"
ALL = ("documents", *STAGES, TRUTH)
BYTES, MOST_DISK = 3_000, 2.5
GB = 1_000_000_000


@dataclass(frozen=True)
class Case:
    """A lake with `documents`, to which `added` more come as a second snapshot."""

    documents: int
    added: int = 0

    @property
    def snapshots(self) -> dict[str, Corpus]:
        first = Corpus(OLD, self.documents, seed=1)
        return {OLD: first} | ({NEW: Corpus(NEW, self.added, seed=2, old=first)} if self.added else {})


@dataclass(frozen=True)
class Alone:
    """A lake with only the documents that are added to a larger one."""

    added: int
    documents: int

    @property
    def snapshots(self) -> dict[str, Corpus]:
        return {NEW: Case(self.documents, self.added).snapshots[NEW]}


# -- what a child process does -----------------------------------------------------------------------------------------


def stages(folder: Path, case: Case | Alone, snapshot: str, until: float) -> None:
    """Run the stages of one snapshot that have no results yet, until the time `until`, and keep what each took."""
    from benchmarks._scale_stages import judged, load_modules, run

    root = place_of(folder, case) / "lake"
    corpus, results = case.snapshots[snapshot], Results(folder)
    left = [name for name in ALL if (root.parent.name, snapshot, name) not in results]
    recipe = load_modules(left)
    for name in left:
        if time.time() > until:
            return
        began, before = time.perf_counter(), _cpu()
        if name == TRUTH:
            told = judged(root, list(case.snapshots.values()), document_id)
        else:
            with TemporaryFiles() as files:
                run(root, corpus, name, recipe)
            told = {"cpu": _cpu() - before, "temporary": files.most, "lake": size_of(root)}
        results[root.parent.name, snapshot, name] = {"seconds": time.perf_counter() - began, **told}
        print(f"{root.parent.name} {snapshot} {name}: {_cpu() - before:.1f} CPU s", file=sys.stderr, flush=True)


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def place_of(folder: Path, case: Case | Alone) -> Path:
    return folder / f"{type(case).__name__.lower()}-{case.documents}"


class Results:
    """What finished stages took, by (case, snapshot, stage), in results.json of a folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "results.json"
        self._found: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        return " ".join(key) in self._found

    def __getitem__(self, key: tuple[str, str, str]) -> dict[str, Any]:
        return self._found[" ".join(key)]

    def __setitem__(self, key: tuple[str, str, str], value: dict[str, Any]) -> None:
        self._found[" ".join(key)] = value
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._found, indent=1))
        new.replace(self._file)


class TemporaryFiles(threading.Thread):
    """Watches how much disk the deleted files of this process and the files in its TMPDIR take."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self._done = 0, threading.Event()

    def __enter__(self) -> TemporaryFiles:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        folder = tempfile.gettempdir()
        while not self._done.wait(1):
            self.most = max(self.most, _deleted() + size_of(Path(folder)))


def _deleted() -> int:
    total = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found = link.stat()
            total += found.st_blocks * 512 if found.st_nlink == 0 else 0
        except OSError:
            continue
    return total


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


# -- the run -----------------------------------------------------------------------------------------------------------


class Run:
    """The stages of all cases. Finished ones are in results.json."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self._until = folder, time.time() + 60 * minutes

    def all_stages(self, case: Case | Alone, snapshot: str) -> dict[str, dict[str, Any]]:
        """What each stage of a snapshot took: cpu, seconds, peak (bytes of memory of the child process that ran it, or
        ended with it), temporary and lake (bytes on the disk)."""
        name = place_of(self.folder, case).name
        before = [stage for stage in ALL if (name, snapshot, stage) in Results(self.folder)]
        if before != [*ALL]:
            temporary = self.folder / "temporary"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            given = json.dumps([type(case).__name__, vars(case), snapshot, self._until])
            command = [sys.executable, "-m", "benchmarks.scale", "--child", given, "--folder", str(self.folder)]
            env = {"TMPDIR": str(temporary), "NEMOTRON_HOME": str(self.folder / "home"), "OMP_NUM_THREADS": "1"}
            done = measure(command, env=env, timeout=4 * 3600)
            print(done.output, end="", file=sys.stderr, flush=True)
            results = Results(self.folder)
            for stage in ALL:
                if stage not in before and (name, snapshot, stage) in results:
                    results[name, snapshot, stage] = {**results[name, snapshot, stage], "peak": done.peak_rss}
        results = Results(self.folder)
        if missing := [stage for stage in ALL if (name, snapshot, stage) not in results]:
            raise SystemExit(f"The time is up before {name} {snapshot} {missing[0]}: run the same command to go on.")
        return {stage: results[name, snapshot, stage] for stage in ALL}


def check_disk(folder: Path, documents: int) -> None:
    """Raise SystemExit if the disk has too little room for the largest corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free + size_of(folder)
    needed = documents * BYTES * (MOST_DISK + 0.5)
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / GB:.0f} GB of free disk, and {documents:,} documents need {needed / GB:.0f} GB: "
            "give another place with --folder, or fewer documents with --sizes"
        )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[250_000, 1_000_000, 4_000_000], help="documents")
    parser.add_argument("--added", type=int, default=100_000, help="documents of the second snapshot")
    parser.add_argument("--quick", action="store_true", help="5,000 and 20,000 documents, 5,000 added")
    parser.add_argument("--minutes", type=float, default=150, help="stop after the stage that runs at this time")
    parser.add_argument("--folder", type=Path, help="keep the lakes and results here, and go on with what is here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        kind, numbers, snapshot, until = json.loads(args.child)
        stages(args.folder, {"Case": Case, "Alone": Alone}[kind](**numbers), snapshot, until)
        return 0
    if args.quick:
        args.sizes, args.added = [5_000, 20_000], 5_000
    if wrong := [size for size in (*args.sizes, args.added) if size <= 0 or size % 20]:
        parser.error(f"{wrong[0]:,} documents: give multiples of 20, because copies are planted in blocks of 20")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        check_disk(folder, sum(args.sizes) + 2 * args.added)
        return report(Run(folder.absolute(), args.minutes), sorted(args.sizes), args.added)


def report(run: Run, sizes: Sequence[int], added: int) -> int:
    from benchmarks._scale_report import lines

    largest = sizes[-1]
    cases = {size: Case(size) for size in sizes}
    first = {size: run.all_stages(case, OLD) for size, case in cases.items()}
    # The second snapshot comes into the lake of the largest corpus, which has finished the first one.
    alone = run.all_stages(Alone(added, largest), NEW)
    second = run.all_stages(Case(largest, added), NEW)
    header, rows, claims = lines(first, alone, second, added, STAGES, SUBSTRING)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the end\n\n{table(header, rows)}")
    return verdict([Claim(*claim[:-1], **claim[-1]) for claim in claims])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
