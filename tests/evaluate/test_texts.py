"""Which texts are held out of what: by address or content, by language, and never a page that is read elsewhere."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.evaluate.texts import (
    CODE,
    DOCUMENTS,
    DUPLICATES,
    MATHS,
    SFT,
    WEB,
    chosen,
    held_out,
    longest,
    texts_by_domain,
)
from nemotron_assets.evaluate.texts import domains as all_domains
from nemotron_assets.held_out import is_held_out, page_hash
from nemotron_assets.table.ids import content_hash

SHARE = 0.3


def rows(name: str, count: int = 40, **columns) -> pl.DataFrame:
    texts = [f"{name} {k} " + "x" * k for k in range(count)]
    frame = pl.DataFrame({"text": texts, "content_hash": [content_hash(text) for text in texts]})
    urls = [f"https://docs.example/{name}/{k}" for k in range(count)]
    frame = frame.with_columns(url=pl.Series(urls), **{key: pl.lit(value) for key, value in columns.items()})
    return frame.with_columns(id=pl.concat_str(pl.lit("d"), "content_hash"))


NOTHING = pl.Series("hash", [], pl.String)


@pytest.fixture
def tables() -> dict[str, pl.LazyFrame]:
    web = pl.concat([rows("english", language="en"), rows("polish", language="pl"), rows("swedish", language="sv")])
    code = rows("code").rename({"text": "content"})
    sft = rows("sft", status="verified").rename({"content_hash": "origin_hash"})
    return {
        WEB: web.lazy(),
        MATHS: rows("maths").with_columns(origin_hashes=pl.concat_list(page_hash())).lazy(),
        DOCUMENTS: web.lazy(),
        DUPLICATES: pl.LazyFrame(
            {"parents": [], "duplicate_of": []}, {"parents": pl.List(pl.String), "duplicate_of": pl.String}
        ),
        CODE: code.lazy(),
        SFT: sft.lazy(),
    }


def test_every_domain_has_the_held_out_texts_of_its_kind(tables):
    found = {name: list(texts) for name, texts in texts_by_domain(tables, ["pl", "de"], SHARE, None).items()}
    kinds = {name: {text.split()[0] for text in texts} for name, texts in found.items()}
    assert kinds == {
        "held_out_english_web": {"english"},
        "held_out_other_languages": {"polish"},
        "held_out_maths": {"maths"},
        "held_out_code": {"code"},
        "held_out_sft": {"sft"},
    }
    decides = {"english": "url", "polish": "url", "maths": "url", "code": "content_hash", "sft": "content_hash"}
    for texts in found.values():
        own = rows(texts[0].split()[0])
        assert sorted(texts) == sorted(own.filter(is_held_out(SHARE, decides[texts[0].split()[0]]))["text"])
        assert 3 < len(texts) < 40


def test_a_page_with_several_addresses_is_measured_if_all_are_held_out(tables):
    pages = tables[MATHS].collect()
    out, other = (pages.filter(side)["url"] for side in (is_held_out(SHARE, "url"), ~is_held_out(SHARE, "url")))
    twice = pl.DataFrame(
        {
            "a": [out[0], out[0], other[0]],
            "b": [out[1], other[0], other[1]],
            "text": ["x", "y", "z"],
            "id": ["x", "y", "z"],
        }
    )
    twice = twice.with_columns(origin_hashes=pl.concat_list(page_hash("a"), page_hash("b")))
    maths = all_domains([])["held_out_maths"]
    assert held_out(maths, {MATHS: twice.lazy()}, SHARE, NOTHING).collect()["text"].to_list() == ["x"]


def test_a_page_that_reads_like_one_that_is_trained_on_is_not_measured(tables):
    """An earlier version of the first held-out page was dropped as a duplicate of a page that is trained on."""
    web = tables[WEB].filter(language="en").collect()
    out, other = web.filter(is_held_out(SHARE, "url")), web.filter(~is_held_out(SHARE, "url"))
    before = pl.DataFrame({"parents": [[out["id"][0]], [out["id"][1]]], "duplicate_of": [other["id"][0], out["id"][2]]})
    found = texts_by_domain({**tables, DUPLICATES: before.lazy()}, ["pl"], SHARE, None)
    assert sorted(found["held_out_english_web"]) == sorted(out["text"][1:])


def test_a_limit_takes_the_lowest_hashes_or_the_longest_texts(tables):
    own = held_out(all_domains([])["held_out_code"], tables, SHARE, NOTHING)
    every = own.collect()
    assert list(chosen(own, 3)) == every.sort("hash")["text"].head(3).to_list()
    assert (
        list(longest(own, 3)) == every.sort(pl.col("text").str.len_bytes(), descending=True)["text"].head(3).to_list()
    )
    assert sorted(chosen(own, None)) == sorted(longest(own, None)) == sorted(every["text"])


def test_a_domain_without_texts_is_left_out(tables):
    assert set(texts_by_domain({**tables, CODE: tables[CODE].head(0)}, [], SHARE, 2)) == {
        "held_out_english_web", "held_out_maths", "held_out_sft",
    }  # fmt: skip
