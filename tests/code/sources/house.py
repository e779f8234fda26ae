"""A lake, and the first room's assets run over the sources a test names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl

from nemotron_assets.code.sources import assets, checks
from nemotron_assets.code.sources.tables import (
    ATTRIBUTIONS,
    CONTENTS,
    DUPLICATES,
    FILES,
    METADATA,
    REJECTED_FILES,
    REPOSITORIES,
)
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.recipe.code import CodeSources
from nemotron_assets.table import Table
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse

_TABLES = (REPOSITORIES, FILES, REJECTED_FILES, CONTENTS, DUPLICATES, METADATA, ATTRIBUTIONS)
ROOM = [asset for asset in assets.ASSETS if asset.key in {table.asset_key for table in _TABLES}]


class House(NamedTuple):
    """A lake and how it is filled."""

    lake: Lakehouse
    compute: Compute

    def rows(self, table: Table) -> pl.DataFrame:
        return self.lake.read(table).scan().collect().sort("id")

    def run(self, code_sources: CodeSources, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        recipe: Recipe = current_recipe().model_copy(update={"code_sources": code_sources})
        resources = {
            "lake": self.lake, "io_manager": self.lake, "recipe": recipe, "compute": self.compute,
            "crawl": Crawl.from_recipe(recipe.crawl),
        }  # fmt: skip
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*ROOM, *checks.CHECKS], instance=instance, resources=resources, raise_on_error=raise_on_error
            )


def house(folder: Path) -> House:
    recipe = current_recipe()
    return House(Lakehouse(root=str(folder)), Compute(**{**recipe.compute.model_dump(), "workers": 1}))


def failed(result: dg.ExecuteInProcessResult) -> set[str]:
    """The names of the checks that did not pass."""
    return {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
