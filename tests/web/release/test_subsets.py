"""The texts of every subset, compared with a plain computation. Texts that cannot be traced are not published."""

from __future__ import annotations

import functools

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.held_out import page_hash
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.release import Subset
from nemotron_assets.web.release import audit
from nemotron_assets.web.release.subsets import Tally, parts, rows
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from tests.pages import hash_of
from tests.web.release.inputs import LEVELS, PROMPTS, reads, tables

SUBSETS = load_recipe("laptop").release.subsets
NOTHING = pl.DataFrame(NEMOTRON_CC_V2.empty())


def made(name: str, subset: Subset, frames, rejected=None, tally=None) -> pl.DataFrame:
    found = rows(name, subset, reads(frames), 128, (rejected if rejected is not None else []).append, tally or Tally())
    return pl.concat([NOTHING, *found])


def origin(frames, id_: str) -> dict:
    """The curated page that a row was written from, found by following the parents."""
    rows_by_id = {row["id"]: row for frame in frames.values() for row in frame.to_dicts()}
    row = rows_by_id[id_]
    while row.get("url") is None:
        row = rows_by_id[row["parents"][0]]
    return row


@pytest.mark.parametrize("name", SUBSETS)
def test_a_subset_is_what_the_recipe_says(name):
    frames, subset = tables(), SUBSETS[name]
    found = made(name, subset, frames)
    source = frames[subset.table]
    expected = [
        row
        for row in source.to_dicts()
        if origin(frames, row["id"])["level"] in subset.levels
        and (subset.prompts is None or row["prompt"] in subset.prompts)
    ]
    assert expected
    assert found["parents"].to_list() == [[row["id"]] for row in expected], "in the order of the source"
    assert set(found["sources"].explode()) == {subset.table}
    assert set(found["subset"]) == {name}
    assert found["id"].n_unique() == len(found)
    for row, source_row in zip(found.to_dicts(), expected, strict=True):
        assert row["text"] == source_row["text"] and row["characters"] == len(row["text"])
        assert row["language"] == source_row["language"] and row["snapshot"] == "S1"
        assert row["origin_hash"] == hash_of(origin(frames, source_row["id"])["url"])


def test_the_published_layout():
    """Levels and prompts of the six subsets are those of the published data card."""
    levels = {name: subset.levels for name, subset in SUBSETS.items()}
    assert levels == {
        "High-Quality": ("high",),
        "Medium-High-Quality": ("medium_high",),
        "Medium-Quality": ("medium",),
        "High-Quality-Synthetic": ("high",),
        "Diverse-QA": ("high",),
        "Translated-Diverse-QA": ("high",),
    }
    assert SUBSETS["High-Quality-Synthetic"].prompts == PROMPTS
    assert tuple(SUBSETS) == NEMOTRON_CC_V2.published.configs
    assert load_recipe("nano2").release.subsets == SUBSETS


def test_what_is_left_out_is_counted():
    frames, tally, rejected = tables(), Tally(), []
    subset = Subset(table="web.rephrased", levels=("high", "low"), prompts=("wikipedia",))
    found = made("High-Quality-Synthetic", subset, frames, rejected, tally)
    assert len(found) == tally.taken["High-Quality-Synthetic"] == 2 * 4
    assert tally.left_out["High-Quality-Synthetic"] == len(frames["web.rephrased"]) - 8
    assert rejected == []


def test_rows_without_origin_or_text_are_rejected():
    frames = tables()
    gone = frames["web.curated"].filter(level="high")["id"][0]
    frames["web.curated"] = frames["web.curated"].filter(pl.col("id") != gone)
    blank = frames["web.diverse_qa"]["id"][-1]
    frames["web.diverse_qa"] = frames["web.diverse_qa"].with_columns(
        text=pl.when(pl.col("id") == blank).then(pl.lit(" \n")).otherwise("text")
    )
    rejected = []
    found = made("Diverse-QA", SUBSETS["Diverse-QA"].model_copy(update={"levels": LEVELS}), frames, rejected)
    orphans = frames["web.diverse_qa"].filter(pl.col("parents").list.first() == gone)["id"]
    assert {(r.row_id, r.cause) for r in rejected} == {(i, "no_origin") for i in orphans} | {(blank, "empty_text")}
    assert len(found) == len(frames["web.diverse_qa"]) - 3
    translations = []
    made("Translated-Diverse-QA", SUBSETS["Translated-Diverse-QA"], frames, translations)
    assert {r.cause for r in translations} == {"no_origin"} and len(translations) == 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LEVELS), st.integers(0, 3)), max_size=40), st.integers(1, 9))
def test_order_and_batches_do_not_matter(chosen, size):
    """Any selection of rephrasings in batches of any size: each gets the hash of its page, and the order is kept."""
    frames = tables()
    places = [4 * 4 * LEVELS.index(level) + 4 * k for level, k in chosen]
    frames["web.rephrased"] = frames["web.rephrased"][places].with_columns(
        id=pl.Series([f"row {n}" for n in range(len(places))], dtype=pl.String)
    )
    subset = Subset(table="web.rephrased", levels=LEVELS)
    found = rows("High-Quality-Synthetic", subset, reads(frames, size), 128, pytest.fail, Tally())
    found = pl.concat([NOTHING, *found])
    hashes = dict(frames["web.curated"].select("id", page_hash()).iter_rows())
    parents = [parent[0] for parent in frames["web.rephrased"]["parents"]]
    assert found["origin_hash"].to_list() == [hashes[parent] for parent in parents]
    assert found["parents"].explode().to_list() == [f"row {n}" for n in range(len(places))]


def test_many_rows_keep_their_order():
    frames = tables(each=1_000)
    found = made("Diverse-QA", SUBSETS["Diverse-QA"].model_copy(update={"levels": LEVELS}), frames)
    assert found["parents"].explode().to_list() == frames["web.diverse_qa"]["id"].to_list()
    assert found.equals(made("Diverse-QA", SUBSETS["Diverse-QA"].model_copy(update={"levels": LEVELS}), frames))


def test_only_subsets_of_changed_inputs_are_made_again():
    contents = dict.fromkeys(NEMOTRON_CC_V2.parents, "1")

    def fingerprints(**changes) -> dict[str, str]:
        now = contents | {f"web.{name}": value for name, value in changes.items()}
        return {p.key: p.fingerprint for p in parts(SUBSETS, reads(tables()), now, 128, pytest.fail, Tally())}

    before = fingerprints()

    def changed(**changes):
        return {name for name, fingerprint in fingerprints(**changes).items() if fingerprint != before[name]}

    assert changed(rephrased="2") == {"High-Quality-Synthetic"}
    assert changed(translated_diverse_qa="2") == {"Translated-Diverse-QA"}
    assert changed(diverse_qa="2") == {"Diverse-QA", "Translated-Diverse-QA"}
    assert changed(curated="2") == set(SUBSETS)


@functools.cache
def everything() -> pl.DataFrame:
    return pl.concat(made(name, subset, tables()) for name, subset in SUBSETS.items())


DAMAGE = {
    "doubled": pl.lit("same").alias("id"),
    "unknown_subset": pl.lit("Low-Quality").alias("subset"),
    "wrong_source": pl.concat_list(pl.lit("web.documents")).alias("sources"),
    "empty_text": pl.lit(" ").alias("text"),
    "wrong_length": (pl.col("characters") + 1).alias("characters"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_audit_finds_invalid_rows(fault):
    good = everything()
    assert not any(audit.invalid_rows(good.lazy(), SUBSETS).values())
    found = audit.invalid_rows(pl.concat([good[3:], good[:3].with_columns(DAMAGE[fault])]).lazy(), SUBSETS)
    assert found[fault] == (2 if fault == "doubled" else 3)


@pytest.mark.parametrize(
    ("fault", "damage"),
    [
        ("unknown_parent", pl.concat_list(pl.lit("nobody")).alias("parents")),
        ("unknown_parent", pl.concat_list(pl.lit("web.diverse_qa")).alias("sources")),
        ("without_one_parent", pl.col("parents").list.head(0).alias("parents")),
        ("unknown_origin", pl.lit("0" * 32).alias("origin_hash")),
    ],
)
def test_audit_finds_untraceable_rows(fault, damage):
    frames, good = tables(), everything()

    def faults(release: pl.DataFrame) -> dict[str, int]:
        read = reads(frames)
        return audit.untraceable_rows(
            release.select("parents", "sources", "origin_hash").to_arrow().to_batches(max_chunksize=5),
            {name: read[name](["id"]) for name in frames},
            read["web.curated"](["url"]),
            128,
        )

    assert not any(faults(good).values())
    assert faults(pl.concat([good[3:], good[:3].with_columns(damage)]))[fault] == 3


def test_a_recipe_that_asks_for_prompts_of_pages_is_refused():
    with pytest.raises(ValueError, match="no prompt wrote"):
        Subset(table="web.curated", levels=("high",), prompts=("wikipedia",))
