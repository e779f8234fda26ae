"""The outside world, one file or folder each: the lake, DuckDB, crawls, devices, worker processes."""
