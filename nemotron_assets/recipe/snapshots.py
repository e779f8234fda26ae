"""Numbers of the snapshots: where crawls come from, and which records become pages."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Crawl(Section):
    """Where snapshots come from and how much of them may be fetched (Nemotron-CC §2.1 for the snapshots)."""

    source: str = Field(description="'sample', a folder, an http(s) URL or an s3 URL in Common Crawl's layout")
    first: str = Field(description="earliest snapshot of the window, as CC-MAIN-YYYY-WW")
    last: str = Field(description="latest snapshot of the window, as CC-MAIN-YYYY-WW")
    max_snapshots: int = Field(ge=1, le=500, description="most snapshots the sensor may register")
    max_warc_files: int = Field(ge=1, le=200_000, description="most WARC files read from one snapshot")
    max_warc_mb: int = Field(ge=1, le=16_384, description="largest WARC file accepted, in MB (compressed)")
    timeout_s: float = Field(gt=0, le=600, description="longest silence of a connection, in seconds")
    file_timeout_s: float = Field(gt=0, le=86_400, description="longest time for one WARC file, in seconds")
    retries: int = Field(ge=0, le=20, description="attempts after the first for one transfer")
    backoff_s: float = Field(ge=0, le=300, description="first wait before a retry, doubled each time, in seconds")
    delay_s: float = Field(ge=0, le=60, description="pause between requests to one server, in seconds")
    user_agent: str = Field(min_length=3, description="how requests identify themselves")
    schedule: str = Field(description="cron expression of the regular ingestion")
    fresh_days: float = Field(
        35, gt=0, description="the catalog is stale when it was not refreshed for this many days (crawls are monthly)"
    )


class Pages(Section):
    """From WARC records to pages."""

    max_html_mb: float = Field(gt=0, le=256, description="largest HTTP body kept, in MB after decoding")
    mimes: tuple[str, ...] = Field(
        ("text/html", "application/xhtml+xml"), min_length=1, description="media types that are pages (CC-MAIN's HTML)"
    )
    keep_truncated: bool = Field(False, description="keep pages that the crawler cut off (default)")
    max_broken_share: float = Field(
        0.05, ge=0, le=1, description="largest share of broken records (malformed, damaged, broken_file) (default)"
    )
    batch_rows: int = Field(ge=1, le=65_536, description="pages in one batch")
    batch_mb: int = Field(ge=1, le=512, description="most MB of bodies in one batch")


class Snapshots(Section):
    """Crawl snapshots and own data."""

    crawl: Crawl
    pages: Pages
