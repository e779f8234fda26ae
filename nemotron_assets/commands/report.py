"""What the `nemotron` command prints: the table of a run, the next steps, the recipe in words."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import to_jsonable_python

from nemotron_assets.recipe import Recipe, Section
from nemotron_assets.recipe.load import allowed_values

if TYPE_CHECKING:
    from nemotron_assets.commands.runner import Outcome


def run_table(outcomes: Iterable[Outcome]) -> None:
    """Print one line per asset and partition: what happened, rows, tokens, seconds."""
    from rich.table import Table

    from nemotron_assets.commands.sql import console

    table = Table(box=None, header_style="bold")
    for name in ("asset", "partition", ""):
        table.add_column(name)
    for name in ("rows", "tokens", "seconds"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        colour = {"failed": "red", "skipped": "yellow", "fresh": "dim"}.get(outcome.status, "green")
        table.add_row(
            outcome.unit.key.to_user_string(),
            outcome.unit.partition or "",
            f"[{colour}]{outcome.status}[/]",
            _number(outcome.rows),
            _number(outcome.tokens),
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
        )
    console().print(table)


def next_steps() -> None:
    """Three things to try after a run."""
    print(
        "\nNext:\n"
        "  make ui                                   the graph, its plots and checks, on http://127.0.0.1:3000\n"
        "  .venv/bin/nemotron sql --report funnel    from pages to tokens, in DuckDB (--reports lists the others)\n"
        "  .venv/bin/nemotron trace \"$(.venv/bin/nemotron sql --csv - 'select id from blend.token_shards limit 1'"
        ' | tail -1)"   from a training sequence back to WARC records and source files'
    )


def recipe_text(recipe: Recipe, section: str | None, explain: bool) -> str:
    """The recipe, or a dotted section of it, as YAML; with meanings and ranges as comments if `explain`."""
    value: Any = recipe.section(section) if section else recipe
    if not isinstance(value, Section):
        shown = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True).strip().removesuffix("...").strip()
        return f"{section}: {shown}"
    if not explain:
        return yaml.safe_dump(value.model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip()
    return "\n".join(_explained(value, ""))


def _explained(section: Section, indent: str) -> list[str]:
    lines, plain = [], to_jsonable_python(section)
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            meaning = field.description or inspect.cleandoc(type(value).__doc__ or "")
            lines += ["", *(f"{indent}# {line}" for line in meaning.splitlines() if line), f"{indent}{name}:"]
            lines += _explained(value, indent + "  ")
        else:
            allowed = allowed_values(type(section), name)
            shown = yaml.safe_dump(plain[name], default_flow_style=True, width=1000).removesuffix("...\n").strip()
            lines.append(f"{indent}{name}: {shown}  # {field.description}" + (f" ({allowed})" if allowed else ""))
    return lines


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""
