"""Finds duplicate files over all repositories, and decides which copy is kept.

Exact duplicates have the same text; near duplicates are found by MinHash and verified. All files have an order of
precedence. A file comes earlier than another one by the first of these criteria in which the two differ:

1. No path rule drops it (path_rules.py): a copy in `vendor/` must not replace the library that it was copied from.
2. Its licence has fewer conditions (MIT before GPL-3.0-only).
3. Its commit is newer.
4. Its version is higher.
5. Its repository has more files.
6. Its repository, commit or path comes first in the alphabet.

The first of several equal texts is kept. A text is dropped as a near duplicate if it is similar to an earlier text that
is kept itself. The column `why` names the criterion.

DuckDB sorts the files and joins the MinHash bands, within its memory limit; what does not fit goes to the disk. The
exact similarity of a candidate pair is computed from the two texts, which are read again, for as many pairs at a time
as fit into memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.dedup.clusters import direct
from nemotron_assets.dedup.jaccard import containment, jaccard
from nemotron_assets.dedup.minhash import NO_BAND, bands, sign
from nemotron_assets.dedup.shingles import Shingling, shingle_sets
from nemotron_assets.dedup.workspace import load, workspace
from nemotron_assets.recipe.code.sources import CodeDedup
from nemotron_assets.table.ids import row_id
from resources.lakehouse import Reader

if TYPE_CHECKING:
    import duckdb

_FILES = pa.schema(
    [(c, pa.large_string()) for c in ("id", "repo", "commit_id", "rel_path", "content_hash")]
    + [("bytes", pa.int64()), ("misplaced", pa.bool_())]
)
_REPOSITORIES = pa.schema(
    [
        ("repo", pa.large_string()),
        ("commit_id", pa.large_string()),
        ("version", pa.large_string()),
        ("version_key", pa.large_string()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
    ]
)
_LICENCES = pa.schema([("id", pa.large_string()), ("licence", pa.large_string()), ("rank", pa.int32())])
_BANDS = pa.schema([("band", pa.int64()), ("number", pa.int64())])
_NUMBERS = pa.schema([("number", pa.int64()), ("id", pa.large_string())])
_PAIRS = pa.schema(
    [("late", pa.int64()), ("early", pa.int64()), ("similarity", pa.float64()), ("containment", pa.float64())]
)

_ORDER = """
create or replace table ordered as
select row_number() over (
           order by misplaced, rank, updated_at desc nulls last, version_key desc nulls last, files desc, repo,
                    commit_id, rel_path
       ) - 1 as place, *
from (
    select f.*, r.version, r.version_key, r.updated_at, coalesce(l.rank, $unknown) as rank,
           coalesce(l.licence, 'none known') as licence, count(*) over (partition by f.repo, f.commit_id) as files
    from files f left join repositories r using (repo, commit_id) left join licences l using (id)
);
create or replace table firsts as
select content_hash, min(place) as place, count(*) as copies from ordered group by content_hash;
"""
_CANDIDATES = """
create or replace table placed as
select distinct b.band, f.place
from bands b join numbers n using (number) join ordered o using (id) join firsts f on f.content_hash = o.content_hash
semi join (select band from bands group by band having count(*) > 1) s on s.band = b.band;
create or replace table candidates as
with own as (select band, place, row_number() over (partition by band order by place) as nth from placed)
select distinct late.place as late, early.place as early
from own early join own late using (band)
where early.nth < late.nth and early.nth <= $most;
"""
#: If a text is a near duplicate, all its copies are duplicates of the same file, so that `duplicate_of` is always kept.
_FOUND = """
select o.place, o.id, o.repo, o.commit_id, o.rel_path, k.id as duplicate_of, k.repo as duplicate_of_repo,
       k.rel_path as duplicate_of_path,
       case when n.late is null then 'exact' else 'near' end as kind, coalesce(n.similarity, 1.0) as similarity,
       coalesce(n.containment, 1.0) as containment,
       case
           when k.misplaced < o.misplaced then 'place: ' || k.rel_path || ' before ' || o.rel_path
           when k.rank < o.rank then 'licence: ' || k.licence || ' before ' || o.licence
           when k.updated_at is distinct from o.updated_at then
               'commit: ' || coalesce(strftime(k.updated_at, '%Y-%m-%d %H:%M:%S'), 'unknown') || ' after '
               || coalesce(strftime(o.updated_at, '%Y-%m-%d %H:%M:%S'), 'unknown')
           when k.version_key is distinct from o.version_key then
               'version: ' || coalesce(k.version, 'unknown') || ' after ' || coalesce(o.version, 'unknown')
           when k.files <> o.files then 'files: ' || k.files || ' before ' || o.files
           when k.repo <> o.repo then 'name: ' || k.repo || ' before ' || o.repo
           when k.commit_id <> o.commit_id then 'name: ' || k.commit_id || ' before ' || o.commit_id
           else 'name: ' || k.rel_path || ' before ' || o.rel_path
       end as why
from ordered o join firsts f using (content_hash) left join near n on n.late = f.place
     join ordered k on k.place = coalesce(n.early, f.place)
where k.place <> o.place
order by o.place
"""
#: Characters of the texts that are compared at a time, per MiB: one character makes at most one shingle of 8 bytes.
_CHARACTERS_PER_MB = (1 << 20) // 10
_BEFORE_ALPHA = ("dev", "snapshot", "~")
_PRE_RELEASE = re.compile(r"a|alpha|b|beta|c|rc|pre|preview|dev|snapshot|m|milestone|~", re.IGNORECASE)


def duplicates_of(
    files: Reader,
    repositories: Reader,
    recipe: CodeDedup,
    licences: Iterable[pl.DataFrame] = (),
    misplaced: pl.Expr | None = None,
) -> Iterator[pl.DataFrame]:
    """Rows of `code.duplicates`.

    `licences` are frames with the columns `id` (of a file), `licence` (SPDX) and `decision` (allowed, review or
    rejected). `misplaced` is an expression over `repo` and `rel_path`: true if a path rule drops the file. Without it
    no file is misplaced.
    """
    with workspace(recipe.memory_mb) as connection:
        # The result does not depend on the order in which the tables are read, only on the order of precedence.
        load(connection, "files", _FILES, _file_batches(files, pl.lit(False) if misplaced is None else misplaced))
        load(connection, "repositories", _REPOSITORIES, _repository_batches(repositories))
        load(connection, "licences", _LICENCES, _licence_batches(licences, recipe.permissive_first))
        _run(connection, _ORDER, unknown=len(recipe.permissive_first) + 1)
        _find_near(connection, files, recipe)
        for batch in connection.execute(_FOUND).to_arrow_reader(8_192):
            yield _as_rows(batch)


def _run(connection: duckdb.DuckDBPyConnection, statements: str, **parameters: int) -> None:
    """Run statements one by one, because DuckDB takes parameters for a single statement only."""
    for statement in filter(str.strip, statements.split(";")):
        used = {name: value for name, value in parameters.items() if f"${name}" in statement}
        connection.execute(statement, used)


def _file_batches(files: Reader, misplaced: pl.Expr) -> Iterator[pa.RecordBatch]:
    """Batches of `_FILES`."""
    stored = [name for name in _FILES.names if name != "misplaced"]
    for batch in files.batches(stored, batch_size=16_384, keep_memory=True):
        frame = pl.from_arrow(batch).with_columns(misplaced=misplaced)
        yield from frame.select(_FILES.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_FILES).to_batches()


def _repository_batches(repositories: Reader) -> Iterator[pa.RecordBatch]:
    """Batches of `_REPOSITORIES`."""
    for batch in repositories.batches(("repo", "commit_id", "version", "updated_at"), batch_size=16_384):
        rows = batch.to_pylist()
        yield pa.RecordBatch.from_pylist([{**r, "version_key": version_key(r["version"])} for r in rows], _REPOSITORIES)


def version_key(version: str | None) -> str | None:
    """A text by which versions sort: 1.9 before 1.10, 2.0rc1 before 2.0, 2.0 before 2.0.1. None for no version."""
    if not version:
        return None
    # Each token begins with a character that orders the kinds: ! pre-release < # end < / other word < 0 number.
    key = ""
    for number, word in re.findall(r"(\d+)|([A-Za-z]+|~)", version[:200]):
        if number:
            key += f"0{number.lstrip('0')[:30].rjust(30, '0')}"
        elif _PRE_RELEASE.fullmatch(word):
            key += f"!{'!' if word.lower() in _BEFORE_ALPHA else ''}{word.lower()}"
        elif key:
            key += f"/{word.lower()}"
    return f"{key}#"


def _licence_batches(licences: Iterable[pl.DataFrame], order: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Batches of `_LICENCES`: the licence of each file and its rank."""
    for frame in licences:
        known = frame.select("licence", "decision").unique()
        ranks = [licence_rank(licence, decision, order) for licence, decision in known.iter_rows()]
        ranked = frame.join(
            known.with_columns(rank=pl.Series(ranks, dtype=pl.Int32)), on=["licence", "decision"], nulls_equal=True
        ).select("id", pl.col("licence").fill_null("none"), "rank")
        yield from ranked.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_LICENCES).to_batches()


def licence_frames(licences: Reader) -> Iterator[pl.DataFrame]:
    """The rows of `code.licenses` in the form that `duplicates_of` takes."""
    for batch in licences.batches(("file", "license", "decision"), batch_size=16_384):
        yield pl.from_arrow(batch).rename({"file": "id", "license": "licence"})


def licence_rank(licence: str | None, decision: str, order: tuple[str, ...]) -> int:
    """The rank of a licence; the copy with the lowest rank is kept.

    Allowed licences rank by their place in `order`, then come other allowed licences, undecided ones, rejected ones.
    "A OR B" has the rank of the better licence, "A AND B" that of the worse one.
    """
    if decision != "allowed":
        return len(order) + (1 if decision == "review" else 2)
    places = {name: place for place, name in enumerate(order)}
    ranks = []
    for side in re.split(r"\s+OR\s+", licence or ""):
        names = re.split(r"\s+AND\s+", side.strip("() "))
        ranks.append(max(places.get(name.partition(" WITH ")[0].strip("() "), len(order)) for name in names))
    return min(ranks)


def shingling(recipe: CodeDedup) -> Shingling:
    """The shingles that texts are compared by: runs of tokens (identifiers, keywords, numbers) or of characters."""
    s = recipe.signatures
    return Shingling(s.unit, s.word_shingle, s.character_shingle)


def _find_near(connection: duckdb.DuckDBPyConnection, files: Reader, recipe: CodeDedup) -> None:
    """Create the table `near` with the columns of `_PAIRS`: the text at place `late` in the order is dropped, because
    it is similar to the kept text at place `early`. Of equal texts only the first one is compared."""
    numbers: list[pa.RecordBatch] = []
    load(connection, "bands", _BANDS, _band_batches(files, recipe, numbers))
    load(connection, "numbers", _NUMBERS, numbers)
    _run(connection, _CANDIDATES, most=recipe.max_bucket)
    connection.execute("drop table bands; drop table placed; drop table numbers")
    verified = [*_verify(connection, files, recipe)]
    pairs = pa.Table.from_batches(verified, _PAIRS)
    late, early, similarity, contained = (column.to_numpy() for column in pairs.columns)
    places = np.unique(np.concatenate([late, early]))
    late, early = np.searchsorted(places, late), np.searchsorted(places, early)
    of, similarities = direct(len(places), early, late, similarity)
    # Of the pairs of a dropped text, the one with the kept text.
    named = np.flatnonzero(of[late] == early)
    containments = np.zeros(len(places))
    containments[late[named]] = contained[named]
    dropped = of >= 0
    columns = (places[dropped], places[of[dropped]], similarities[dropped], containments[dropped])
    load(connection, "near", _PAIRS, [pa.record_batch([pa.array(column) for column in columns], schema=_PAIRS)])


def _band_batches(files: Reader, recipe: CodeDedup, numbers: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """(band, number of the file) for all bands of all files. Files are numbered in the order in which they are read;
    `numbers` receives batches of (number, id)."""
    signatures, number = recipe.signatures, 0
    for batch in files.batches(("id", "language", "content"), batch_size=signatures.batch_rows):
        signed = sign(batch["content"], shingling(recipe), permutations=signatures.permutations, seed=signatures.seed)
        of_bands = bands(signed, signatures.bands, signatures.rows)
        comparable = of_bands[:, 0] != NO_BAND  # a text without shingles is similar to no other text
        if recipe.within_language:
            names = batch["language"].dictionary_encode()
            salts = np.array([xxhash.xxh3_64_intdigest(v.encode()) for v in names.dictionary.to_pylist()], np.uint64)
            of_bands = of_bands ^ salts.view(np.int64)[names.indices.to_numpy()][:, None]
        count = np.arange(number, number + batch.num_rows)
        numbers.append(pa.record_batch([pa.array(count), batch["id"].cast(pa.large_string())], schema=_NUMBERS))
        repeated = np.repeat(count[comparable], signatures.bands)
        yield pa.record_batch([pa.array(of_bands[comparable].reshape(-1)), pa.array(repeated)], schema=_BANDS)
        number += batch.num_rows


def _verify(connection: duckdb.DuckDBPyConnection, files: Reader, recipe: CodeDedup) -> Iterator[pa.RecordBatch]:
    """`_PAIRS` with the exact similarity of the candidates that are similar enough, as many at a time as fit in
    memory."""
    sizes = (
        "select c.late, c.early, l.bytes + e.bytes as bytes from candidates c join ordered l on l.place = c.late "
        "join ordered e on e.place = c.early order by c.early, c.late"
    )
    budget = recipe.memory_mb * _CHARACTERS_PER_MB
    pairs: list[tuple[int, int]] = []
    places: set[int] = set()
    size = 0
    with connection.cursor() as cursor:
        for batch in cursor.execute(sizes).to_arrow_reader(8_192):
            for late, early, both in zip(*(batch[c].to_pylist() for c in ("late", "early", "bytes")), strict=True):
                # `early` is counted again for each of its pairs, so that a batch is rather too small than too large.
                more = both if late not in places else 0
                if pairs and size + more > budget:
                    yield _compare(connection, files, pairs, places, recipe)
                    pairs, places, size = [], set(), 0
                    more = both
                pairs.append((late, early))
                places |= {late, early}
                size += more
    if pairs:
        yield _compare(connection, files, pairs, places, recipe)


def _compare(
    connection: duckdb.DuckDBPyConnection,
    files: Reader,
    pairs: list[tuple[int, int]],
    places: set[int],
    recipe: CodeDedup,
) -> pa.RecordBatch:
    """`_PAIRS` with the exact similarity of the pairs that have at least the recipe's similarity."""
    connection.register("wanted", pa.table({"place": sorted(places)}))
    rows = connection.execute("select place, id, repo from ordered semi join wanted using (place)").to_arrow_table()
    connection.unregister("wanted")
    place_of = dict(zip(rows["id"].to_pylist(), rows["place"].to_pylist(), strict=True))
    in_pairs = pl.col("repo").is_in(rows["repo"].unique().to_pylist()) & pl.col("id").is_in(list(place_of))
    found, texts = [], []
    for frame in files.scan().filter(in_pairs).select("id", "content").collect_batches(chunk_size=256):
        found += [place_of[i] for i in frame["id"]]
        texts.append(frame["content"])
    sets = shingle_sets(pl.concat(texts), shingling(recipe))
    order = np.argsort(found)
    ordered = np.array(found, np.int64)[order]
    late, early = np.array(pairs, np.int64).T
    left, right = order[np.searchsorted(ordered, late)], order[np.searchsorted(ordered, early)]
    similarity, sizes = jaccard(sets, left, right), sets.sizes
    contained = containment(similarity, sizes[left], sizes[right])
    similar = similarity >= recipe.min_similarity
    columns = (late[similar], early[similar], similarity[similar], contained[similar])
    return pa.record_batch([pa.array(column) for column in columns], schema=_PAIRS)


def _as_rows(found: pa.RecordBatch) -> pl.DataFrame:
    """The result of `_FOUND` as rows of `code.duplicates`."""
    frame = pl.from_arrow(found)
    rows = frame.with_columns(
        parents=pl.concat_list("id", "duplicate_of"),
        id=pl.Series([row_id(DUPLICATES.full_name, file) for file in frame["id"]], dtype=pl.String),
    )
    return rows.select(DUPLICATES.column_names)


assert set(_FILES.names) - {"misplaced"} <= set(FILES.column_names)
