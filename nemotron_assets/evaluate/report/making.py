"""Sections about making it: what the lake cost, and the tables that the page was made from."""

from __future__ import annotations

from collections.abc import Mapping

from nemotron_assets.evaluate.report.content import Section, grid
from nemotron_assets.evaluate.report.drawing import bars
from nemotron_assets.evaluate.report.lake import Lake

_MOST = 20  # assets that are shown as bars


def cost(lake: Lake, cpu_seconds: Mapping[str, float]) -> Section:
    """Tokens of language models, and CPU seconds of the assets (`cpu_seconds` by table)."""
    section = Section(
        "cost",
        "What it cost",
        "Tokens that language models read and wrote, and the CPU seconds of all steps in Dagster's record, with those "
        "of the processes that they started. The ledger never pays for an answer twice.",
        ("llm.generations",),
    )
    if lake.has("llm.generations"):
        rows = lake.rows(
            "select asset, model, sum(answers)::bigint, sum(answers_used)::bigint, sum(prompt_tokens)::bigint, "
            "sum(output_tokens)::bigint from llm.usage group by 1, 2 order by 6 desc, 1"
        )
        written: dict[str, int] = {}
        for asset, _, _, _, _, tokens in rows:
            written[asset] = written.get(asset, 0) + tokens
        columns = ("table", "model", "answers", "used", "tokens of requests", "tokens of answers")
        section.show(
            bars("Tokens that language models wrote", dict(list(written.items())[:_MOST]), x="tokens", log=True),
            grid("Requests to language models", columns, [(lake.named(row[0]), *row[1:]) for row in rows]),
        )
    if cpu_seconds:
        most = dict(sorted(cpu_seconds.items(), key=lambda item: -item[1]))
        section.show(
            bars("CPU seconds of the largest steps", dict(list(most.items())[:_MOST]), x="CPU seconds", log=True),
            grid(f"CPU seconds, {sum(most.values()):,.0f} in all", ("table", "CPU seconds"),
                 [(lake.named(name), seconds) for name, seconds in most.items()]),
        )  # fmt: skip
    return section


def tables(lake: Lake, names: Mapping[str, int]) -> list[tuple[str, str, int, int]]:
    """The entries at the end of the page, which names of tables lead to: name, description, rows and Delta version."""
    return [(name, lake.description(name), lake.count(name), version) for name, version in sorted(names.items())]
