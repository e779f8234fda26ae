"""Release tables."""

TABLES = []
