"""The first tables of the mathematics pipeline: pages with mathematics, their text, and what other extractors lose."""

from __future__ import annotations

from nemotron_assets.table.columns import (
    CHARACTERS,
    CONTENT_HASH,
    FETCHED_AT,
    HOST,
    ID,
    LANGUAGE,
    PARENTS,
    SNAPSHOT,
    URL,
)
from nemotron_assets.table.schema import Column, Table

WARC_FILE = Column("warc_file", "string", "file the page came in, as in snapshots.pages")

CANDIDATE_PAGES = Table(
    "math",
    "candidate_pages",
    "Pages that write mathematics: found by their markup among the snapshot's pages, or named by a URL list and "
    "fetched from the crawl (Nemotron-CC-Math §2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        WARC_FILE,
        Column("warc_offset", "int64", "first byte of the record in the file, as in snapshots.pages"),
        Column("warc_length", "int64", "bytes of the record in the file"),
        URL,
        HOST,
        FETCHED_AT,
        Column("mime", "string", "media type, as in snapshots.pages"),
        Column("charset", "string", "encoding of the bytes, by its WHATWG name"),
        Column(
            "score", "float64", "evidence of mathematics in the markup, 0 to 1; candidates.py says how it is counted"
        ),
        Column("signals", "list[string]", "kinds of markup found, the strongest first"),
        Column("lists", "list[string]", "URL lists of the recipe that name the page"),
        Column("fetched", "bool", "whether the page was fetched because of a list; else it stands in snapshots.pages"),
        Column("html", "binary", "the body's bytes, not yet decoded to text"),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
)

RENDERED = Table(
    "math",
    "rendered",
    "Candidate pages as text: formulas as TeX between $…$ and $$…$$, code in fenced blocks, laid out by Lynx "
    "(Nemotron-CC-Math §2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        WARC_FILE,
        URL,
        HOST,
        FETCHED_AT,
        LANGUAGE,
        Column("language_score", "float64", "the detector's confidence, 0 to 1"),
        Column("title", "string", "the page's <title>, at most 500 characters", nullable=True),
        Column("text", "string", "the page's text with $…$ and $$…$$ formulas and fenced code blocks"),
        CHARACTERS,
        Column("formulas", "int32", "formulas in the text"),
        Column("display_formulas", "int32", "those of them that stand on lines of their own"),
        Column("code_blocks", "int32", "fenced code blocks in the text"),
        Column("encodings", "list[string]", "how the page wrote its formulas, the most frequent first; see markup.py"),
        Column("encoding_counts", "list[int32]", "formulas in each of the encodings"),
        Column("layout", "string", "what laid the page out: lynx, or plain or notebook, which need no browser"),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
)

EXTRACTION_EXAMPLES = Table(
    "math",
    "extraction_examples",
    "The same pages read by several extractors, formula by formula. The HTML report of the asset shows them side by "
    "side.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        Column("extractor", "string", "ours, trafilatura, resiliparse, justext or lynx"),
        Column("text", "string", "what it made of the page, cut at the recipe's max_characters"),
        Column("wanted", "int32", "formulas of the page: the truth's where it is known, else ours"),
        Column("kept", "int32", "those that stand in the whole text as TeX between delimiters, each once"),
        Column("output", "int32", "formulas between delimiters in the whole text"),
        Column("lost", "list[string]", "the formulas that are missing, normalised, at most the recipe's max_lost"),
        Column("truth", "bool", "whether the page's formulas are known; else they are taken from ours"),
    ),
    partition_by="snapshot",
    parents=("snapshots.pages",),
)

TABLES = [CANDIDATE_PAGES, RENDERED, EXTRACTION_EXAMPLES]
