"""Quality tables."""

TABLES = []
