"""The documents of the blend: without held-out ones and texts written from them, as often as weighted, in order."""

from __future__ import annotations

import itertools
from collections import Counter

import polars as pl
import pytest

from nemotron_assets.blend.documents import NO_SNAPSHOT, Source, ordered_stream, text_sample
from nemotron_assets.blend.shards import groups
from nemotron_assets.blend.sources import SOURCES
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.ids import content_hash, row_id

CC, MULTILINGUAL, CODE = "web.nemotron_cc_v2", "web.multilingual", "code.curated"
PAGES, QA = f"{CC}/High-Quality", f"{CC}/Diverse-QA"
RECIPE = load_recipe("laptop")
WEIGHTS = {PAGES: 1.0, QA: 1.0, MULTILINGUAL: 1.0}
BLEND = RECIPE.blend.model_copy(update={"held_out_share": 0.2, "sort_memory_mb": 128, "weights": WEIGHTS})


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
    return pl.concat([pages, qa]), texts("seite").rename({"hash": "content_hash"})


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
    return frame.filter([not hash_is_held_out(h, 0.2) for h in frame[origin]])


def test_nothing_held_out_and_nothing_written_from_it():
    release, multilingual = tables()
    kept = [trained(release, "origin_hash"), trained(multilingual, "content_hash")]
    held = set(release["origin_hash"]) - set(kept[0]["origin_hash"])
    assert 20 < len(held) < 100
    assert sorted(streamed(release, multilingual)["id"]) == sorted([*kept[0]["id"], *kept[1]["id"]])
    questions = kept[0].filter(subset="Diverse-QA")
    assert len(questions) == len(kept[0]) / 2, "questions about a held-out page are held out with it"
    recipe = RECIPE.model_copy(update={"blend": BLEND})
    sampled = [text for batch in text_sample(sources(release, multilingual), recipe, 1) for text in batch]
    assert sorted(sampled) == sorted([*kept[0]["text"], *kept[1]["text"]])


def test_the_vocabulary_does_not_depend_on_the_weights():
    release, multilingual = tables(each=20)
    samples = [
        sorted(text for batch in text_sample(sources(release, multilingual), recipe, 1) for text in batch)
        for recipe in (
            RECIPE.model_copy(update={"blend": BLEND.model_copy(update={"weights": w})})
            for w in (WEIGHTS, {PAGES: 0.5})
        )
    ]
    assert samples[0] == samples[1]


def test_order_does_not_depend_on_storage_and_mixes_sources():
    release, multilingual = tables()
    one = streamed(release, multilingual)
    other = streamed(release.sample(fraction=1, shuffle=True, seed=1), multilingual.reverse())
    assert one.equals(other)
    assert one["snapshot"].to_list() == sorted(one["snapshot"])
    first = Counter(one["source"][:100])
    assert min(first[CC], first[MULTILINGUAL]) > 25
    assert not one.equals(streamed(release, multilingual, seed=7))


@pytest.mark.parametrize(("weight", "least", "most"), [(0.0, 0, 0), (0.5, 0.35, 0.65), (2.5, 2.35, 2.65), (3.0, 3, 3)])
@pytest.mark.parametrize("weighed", [QA, MULTILINGUAL])
def test_passes(weighed, weight, least, most):
    release, multilingual = tables()
    found = streamed(release, multilingual, weights={**WEIGHTS, weighed: weight})
    questions = release.filter(subset="Diverse-QA")
    mine = trained(questions, "origin_hash") if weighed == QA else trained(multilingual, "content_hash")
    counts = Counter(found.filter(pl.col("id").is_in(mine["id"].implode()))["id"])
    assert least * len(mine) <= counts.total() <= most * len(mine)
    assert all(int(weight) <= n <= int(weight) + 1 for n in counts.values())
    others = found.filter(~pl.col("id").is_in(mine["id"].implode()))
    assert others["id"].n_unique() == len(others) > 0, "the others are taken once"


def test_a_subset_without_a_weight_is_not_used():
    release, multilingual = tables()
    assert set(streamed(release, multilingual, weights={QA: 1.0})["id"]) == set(
        trained(release.filter(subset="Diverse-QA"), "origin_hash")["id"]
    )
    assert list(ordered_stream(sources(release, multilingual), BLEND.model_copy(update={"weights": {}}))) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("web.nemotron_cc_v2/Low-Quality", "web.nemotron_cc_v2/Medium-Quality"),
        ("code.curated/Pyhton", "code.curated/Python"),
        ("code.files", "code.curated"),
        ("web.multilingual/de", "web.multilingual"),
    ],
)
def test_weights_are_named_by_what_there_is(name, near):
    def weigh(name: str):
        return type(BLEND).model_validate({**BLEND.model_dump(), "weights": {name: 1.0}})

    with pytest.raises(ValueError, match=f"'{name}' is not a source of the blend.*{near}"):
        weigh(name)
    assert weigh("code.curated/Kotlin").weights == {"code.curated/Kotlin": 1.0}


def test_code_has_its_own_shards_and_weights_by_language():
    release, multilingual = tables()
    files = code()
    weights = {**WEIGHTS, CODE: 2.5, f"{CODE}/HTML": 1.0}
    blend = BLEND.model_copy(update={"weights": weights})
    mixed = [*sources(release, multilingual), of_code(files)]
    found = pl.concat(pl.from_arrow(b) for b in ordered_stream(mixed, blend))
    mine = found.filter(source=CODE)
    assert set(mine["snapshot"]) == {NO_SNAPSHOT} and set(found.filter(pl.col("source") != CODE)["snapshot"]) == {
        "s1",
        "s2",
    }
    expected = trained(files, "content_hash")
    counted = expected.join(mine.group_by("id").agg(pl.len(), pl.col("text").first()), on="id", how="left")
    assert counted["text"].equals(counted["content"], check_dtypes=False)
    html, python = (counted.filter(language=language)["len"] for language in ("HTML", "Python"))
    assert set(html) == {1} and set(python) == {2, 3}
    assert 2.35 < python.mean() < 2.65
    assert set(mine["id"]) == set(expected["id"]), "no held-out file"
    # Other code leaves the shards of the crawl as they are, and the other way round.
    marks = {g.part: g.fingerprint for g in groups(ordered_stream(mixed, blend), 2_000)}
    less = [*sources(release, multilingual), of_code(files.head(40))]
    other = {g.part: g.fingerprint for g in groups(ordered_stream(less, blend), 2_000)}
    of_crawl = {part for part in marks if not part.startswith(NO_SNAPSHOT)}
    assert len(of_crawl) > 4 and {p: other[p] for p in of_crawl} == {p: marks[p] for p in of_crawl}
    alone = {g.part: g.fingerprint for g in groups(ordered_stream([of_code(files)], blend), 2_000)}
    assert alone == {part: mark for part, mark in marks.items() if part not in of_crawl}


def test_only_one_language():
    files = code()
    blend = BLEND.model_copy(update={"weights": {f"{CODE}/HTML": 0.5}})
    mine = pl.concat(pl.from_arrow(b) for b in ordered_stream([of_code(files)], blend))
    html = trained(files.filter(language="HTML"), "content_hash")
    assert set(mine["id"]) <= set(html["id"]) and 0.3 < len(mine) / len(html) < 0.7
    recipe = RECIPE.model_copy(update={"blend": BLEND})
    sampled = [text for batch in text_sample([of_code(files)], recipe, 1) for text in batch]
    assert sorted(sampled) == sorted(trained(files, "content_hash")["content"])


def test_sample_is_about_the_asked_size():
    release, multilingual = tables(each=9_000)
    recipe = RECIPE.model_copy(update={"blend": BLEND})
    total = sum(f["text"].str.len_bytes().sum() for f in (release, multilingual))
    size = sum(len(t.encode()) for batch in text_sample(sources(release, multilingual), recipe, 1) for t in batch)
    assert total > 1e6
    assert size == pytest.approx(0.8e6, rel=0.1)  # a fifth of everything is held out


def test_groups_are_cut_by_size_and_snapshot():
    release, multilingual = tables()
    stream = list(ordered_stream(sources(release, multilingual), BLEND))
    cut = list(groups(stream, 2_000))
    assert [g.part for g in cut] == sorted({g.part for g in cut})
    assert all(g.part.endswith(f"/{g.shard:06d}") for g in cut)
    assert {g.part.split("/")[0] for g in cut} == {"s1", "s2"}
    sizes = [g.documents["text"].str.len_bytes().sum() for g in cut]
    last = [one.part[:2] != other.part[:2] for one, other in itertools.pairwise(cut)] + [True]
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
    assert after[: len(before)] == before
    trained_on = trained(release, "origin_hash")["id"][200]
    changed = release.with_columns(text=pl.when(pl.col("id") == trained_on).then(pl.lit("new")).otherwise("text"))
    assert [g.fingerprint for g in groups(ordered_stream(sources(changed, multilingual), BLEND), 2_000)] != after
