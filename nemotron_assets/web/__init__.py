"""The stage that turns web pages into Nemotron-CC-v2.

This package extracts the text of pages. Its rooms follow in this order: `dedup` removes duplicates over all snapshots,
`quality` scores and filters documents, `synthetic` has a language model rephrase and translate them, and `release`
assembles the published data set.
"""
