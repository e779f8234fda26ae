"""The documents of the blend: without held-out ones and texts written from them, each once, in order by data set."""

from __future__ import annotations

import dataclasses
import itertools

import polars as pl

from nemotron_assets.blend.documents import NO_SNAPSHOT, Source, ordered_stream, sources_of, text_sample
from nemotron_assets.blend.shards import groups
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.categories import SOURCES, Layout
from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from resources.lakehouse import Lakehouse
from tests.pages import hash_of
from tests.sql.lake import frame

CC, MULTILINGUAL, CODE = "web.nemotron_cc_v2", "web.multilingual", "code.curated"
PAGES, QA = f"{CC}/High-Quality", f"{CC}/Diverse-QA"
RECIPE = load_recipe("laptop")
BLEND = RECIPE.blend.model_copy(update={"held_out_share": 0.2, "sort_memory_mb": 128})


def tables(snapshots=("s1", "s2"), each=150) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the release, pages and questions about them, and as many of the multilingual crawl."""

    def texts(kind: str) -> pl.DataFrame:
        return pl.DataFrame(
            [
                {
                    "id": row_id(kind, s, k),
                    "snapshot": s,
                    "text": f"{kind} {k} of {s} " * 5,
                    "hash": content_hash(f"{kind}{s}{k}"),
                }
                for s in snapshots
                for k in range(each)
            ]
        )

    pages = texts("page").with_columns(subset=pl.lit("High-Quality")).rename({"hash": "origin_hash"})
    qa = pages.with_columns(
        pl.concat_str("id", pl.lit("-qa")).alias("id"),
        pl.concat_str(pl.lit("Question about "), "text").alias("text"),
        subset=pl.lit("Diverse-QA"),
    )
    return pl.concat([pages, qa]), texts("seite").with_columns(url=pl.format("https://seite.example/{}", "hash")).drop(
        "hash"
    )


def sources(release: pl.DataFrame, multilingual: pl.DataFrame, rows: int = 37) -> list[Source]:
    def read(frame: pl.DataFrame):
        return lambda columns: frame.select(columns).to_arrow().to_batches(max_chunksize=rows)

    return [Source(CC, read(release), SOURCES[CC]), Source(MULTILINGUAL, read(multilingual), SOURCES[MULTILINGUAL])]


def code(languages=("Python", "HTML"), each=150) -> pl.DataFrame:
    """Rows of the curated code: no snapshot, and their text in `content`."""
    return pl.DataFrame(
        [
            {
                "id": row_id(CODE, language, k),
                "language": language,
                "content": f"{language} = {k}\n" * 9,
                "content_hash": content_hash(f"{language}{k}"),
            }
            for language in languages
            for k in range(each)
        ]
    )


def of_code(files: pl.DataFrame) -> Source:
    return Source(CODE, lambda columns: files.select(columns).to_arrow().to_batches(max_chunksize=37), SOURCES[CODE])


def streamed(release, multilingual, **changes) -> pl.DataFrame:
    blend = BLEND.model_copy(update=changes)
    return pl.concat(pl.from_arrow(b) for b in ordered_stream(sources(release, multilingual), blend))


def trained(frame: pl.DataFrame, origin: str) -> pl.DataFrame:
    hashes = map(hash_of, frame[origin]) if origin == "url" else frame[origin]
    return frame.filter([not hash_is_held_out(h, 0.2) for h in hashes])


def test_nothing_held_out_and_nothing_written_from_it():
    release, multilingual = tables()
    kept = [trained(release, "origin_hash"), trained(multilingual, "url")]
    held = set(release["origin_hash"]) - set(kept[0]["origin_hash"])
    assert 20 < len(held) < 100
    assert sorted(streamed(release, multilingual)["id"]) == sorted([*kept[0]["id"], *kept[1]["id"]])
    questions = kept[0].filter(subset="Diverse-QA")
    assert len(questions) == len(kept[0]) / 2, "questions about a held-out page are held out with it"
    recipe = RECIPE.model_copy(update={"blend": BLEND})
    sampled = [text for batch in text_sample(sources(release, multilingual), recipe, 1) for text in batch]
    assert sorted(sampled) == sorted([*kept[0]["text"], *kept[1]["text"]])


def test_order_does_not_depend_on_storage():
    release, multilingual = tables()
    one = streamed(release, multilingual)
    other = streamed(release.sample(fraction=1, shuffle=True, seed=1), multilingual.reverse())
    assert one.equals(other)
    assert one["group"].to_list() == sorted(one["group"])
    assert set(one["group"]) == {f"{name}/{s}" for name in (PAGES, QA, MULTILINGUAL) for s in ("s1", "s2")}
    assert one["data_set"].equals(one["group"].str.strip_suffix("/s1").str.strip_suffix("/s2"), check_names=False)
    assert not one.equals(streamed(release, multilingual, seed=7))


def test_a_subset_without_a_category_is_not_used():
    release, multilingual = tables()
    low = release.with_columns(subset=pl.when(subset="High-Quality").then(pl.lit("Low-Quality")).otherwise("subset"))
    assert set(streamed(low, multilingual)["data_set"]) == {QA, MULTILINGUAL}


def test_only_rows_with_the_values_that_a_layout_names_are_used():
    """As for SFT data: only the train split, and no answer that failed."""
    rows = pl.DataFrame(
        [
            {
                "id": f"{split}-{status}-{k}",
                "split": split,
                "status": status,
                "text": "t",
                "origin_hash": content_hash(f"{split}{status}{k}"),
            }
            for split in ("train", "test")
            for status in ("verified", "failed", "unverified")
            for k in range(30)
        ]
    )
    layout = SOURCES["sft.procedural"]
    found = Source("sft.procedural", lambda columns: rows.select(columns).to_arrow().to_batches(), layout)
    ids = pl.concat(pl.from_arrow(b) for b in ordered_stream([found], BLEND))["id"]
    assert 15 < len(ids) < 30 and set(ids.str.extract("(.*)-")) == {"train-verified"}
    assert Layout().only == {}
    # A row with a benchmark item is left out.
    less = dataclasses.replace(found, removed=frozenset([ids[0], "train-failed-0"]))
    left = pl.concat(pl.from_arrow(b) for b in ordered_stream([less], BLEND))["id"]
    assert left.to_list() == ids.to_list()[1:]


def test_rows_with_benchmark_items_are_known_by_their_table(tmp_path):
    lake, tables = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), all_tables()
    rows = [
        {"id": str(k), "parents": [f"row{k}"], "source": source, "removed": removed}
        for k, (source, removed) in enumerate([("sft.procedural", True), ("sft.procedural", False), ("sft.code", True)])
    ]
    contaminated = tables["sft.contaminated"]
    for source, of in itertools.groupby(sorted(rows, key=lambda r: r["source"]), lambda r: r["source"]):
        part = frame(contaminated, list(of))
        lake.write(contaminated, Parts([Part(source, "1", lambda part=part: part)], complete=False))
    readers = [lake.read(tables[name]) for name in ("sft.procedural", "web.multilingual", "sft.contaminated")]
    assert {source.table: source.removed for source in sources_of(readers, lake)} == {
        "sft.procedural": {"row0"},
        "web.multilingual": frozenset(),
    }
    assert not any(source.removed for source in sources_of(readers[:2], lake))
    # A row that could not be searched may have an item.
    rejects = Rejects()

    def search():
        rejects.add(Reject("row9", "timeout", "no end"))
        return contaminated.empty()

    again = Parts([Part("sft.procedural", "2", search)], complete=False, rejects=rejects)
    lake.write(contaminated, again)
    assert [sorted(source.removed) for source in sources_of(readers, lake)] == [[], ["row0", "row9"]]


def test_code_has_its_own_shards():
    release, multilingual = tables()
    files = code()
    mixed = [*sources(release, multilingual), of_code(files)]
    found = pl.concat(pl.from_arrow(b) for b in ordered_stream(mixed, BLEND))
    mine = found.filter(data_set=CODE)
    assert set(mine["group"]) == {f"{CODE}/{NO_SNAPSHOT}"}
    expected = trained(files, "content_hash")
    counted = expected.join(mine.group_by("id").agg(pl.len(), pl.col("text").first()), on="id", how="left")
    assert counted["text"].equals(counted["content"], check_dtypes=False)
    assert set(counted["len"]) == {1}, "every document once"
    assert set(mine["id"]) == set(expected["id"]), "no held-out file"
    # Other code leaves the shards of the crawl as they are, and the other way round.
    marks = {g.part: g.fingerprint for g in groups(ordered_stream(mixed, BLEND), 2_000)}
    less = [*sources(release, multilingual), of_code(files.head(40))]
    other = {g.part: g.fingerprint for g in groups(ordered_stream(less, BLEND), 2_000)}
    of_crawl = {part for part in marks if not part.startswith(CODE)}
    assert len(of_crawl) > 4 and {p: other[p] for p in of_crawl} == {p: marks[p] for p in of_crawl}
    alone = {g.part: g.fingerprint for g in groups(ordered_stream([of_code(files)], BLEND), 2_000)}
    assert alone == {part: mark for part, mark in marks.items() if part not in of_crawl}


def test_groups_are_cut_by_size_and_snapshot():
    release, multilingual = tables()
    stream = list(ordered_stream(sources(release, multilingual), BLEND))
    cut = list(groups(stream, 2_000))
    assert [g.part for g in cut] == sorted({g.part for g in cut})
    names = [g.part.rpartition("/")[0] for g in cut]
    numbers = [int(g.part.rpartition("/")[2]) for g in cut]
    assert set(names) == {f"{name}/{s}" for name in (PAGES, QA, MULTILINGUAL) for s in ("s1", "s2")}
    assert all(n == sum(name == names[k] for name in names[:k]) for k, n in enumerate(numbers)), "from 0 in each group"
    sizes = [g.documents["text"].str.len_bytes().sum() for g in cut]
    last = [one.part[:-6] != other.part[:-6] for one, other in itertools.pairwise(cut)] + [True]
    assert all(size < 2_200 and (end or size >= 2_000) for size, end in zip(sizes, last, strict=True))
    joined = pl.concat(g.documents for g in cut)
    assert joined["id"].to_list() == pl.concat(pl.from_arrow(b) for b in stream)["id"].to_list()
    # the same groups, whatever the batches of the stream
    slices = pl.concat(pl.from_arrow(b) for b in stream).to_arrow().to_batches(max_chunksize=11)
    assert [g.fingerprint for g in groups(slices, 2_000)] == [g.fingerprint for g in cut]


def test_a_new_snapshot_leaves_earlier_groups_as_they_are():
    release, multilingual = tables(("s1", "s2", "s3"))
    both = [f.filter(pl.col("snapshot") != "s3") for f in (release, multilingual)]
    before = [g.fingerprint for g in groups(ordered_stream(sources(*both), BLEND), 2_000)]
    after = [g.fingerprint for g in groups(ordered_stream(sources(release, multilingual), BLEND), 2_000)]
    assert len(after) > len(before)
    assert [mark for mark in after if mark in set(before)] == before
    trained_on = trained(release, "origin_hash")["id"][200]
    changed = release.with_columns(text=pl.when(pl.col("id") == trained_on).then(pl.lit("new")).otherwise("text"))
    assert [g.fingerprint for g in groups(ordered_stream(sources(changed, multilingual), BLEND), 2_000)] != after
