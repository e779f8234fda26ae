"""The metadata of conversations and prompts in the Dagster UI: counts, and an example of each kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.plots import bars, markdown
from nemotron_assets.table.markdown import markdown_row

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_WIDTH = 160  # characters of an example's message


def of_conversations(stored: Reader) -> dict[str, Any]:
    """Conversations by domain and variant, and an example of each pair."""
    rows = stored.scan()
    groups = _groups(rows, "domain", "variant")
    by_domain = dict(groups.group_by("domain", maintain_order=True).agg(pl.col("rows").sum()).iter_rows())
    return {
        "rows": int(groups["rows"].sum()),
        "by_domain_and_variant": _table(groups, "domain", "variant"),
        "plot": bars(by_domain, "conversations by domain", "rows"),
    }


def of_prompts(stored: Reader) -> dict[str, Any]:
    """Prompts by kind, domain and split, and an example of each."""
    rows = stored.scan()
    groups = _groups(rows, "kind", "domain", "split")
    by_kind = dict(groups.group_by("kind", maintain_order=True).agg(pl.col("rows").sum()).iter_rows())
    return {
        "rows": int(groups["rows"].sum()),
        "by_kind_domain_and_split": _table(groups, "kind", "domain", "split"),
        "plot": bars(by_kind, "prompts by kind", "rows"),
    }


def _groups(rows: pl.LazyFrame, *columns: str) -> pl.DataFrame:
    """One row per group: its size, and the messages of one member, always the same one."""
    counted = rows.group_by(columns).agg(rows=pl.len(), example=pl.col("messages").sort_by("id").first())
    return counted.sort(columns).collect(engine="streaming")


def _table(groups: pl.DataFrame, *columns: str) -> Any:
    lines = [markdown_row([*columns, "rows", "example"]), f"|{'---|' * len(columns)}--:|---|"]
    for row in groups.iter_rows(named=True):
        shown = " / ".join(map(_shown, json.loads(row["example"])))
        lines.append(markdown_row([*(row[name] for name in columns), f"{row['rows']:,}", shown], 4 * _WIDTH))
    return markdown("\n".join(lines))


def _shown(message: dict[str, Any]) -> str:
    thought = f" (thinks: {message['reasoning'][:_WIDTH]})" if message.get("reasoning") else ""
    calls = (
        f" (calls: {', '.join(call['name'] for call in message['tool_calls'])})" if message.get("tool_calls") else ""
    )
    return f"{message['role']}{thought}{calls}: {message['content'][:_WIDTH]}"
