"""Reads Common Crawl snapshots and own files into web pages: each page has its place, each WARC record its fate."""

from __future__ import annotations

from nemotron_assets.rooms import lazily

__getattr__ = lazily(__name__, JOBS="automation", SENSORS="automation", SCHEDULES="automation")
