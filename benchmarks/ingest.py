"""Storing a WARC file's pages in the lake keeps 0.25 of the rate of reading it and 0.6 of that of a plain Parquet file.

The WARC file is made of HTML pages from installed documentation and sources, in the layout of Common Crawl (one gzip
member per record; request, response and metadata records). Three contenders take turns, each in a process of its own,
and the CPU time of the work alone is compared. "read" iterates over the responses with fastwarc and reads their bodies.
"parquet" also writes the pages to one Parquet file with ZSTD. "store" is the code of the asset: it also decides the
fate and the encoding of every record, hashes, finds the length of each record, checks the table's contract and commits
to Delta.
"""

from __future__ import annotations

import argparse
import gzip
import html
import importlib
import json
import shutil
import statistics
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Claim, alternate, measure, ratio, table, verdict
from nemotron_assets.recipe import load_recipe
from nemotron_assets.warc.reader import sha1_digest

MB = 1_000_000
SNAPSHOT = "CC-MAIN-2000-01"
FILE = f"crawl-data/{SNAPSHOT}/segments/1/warc/made-from-documentation.warc.gz"
ENDINGS = {".html", ".htm", ".md", ".rst", ".txt", ".py", ".pyi", ".h", ".js", ".css", ".json", ".c", ".hpp"}


def texts() -> Iterator[tuple[str, str]]:
    """(path, text) of the documentation and sources on this machine, 4 to 400 kB each."""
    roots = ["/usr/share/doc", "/usr/share", sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    seen: set[Path] = set()
    for root in map(Path, roots):
        for path in root.rglob("*"):
            if path.suffix.lower() in ENDINGS and path not in seen and path.is_file() and not path.is_symlink():
                seen.add(path)
                if 4_000 <= path.stat().st_size <= 400_000:
                    yield str(path), path.read_text(errors="replace")


def page(title: str, text: str) -> bytes:
    """A plain HTML page around a text; a text that is HTML already stays as it is."""
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        return text.encode()
    paragraphs = "\n".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>'
    return f"<!doctype html><html><head>{head}</head><body>\n{paragraphs}\n</body></html>".encode()


def make(root: Path, size: int) -> tuple[int, int]:
    """Write a crawl with one WARC file of at least `size` compressed bytes; (number of pages, bytes of their HTML).

    If there are too few texts, they are used again under other addresses.
    """
    place = root / FILE
    place.parent.mkdir(parents=True)
    entry = {
        "id": SNAPSHOT,
        "name": "made from documentation",
        "from": "2000-01-01T00:00:00",
        "to": "2000-01-02T00:00:00",
    }
    (root / "collinfo.json").write_text(json.dumps([entry]))
    (root / "crawl-data" / SNAPSHOT / "warc.paths.gz").write_bytes(gzip.compress(FILE.encode() + b"\n"))
    began, pages, raw = datetime(2000, 1, 1, tzinfo=UTC), 0, 0

    def member(kind: str, url: str, block: bytes, payload: bytes = b"") -> bytes:
        date = (began + timedelta(seconds=pages)).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = "application/warc-fields" if kind == "metadata" else f"application/http; msgtype={kind}"
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: {date}\r\nWARC-Record-ID: <urn:x:{kind}{pages}>\r\n"
            f"WARC-Payload-Digest: {sha1_digest(payload)}\r\n"
            f"Content-Length: {len(block)}\r\nContent-Type: {content}\r\nWARC-Target-URI: {url}\r\n\r\n"
        )
        packer = zlib.compressobj(6, wbits=31)
        return packer.compress(head.encode() + block + b"\r\n\r\n") + packer.flush()

    with place.open("wb") as out:
        turn = 0
        while out.tell() < size:
            for path, text in texts():
                url = f"https://host{hash(path) % 997}.example/{turn}{path}"
                body = page(path, text)
                answer = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                out.write(member("request", url, b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n"))
                out.write(member("response", url, answer.encode() + body, body))
                out.write(member("metadata", url, b"fetchTimeMs: 1\r\n"))
                pages, raw = pages + 1, raw + len(body)
                if out.tell() >= size:
                    break
            turn += 1
            if not pages:
                raise SystemExit("this machine has no documentation to make pages from; install some in /usr/share/doc")
    return pages, raw


def read(root: Path, lake: Path) -> int:
    """Read the body of every response with fastwarc."""
    from fastwarc import ArchiveIterator, WarcRecordType

    pages = 0
    for record in ArchiveIterator(str(root / FILE), record_types=WarcRecordType.response):
        record.reader.read()
        pages += 1
    return pages


def parquet(root: Path, lake: Path) -> int:
    """Read the pages with fastwarc and write them to one Parquet file with the lake's compression."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from fastwarc import ArchiveIterator, WarcRecordType

    schema = pa.schema(
        [("url", pa.large_string()), ("fetched_at", pa.timestamp("us", "UTC")), ("status", pa.int32()),
         ("mime", pa.large_string()), ("charset", pa.large_string()), ("html", pa.large_binary())]
    )  # fmt: skip
    level = load_recipe("laptop").storage.compression_level
    lake.mkdir()

    def batch(rows: list[tuple]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True)
        return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)

    pages, rows = 0, []
    with pq.ParquetWriter(lake / "pages.parquet", schema, compression="zstd", compression_level=level) as writer:
        for record in ArchiveIterator(str(root / FILE), record_types=WarcRecordType.response):
            rows.append(
                (
                    record.headers["WARC-Target-URI"],
                    record.record_date,
                    record.http_headers.status_code,
                    record.http_content_type,
                    record.http_charset,
                    record.reader.read(),
                )
            )
            pages += 1
            if len(rows) == 4096:
                writer.write_batch(batch(rows))
                rows = []
        if rows:
            writer.write_batch(batch(rows))
    return pages


def store(root: Path, lake: Path) -> int:
    """Run the code of the asset snapshots/pages."""
    from nemotron_assets.snapshots.pages import snapshot_parts
    from nemotron_assets.snapshots.tables import PAGES
    from resources.crawl import Crawl
    from resources.lakehouse import Lakehouse

    recipe = load_recipe("laptop")
    house = Lakehouse(root=str(lake), **recipe.storage.model_dump(exclude={"batch_rows"}))
    parts = snapshot_parts(
        SNAPSHOT, recipe.snapshots.pages, Crawl(source=str(root)), house, "benchmark", lambda message: None
    )
    return house.write(PAGES, parts, partition=SNAPSHOT).rows


CONTENDERS = {"read": read, "parquet": parquet, "store": store}
NAMES = {
    "read": "fastwarc, reading only",
    "parquet": "fastwarc + plain Parquet",
    "store": "snapshots/pages in the lake",
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a file of 40 MB: under a minute")
    parser.add_argument("--rounds", type=int, help="rounds (default 3)")
    parser.add_argument("--folder", type=Path, help="where to put 2 GB of files (default: the temporary folder)")
    parser.add_argument("--child", nargs=3, metavar=("CONTENDER", "ROOT", "LAKE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        contender, root, lake = options.child
        # Loading libraries is not part of the rate, because a real WARC file is much larger.
        for name in (
            "deltalake",
            "fastwarc",
            "polars",
            "pyarrow.dataset",
            "pyarrow.parquet",
            "nemotron_assets.snapshots.pages",
        ):
            importlib.import_module(name)
        began = time.process_time()
        pages = CONTENDERS[contender](Path(root), Path(lake))
        print(pages, time.process_time() - began)
        return 0

    folder = Path(tempfile.mkdtemp(prefix="nemotron-ingest-", dir=options.folder))
    peak = dict.fromkeys(CONTENDERS, 0)
    try:
        pages, raw = make(folder / "crawl", (40 if options.quick else 300) * MB)
        size = (folder / "crawl" / FILE).stat().st_size
        print(f"{size / MB:,.0f} MB of WARC, {pages:,} pages, {raw / MB:,.0f} MB of HTML", flush=True)

        def rate(contender: str) -> float:
            """Pages per CPU second."""
            lake = folder / "lake"
            shutil.rmtree(lake, ignore_errors=True)
            command = [
                sys.executable,
                "-m",
                "benchmarks.ingest",
                "--child",
                contender,
                str(folder / "crawl"),
                str(lake),
            ]
            done = measure(command, env={"NEMOTRON_HOME": str(folder / "home")})
            found, seconds = done.output.split()[-2:]
            if int(found) != pages:
                raise RuntimeError(f"{NAMES[contender]} found {found} pages, not {pages}")
            peak[contender] = max(peak[contender], done.peak_rss)
            return pages / float(seconds)

        rounds = options.rounds or 3
        figures = alternate(rounds, **{name: lambda name=name: rate(name) for name in CONTENDERS})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [
        (
            NAMES[name],
            f"{statistics.median(f):,.0f}",
            f"{min(f):,.0f} to {max(f):,.0f}",
            f"{statistics.median(f) * raw / pages / MB:,.0f}",
            f"{peak[name] / MB:,.0f}",
        )
        for name, f in figures.items()
    ]
    print(table(("", "pages/s/core", "of the rounds", "MB of HTML/s/core", "peak RSS MB"), rows))
    for other in ("read", "parquet"):
        each = [a / b for a, b in zip(figures["store"], figures[other], strict=True)]
        print(f"store / {other}: {min(each):.2f} to {max(each):.2f} over {rounds} rounds")
    return verdict(
        [
            Claim(f"share of the rate of: {NAMES['read']}", ratio(figures, "store", "read"), at_least=0.25),
            Claim(f"share of the rate of: {NAMES['parquet']}", ratio(figures, "store", "parquet"), at_least=0.6),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
