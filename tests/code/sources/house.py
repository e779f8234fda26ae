"""Runs the assets of code/sources over the sources that a test names, in a lake of its own."""

from pathlib import Path
from typing import NamedTuple

import dagster as dg
import polars as pl

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import CURATED
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
from nemotron_assets.recipe.code.sources import CodeSources
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader

_TABLES = (REPOSITORIES, FILES, REJECTED_FILES, CONTENTS, DUPLICATES, METADATA, ATTRIBUTIONS)
ROOM = [asset for asset in assets.ASSETS if asset.key in {table.asset_key for table in _TABLES}]


@table_asset(LICENSES, recipe=(), ins={"files": FILES})
def licenses(files: Reader):
    """Replaces the room of licences: all files are under MIT, except those of `gnu/`, which are rejected."""
    rows = files.scan().select(
        pl.concat_list("id").alias("parents"), pl.col("id").alias("file"), "repo", "commit_id", "rel_path"
    )
    gnu = pl.col("repo").str.starts_with("gnu/")
    decided = rows.collect().with_columns(
        id=pl.col("file"),
        license=pl.when(gnu).then(pl.lit("GPL-3.0-only")).otherwise(pl.lit("MIT")),
        decision=pl.when(gnu).then(pl.lit("rejected")).otherwise(pl.lit("allowed")),
    )
    parts = decided.partition_by("repo", as_dict=True)
    schema = LICENSES.empty().schema
    unknown = [
        pl.lit("" if dtype == pl.String else None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
        if name not in decided.columns
    ]
    return Parts(
        Part(
            repo,
            str(hash(frame.hash_rows().sum())),
            lambda frame=frame: frame.with_columns(unknown).select(list(schema)),
        )
        for (repo,), frame in sorted(parts.items())
    )


@table_asset(
    CURATED,
    recipe=(),
    ins={
        "files": FILES,
        "licences": LICENSES,
        "duplicates": DUPLICATES,
    },
)
def curated(files: Reader, licences: Reader, duplicates: Reader):
    """Replaces the room of quality: keeps all files that are allowed and are not duplicates."""
    allowed = licences.scan().filter(pl.col("decision") == "allowed").select("license", id="file")
    copies = duplicates.scan().select(id=pl.col("parents").list.first())
    rows = files.scan().join(allowed, on="id").join(copies, on="id", how="anti")
    zero = pl.lit(0, dtype=pl.Int64)
    return (
        rows.with_columns(
            parents=pl.concat_list("id"), file_hash="content_hash", redactions=zero, cyclomatic=zero, tokens=zero
        )
        .select(CURATED.column_names)
        .collect()
    )


class House(NamedTuple):
    """A lake and how it is filled."""

    lake: Lakehouse
    compute: Compute

    def rows(self, table: Table) -> pl.DataFrame:
        return self.lake.read(table).scan().collect().sort("id")

    def run(self, code_sources: CodeSources, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        recipe: Recipe = current_recipe().with_sections({"code.sources": code_sources})
        resources = {
            "lake": self.lake,
            "io_manager": self.lake,
            "recipe": recipe,
            "compute": self.compute,
            "crawl": Crawl.from_recipe(recipe.snapshots.crawl),
        }
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*ROOM, licenses, curated, *checks.CHECKS],
                instance=instance,
                resources=resources,
                raise_on_error=raise_on_error,
            )


def house(folder: Path) -> House:
    recipe = current_recipe()
    return House(Lakehouse(root=str(folder)), Compute(**{**recipe.compute.model_dump(), "workers": 1}))


def failed(result: dg.ExecuteInProcessResult) -> set[str]:
    """The names of the checks that did not pass."""
    return {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
