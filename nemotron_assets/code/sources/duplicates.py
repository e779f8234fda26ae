"""Which files are copies, and which copy is kept: over all repositories, exact by content, near by MinHash.

All files have an order of precedence: those in their own place before those whose path alone drops them (a copy under
`vendor/` must not drive out the library it is from), then the licence that asks for least, then the newest commit or
version, then the repository with most files, then the names. The first of equal texts is kept; of texts that are
alike, a file is dropped exactly if it is like an earlier one that is kept itself. Each row says which of these decided.

The order, the bands and their joins are DuckDB's, within its memory and the disk. Candidates are verified by their
exact similarity, so many at a time as fit into memory; their texts are read again for it.
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
from nemotron_assets.dedup.jaccard import jaccard
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
_PAIRS = pa.schema([("late", pa.int64()), ("early", pa.int64()), ("similarity", pa.float64())])

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
#: A copy of a text that is near another kept one is near that one, too: what is named is always kept.
_FOUND = """
select o.place, o.id, o.repo, o.commit_id, o.rel_path, k.id as duplicate_of, k.repo as duplicate_of_repo,
       k.rel_path as duplicate_of_path,
       case when n.late is null then 'exact' else 'near' end as kind, coalesce(n.similarity, 1.0) as similarity,
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
#: Of the texts compared at a time: a character makes at most one shingle, of eight bytes.
_CHARACTERS_PER_MB = (1 << 20) // 10
_UNFINISHED = ("dev", "snapshot", "~")  # what comes before an alpha
_PRE_RELEASE = re.compile(r"a|alpha|b|beta|c|rc|pre|preview|dev|snapshot|m|milestone|~", re.IGNORECASE)


def duplicates_of(
    files: Reader,
    repositories: Reader,
    recipe: CodeDedup,
    licences: Iterable[pl.DataFrame] = (),
    misplaced: pl.Expr | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of `code.duplicates`. `licences` are frames of `id` (of a file), `licence` (SPDX) and `decision`
    (allowed, review or rejected); `misplaced` says of `repo` and `rel_path` that the path alone drops a file."""
    with workspace(recipe.memory_mb) as connection:
        # Deterministic whatever order the tables are read in: everything is by the order of precedence.
        load(connection, "files", _FILES, _places(files, pl.lit(False) if misplaced is None else misplaced))
        load(connection, "repositories", _REPOSITORIES, _versions(repositories))
        load(connection, "licences", _LICENCES, _ranked(licences, recipe.permissive_first))
        _run(connection, _ORDER, unknown=len(recipe.permissive_first) + 1)
        _near(connection, files, recipe)
        for batch in connection.execute(_FOUND).to_arrow_reader(8_192):
            yield _rows(batch)


def _run(connection: duckdb.DuckDBPyConnection, statements: str, **parameters: int) -> None:
    """DuckDB takes parameters for one statement at a time."""
    for statement in filter(str.strip, statements.split(";")):
        used = {name: value for name, value in parameters.items() if f"${name}" in statement}
        connection.execute(statement, used)


def _places(files: Reader, misplaced: pl.Expr) -> Iterator[pa.RecordBatch]:
    stored = [name for name in _FILES.names if name != "misplaced"]
    for batch in files.batches(stored, batch_size=16_384, keep_memory=True):
        frame = pl.from_arrow(batch).with_columns(misplaced=misplaced)
        yield from frame.select(_FILES.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_FILES).to_batches()


def _versions(repositories: Reader) -> Iterator[pa.RecordBatch]:
    for batch in repositories.batches(("repo", "commit_id", "version", "updated_at"), batch_size=16_384):
        rows = batch.to_pylist()
        yield pa.RecordBatch.from_pylist([{**r, "version_key": version_key(r["version"])} for r in rows], _REPOSITORIES)


def version_key(version: str | None) -> str | None:
    """A text that sorts as versions do: 1.9 before 1.10, 2.0rc1 before 2.0, 2.0 before 2.0.1; None for None."""
    if not version:
        return None
    # A token begins with its kind: ! a pre-release, # the end, / another word, 0 a number.
    key = ""
    for number, word in re.findall(r"(\d+)|([A-Za-z]+|~)", version[:200]):
        if number:
            key += f"0{number.lstrip('0')[:30].rjust(30, '0')}"
        elif _PRE_RELEASE.fullmatch(word):
            key += f"!{'!' if word.lower() in _UNFINISHED else ''}{word.lower()}"
        elif key:
            key += f"/{word.lower()}"
    return f"{key}#"


def _ranked(licences: Iterable[pl.DataFrame], order: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Files with the place of their licence: those of the recipe's order, other allowed ones, undecided, rejected."""
    for frame in licences:
        known = frame.select("licence", "decision").unique()
        ranks = [licence_rank(licence, decision, order) for licence, decision in known.iter_rows()]
        ranked = frame.join(
            known.with_columns(rank=pl.Series(ranks, dtype=pl.Int32)), on=["licence", "decision"], nulls_equal=True
        ).select("id", pl.col("licence").fill_null("none"), "rank")
        yield from ranked.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_LICENCES).to_batches()


def licence_frames(licences: Reader) -> Iterator[pl.DataFrame]:
    """What `duplicates_of` wants to know of `code.licenses`."""
    for batch in licences.batches(("file", "license", "decision"), batch_size=16_384):
        yield pl.from_arrow(batch).rename({"file": "id", "license": "licence"})


def licence_rank(licence: str | None, decision: str, order: tuple[str, ...]) -> int:
    """How early copies under a licence come. Of licences joined by OR the best counts, of those by AND the worst."""
    if decision != "allowed":
        return len(order) + (1 if decision == "review" else 2)
    places = {name: place for place, name in enumerate(order)}
    ranks = []
    for side in re.split(r"\s+OR\s+", licence or ""):
        names = re.split(r"\s+AND\s+", side.strip("() "))
        ranks.append(max(places.get(name.partition(" WITH ")[0].strip("() "), len(order)) for name in names))
    return min(ranks)


def shingling(recipe: CodeDedup) -> Shingling:
    """What a shingle is: runs of tokens (identifiers, keywords and numbers), or of characters."""
    s = recipe.signatures
    return Shingling(s.unit, s.word_shingle, s.character_shingle)


def _near(connection: duckdb.DuckDBPyConnection, files: Reader, recipe: CodeDedup) -> None:
    """Make the table `near` of (late, early, similarity): which first text is dropped for which kept one."""
    numbers: list[pa.RecordBatch] = []
    load(connection, "bands", _BANDS, _banded(files, recipe, numbers))
    load(connection, "numbers", _NUMBERS, numbers)
    _run(connection, _CANDIDATES, most=recipe.max_bucket)
    connection.execute("drop table bands; drop table placed; drop table numbers")
    verified = [*_verified(connection, files, recipe)]
    late, early, similarity = (
        (np.concatenate([v[k] for v in verified]) for k in range(3))
        if verified
        else (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    )
    places = np.unique(np.concatenate([late, early]))
    of, similarities = direct(len(places), np.searchsorted(places, early), np.searchsorted(places, late), similarity)
    dropped = of >= 0
    load(
        connection,
        "near",
        _PAIRS,
        [
            pa.record_batch(
                [pa.array(places[dropped]), pa.array(places[of[dropped]]), pa.array(similarities[dropped])],
                schema=_PAIRS,
            )
        ],
    )


def _banded(files: Reader, recipe: CodeDedup, numbers: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The bands of every file by its number in this stream; which id has which number is added to `numbers`."""
    signatures, number = recipe.signatures, 0
    for batch in files.batches(("id", "language", "content"), batch_size=signatures.batch_rows):
        signed = sign(batch["content"], shingling(recipe), permutations=signatures.permutations, seed=signatures.seed)
        of_bands = bands(signed, signatures.bands, signatures.rows)
        mine = of_bands[:, 0] != NO_BAND  # a text without shingles resembles nothing
        if recipe.within_language:
            names = batch["language"].dictionary_encode()
            salts = np.array([xxhash.xxh3_64_intdigest(v.encode()) for v in names.dictionary.to_pylist()], np.uint64)
            of_bands = of_bands ^ salts.view(np.int64)[names.indices.to_numpy()][:, None]
        count = np.arange(number, number + batch.num_rows)
        numbers.append(pa.record_batch([pa.array(count), batch["id"].cast(pa.large_string())], schema=_NUMBERS))
        repeated = np.repeat(count[mine], signatures.bands)
        yield pa.record_batch([pa.array(of_bands[mine].reshape(-1)), pa.array(repeated)], schema=_BANDS)
        number += batch.num_rows


def _verified(
    connection: duckdb.DuckDBPyConnection, files: Reader, recipe: CodeDedup
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(late, early, exact similarity) of the candidates that are alike enough, as many at a time as fit in memory."""
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
                # Counted twice where one of the texts is there already: the budget is met early rather than late.
                more = both if late not in places else 0
                if pairs and size + more > budget:
                    yield _compared(connection, files, pairs, places, recipe)
                    pairs, places, size = [], set(), 0
                    more = both
                pairs.append((late, early))
                places |= {late, early}
                size += more
    if pairs:
        yield _compared(connection, files, pairs, places, recipe)


def _compared(
    connection: duckdb.DuckDBPyConnection,
    files: Reader,
    pairs: list[tuple[int, int]],
    places: set[int],
    recipe: CodeDedup,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs with at least the recipe's similarity."""
    connection.register("wanted", pa.table({"place": sorted(places)}))
    rows = connection.execute("select place, id, repo from ordered semi join wanted using (place)").to_arrow_table()
    connection.unregister("wanted")
    place_of = dict(zip(rows["id"].to_pylist(), rows["place"].to_pylist(), strict=True))
    mine = pl.col("repo").is_in(rows["repo"].unique().to_pylist()) & pl.col("id").is_in(list(place_of))
    found, texts = [], []
    for frame in files.scan().filter(mine).select("id", "content").collect_batches(chunk_size=256):
        found += [place_of[i] for i in frame["id"]]
        texts.append(frame["content"])
    sets = shingle_sets(pl.concat(texts), shingling(recipe))
    order = np.argsort(found)
    ordered = np.array(found, np.int64)[order]
    late, early = np.array(pairs, np.int64).T
    similarity = jaccard(sets, order[np.searchsorted(ordered, late)], order[np.searchsorted(ordered, early)])
    alike = similarity >= recipe.min_similarity
    return late[alike], early[alike], similarity[alike]


def _rows(found: pa.RecordBatch) -> pa.RecordBatch:
    frame = pl.from_arrow(found)
    rows = frame.with_columns(
        parents=pl.concat_list("id", "duplicate_of"),
        id=pl.Series([row_id(DUPLICATES.full_name, file) for file in frame["id"]], dtype=pl.String),
    )
    return rows.select(DUPLICATES.column_names)


assert set(_FILES.names) - {"misplaced"} <= set(FILES.column_names)
