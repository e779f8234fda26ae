"""Nemotron-CC-v2: web pages become documents, are deduplicated over all snapshots, judged and rephrased.

The rooms: here extraction; then `dedup`, `quality`, `synthetic` (what language models write) and `release`.
"""
