"""Text written by language models: a library for every stage that asks a model.

`writing` asks a model for the rows of a table through the ledger, `asking` sends jobs of several requests as one stream
and counts the answers, and `answers` turns what a model wrote into plain text.
"""
