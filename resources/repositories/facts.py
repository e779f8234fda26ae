"""Converts what a list of repositories says about one (version, stars, last update) into values a table can hold."""

from __future__ import annotations

from datetime import UTC, datetime


def text_of(value: object) -> str | None:
    """A value as valid UTF-8 text of at most 100 characters; None for a missing or empty value."""
    return str(value)[:100].encode("utf-8", "replace").decode() if value not in (None, "") else None


def count_of(value: object) -> int | None:
    """A value as a count from 0 to 2**63 - 1, such as 7 or "7"; None for any other value."""
    try:
        number = int(value) if isinstance(value, int | str) and len(str(value)) < 20 else -1
    except ValueError:
        return None
    return number if 0 <= number < 1 << 63 else None


def time_of(value: object) -> datetime | None:
    """A datetime or an ISO 8601 text as a time in UTC; None for any other value."""
    try:
        value = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    return None
