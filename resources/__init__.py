"""Connections to the outside world, one file or folder each: the lake, DuckDB, crawls, GPUs, worker processes."""
