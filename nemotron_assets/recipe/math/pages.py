"""Numbers of pages with mathematics: how they are found, and how they become text with TeX formulas."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section


class UrlList(Section):
    """A list of pages with mathematics, as Parquet, JSON lines (also gzipped) or CSV.

    The file has a column `url`, or the columns `warc_filename`, `warc_record_offset` and `warc_record_length` (the last
    two may be called `offset` and `length`).
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="name of the list; it appears in math.candidate_pages"
    )
    path: str = Field(
        min_length=1, description="a file, or a pattern for several files, such as /data/finemath/*.parquet"
    )


class MathCandidates(Section):
    """Which pages are rendered: those on lists, and those that a detector finds (Nemotron-CC-Math §2: lists only)."""

    detector: bool = Field(
        True,
        description="whether a detector looks for mathematics in the pages of the snapshot (default; published: lists "
        "only)",
    )
    min_score: float = Field(
        0.5,
        ge=0,
        le=1,
        description="score from which the detector takes a page, 0 to 1; a lower one finds more pages, and more "
        "without mathematics (default)",
    )
    lists: tuple[UrlList, ...] = Field(
        (),
        description="lists of pages with mathematics (published: OpenWebMath, FineMath, InfiMM-WebMath, MegaMath; none "
        "is included)",
    )
    max_pages: int | None = Field(
        None, ge=1, description="most pages of the lists that are fetched per snapshot; null for all"
    )
    memory_mb: int = Field(
        512, ge=128, description="memory of the join of the lists with the index of the crawl, in MB (default)"
    )
    max_html_characters: int = Field(
        1_000_000,
        ge=1_000,
        description="characters at the start of a decoded page that the detector looks at (default)",
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages handed to a worker process at a time (default)")
    min_recall: float = Field(
        0.95,
        ge=0,
        le=1,
        description="a check warns when the detector finds a smaller share of the pages with formulas; only in the "
        "embedded sample are they known (default)",
    )
    min_precision: float = Field(
        0.9,
        ge=0,
        le=1,
        description="a check warns when a smaller share of the pages it finds has formulas; only in the embedded "
        "sample is this known (default)",
    )


class MathRendering(Section):
    """How pages become text: the text browser Lynx lays them out (Nemotron-CC-Math §2)."""

    extractor: Literal["lynx", "trafilatura"] = Field(
        "lynx",
        description="what makes the text: lynx keeps formulas and layout (published); trafilatura is a common "
        "extractor of web text, to measure what that is worth",
    )
    scripts: Literal["unicode", "tex", "plain"] = Field(
        "unicode",
        description="how superscripts and subscripts outside formulas are written: x² (unicode), x^{2} (tex) or x2 "
        "(plain) (default)",
    )
    timeout_s: float = Field(
        20, gt=0, le=600, description="longest time of one Lynx process with all its pages, in seconds (published: 20)"
    )
    pages_per_process: int = Field(
        25, ge=1, le=200, description="pages that one Lynx process lays out; more are faster (default)"
    )
    memory_mb: int = Field(1_024, ge=64, description="address space of one Lynx process, in MiB (default)")
    max_html_characters: int = Field(
        4_000_000, ge=1_000, description="characters of a decoded page that are read; the rest is cut off (default)"
    )
    max_output_characters: int = Field(
        2_000, ge=0, description="longest output of a notebook cell that is kept, in characters (default)"
    )
    min_characters: int = Field(
        50, ge=0, description="shortest text that is kept of a page without a formula, in characters (default)"
    )
    batch_rows: int = Field(25, ge=1, le=4_096, description="pages handed to a worker process at a time (default)")


class ExtractionExamples(Section):
    """The side-by-side comparison of extractors in math.extraction_examples (default)."""

    pages: int = Field(
        24,
        ge=0,
        le=10_000,
        description="pages compared per snapshot; pages whose formulas are written in a rare way (images, MathML) come "
        "first",
    )
    max_characters: int = Field(
        20_000, ge=100, le=1_000_000, description="characters of each extracted text that are stored"
    )
    max_lost: int = Field(50, ge=1, le=10_000, description="most lost formulas that are listed per text")


class MathPages(Section):
    """Pages with mathematics: how they are found and rendered, and a comparison of extractors."""

    candidates: MathCandidates = MathCandidates()
    rendering: MathRendering = MathRendering()
    examples: ExtractionExamples = ExtractionExamples()
