"""Reads web pages from WARC files: a library for every stage that reads records of a crawl.

`reader` turns a WARC file into pages: `members` reads a compressed file piece by piece, `http_body` decodes the bodies,
`charset` finds their character encoding, `fates` says what became of each record, and `limits` bounds all of it.
`pages` shapes pages into rows of `snapshots.pages`.
"""
