"""The corpus of the deduplication benchmark and the truth about it.

The documents are pieces of this machine's documentation and sources, some of them copied with changes. The truth is
every pair of documents with a Jaccard similarity of at least 0.8.

The truth is computed without the code that it judges. Words come from a regular expression, shingles are hashed by
tabulation (five tables of random numbers, one per position), and pairs are found by prefix filtering (Bayardo et al.
2007), which is exact: if two sets are similar enough, they share one of their rarest shingles. So the truth has the
planted near-duplicates and the natural ones, of which software documentation has many.
"""

from __future__ import annotations

import itertools
import random
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ingest import texts

THRESHOLD = 0.8
SHINGLE = 5
#: Share of the documents that are planted copies.
PLANTED_SHARE = 0.15
PLANTED_SIMILARITY = (0.6, 0.95)
MEDIAN_CHARACTERS, SPREAD = 2650, 0.6
MIN_WORDS = 40
VERSION = 1


def corpus(folder: Path, documents: int, seed: int = 1) -> Path:
    """The folder with documents.parquet (id, text) and truth.parquet (left < right, similarity); made if missing."""
    place = folder / f"dedup-{documents}-v{VERSION}"
    if not place.is_dir():
        started = place.with_suffix(".unfinished")
        shutil.rmtree(started, ignore_errors=True)
        started.mkdir(parents=True)
        _make(started, documents, seed)
        started.rename(place)
    return place


def _make(place: Path, documents: int, seed: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    planted = round(documents * PLANTED_SHARE)
    originals = list(itertools.islice(_pieces(random.Random(seed)), documents - planted))
    if len(originals) < documents - planted:
        raise SystemExit(
            f"The documentation and sources on this machine make only {len(originals):,} different pieces of text; "
            f"{documents - planted:,} are needed. Install more documentation or ask for fewer documents."
        )
    chance = random.Random(seed + 1)
    words = [word for text in chance.sample(originals, min(2000, len(originals))) for word in _split(text)]
    copies = [_changed(chance.choice(originals), words, chance) for _ in range(planted)]
    everything = originals + copies
    random.Random(seed + 2).shuffle(everything)
    table = pa.table(
        {"id": pa.array(range(len(everything)), pa.int64()), "text": pa.array(everything, pa.large_string())}
    )
    pq.write_table(table, place / "documents.parquet", compression="zstd", compression_level=1, row_group_size=10_000)
    left, right, similarity = truth(everything, np.random.default_rng(seed))
    pq.write_table(pa.table({"left": left, "right": right, "similarity": similarity}), place / "truth.parquet")


def _pieces(chance: random.Random) -> Iterator[str]:
    """Different pieces of files in random order: whole lines, of log-normal length."""
    files = list(texts())
    files.sort()
    chance.shuffle(files)
    seen = set()
    for _, text in files:
        lines = text.splitlines(keepends=True)
        at = 0
        while at < len(lines):
            size, wanted, first = 0, chance.lognormvariate(0, SPREAD) * MEDIAN_CHARACTERS, at
            while at < len(lines) and size < wanted:
                size += len(lines[at])
                at += 1
            piece = "".join(lines[first:at]).strip()
            if size > 20 * MEDIAN_CHARACTERS or hash(piece) in seen or len(_split(piece)) < MIN_WORDS:
                continue
            if not piece.isascii() and any(unicodedata.category(character) == "Cn" for character in set(piece)):
                continue  # the peers may know these characters, this Python does not
            seen.add(hash(piece))
            yield piece


def _changed(text: str, words: list[str], chance: random.Random) -> str:
    """A copy whose similarity to the text is about a random number of the wanted range.

    Either single words everywhere are replaced, or a passage is cut out and another one is inserted elsewhere.
    """
    wanted = chance.uniform(*PLANTED_SIMILARITY)
    share = (1 - wanted) / (1 + wanted)  # of the shingles of each text that the other text lacks
    if chance.random() < 0.7:
        each = 1 - (1 - share) ** (1 / SHINGLE)
        return _pattern().sub(lambda word: chance.choice(words) if chance.random() < each else word[0], text)
    pieces = text.split(" ")
    size = round(share * len(pieces))
    cut = chance.randrange(len(pieces) - size + 1)
    rest = pieces[:cut] + pieces[cut + size :]
    put = chance.randrange(len(rest) + 1)
    return " ".join(rest[:put] + chance.sample(words, min(size, len(words))) + rest[put:])


def _pattern():
    import regex

    return regex.compile(r"[\p{L}\p{M}\p{N}]+")


def _split(text: str) -> list[str]:
    """The words of a text, lower-cased code point by code point (see nemotron_assets/dedup/shingles.py)."""
    if "Σ" in text or "İ" in text:
        lowered = "".join(character.lower()[0] for character in text)
    else:
        lowered = text.lower()
    return _pattern().findall(lowered)


def truth(documents: list[str], random_numbers):
    """Every pair with a similarity of at least THRESHOLD, as arrays left < right (int64) and similarity (float64)."""
    import numpy as np

    numbers: dict[str, int] = defaultdict(itertools.count().__next__)
    words = [np.fromiter(map(numbers.__getitem__, _split(text)), np.int64) for text in documents]
    tables = random_numbers.integers(0, 2**64, (SHINGLE, len(numbers)), np.uint64)
    sets = []
    for document in words:
        size = min(SHINGLE, len(document))
        count = len(document) - size + 1 if size else 0
        shingles = np.zeros(count, np.uint64)
        for place in range(size):
            shingles ^= tables[place][document[place : place + count]]
        sets.append(np.unique(shingles))
    del words, tables, numbers

    sizes = np.array([len(one) for one in sets])
    owner = np.repeat(np.arange(len(sets)), sizes)
    _, inverse, counts = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    shared = counts[inverse] > 1
    owner, token = owner[shared], inverse[shared]
    del inverse, shared
    # The rarest shingles of a document come first. Shingles of a single document would come before all others, but they
    # were left out, because they cannot match.
    order = np.lexsort((token, counts[token], owner))
    owner, token = owner[order], token[order]
    start = np.searchsorted(owner, np.arange(len(sets) + 1))
    kept = []
    for document, size in enumerate(sizes.tolist()):
        prefix = size - int(np.ceil(THRESHOLD * size - 1e-9)) + 1
        alone = size - (start[document + 1] - start[document])
        kept.append(np.arange(start[document], start[document] + max(0, prefix - alone)))
    kept = np.concatenate(kept)
    lists = np.lexsort((owner[kept], token[kept]))
    owner, token = owner[kept][lists], token[kept][lists]
    pairs = set()
    for members in np.split(owner, np.flatnonzero(np.diff(token)) + 1):
        for left, right in itertools.combinations(members.tolist(), 2):
            if min(sizes[left], sizes[right]) >= THRESHOLD * max(sizes[left], sizes[right]) - 1e-9:
                pairs.add((left, right))
    found = []
    for left, right in sorted(pairs):
        common = len(np.intersect1d(sets[left], sets[right], assume_unique=True))
        similarity = common / (len(sets[left]) + len(sets[right]) - common)
        if similarity >= THRESHOLD:
            found.append((left, right, similarity))
    left, right, similarity = zip(*found, strict=True) if found else ((), (), ())
    return np.array(left, np.int64), np.array(right, np.int64), np.array(similarity, np.float64)
