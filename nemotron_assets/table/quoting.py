"""Quotes names and texts for SQL."""

from __future__ import annotations

from pathlib import Path


def identifier(*names: str) -> str:
    """A quoted, dotted SQL identifier: `"web"."documents"` for the names web and documents."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def delta_scan(path: str, version: int | None = None) -> str:
    """The SQL relation of a Delta table at a path or URL, at one version or at the newest."""
    return f"delta_scan({_url(path)})" if version is None else f"delta_scan({_url(path)}, version := {version})"


def delta_files(path: str) -> str:
    """The SQL relation of the data files of the newest version of a Delta table."""
    return f"delta_list_files({_url(path)})"


def _url(path: str) -> str:
    """A path or URL as a SQL string. A path becomes a URL, because DuckDB decodes %XX in a path."""
    return literal(path if "://" in path else Path(path).as_uri())


def literal(text: str) -> str:
    """A quoted SQL string: 'it''s'."""
    return "'" + text.replace("'", "''") + "'"
