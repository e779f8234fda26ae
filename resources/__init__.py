"""The outside world, one file each: the lake, DuckDB, crawls, devices, worker processes."""
