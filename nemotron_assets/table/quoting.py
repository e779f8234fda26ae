"""Names and texts quoted for SQL."""

from __future__ import annotations


def identifier(*names: str) -> str:
    """A quoted, dotted SQL identifier."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"
