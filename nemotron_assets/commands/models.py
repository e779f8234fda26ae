"""Finds the language model that a command is given by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.export.model import find_version
from nemotron_assets.models.registry import ModelError
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

_LEAST_OF_AN_ID = 6  # characters of an id that name a model


def find_model(lake: Lakehouse, wanted: str) -> tuple[Table, dict[str, Any]]:
    """(the table, the row) of a model: a table (models/sft_3 or models.sft_3) for its version in use, a table with a
    version (models/sft_3@2), the name of a model (of all versions the newest), or the beginning of an id.

    Raises `ModelError`, which lists the models, unless exactly one model fits.
    """
    tables = {name: table for name, table in all_tables().items() if table.is_model}
    place, _, version = wanted.partition("@")
    if table := tables.get(place.replace("/", ".")):
        return table, find_version(lake, table, version or None)
    rows = [(table, row) for table in tables.values() for row in _rows(lake, table)]
    fit = [
        (table, row)
        for table, row in rows
        if wanted in (row["name"], f"{row['name']}@{row['version']}")
        or (len(wanted) >= _LEAST_OF_AN_ID and row["id"].startswith(wanted))
    ]
    newest = {table.full_name: (table, row) for table, row in fit}
    if len(newest) != 1:
        problem = f"{len(newest)} tables have a model" if newest else "the lake has no model"
        known = "".join(
            f"\n  {table.full_name}@{row['version']}  {row['name']}  {row['id']}" for table, row in (fit or rows)
        )
        raise ModelError(f"{problem} {wanted!r}. Name one of:{known or ' (there are none: run `nemotron run`)'}")
    return next(iter(newest.values()))


def weights_of(lake: Lakehouse, table: Table, row: dict[str, Any]) -> Path:
    """The folder of a model that writes text. Raises `ModelError` for a model of another kind."""
    folder = lake.get_weights(row["uri"])
    config = folder / "config.json"
    kinds = json.loads(config.read_text("utf-8")).get("architectures") or [] if config.is_file() else []
    if not any(kind.endswith("ForCausalLM") for kind in kinds):
        what = ", ".join(kinds) or "files of another form"
        raise ModelError(f"{table.full_name} {row['name']} is {what}: only a language model can answer")
    return folder


def _rows(lake: Lakehouse, table: Table) -> list[dict[str, Any]]:
    """The versions of a table that can be listed as language models, the newest last."""
    rows = lake.read(table).scan().sort("at")
    return [] if "kind" in table.column_names else rows.collect().to_dicts()
