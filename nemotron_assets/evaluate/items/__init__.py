"""Benchmark items as a table: models are scored on them, and training data must not contain them."""
