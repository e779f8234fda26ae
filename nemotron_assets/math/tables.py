"""First tables of the mathematics pipeline: pages with formulas, their texts, a comparison with other extractors."""

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

WARC_FILE = Column("warc_file", "string", "path of the WARC file in the crawl, or short name of the ingested file")

CANDIDATE_PAGES = Table(
    "math",
    "candidate_pages",
    "Pages with formulas: detected by their markup among the snapshot's pages, or named by a URL list and fetched from "
    "the crawl (Nemotron-CC-Math §2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        WARC_FILE,
        Column(
            "warc_offset",
            "int64",
            "offset of the record in the file, in bytes; for Parquet and JSON lines the row number, from 0",
        ),
        Column(
            "warc_length", "int64", "length of the record in the file, in bytes; 0 for rows of Parquet and JSON lines"
        ),
        URL,
        HOST,
        FETCHED_AT,
        Column(
            "mime", "string", "media type, such as text/html; recognised from the bytes if the declared one is generic"
        ),
        Column("charset", "string", "character encoding of the bytes by its WHATWG name, such as utf-8"),
        Column("score", "float64", "evidence in the page's markup that it has formulas, 0 (none) to 1"),
        Column(
            "signals",
            "list[string]",
            "kinds of markup found that hint at formulas, such as mathml, katex or dollars, the strongest first",
        ),
        Column("lists", "list[string]", "names of the recipe's URL lists that have the page; empty if no list has it"),
        Column(
            "fetched",
            "bool",
            "true if the page was fetched from the crawl because a list has it; false if it is in snapshots.pages",
        ),
        Column("html", "binary", "body of the response, as bytes in the encoding of the column charset"),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
    origins={
        "*": ("snapshots.pages.html",),
    },
)

RENDERED = Table(
    "math",
    "rendered",
    "Pages with formulas as text laid out by Lynx, with formulas as TeX between $…$ or $$…$$ and code in fenced blocks "
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
        Column("language_score", "float64", "confidence of the language detector, 0 to 1"),
        Column("title", "string", "the page's <title>, at most 500 characters; null if it has none", nullable=True),
        Column("text", "string", "the page's text, with formulas as $…$ or $$…$$ and code in fenced blocks"),
        CHARACTERS,
        Column("formulas", "int32", "number of formulas in the text"),
        Column("display_formulas", "int32", "number of formulas on a line of their own, written $$…$$"),
        Column("code_blocks", "int32", "number of fenced code blocks in the text"),
        Column(
            "encodings",
            "list[string]",
            "how the page writes its formulas, the most frequent way first: delimited, dollars, environment, script, "
            "mathml, annotation, image, katex, mathjax, attribute or asciimath",
        ),
        Column("encoding_counts", "list[int32]", "number of formulas written in each way, in the order of encodings"),
        Column(
            "layout",
            "string",
            "what made the text: lynx (the text browser), plain (plain text or Markdown), notebook (Jupyter), or the "
            "extractor of the recipe",
        ),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
    origins={
        "*": ("math.candidate_pages.html", "math.candidate_pages.charset"),
    },
)

EXTRACTION_EXAMPLES = Table(
    "math",
    "extraction_examples",
    "How many formulas of a page each of several extractors keeps: one row per page and extractor. The HTML report of "
    "the asset shows the texts side by side.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        Column(
            "extractor",
            "string",
            "extractor that read the page: ours (this pipeline), trafilatura, resiliparse, justext or lynx",
        ),
        Column("text", "string", "start of the extractor's text (recipe: math.pages.examples.max_characters)"),
        Column(
            "wanted",
            "int32",
            "number of known formulas of the page; if they are unknown, of those that this pipeline's own extractor "
            "found",
        ),
        Column("kept", "int32", "number of the page's formulas that the whole text has as TeX between delimiters"),
        Column("output", "int32", "number of formulas between delimiters in the whole text, right or wrong"),
        Column(
            "lost",
            "list[string]",
            "first formulas of the page that the text lacks, as normalised TeX (recipe: math.pages.examples.max_lost)",
        ),
        Column(
            "truth",
            "bool",
            "true if the page's formulas are known; false if they are those that this pipeline's own extractor found",
        ),
    ),
    partition_by="snapshot",
    parents=("snapshots.pages",),
    origins={
        "extractor": (),
        "*": ("math.candidate_pages.html", "math.rendered.text"),
    },
)

TABLES = [CANDIDATE_PAGES, RENDERED, EXTRACTION_EXAMPLES]
