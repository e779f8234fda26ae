"""Quotes names and texts for SQL."""

from __future__ import annotations


def identifier(*names: str) -> str:
    """A quoted, dotted SQL identifier: `"web"."documents"` for the names web and documents."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A quoted SQL string: 'it''s'."""
    return "'" + text.replace("'", "''") + "'"
