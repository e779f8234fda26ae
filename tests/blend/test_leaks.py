"""No page is measured in one corpus and trained on in another, and the check finds such a page if there is one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.blend.leaks import leaks
from nemotron_assets.blend.sources import DUPLICATES, made_from
from nemotron_assets.evaluate.texts import domains, held_out, read_elsewhere
from nemotron_assets.held_out import is_held_out
from nemotron_assets.math.corpus.origins import origins_of
from nemotron_assets.stages import all_tables
from tests.pages import hash_of, page_is_held_out

SHARE = 0.4
TABLES = all_tables()
MEASURED = ("web.unique_documents", "math.nemotron_cc_math", "web.documents", "web.duplicates")
HOSTS = ("a.example", "b.example", "www.a.example")


@dataclass
class Page:
    """A page of the crawl. `web` and `maths` name the page whose document of the corpus has the same text, earlier or
    the page itself; None: the page is not in the corpus. `repeated`: the document has only spans of that of `spans`."""

    address: str
    web: int | None = None
    maths: int | None = None
    spans: int | None = None


class Lake:
    """The tables of both corpora with some pages, as frames. The published rows carry the hashes that the pipeline
    gives them, and the shards the rows that the blend takes."""

    def __init__(self, pages: list[Page]) -> None:
        self.pages, self.rows = pages, defaultdict(list)
        for n, page in enumerate(pages):
            self.add("snapshots.pages", n, [], url=page.address)
            if page.web is not None:
                self.add("web.documents", n, [f"snapshots.pages {n}"], url=page.address)
            if page.maths is not None:
                self.add("math.rendered", n, [f"snapshots.pages {n}"], url=page.address)
                self.add("math.cleaned", n, [f"math.rendered {n}"], url=page.address)
            for table, of in (("web.documents", page.web), ("math.cleaned", page.maths)):
                if of not in (None, n):
                    duplicates = f"{table.partition('.')[0]}.duplicates"
                    self.add(duplicates, n, [f"{table} {n}"], duplicate_of=f"{table} {of}")
            if page.web == n and page.spans is not None:
                for why, first in (("repeated", page.spans), ("too_short", n)):
                    of = f"web.documents {first}"
                    self.add("web.repeated_spans", f"{n} {why}", [f"web.documents {n}"], first_document=of, why=why)
            elif page.web == n:
                self.add("web.unique_documents", n, [f"web.documents {n}"], url=page.address, language="en")
                self.add("web.curated", n, [f"web.unique_documents {n}"], url=page.address)
                self.add("web.nemotron_cc_v2", n, [f"web.curated {n}"], origin_hash=hash_of(page.address))
        kept = [f"math.cleaned {n}" for n, page in enumerate(pages) if page.maths == n]
        origins = origins_of(self, pl.DataFrame({"cleaned": kept}, {"cleaned": pl.String}))
        for cleaned, hashes in origins.iter_rows():
            n = cleaned.rpartition(" ")[2]
            self.add("math.nemotron_cc_math", n, [cleaned], origin_hash=hashes[0], origin_hashes=hashes)
        self.shard(is_held_out(SHARE, "origin_hash"))

    def add(self, table: str, n: object, parents: list[str], **values) -> None:
        values |= {"parents": parents} if parents else {}
        self.rows[table].append({"id": f"{table} {n}", "text": str(n), **values})

    def shard(self, maths: pl.Expr) -> None:
        """Train on the rows of the web that are not held out, and those of mathematics for which `maths` is false."""
        del self.rows["blend.token_shards"][:]
        web = is_held_out(SHARE, "origin_hash")
        for table, out in (("web.nemotron_cc_v2", web), ("math.nemotron_cc_math", maths)):
            for id_ in self.frame(table).filter(~out)["id"]:
                self.rows["blend.token_shards"].append({"parents": [id_], "sources": [table]})

    def frame(self, table: str) -> pl.DataFrame:
        rows, schema = self.rows[table], pl.DataFrame(TABLES[table].empty()).schema
        added = {name: pl.String for row in rows for name in row}
        return pl.DataFrame(rows, schema=added | schema)

    def read(self, table) -> SimpleNamespace:
        return SimpleNamespace(scan=self.frame(table.full_name).lazy)

    def leaks(self) -> dict[str, int]:
        scans = {name: self.frame(name).lazy() for name in (*made_from(), *DUPLICATES.values(), "blend.token_shards")}
        return leaks(scans, made_from(), SHARE)

    def trained_on(self) -> list[tuple[str, int]]:
        """(corpus, number of the page) of every text that is trained on."""
        ids = [row["parents"][0] for row in self.rows["blend.token_shards"]]
        return [(id_.partition(".")[0], int(id_.rpartition(" ")[2])) for id_ in ids]

    def measured(self) -> list[tuple[str, int]]:
        """The same of every text that is measured."""
        tables = {name: self.frame(name).lazy() for name in MEASURED}
        without = read_elsewhere(tables["web.documents"], tables["web.duplicates"], SHARE)
        found = []
        for corpus, task in (("web", "held_out_english_web"), ("math", "held_out_maths")):
            texts = held_out(domains([])[task], tables, SHARE, without).collect()["text"]
            found += [(corpus, int(n)) for n in texts]
        return found

    def copies(self, corpus: str, n: int) -> set[int]:
        """The pages whose documents in a corpus have the text of page n, itself included."""
        of = "web" if corpus == "web" else "maths"
        return {n} | {m for m, page in enumerate(self.pages) if getattr(page, of) == n}


@st.composite
def crawls(draw) -> list[Page]:
    """Pages of few addresses, so that many are crawled again; some are duplicates of earlier pages."""
    pages: list[Page] = []
    for n in range(draw(st.integers(2, 9))):
        page = Page(f"https://{draw(st.sampled_from(HOSTS))}/{draw(st.integers(0, 2))}")
        for corpus in ("web", "maths"):
            earlier = [m for m, other in enumerate(pages) if getattr(other, corpus) == m and other.spans is None]
            setattr(page, corpus, draw(st.sampled_from([None, n, n, *earlier])))
        earlier = [m for m, other in enumerate(pages) if other.web == m and other.spans is None]
        page.spans = draw(st.sampled_from([None, None, *earlier])) if page.web == n else None
        pages.append(page)
    return pages


@settings(max_examples=60, deadline=None)
@given(crawls())
def test_no_page_is_measured_and_trained_on(pages):
    lake = Lake(pages)
    for corpus, n in lake.measured():
        for other, m in lake.trained_on():
            own, read = lake.copies(corpus, n), lake.copies(other, m)
            assert not own & read, "a page with the measured text is trained on"
            addresses = {without_host_prefix(pages[k].address) for k in read}
            assert without_host_prefix(pages[n].address) not in addresses, "a version of the page is trained on"
    assert lake.leaks() == {}


def without_host_prefix(address: str) -> str:
    return address.replace("://www.", "://")


HELD, KEPT = (
    next(a for n in range(99) if page_is_held_out(a := f"https://a.example/{n}", SHARE) is side)
    for side in (True, False)
)


def test_a_page_in_two_corpora_is_held_out_of_both_or_of_neither():
    """The mathematics corpus has the same page with formulas as TeX, so with another content."""
    lake = Lake([Page(HELD, 0, 0), Page(KEPT, 1, 1), Page(HELD, 2, 2)])
    assert lake.measured() == [("web", 0), ("web", 2), ("math", 0), ("math", 2)], "two versions of one page"
    assert lake.trained_on() == [("web", 1), ("math", 1)] and lake.leaks() == {}


def test_a_duplicate_at_another_address_is_held_out_with_its_page():
    lake = Lake([Page(HELD, 0), Page(KEPT, 0, 1)])
    assert lake.trained_on() == [] and lake.measured() == [("web", 0)], "one of the two addresses is not held out"
    mirrored = Lake([Page(KEPT, 0), Page(HELD, 0), Page(HELD, 2)])
    assert mirrored.trained_on() == [("web", 0)] and mirrored.measured() == [], "an earlier version reads like page 0"


def test_a_document_of_repeated_spans_is_held_out_with_those_that_have_them():
    lake = Lake([Page(HELD, 0), Page(KEPT, 1, 1, spans=0), Page(KEPT, 2, 2)])
    assert lake.trained_on() == [("web", 2), ("math", 2)]


@pytest.mark.parametrize("pages", [
    [Page(HELD, 0, 0), Page(KEPT, 1, 1)],  # the same page in both corpora
    [Page(HELD, 0), Page(KEPT, 0, 1)],  # a page whose web document was dropped for the held-out one
    [Page(KEPT, 0, 0), Page(HELD, 1, 0)],  # a page that was kept in the place of the held-out one
])  # fmt: skip
def test_the_check_finds_a_page_that_one_corpus_trains_on(pages):
    """The rows of the mathematics corpus are judged by a hash of their own, as if they had no page."""
    lake = Lake(pages)
    assert lake.leaks() == {}
    lake.shard(pl.lit(False))
    assert lake.leaks() == {"math.nemotron_cc_math": 1}


def test_the_check_finds_what_was_written_from_a_page_or_a_seed():
    lake = Lake([Page(HELD, 0), Page(KEPT, 1)])
    for n in (0, 1):
        lake.add("web.diverse_qa", n, [f"web.curated {n}"])
        lake.add("web.nemotron_cc_v2", f"qa {n}", [f"web.diverse_qa {n}"], origin_hash=hash_of(KEPT))
        lake.add("sft.seeds", n, [], url=(HELD, KEPT)[n])
        lake.add("sft.general_sft", n, [f"sft.seeds {n}"])
    lake.shard(pl.lit(False))
    lake.rows["blend.token_shards"] += [
        {"parents": [f"sft.general_sft {n}"], "sources": ["sft.general_sft"]} for n in (0, 1)
    ]
    assert lake.leaks() == {"sft.general_sft": 1, "web.nemotron_cc_v2": 1}
