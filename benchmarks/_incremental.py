"""Adding 10,000 documents costs the same whether 10,000, 100,000 or 300,000 are already in the lake.

The benchmark runs the code of the assets over Delta tables: signatures, verified pairs within the new snapshot and with
the old one, and duplicates. New snapshots of one size are added to old snapshots of several sizes. The old snapshots
are deduplicated first, which gives their cost. The cost of the new snapshot has two parts: the scan of the old
documents (their bands, hashes and ids), which must grow with their number; and everything else. What the same scan
costs over 200 old documents is the time to open tables; it counts as everything else. All times are CPU times of the
whole process, in which nothing else runs, as medians over rounds in which the sizes take turns.

Texts are pieces of this machine's documentation, about 3 kB each, with every third word replaced, so that any number of
texts can be made that are not similar. Of the new texts, 12% are changed copies of old texts (Jaccard similarity 0.6 to
0.95), 6% are changed copies of each other, and 2% are exact copies, whatever the number of old texts.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Claim, machine, table, verdict
from benchmarks.ingest import texts

NEW, OLD = "CC-MAIN-2025-08", "CC-MAIN-2024-51"
CHANGED_OLD, CHANGED_NEW, EXACT = 0.12, 0.06, 0.02
CHARACTERS, SPREAD = 2_650, 0.6
REPLACED = 0.35
FILE_ROWS = 25_000  # about what one of Common Crawl's WARC files leaves
STAGES = ("signatures", "near_duplicates", "duplicates")


def pieces(most: int, seed: int) -> list[list[str]]:
    """Pieces of the documentation and sources on this machine: whole lines, of log-normal length, split into words."""
    chance, found = random.Random(seed), []
    files = sorted(texts())
    chance.shuffle(files)
    for _, text in files:
        lines, size = [], 0
        wanted = chance.lognormvariate(0, SPREAD) * CHARACTERS
        for line in text.splitlines(keepends=True):
            if max(map(len, line.split(" "))) > 40:  # data, or a program in one line
                continue
            lines.append(line)
            size += len(line)
            if size >= wanted:
                found.append([word for line in lines for word in line.split(" ")])
                lines, size, wanted = [], 0, chance.lognormvariate(0, SPREAD) * CHARACTERS
        if len(found) >= most:
            return found[:most]
    if len(found) < most // 20:
        raise SystemExit("this machine has too little documentation to make texts from; install more in /usr/share/doc")
    return found


def fresh(chance: random.Random, pool: list[list[str]]) -> str:
    """A piece with so many words replaced that it is not similar to other texts made from the same piece."""
    words, others = pool[int(chance.random() * len(pool))], pool[int(chance.random() * len(pool))]
    return " ".join(
        [others[int(chance.random() * len(others))] if chance.random() < REPLACED else word for word in words]
    )


def changed(text: str, chance: random.Random) -> str:
    """A copy with single words replaced; its similarity to the text is about a random number between 0.6 and 0.95."""
    share = 1 - 2 / (1 + 1 / chance.uniform(0.6, 0.95))
    each = 1 - (1 - share) ** (1 / 5)
    words = [f"word{chance.randrange(10**6)}" if chance.random() < each else word for word in text.split(" ")]
    return " ".join(words)


def old_texts(count: int, pool: list[list[str]]) -> Iterator[str]:
    chance = random.Random(3)
    return (fresh(chance, pool) for _ in range(count))


def new_texts(count: int, olds: list[str], pool: list[list[str]]) -> list[str]:
    """The texts of the new snapshot; `olds` are a random sample of the old texts."""
    chance, made = random.Random(4), list[str]()
    for number in range(count):
        draw = number / count
        if draw < CHANGED_OLD:
            made.append(changed(chance.choice(olds), chance))
        elif draw < CHANGED_OLD + EXACT:
            made.append(chance.choice(olds))
        elif draw < 1 - CHANGED_NEW:
            made.append(fresh(chance, pool))
        else:
            made.append(changed(chance.choice(made[int(count * (CHANGED_OLD + EXACT)) :]), chance))
    chance.shuffle(made)
    return made


def documents(snapshot: str, made: Iterator[str]):
    """The texts as parts of `web.documents`, one part per WARC file."""
    import polars as pl

    from nemotron_assets.table.ids import content_hash, row_id
    from nemotron_assets.table.parts import Part, Parts
    from nemotron_assets.web.tables import DOCUMENTS

    began = datetime(2025, 1, 1, tzinfo=UTC)

    def frame(file: str, first: int, some: list[str]) -> pl.DataFrame:
        rows = range(first, first + len(some))
        return pl.DataFrame(
            {
                "id": [row_id(DOCUMENTS.full_name, snapshot, row) for row in rows],
                "parents": [[row_id("snapshots.pages", snapshot, row)] for row in rows],
                "snapshot": snapshot,
                "warc_file": file,
                "url": [f"https://host{row % 997}.example/{row}" for row in rows],
                "host": [f"host{row % 997}.example" for row in rows],
                "fetched_at": [began + timedelta(seconds=row) for row in rows],
                "language": "en",
                "language_score": 1.0,
                "title": "a page",
                "text": some,
                "characters": [len(text) for text in some],
                "content_hash": [content_hash(text) for text in some],
            },
            schema_overrides={"fetched_at": pl.Datetime("us", "UTC")},
        ).select(DOCUMENTS.column_names)

    def parts() -> Iterator[Part]:
        for number in itertools.count():
            some = list(itertools.islice(made, FILE_ROWS))
            if not some:
                return
            file = f"file-{number:05}"
            yield Part(file, "1", lambda file=file, some=some, number=number: frame(file, number * FILE_ROWS, some))

    return Parts(parts())


class Timed:
    """CPU seconds of this process by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], object]) -> object:
        began = time.process_time()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began
        return result


def deduplicate(lake, snapshot: str, recipe) -> dict[str, float]:
    """CPU seconds of each stage of one snapshot; every stage is run, even if its result is in the lake."""
    from nemotron_assets.dedup.duplicates import duplicates_of
    from nemotron_assets.dedup.near import SnapshotPairs
    from nemotron_assets.dedup.signatures import signature_parts
    from nemotron_assets.dedup.sorted_bands import forget
    from nemotron_assets.table.parts import Parts
    from nemotron_assets.web.dedup.tables import CORPUS, DUPLICATES, NEAR_DUPLICATES, SIGNATURES
    from nemotron_assets.web.tables import DOCUMENTS

    timed = Timed()
    work = {
        "signatures": lambda: lake.write(
            SIGNATURES, signature_parts(lake.read(DOCUMENTS, snapshot), recipe, SIGNATURES), snapshot, force=True
        ),
        "near_duplicates": lambda: lake.write(
            NEAR_DUPLICATES, Parts(SnapshotPairs(lake, snapshot, recipe, CORPUS).parts()), snapshot, force=True
        ),
        "duplicates": lambda: lake.write(DUPLICATES, duplicates_of(snapshot, lake, recipe, CORPUS), snapshot),
    }
    if lake.read(SIGNATURES, snapshot).rows:
        forget(lake.read(SIGNATURES, snapshot))  # so that the bands are sorted in each round
    for stage in STAGES:
        timed(stage, work[stage])
    return timed.seconds


def scans(lake, recipe) -> dict[str, float]:
    """CPU seconds of each scan of the old documents that a new snapshot needs."""
    import polars as pl

    from nemotron_assets.dedup import candidates
    from nemotron_assets.dedup.bloom import BloomFilter
    from nemotron_assets.dedup.hashes import leading
    from nemotron_assets.dedup.linkage import DOCUMENT_COLUMNS
    from nemotron_assets.dedup.sorted_bands import sorted_bands
    from nemotron_assets.web.dedup.tables import NEAR_DUPLICATES, SIGNATURES
    from nemotron_assets.web.tables import DOCUMENTS

    timed = Timed()
    signatures, documents = lake.read(SIGNATURES), lake.read(DOCUMENTS)
    new, old = (sorted_bands(signatures.within(snapshot), recipe.memory_mb) for snapshot in (NEW, OLD))
    timed("bands", lambda: candidates.candidates(new, old, recipe.max_bucket, recipe.memory_mb))
    hashes = documents.within(NEW).scan().select("content_hash").collect()["content_hash"]
    seen = BloomFilter(len(hashes))
    seen.add(leading(hashes))

    def same() -> int:
        batches = documents.within(OLD).batches(DOCUMENT_COLUMNS, batch_size=65_536, keep_memory=True)
        return sum(len(seen.find(leading(pl.Series(batch.column("content_hash"))))) for batch in batches)

    timed("hashes", same)
    wanted = lake.read(NEAR_DUPLICATES, NEW).scan().select(pl.col("parents").list.last()).collect()["parents"]
    ids = documents.within(OLD).scan().select("id").filter(pl.col("id").is_in(wanted.implode()))
    timed("ids", lambda: len(ids.collect()))
    return timed.seconds


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--new", type=int, default=10_000, help="documents added")
    parser.add_argument("--old", type=int, nargs="+", default=[10_000, 100_000, 300_000], help="documents there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2,000 onto 2,000, 6,000 and 20,000")
    parser.add_argument("--folder", type=Path, help="keep the lakes here, to be used again")
    args = parser.parse_args(argv)
    if args.quick:
        args.new, args.old, args.rounds = 2_000, [2_000, 6_000, 20_000], 3
    with tempfile.TemporaryDirectory() as temporary:
        return compare(args.folder or Path(temporary), args.new, sorted(args.old), args.rounds)


def fill(folder: Path, new: int, old: int, pool: list[list[str]], recipe) -> tuple[object, dict[str, float]]:
    """(a lake with `old` and `new` deduplicated documents, CPU seconds per stage of deduplicating the old ones)."""
    from nemotron_assets.web.dedup.tables import DUPLICATES
    from nemotron_assets.web.tables import DOCUMENTS
    from resources.lakehouse import Lakehouse

    place = folder / f"{new}-onto-{old}"
    lake = Lakehouse(root=str(place / "lake"), row_group_mb=32, compression_level=1)
    chosen = dict.fromkeys(random.Random(5).sample(range(old), min(old, new)), "")

    def remembered() -> Iterator[str]:
        for row, text in enumerate(old_texts(old, pool)):
            if row in chosen:
                chosen[row] = text
            yield text

    lake.write(DOCUMENTS, documents(OLD, remembered()), OLD)
    costs = deduplicate(lake, OLD, recipe)
    lake.write(DOCUMENTS, documents(NEW, iter(new_texts(new, list(chosen.values()), pool))), NEW)
    deduplicate(lake, NEW, recipe)
    print(f"{old:,} documents: deduplicated in {sum(costs.values()):.3g} CPU s", file=sys.stderr, flush=True)
    assert lake.read(DUPLICATES, NEW).rows
    return lake, costs


def compare(folder: Path, new: int, olds: Sequence[int], rounds: int) -> int:
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.web.dedup.tables import DUPLICATES, NEAR_DUPLICATES

    recipe = load_recipe("laptop").web.dedup
    pool = pieces(20_000 if new > 5_000 else 6_000, seed=1)
    # Filling a small lake also compiles and loads everything before it is measured.
    few, _ = fill(folder / "few", new, min(200, new), pool, recipe)
    lakes, costs = {}, {}
    for old in olds:
        lakes[old], costs[old] = fill(folder, new, old, pool, recipe)
    figures: dict[int, list[dict[str, float]]] = {old: [] for old in olds}
    opening: dict[str, float] = {}
    for number in range(rounds):
        for name, seconds in scans(few, recipe).items():
            opening[name] = min(seconds, opening.get(name, seconds))
        for old in olds if number % 2 == 0 else reversed(olds):
            stages = deduplicate(lakes[old], NEW, recipe)
            scan = {name: max(0.0, seconds - opening[name]) for name, seconds in scans(lakes[old], recipe).items()}
            of_scan = {"signatures": 0.0, "near_duplicates": scan["bands"] + scan["ids"], "duplicates": scan["hashes"]}
            rest = {f"{stage}, the rest": stages[stage] - of_scan[stage] for stage in STAGES}
            figures[old].append(
                {
                    **{f"scan of {name}": seconds for name, seconds in scan.items()},
                    **rest,
                    "scan": sum(scan.values()),
                    "everything else": sum(rest.values()),
                }
            )
    middle = {
        old: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for old, found in figures.items()
    }
    names = list(middle[olds[0]])
    rows = [
        [
            f"{old:,}",
            *(middle[old][name] for name in names),
            sum(costs[old].values()),
            100 * middle[old]["scan"] / sum(costs[old].values()),
            lakes[old].read(NEAR_DUPLICATES, NEW).rows,
            lakes[old].read(DUPLICATES, NEW).rows,
        ]
        for old in olds
    ]
    header = [
        "documents there",
        *(f"{name}, CPU s" for name in names),
        "deduplicating the old ones, CPU s",
        "scan, % of that",
        "pairs found",
        "documents dropped",
    ]
    print(f"{new:,} documents added, {rounds} rounds; {machine()}\n\n{table(header, rows)}")
    least, most = olds[0], olds[-1]
    flat = statistics.median(
        large["everything else"] / small["everything else"]
        for small, large in zip(figures[least], figures[most], strict=True)
    )
    growth = middle[most]["scan"] / middle[least]["scan"] / (most / least)
    share = max(middle[old]["scan"] / sum(costs[old].values()) for old in olds)
    return verdict(
        [
            Claim(f"everything but the scan, {most:,} against {least:,} documents there", flat, "times", at_most=1.2),
            Claim("growth of the scan, per growth of what is there", growth, "", at_most=1.0),
            Claim("scan, of what deduplicating the old documents cost", share, "", at_most=0.02),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
