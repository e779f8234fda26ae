"""The two models that are compressed: the base model with long context, and the aligned model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.models.registry import newest
from nemotron_assets.pretrain.tables import LONG_CONTEXT

if TYPE_CHECKING:
    from nemotron_assets.recipe.model import Model
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: The tables of the models that are compressed. The second one decides the shape of both.
TABLES = (LONG_CONTEXT, ALIGNED)


@dataclass(frozen=True)
class ParentModel:
    """A model that is compressed: its row and its table ("models.aligned", at a version), its folder, its sizes."""

    row: dict[str, Any]
    table: str
    input_version: str
    folder: Path
    model: Model
    vocabulary: int


def parent(table: Table, lake: Lakehouse) -> ParentModel:
    """The model of a table that is compressed. Raises `ModelError` when it is missing."""
    from nemotron_assets.model.pruning import architecture, read_config

    reader = lake.read(table)
    row = newest(reader)
    folder = lake.get_weights(row["uri"])
    config = read_config(folder)
    return ParentModel(row, table.full_name, reader.input_version, folder, architecture(config), config["vocab_size"])


def parents(lake: Lakehouse) -> list[ParentModel]:
    """Both models."""
    return [parent(table, lake) for table in TABLES]
