"""Reads web pages from WARC files: a library for every stage that reads records of a crawl.

`reader` turns a WARC file into pages: `members` reads a compressed file piece by piece, `classify` decides what becomes
of a record (`fates` names it), `http_head`, `http_body` and `response` decode the HTTP response, `charset` finds its
character encoding, `page_terms` its opt-outs, and `limits` bounds all of it.
`pages` shapes pages into rows of `snapshots.pages`.
"""
