"""Searching a text for repeated spans costs the same CPU and memory in 16 chunks of a snapshot as in one.

Lakes of 1, 2, 4, 8 and 16 chunks of text are made, 16 MB a chunk (2 with --quick), in documents of about 3 kB with
20 documents a host. The code of `web.repeated_spans` runs on each of them in a process of its own, in this process
alone and, for the largest lake, with two workers. The CPU time is that of the step, its workers included, without the
start of the process; memory is the peak of the whole process tree.

Every fifth document ends with one of the two notices of its host. The first document with a notice keeps it, the others
must have it cut out, and no other document may have a span: found and expected spans are compared one by one. Hosts
fill the chunks unevenly. A chunk with more than its text is searched in pieces, and the notices of the host at the
border of two pieces may be missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from benchmarks.harness import Claim, Measurement, measure, table, verdict

SNAPSHOT = "CC-MAIN-2025-08"
CHUNKS = (1, 2, 4, 8, 16)
CHARACTERS, OF_HOST, WITH_NOTICE = 3_000, 20, 5
NOTICE = 400
FILE_ROWS = 5_000
MEMORY_MB = 64  # so that the texts that wait for their files do not all fit into memory
START = datetime(2025, 2, 1, tzinfo=UTC)


def make(root: str, characters: int) -> None:
    """Write `web.documents` with so many characters, all documents in the order of their numbers."""
    import numpy as np
    import polars as pl

    from nemotron_assets.table.ids import content_hash, row_id
    from nemotron_assets.table.parts import Part, Parts
    from nemotron_assets.web.tables import DOCUMENTS
    from resources.lakehouse import Lakehouse

    chance = np.random.default_rng(0)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    words = np.array(["".join(map(chr, chance.choice(letters, size))) for size in chance.integers(3, 10, 20_000)])
    count = characters // CHARACTERS

    def text(number: int) -> str:
        own = np.random.default_rng([1, number])
        body = " ".join(words[own.integers(0, words.size, CHARACTERS // 6)])
        if number % WITH_NOTICE:
            return body[:CHARACTERS]
        notice = np.random.default_rng([2, number // OF_HOST, number // WITH_NOTICE % 2])
        return f"{body[: CHARACTERS - NOTICE]}\n{' '.join(words[notice.integers(0, words.size, NOTICE)])[:NOTICE]}"

    def frame(file: int) -> pl.DataFrame:
        numbers = range(file * FILE_ROWS, min(count, (file + 1) * FILE_ROWS))
        texts = [text(number) for number in numbers]
        rows = {
            "id": [row_id(DOCUMENTS.full_name, number) for number in numbers],
            "parents": [[f"page {number}"] for number in numbers],
            "snapshot": SNAPSHOT,
            "warc_file": f"{file:05}",
            "url": [f"http://h{number // OF_HOST}.example/{number}" for number in numbers],
            "host": [f"h{number // OF_HOST}.example" for number in numbers],
            "fetched_at": [START + timedelta(seconds=number) for number in numbers],
            "language": "en",
            "language_score": 1.0,
            "title": pl.Series([None] * len(texts), dtype=pl.String),
            "text": texts,
            "characters": [len(text) for text in texts],
            "content_hash": [content_hash(text) for text in texts],
        }
        return pl.DataFrame(rows, schema_overrides={"fetched_at": pl.Datetime("us", "UTC")}).select(
            DOCUMENTS.column_names
        )

    files = range(-(-count // FILE_ROWS))
    parts = (Part(f"{file:05}", "", lambda file=file: frame(file)) for file in files)
    Lakehouse(root=root, free_disk_mb=0).write(DOCUMENTS, Parts(parts), SNAPSHOT)


def search(root: str, chunk_mb: Fraction, workers: int) -> None:
    """Make `web.repeated_spans`; print the CPU seconds, the seconds, and how many rows are right, wrong and missing."""
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.web.dedup.substring import CascadingSpans
    from nemotron_assets.web.dedup.tables import REPEATED_SPANS
    from resources.compute import Compute
    from resources.lakehouse import Lakehouse

    lake, web = Lakehouse(root=root, free_disk_mb=0), load_recipe("laptop").web
    recipe = web.substring.model_copy(update={"chunk_mb": chunk_mb, "boundary": "character"})
    dedup = web.dedup.model_copy(update={"memory_mb": MEMORY_MB})
    compute = Compute(workers=workers) if workers else None
    # The first search of a process loads libraries and compiled kernels; this is not counted.
    warm = Lakehouse(root=str(Path(root).with_name("warm")), free_disk_mb=0)
    for part in CascadingSpans(warm, SNAPSHOT, recipe, dedup).parts().parts:
        for _ in part.make():
            pass
    before, started = _cpu(), time.perf_counter()
    lake.write(REPEATED_SPANS, CascadingSpans(lake, SNAPSHOT, recipe, dedup, compute).parts(), SNAPSHOT)
    seconds, spent = time.perf_counter() - started, _cpu() - before
    rows = lake.read(REPEATED_SPANS).scan().select("parents", "first_document").collect()
    found = {(parents[0], first) for parents, first in rows.iter_rows()}
    expected = set(_expected(lake.read(_documents()).rows))
    print("RESULT", spent, seconds, len(found & expected), rows.height - len(found & expected), len(expected - found))


def _documents():
    from nemotron_assets.web.tables import DOCUMENTS

    return DOCUMENTS


def _cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _expected(count: int) -> Iterator[tuple[str, str]]:
    """(document, first document) of every notice that repeats another one."""
    from nemotron_assets.table.ids import row_id

    first: dict[tuple[int, int], int] = {}
    name = _documents().full_name
    for number in range(0, count, WITH_NOTICE):
        earlier = first.setdefault((number // OF_HOST, number // WITH_NOTICE % 2), number)
        if earlier != number:
            yield row_id(name, number), row_id(name, earlier)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="substring", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 MB of text a chunk: judges the spans, not the rates")
    parser.add_argument("--chunk-mb", type=int, help="text a chunk in MB (default 16)")
    parser.add_argument("--child", nargs=3, metavar=("STEP", "ROOT", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    chunk_mb = options.chunk_mb or (2 if options.quick else 16)
    if options.child:
        step, root, size = options.child
        make(root, int(size)) if step == "make" else search(root, Fraction(int(size)), options.workers)
        return 0

    rows, found, command = [], {}, [sys.executable, "-m", "benchmarks.substring"]
    with tempfile.TemporaryDirectory(prefix="nemotron-substring-") as folder:
        env = {"NEMOTRON_HOME": f"{folder}/home", "POLARS_MAX_THREADS": "2"}

        def run(step: str, chunks: int | str, size: int, *more: str) -> Measurement:
            return measure([*command, "--child", step, f"{folder}/{chunks}", str(size), *more], env=env)

        run("make", "warm", 1_000_000)
        run("search", "warm", 1)  # compiles the kernels, once per machine
        for chunks in CHUNKS:
            # A little less text than the chunks hold; hosts fill them unevenly, and a larger one is searched in pieces.
            run("make", chunks, int(chunk_mb * 1_000_000 * (chunks - 0.05)))
            for workers in (0, 2) if chunks == CHUNKS[-1] else (0,):
                if workers:
                    _forget(Path(folder, str(chunks), "web", "repeated_spans"))
                done = run("search", chunks, chunk_mb, "--workers", str(workers))
                cpu, seconds, right, wrong, missing = map(float, done.output.split("RESULT")[1].split())
                count = int(chunk_mb * 1_000_000 * (chunks - 0.05)) // CHARACTERS
                found[chunks, workers] = cpu / count, done.peak_rss, right, wrong, missing
                figures = (cpu, 1e6 * cpu / count, seconds, done.peak_rss / 1e6, int(right), int(wrong), int(missing))
                rows.append((chunks, workers or "this process", f"{count:,}", *figures))
                print(f"{chunks} chunks, {workers} workers: {cpu:.1f} CPU s", flush=True)
    header = ("chunks", "workers", "documents", "CPU s", "µs/document", "s", "peak RSS MB", "right", "wrong", "missing")
    print(table(header, rows))
    right = sum(f[2] for f in found.values())
    few, many = found[CHUNKS[0], 0], found[CHUNKS[-1], 0]
    claims = [
        Claim("spans that are wrong", sum(f[3] for f in found.values()), at_most=0),
        Claim("spans that are found", right / (right + sum(f[4] for f in found.values())), at_least=0.98),
    ]
    if not options.quick:
        growth = max(figures[0] for (_, workers), figures in found.items() if not workers) / few[0]
        claims.append(Claim("CPU per document, the worst against one chunk", growth, at_most=1.15))
        claims.append(Claim("peak memory of 16 chunks against 2", many[1] / found[2, 0][1], at_most=1.15))
    return verdict(claims)


def _forget(table_folder: Path) -> None:
    """Delete a table, so that it is made again."""
    import shutil

    shutil.rmtree(table_folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
