"""Reads Common Crawl snapshots and own files into web pages: each page has its place, each WARC record its fate."""
