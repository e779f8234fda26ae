"""Common Crawl snapshots and own data, as pages: every WARC record gets a defined fate, every page its place."""
