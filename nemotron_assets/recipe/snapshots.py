"""Numbers of the snapshots: where crawls come from, and which of their records become pages."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.addresses import Address
from nemotron_assets.recipe.section import Cron, Section

_SOURCE_SCHEMES = ("http", "https", "s3", "file")
#: A week of a year without the prefix of Common Crawl, or with a week of one digit: it sorts wrongly among the names.
_HALF_A_NAME = re.compile(r"(?:CC-MAIN-)?(\d{4})-(\d{1,2})", re.ASCII | re.IGNORECASE)


class Crawl(Section):
    """Where crawl snapshots come from and how much of them may be fetched (Nemotron-CC §2.1 for the snapshots)."""

    source: Address = Field(
        min_length=1,
        description="'sample' (the embedded crawl), or a folder, an http(s) URL or an s3 URL in Common Crawl's layout; "
        "user, password and query of a URL stay in memory, or come from ~/.netrc; those of s3 from the environment",
    )
    first: str = Field(description="earliest snapshot that may be used, as CC-MAIN-YYYY-WW")
    last: str = Field(description="latest snapshot that may be used, as CC-MAIN-YYYY-WW")
    max_snapshots: int = Field(
        ge=1, le=500, description="most snapshots registered: the newest ones between `first` and `last`"
    )
    max_warc_files: int = Field(
        ge=1, le=200_000, description="most WARC files read from one snapshot, the first ones of its list"
    )
    max_warc_mb: int = Field(ge=1, le=16_384, description="largest WARC file accepted, in MiB as stored (compressed)")
    max_collinfo_mb: int = Field(
        2, ge=1, le=64, description="largest collinfo.json read, in MiB (default; Common Crawl's has 0.03 MiB)"
    )
    max_listing_mb: int = Field(
        64,
        ge=1,
        le=1_024,
        description="largest warc.paths.gz read, in MiB, before and after decompression (default; Common Crawl's have "
        "up to 14 MiB)",
    )
    max_listed_files: int = Field(
        500_000,
        ge=1,
        description="most lines of a warc.paths.gz (default; Common Crawl's have up to 100,000)",
    )
    timeout_s: float = Field(
        gt=0, le=600, description="longest silence of a connection, in seconds; then the request is sent again"
    )
    file_timeout_s: float = Field(
        gt=0, le=86_400, description="longest time to fetch one WARC file, retries included, in seconds"
    )
    retries: int = Field(
        ge=0, le=20, description="retries in a row without a new byte after which the transfer of a file is given up"
    )
    backoff_s: float = Field(
        ge=0, le=300, description="wait before the first retry, in seconds; the wait doubles with every retry"
    )
    delay_s: float = Field(ge=0, le=60, description="shortest time between two requests to one server, in seconds")
    user_agent: str = Field(
        min_length=3,
        pattern=r"^[\x21-\x7e][\x20-\x7e]*$",
        description="User-Agent header by which requests identify themselves",
    )
    schedule: Cron = Field(
        description="cron expression of the regular ingestion; '0 3 * * 1' is every Monday at 3 o'clock"
    )
    fresh_days: float = Field(
        35,
        gt=0,
        description="the catalog of snapshots is stale when it was not refreshed for so many days (default; crawls are "
        "monthly)",
    )

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, source: str) -> str:
        if "://" in source and source.partition("://")[0] not in _SOURCE_SCHEMES:
            raise ValueError(
                f"a crawl cannot be read by {source.partition('://')[0]}: give sample, a folder, or an address that "
                f"begins with {', '.join(f'{scheme}://' for scheme in _SOURCE_SCHEMES)}"
            )
        return source

    @field_validator("first", "last")
    @classmethod
    def _whole_name(cls, name: str) -> str:
        if (half := _HALF_A_NAME.fullmatch(name)) and name != (whole := f"CC-MAIN-{half[1]}-{int(half[2]):02}"):
            raise ValueError(f"this is not the name of a snapshot; write {whole}")
        return name

    @model_validator(mode="after")
    def _in_order(self) -> Crawl:
        if self.first and self.last and self.first > self.last:
            raise ValueError(
                f"first {self.first} is later than last {self.last}, so that no snapshot is between them: swap them, "
                "or change one of them"
            )
        return self


class Pages(Section):
    """Which WARC records become rows of snapshots.pages."""

    max_html_mb: float = Field(
        gt=0, le=256, description="largest HTTP body kept, in MiB after gzip and the like are decoded"
    )
    mimes: tuple[str, ...] = Field(
        ("text/html", "application/xhtml+xml"),
        min_length=1,
        description="media types of the records that are kept (the types of HTML pages in Common Crawl)",
    )
    keep_truncated: bool = Field(
        False,
        description="whether to keep pages that the crawler cut off, as their WARC-Truncated header says (default)",
    )
    max_broken_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a check warns when a larger share of a snapshot's records is broken: malformed, damaged, or in a "
        "file that cannot be read (default)",
    )
    max_file_records: int = Field(
        50_000_000, ge=1, description="most records or rows read from one file (default; a WARC file has 150,000)"
    )
    max_file_mb: int = Field(
        262_144, ge=1, description="most MiB read from one file, after decompression (default; a WARC file has 5,000)"
    )
    max_file_s: float = Field(
        7_200, gt=0, description="most seconds of CPU time for one file (default; a WARC file takes about 60)"
    )
    max_file_damaged: int = Field(
        10_000,
        ge=1,
        description="most damaged places in one file; after each place, reading goes on at the next record; at more, "
        "the rest is not read (default)",
    )
    max_parquet_page_mb: int = Field(
        256,
        ge=1,
        le=2_048,
        description="largest page of a column of a Parquet file, in MiB after decompression (default); reading takes "
        "four times as much memory, and writers make pages of 1 MiB or of 1,024 values",
    )
    batch_rows: int = Field(ge=1, le=65_536, description="most pages in one batch; larger batches need more memory")
    batch_mb: int = Field(ge=1, le=512, description="most MiB of HTTP bodies in one batch")


class Ingest(Section):
    """How large files are divided."""

    part_mb: int = Field(
        2_048,
        ge=1,
        description="a larger file is read in ranges of about so many MiB as stored, each of which is one part of all "
        "tables down to web.signatures; a run that was killed goes on at the range it was at (default: twice a WARC "
        "file of Common Crawl). It holds from the next `nemotron ingest` of a file on",
    )
    piece_mb: int = Field(
        16,
        ge=1,
        le=512,
        description="a WARC file, also of a crawl, with more than two pieces of so many MiB as stored is read by all "
        "workers, piece by piece, which takes half as much CPU time again; a worker holds the pages of one piece, "
        "about ten times as much (default)",
    )


class Snapshots(Section):
    """Crawl snapshots: where they come from, and which of their records become pages."""

    crawl: Crawl
    pages: Pages
    ingest: Ingest = Field(default_factory=Ingest, description="how files of one's own are divided into parts")
