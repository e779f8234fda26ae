"""Finds benchmark items in texts: a library for every stage that must not train on what models are scored with.

`words` turns a text into hashes of words and of runs of words; `items` finds items by these hashes and by embeddings.
"""
