"""Makes the page of a lake and writes it to a file: for the asset, and for `nemotron report`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.report.page import Page, page
from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.progress import CPU_SECONDS
from resources.files import replaced

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

    from resources.lakehouse import Lakehouse
    from resources.warehouse import Warehouse

#: Where `nemotron ui` serves the newest report: one port after its own, which is 3000 by default.
ADDRESS = "http://127.0.0.1:3001/report.html"


def made(lake: Lakehouse, warehouse: Warehouse, instance: dg.DagsterInstance, recipe: str) -> Page:
    """The page of a lake as it is now."""
    declared = all_tables()

    def version(table: str) -> int:
        return lake.read(declared[table]).version if table in declared else -1

    facts = {"recipe": recipe, "made at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "lake": lake.identity}
    with warehouse.connect() as connection:
        return page(connection, version, cpu_seconds(instance), facts)


def cpu_seconds(instance: dg.DagsterInstance) -> dict[str, float]:
    """The CPU seconds of all steps in Dagster's record, by the table that they made."""
    import dagster as dg

    found = {}
    for key in instance.all_asset_keys():
        records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key), limit=1_000).records
        facts = [(record.asset_materialization.metadata or {}).get(CPU_SECONDS) for record in records]
        if spent := [float(fact.value) for fact in facts if fact is not None]:
            found[".".join(key.path)] = round(sum(spent), 1)
    return found


def store(html: str, file: Path) -> None:
    """Write a page to a file, which always holds a whole page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced(file) as new:
        new.write_text(html, encoding="utf-8")


def rows(found: Page, versions: list[str], run_id: str) -> pl.DataFrame:
    """The row of evaluate.report."""
    import polars as pl

    row: dict[str, Any] = {"id": row_id(REPORT.full_name, "report"), "html": found.html, "figures": found.figures}
    row |= {"missing": list(found.missing), "input_versions": versions, "run_id": run_id, "at": datetime.now(UTC)}
    return pl.DataFrame([row], schema=REPORT.empty().schema)
