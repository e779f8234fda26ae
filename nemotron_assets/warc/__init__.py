"""Reads web pages from WARC files: a library for every stage that reads records of a crawl.

`reader` turns a WARC file into pages, `http_body` decodes their bodies, `charset` finds their character encoding, and
`pages` shapes them into rows of `snapshots.pages`.
"""
