"""Text written by language models: a library for every stage that asks one.

`writing` asks a model for a table's rows through the ledger, `asking` puts jobs of several requests into one stream and
counts what became of them, `answers` turns what a model wrote into plain text, `spool` keeps rows on the disk.
"""
