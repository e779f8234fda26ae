"""The categories of the training blend, and the data sets of the lake that belong to each (Nemotron Nano 2 §2.3).

A data set is a table, or the rows of a table with one value in one column: web.nemotron_cc_v2/Diverse-QA. A category
without a data set is trained on only where a lake has a table for it; add the table here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layout:
    """The columns of a table that the model can be trained on.

    `origin` is the column that decides which rows are held out: the hash of the page, file or problem that a row is, or
    was written from, or the page's address (see held_out.py). `subset` is the column whose values are data sets of
    their own; without it the whole table is one. `text` is the column that is trained on, `snapshot` that of the
    snapshot (None if the table has none). `only` names columns and the values that rows must have in them to be trained
    on.
    """

    origin: str = "content_hash"
    subset: str | None = None
    text: str = "text"
    snapshot: str | None = "snapshot"
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


#: Every table that the model can be trained on, by full name.
SOURCES: dict[str, Layout] = {
    "web.nemotron_cc_v2": Layout("origin_hash", "subset"),
    "web.multilingual": Layout("url"),
    "web.native_qa": Layout("origin_hash"),
    "math.nemotron_cc_math": Layout("origin_hash", "category"),
    "math.mind": Layout("origin_hash"),
    "code.curated": Layout(text="content", snapshot=None),
    "code.qa": Layout("origin_hash", snapshot=None),
    "sft.nemotron_sft": Layout("origin_hash", "category", snapshot=None),
    "sft.procedural": Layout("origin_hash", snapshot=None, only={"split": ("train",), "status": ("verified",)}),
    "sft.longdoc_qa": Layout("origin_hash", snapshot=None, only={"status": ("verified", "majority", "judged")}),
}


#: The table of rows of SFT data with benchmark items: those that it removes are not trained on.
CONTAMINATED = "sft.contaminated"


@dataclass(frozen=True)
class Category:
    """One kind of text in the blend, with its data sets. `published` names the rows of NVIDIA's table of 10.6T tokens
    that it is part of (see `PUBLISHED_TOKENS`)."""

    meaning: str
    data_sets: tuple[str, ...] = ()
    published: tuple[str, ...] = ()


_CC = "web.nemotron_cc_v2"
#: Category of the data for long context. It is not one of the thirteen categories of the phases.
LONG_DOCUMENT_QA = "long-document-qa"

#: The thirteen categories of the phases, and the questions about long documents. The report shows thirteen without
#: their names; the names follow from the successor's report.
CATEGORIES: dict[str, Category] = {
    "crawl-medium": Category(
        "English web pages of medium quality", (f"{_CC}/Medium-Quality",), ("English Common Crawl",)
    ),
    "crawl-medium-high": Category(
        "English web pages of medium-high quality", (f"{_CC}/Medium-High-Quality",), ("English Common Crawl",)
    ),
    "crawl-high": Category("English web pages of high quality", (f"{_CC}/High-Quality",), ("English Common Crawl",)),
    "syn-crawl": Category(
        "texts that a model wrote from English web pages",
        (f"{_CC}/High-Quality-Synthetic", f"{_CC}/Diverse-QA"),
        ("English synthetic CC",),
    ),
    "math": Category(
        "web pages with mathematics, and conversations about them",
        ("math.nemotron_cc_math/3", "math.nemotron_cc_math/4plus", "math.mind"),
        ("Math", "Synthetic math"),
    ),
    "wiki": Category("English Wikipedia", (), ("English Wikipedia",)),
    "code": Category("source code, and questions about it", ("code.curated", "code.qa"), ("Code", "Synthetic code")),
    "academic": Category("papers and books", (), ("Books", "Papers", "PDF-to-text")),
    "crawl++": Category("OpenWebText, BigScience and Reddit sets", (), ("Crawl++",)),
    "multilingual": Category(
        "web pages in other languages, and questions that were translated or written in these languages",
        ("web.multilingual", f"{_CC}/Translated-Diverse-QA", "web.native_qa"),
        ("Multilingual", "Synthetic multilingual"),
    ),
    "general-sft": Category("instructions with responses", ("sft.nemotron_sft/general-sft",), ("General SFT",)),
    "stem-sft": Category(
        "questions of science and mathematics with answers",
        ("sft.nemotron_sft/stem-sft", "sft.procedural"),
        ("STEM SFT",),
    ),
    "code-sft": Category("programming tasks with solutions", ("sft.nemotron_sft/code-sft",), ("Code SFT",)),
    LONG_DOCUMENT_QA: Category("long documents with questions about them", ("sft.longdoc_qa",)),
}

#: {data set: its category}.
CATEGORY_OF = {data_set: name for name, category in CATEGORIES.items() for data_set in category.data_sets}

#: Data sets that a model or a program wrote. All others are texts of people.
SYNTHETIC = frozenset(
    (
        f"{_CC}/High-Quality-Synthetic", f"{_CC}/Diverse-QA", f"{_CC}/Translated-Diverse-QA", "web.native_qa",
        "math.mind", "code.qa", *(name for name in CATEGORY_OF if name.startswith("sft.")),
    )
)  # fmt: skip

#: Tokens that NVIDIA had of each kind of text: 10.6T in all (model card of Nemotron-Nano-9B-v2-Base).
PUBLISHED_TOKENS: dict[str, int] = {
    "English Common Crawl": 3_360_110_334_818,
    "English synthetic CC": 1_949_464_641_123,
    "Crawl++": 360_389_153_262,
    "Math": 124_606_230_663,
    "Synthetic math": 73_007_767_155,
    "Code": 747_409_228_724,
    "Synthetic code": 175_067_553_293,
    "English Wikipedia": 17_349_266_926,
    "Books": 0,
    "Papers": 191_586_493_365,
    "PDF-to-text": 141_096_578_533,
    "Code SFT": 60_025_726_817,
    "STEM SFT": 272_680_426_295,
    "General SFT": 6_057_478_645,
    "Multilingual": 2_172_261_909_350,
    "Synthetic multilingual": 997_710_364_950,
}


def table_of(data_set: str) -> str:
    """The table of a data set: web.nemotron_cc_v2 of web.nemotron_cc_v2/Diverse-QA."""
    return data_set.partition("/")[0]


def published_tokens(category: str) -> int | None:
    """The published tokens of the kinds of text that a category is part of; None if the table has no such kind."""
    names = CATEGORIES[category].published
    return sum(PUBLISHED_TOKENS[name] for name in names) if names else None
