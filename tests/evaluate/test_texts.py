"""Which texts are held out of what: by content, by language, and never a page that another corpus trains on."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.evaluate.texts import CODE, KEPT_WEB, MATHS, SFT, WEB, chosen, held_out, longest, texts_by_domain
from nemotron_assets.evaluate.texts import domains as all_domains
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.table.ids import content_hash

SHARE = 0.3


def rows(name: str, count: int = 40, **columns) -> pl.DataFrame:
    texts = [f"{name} {k} " + "x" * k for k in range(count)]
    frame = pl.DataFrame({"text": texts, "content_hash": [content_hash(text) for text in texts]})
    urls = [f"https://docs.example/{name}/{k}" for k in range(count)]
    return frame.with_columns(url=pl.Series(urls), **{key: pl.lit(value) for key, value in columns.items()})


@pytest.fixture
def tables() -> dict[str, pl.LazyFrame]:
    web = pl.concat([rows("english", language="en"), rows("polish", language="pl"), rows("swedish", language="sv")])
    code = rows("code").rename({"text": "content"})
    sft = rows("sft", status="verified").rename({"content_hash": "origin_hash"})
    return {
        WEB: web.lazy(),
        KEPT_WEB: web.filter(language="en").lazy(),
        MATHS: rows("maths").lazy(),
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
    for texts in found.values():
        assert 3 < len(texts) < 40 and all(hash_is_held_out(content_hash(text), SHARE) for text in texts)


def test_a_page_that_the_other_corpus_trains_on_is_not_measured(tables):
    """The mathematics corpus has every English page, with formulas in its own form, so under another hash."""
    pages = tables[WEB].filter(language="en").collect()
    maths = pages.with_columns(text=pl.format("{} $x$", "text"))
    maths = maths.with_columns(content_hash=pl.Series([content_hash(text) for text in maths["text"]]))
    both = {**tables, MATHS: maths.lazy()}
    web, of_maths = (
        {text.removesuffix(" $x$") for text in held_out(domain, both, SHARE).collect()["text"]}
        for domain in map(all_domains(["pl"]).get, ("held_out_english_web", "held_out_maths"))
    )
    held = [{t for t, h in f.select("text", "content_hash").iter_rows() if hash_is_held_out(h, SHARE)}
            for f in (pages, maths)]  # fmt: skip
    twice = held[0] & {text.removesuffix(" $x$") for text in held[1]}
    assert web == of_maths == twice and 0 < len(twice) < len(held[0])


def test_a_limit_takes_the_lowest_hashes_or_the_longest_texts(tables):
    own = held_out(all_domains([])["held_out_code"], tables, SHARE)
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
