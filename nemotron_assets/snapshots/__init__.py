"""Common Crawl snapshots and own data, as pages: every WARC record gets a defined fate, every page its place."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__, JOBS="automation", SENSORS="automation", SCHEDULES="automation")
