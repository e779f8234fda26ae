"""Deduplication of web documents over all snapshots: exact copies, near-duplicates, and repeated parts of texts."""
