"""Nemotron-Pretraining-Code: repositories become files, are licensed, deduplicated, judged, published and asked about.

The rooms: `sources` (repositories, files, duplicates, metadata), `licences`, `quality` (annotations and what is kept)
and `qa` (snippets, synthetic questions, the release).
"""
