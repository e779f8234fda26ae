"""Deduplication over all snapshots: exact, near and substring."""
