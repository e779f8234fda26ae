"""Near-duplicates cost a hundredth of datatrove's, an eighth of rensa's and a sixth of Daft's CPU time, and are right.

The corpus has 100,000 documents (300 MB) of this machine's documentation and sources; 15% of them are copies with
changes. Ours and six peers take turns. Each runs in a process of its own that reads and writes Parquet, and the CPU
time of its whole process tree counts, including start-up. All use 5-grams of words. The peers use 20 bands of 13 rows,
as Nemotron-CC publishes; ours uses its default, 32 bands of 8 rows with an exact check of the candidates. The code of
the assets over Delta tables and DuckDB ("delta"), which stores its results for later snapshots, may take twice the time
of ours. Of 200 documents, ours may take half a second, which is mostly its start.

The truth is every pair with a similarity of at least 0.8 (see _dedup_corpus.py). Recall is the share of true pairs
whose documents end up in one cluster. Precision is the share of removed documents that form a true pair with another
document of their cluster. For ours, every removed document must also name a kept document, and the two must be a true
pair with exactly the stated similarity.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._peers import peers_python
from benchmarks.harness import FOLDER, Claim, Measurement, measure, ratio, table, verdict

DATA = FOLDER / ".data"
MB = 1_000_000
PEERS = ("datatrove", "text-dedup", "datasketch", "gaoya", "rensa", "daft")
#: The same for all contenders: byte code is cached, nothing is downloaded or reported, one core and one allocator.
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "jemalloc",
}  # fmt: skip


def commands(names: Sequence[str]) -> dict[str, list[str]]:
    """The command that starts each contender; the source and the target are appended."""
    python = str(peers_python()) if set(names) & set(PEERS) else ""
    script = str(FOLDER / "_dedup_peers.py")
    ours = {
        "ours": [sys.executable, "-m", "benchmarks._dedup_ours"],
        "delta": [sys.executable, "-m", "benchmarks._dedup_delta"],
    }
    return {name: ours.get(name) or [python, script, name] for name in names}


def accuracy(place: Path, result: Path) -> tuple[float, float, int, str]:
    """(precision, recall, number of removed documents, an error).

    The error is "" or says what is wrong with a result that names the duplicate of each removed document.
    """
    import pyarrow.parquet as pq

    found = pq.read_table(result).to_pydict()
    truth = pq.read_table(place / "truth.parquet").to_pydict()
    pairs = dict(zip(zip(truth["left"], truth["right"], strict=True), truth["similarity"], strict=True))
    cluster = dict(zip(found["id"], found["cluster"], strict=True))
    removed = {id for id, gone in zip(found["id"], found["removed"], strict=True) if gone}
    if len(cluster) != pq.ParquetFile(place / "documents.parquet").metadata.num_rows:
        return 0.0, 0.0, 0, "the result does not have one row per document"
    together = [pair for pair in pairs if cluster[pair[0]] == cluster[pair[1]]]
    right = removed & {id for pair in together for id in pair}
    wrong = ""
    named = [found[name] for name in ("id", "duplicate_of", "similarity")] if "duplicate_of" in found else []
    for id, other, similarity in zip(*named, strict=True):
        if (other is None) != (id not in removed):
            wrong = f"document {id} is removed without a reason, or kept with one"
        elif other is not None and (
            other in removed or abs(pairs.get((min(id, other), max(id, other)), -1) - similarity) > 1e-12
        ):
            wrong = f"document {id} does not have the similarity {similarity} to {other}, or {other} is removed too"
    return len(right) / len(removed) if removed else 1.0, len(together) / len(pairs), len(removed), wrong


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dedup", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 documents, one round: under a minute, judges less")
    parser.add_argument("--documents", type=int, help="documents (default 100,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ours and the fast peers (default 3)")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=PEERS, help="run only these peers")
    parser.add_argument("--incremental", action="store_true", help="what a new snapshot costs (see _incremental.py)")
    options, rest = parser.parse_known_args(argv)
    if options.incremental:
        from benchmarks._incremental import main as incremental

        return incremental(["--quick", *rest] if options.quick else rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")

    from benchmarks._dedup_corpus import corpus

    documents = options.documents or (2_000 if options.quick else 100_000)
    rounds = 1 if options.quick else options.rounds
    print("Making the corpus and its truth, once ...", flush=True)
    place, small = corpus(DATA, documents), corpus(DATA, 200)
    source = place / "documents.parquet"
    import pyarrow.parquet as pq

    size = sum(len(text.as_py().encode()) for text in pq.read_table(source)["text"])
    pairs = pq.ParquetFile(place / "truth.parquet").metadata.num_rows
    print(f"{documents:,} documents, {size / MB:,.0f} MB of text, {pairs:,} pairs with J >= 0.8", flush=True)

    names = [*options.only, "ours", "delta"]
    how = commands(names)

    def run(name: str, place: Path = place) -> Measurement:
        files = [str(place / "documents.parquet"), str(place / f"{name}.parquet")]
        return measure([*how[name], *files], env=ENVIRONMENT, timeout=7200)

    for corpus_place in (small, place):
        if not (corpus_place / "lake").exists():
            measure([*how["delta"], str(corpus_place / "documents.parquet"), "lake"], env=ENVIRONMENT)
    for name in names:  # makes byte code and compiled kernels, which are made once per machine
        run(name, small)
    start = min(run("ours", small).cpu_seconds for _ in range(3))
    with tempfile.TemporaryDirectory() as empty:
        command = [*how["ours"], str(small / "documents.parquet"), f"{empty}/out.parquet"]
        compiling = measure(command, env={**ENVIRONMENT, "NUMBA_CACHE_DIR": empty}).cpu_seconds
    print(f"Compiling ours, once per machine, takes {compiling:.0f} CPU s.", flush=True)

    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for number in range(rounds):
        # The slow ones take minutes, so they run once.
        slow = [] if number else [name for name in names if name in ("datatrove", "text-dedup")]
        order = slow + [name for name in names if name not in ("datatrove", "text-dedup")]
        for name in order if number % 2 == 0 else reversed(order):
            measured[name].append(run(name))
            print(f"  {name}: {measured[name][-1].cpu_seconds:.2f} CPU s", flush=True)

    cpu = {name: [one.cpu_seconds for one in runs] for name, runs in measured.items()}
    judged = {name: accuracy(place, place / f"{name}.parquet") for name in names}
    rows = [
        (
            name,
            statistics.median(cpu[name]),
            size / MB / statistics.median(cpu[name]),
            f"{max(one.peak_rss for one in measured[name]) / MB:,.0f}",
            f"{judged[name][2]:,}",
            f"{judged[name][0]:.3f}",
            f"{judged[name][1]:.3f}",
        )
        for name in names
    ]
    print(table(("", "CPU s", "MB/s/core", "peak RSS MB", "removed", "precision", "recall"), rows))

    for name in ("ours", "delta"):
        if judged[name][3]:
            raise RuntimeError(f"{name} is wrong: {judged[name][3]}")
    precision, recall, *_ = judged["ours"]
    claims = [
        Claim("precision of ours", precision, at_least=0.99),
        Claim("recall of ours at J >= 0.8", recall, at_least=0.99),
        Claim("peak memory of ours", max(one.peak_rss for one in measured["ours"]) / 1e9, "GB", at_most=1.5),
        Claim("ours with 200 documents", start, "CPU s", at_most=0.5),
    ]
    # With a small corpus, the start of Python takes most of the time, so the quick run makes no claim about times.
    for peer, times in (("datatrove", 100), ("rensa", 8), ("daft", 6)) if documents >= 50_000 else ():
        if peer in names:
            value = ratio({name: cpu[name][: len(cpu[peer])] for name in (peer, "ours")}, peer, "ours")
            claims.append(Claim(f"CPU time of {peer} over ours", value, at_least=times))
    if documents >= 50_000:
        claims.append(Claim("CPU time of the assets over ours", ratio(cpu, "delta", "ours"), at_most=2))
    return verdict(claims)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
