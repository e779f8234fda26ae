"""Benchmark items as a table: what models are scored on, and what must not be in what they are trained on."""
