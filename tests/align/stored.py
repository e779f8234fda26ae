"""A lake for the tests of the post-training: a model with a tokenizer in a table of models, and prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.models.registry import Identity, Made, Registry
from nemotron_assets.recipe import Recipe, load_recipe
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse


def store_model(lake: Lakehouse, table: Table, folder: Path, name: str, **columns: Any) -> dict[str, Any]:
    """Store a folder as a version of a model; columns that are not given are empty. Returns its row."""
    registry = Registry(lake, table, "run")
    own = {"parameters": 1, "tokens_seen": 1, "steps": 1, "final_loss": 1.0, "source_versions": [], "metrics": "{}"}
    given = {key: value for key, value in (own | columns).items() if key in table.column_names}
    empty = {c.name: None for c in table.columns if c.nullable and c.name not in given and c.name not in ("id", "name")}
    row = registry.want(
        Identity(name, row_id(table.full_name, name, str(folder))), lambda _: Made(folder, empty | given)
    )
    lake.write(table, registry.parts())
    return row


def prompt(number: int, kind: str, split: str, question: str, answer: str, domain: str = "tools") -> dict[str, Any]:
    """A row of `align.prompts` whose right answer is exactly `answer`, without a thought."""
    return {
        "id": row_id(PROMPTS.full_name, kind, split, number),
        "parents": [],
        "sources": [],
        "part": "own",
        "kind": kind,
        "domain": domain,
        "split": split,
        "messages": json.dumps([{"role": "user", "content": f"/no_think {question}"}]),
        "tools": None,
        "verifiers": json.dumps([{"name": "exact", "arguments": {}}]),
        "reference": answer,
        "origin_hash": f"{number}",
    }


def store_prompts(lake: Lakehouse, rows: list[dict[str, Any]]) -> None:
    """Replace `align.prompts` by these rows."""
    lake.write(PROMPTS, pl.DataFrame(rows, schema=PROMPTS.empty().schema))


def recipe_with(**align: dict[str, Any]) -> Recipe:
    """The laptop's recipe with other values in sections of `align`: recipe_with(merging={"alphas": (0.5,)})."""
    recipe = load_recipe("laptop")
    sections = {
        name: type(getattr(recipe.align, name)).model_validate(getattr(recipe.align, name).model_dump() | values)
        for name, values in align.items()
    }
    return recipe.model_copy(update={"align": recipe.align.model_copy(update=sections)})
