"""Rows of align.conversations for tests: small, of several domains and variants."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.table.ids import content_hash, row_id


def conversation(number: int, domain: str = "suite", variant: str = "full", **own: Any) -> dict[str, Any]:
    """A question with an answer; a `truncated` one and a `no_think` copy say whose copies they are."""
    thought = "" if variant == "no_think" else "t h i n k" if variant == "truncated" else "t h i n k i n g"
    answer = {"role": "assistant", "content": f"answer {number}", **({"reasoning": thought} if thought else {})}
    messages = json.dumps([{"role": "user", "content": f"question {number}"}, answer])
    copied = row_id("test", number, domain, "full") if variant in ("no_think", "truncated") else None
    given = {
        "id": row_id("test", number, domain, variant), "parents": [], "sources": [], "part": domain, "domain": domain,
        "data_set": f"own/{domain}", "language": "en", "messages": messages, "tools": None,
        "reasoning": "on" if thought else "off", "variant": variant, "copy_of": copied,
        "budget": 5 if variant == "truncated" else None, "status": "verified", "verified_by": "exact",
        "origin_hash": "f" * 32, "content_hash": content_hash(messages.encode()),
    }  # fmt: skip
    return given | own


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=CONVERSATIONS.empty().schema)


def several() -> pl.DataFrame:
    """Sixty conversations, with copies of some without a thought and with a cut one."""
    rows = [conversation(n, domain) for domain in ("suite", "tools", "math") for n in range(20)]
    rows += [conversation(n, "math", "no_think") for n in range(4)]
    rows += [conversation(n, "math", "truncated") for n in range(4, 12)]
    return frame(rows)
