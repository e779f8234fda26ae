"""Rows of pages on mathematics, for the lake of the SQL tests."""

from __future__ import annotations

from typing import Any

from nemotron_assets.table.ids import row_id


def add_mathematics(rows: dict[str, list[dict[str, Any]]], snapshot: str) -> None:
    """Add a page on mathematics that is published, and a page with a benchmark item."""
    for number, outcomes in enumerate((["kept", "rules"], ["rules_dropped"])):
        page = {"snapshot": snapshot, "url": f"https://math.example/{number}"}
        text = {**page, "text": "So $x = 1$.", "characters": 11}
        made = {**text, "warc_file": f"{snapshot}.warc.gz", "formulas": 1}
        rendered, cleaned = (row_id(name, snapshot, number) for name in ("math.rendered", "math.cleaned"))
        rows["math.rendered"].append({**made, "id": rendered})
        rows["math.cleaned"].append({**made, "id": cleaned, "parents": [rendered], "outcomes": outcomes})
    rows["math.nemotron_cc_math"].append(
        {**text, "id": row_id("math.nemotron_cc_math", snapshot), "parents": [cleaned], "category": "3"}
    )
    rows["math.contamination"].append(
        {
            **page,
            "id": row_id("math.contamination", snapshot),
            "parents": [rendered],
            "sources": ["math.rendered"],
            "removed": True,
            "benchmark": "gsm8k",
            "item": "gsm8k-test-0",
            "rule": "overlap",
        }
    )
