"""Numbers of the snapshots: where crawls come from, and which of their records become pages."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Crawl(Section):
    """Where crawl snapshots come from and how much of them may be fetched (Nemotron-CC §2.1 for the snapshots)."""

    source: str = Field(
        description="'sample' (the embedded crawl), or a folder, an http(s) URL or an s3 URL in Common Crawl's layout"
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
    user_agent: str = Field(min_length=3, description="User-Agent header by which requests identify themselves")
    schedule: str = Field(
        description="cron expression of the regular ingestion; '0 3 * * 1' is every Monday at 3 o'clock"
    )
    fresh_days: float = Field(
        35,
        gt=0,
        description="the catalog of snapshots is stale when it was not refreshed for so many days (default; crawls are "
        "monthly)",
    )


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
        description="most damaged places in one file; behind each, reading starts again at the next record (default)",
    )
    batch_rows: int = Field(ge=1, le=65_536, description="most pages in one batch; larger batches need more memory")
    batch_mb: int = Field(ge=1, le=512, description="most MiB of HTTP bodies in one batch")


class Snapshots(Section):
    """Crawl snapshots: where they come from, and which of their records become pages."""

    crawl: Crawl
    pages: Pages
