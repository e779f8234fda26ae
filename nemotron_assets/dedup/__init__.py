"""Deduplication: a library for every corpus with ids, texts and snapshots.

Within one set of texts: `shingles`, `minhash`, `jaccard`, `clusters`, and `in_memory`, which puts them together. Over
snapshots that arrive one after the other: `signatures`, `candidates`, `near`, `linkage`, `duplicates` and `arrivals`,
which work on the tables of a corpus (`corpus`) in the lake.
"""
