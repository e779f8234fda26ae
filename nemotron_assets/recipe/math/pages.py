"""Numbers of the mathematics pipeline: which pages are candidates, and how they become text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section


class UrlList(Section):
    """A list of pages with mathematics: Parquet, JSON lines (also gzipped) or CSV with a column `url`, or with the
    columns `warc_filename`, `warc_record_offset` and `warc_record_length` (or `offset` and `length`)."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="what the list is called in the tables")
    path: str = Field(min_length=1, description="a file, or files as in /data/finemath/*.parquet")


class MathCandidates(Section):
    """Which pages are rendered (Nemotron-CC-Math §2: URL lists; the detector is default)."""

    detector: bool = Field(True, description="look for mathematics in the snapshot's own pages, too")
    min_score: float = Field(0.5, ge=0, le=1, description="least evidence of mathematics in a page's markup (default)")
    lists: tuple[UrlList, ...] = Field(
        (),
        description="lists of pages (published: OpenWebMath, FineMath, InfiMM-WebMath, MegaMath; bring your own)",
    )
    max_pages: int | None = Field(None, ge=1, description="most listed pages fetched per snapshot; null for all")
    memory_mb: int = Field(512, ge=128, description="memory of the join with the crawl's index, in MB (default)")
    max_html_characters: int = Field(
        1_000_000, ge=1_000, description="start of a decoded page that is looked at (default)"
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages handed to a worker at a time (default)")
    min_recall: float = Field(0.95, ge=0, le=1, description="what the check asks of the detector where truth is known")
    min_precision: float = Field(
        0.9, ge=0, le=1, description="what the check asks of the detector where truth is known"
    )


class MathRendering(Section):
    """Pages to text (Nemotron-CC-Math §2: Lynx, 20 s)."""

    scripts: Literal["unicode", "tex", "plain"] = Field(
        "unicode", description="superscripts and subscripts outside formulas: x², x^{2} or x2 (default)"
    )
    timeout_s: float = Field(
        20, gt=0, le=600, description="longest time of one browser process, seconds (published: 20)"
    )
    pages_per_process: int = Field(25, ge=1, le=200, description="pages laid out by one browser process (default)")
    memory_mb: int = Field(1_024, ge=64, description="address space of one browser process, in MB (default)")
    max_html_characters: int = Field(4_000_000, ge=1_000, description="longer decoded pages are cut here (default)")
    max_output_characters: int = Field(2_000, ge=0, description="longest output of a notebook's cell kept (default)")
    min_characters: int = Field(50, ge=0, description="shortest text kept, in characters (default)")
    batch_rows: int = Field(25, ge=1, le=4_096, description="pages handed to a worker at a time (default)")


class ExtractionExamples(Section):
    """The side-by-side comparison of extractors (default)."""

    pages: int = Field(24, ge=0, le=10_000, description="pages per snapshot, those with the rarest encodings first")
    max_characters: int = Field(20_000, ge=100, le=1_000_000, description="characters of each text that are kept")
    max_lost: int = Field(50, ge=1, le=10_000, description="lost formulas listed per text")


class Math(Section):
    """Nemotron-CC-Math: from pages with formulas to a corpus in which none is lost."""

    candidates: MathCandidates = MathCandidates()
    rendering: MathRendering = MathRendering()
    examples: ExtractionExamples = ExtractionExamples()
