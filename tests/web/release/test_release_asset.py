"""The release as Dagster runs it: rows, checks, plots. Only subsets of changed inputs are made again."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import load_recipe
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import row_id
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.release.assets import nemotron_cc_v2
from nemotron_assets.web.release.checks import CHECKS
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import QUARANTINE, Lakehouse
from resources.warehouse import Warehouse
from tests.sql.lake import frame
from tests.web.release.inputs import tables

SNAPSHOTS = ("S1", "S2")
INPUTS = [all_tables()[name] for name in NEMOTRON_CC_V2.parents]


def put(lake: Lakehouse, name: str, rows: pl.DataFrame, snapshot: str) -> None:
    """Write rows of an input. Columns that the release does not read are filled in."""
    table = all_tables()[name]
    known = [c for c in rows.columns if c in table.column_names]
    lake.write(table, frame(table, rows.select(known).to_dicts()), snapshot)


@pytest.fixture
def house(tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    warehouse = Warehouse(root=lake.root, catalog=str(tmp_path / "cache" / "lake.duckdb"))
    for snapshot in SNAPSHOTS:
        made = tables(snapshot)
        pages = made["web.curated"]
        unique = pages.with_columns(
            id=pl.col("parents").list.first(),
            host=pl.lit("h.example"),
            fetched_at=pl.lit(datetime(2025, 1, 1, tzinfo=UTC)),
            characters=pl.col("text").str.len_chars(),
        )
        put(lake, UNIQUE_DOCUMENTS.full_name, unique, snapshot)
        for name, rows in made.items():
            put(lake, name, rows, snapshot)
    resources = {"io_manager": lake, "lake": lake, "recipe": load_recipe("laptop"), "warehouse": warehouse}
    upstream = [dg.AssetSpec(t.asset_key, partitions_def=snapshot_partitions) for t in (*INPUTS, UNIQUE_DOCUMENTS)]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", list(SNAPSHOTS))

        def run(snapshot: str = "S1", raise_on_error: bool = True):
            result = dg.materialize(
                [nemotron_cc_v2, *CHECKS, *upstream],
                instance=instance,
                resources=resources,
                partition_key=snapshot,
                selection=[nemotron_cc_v2],
                raise_on_error=raise_on_error,
            )
            (event,) = [e for e in result.all_events if e.is_step_materialization]
            checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
            return event.step_materialization_data.materialization, checks

        yield lake, run


def test_the_release(house):
    lake, run = house
    made, checks = run()
    assert set(checks) == {"published_rows_are_sound", "every_parent_is_known"}
    assert all(check.passed for check in checks.values())
    rows = lake.read(NEMOTRON_CC_V2, "S1").scan().collect()
    counts = dict(rows.group_by("subset").len().iter_rows())
    assert counts == {
        "High-Quality": 4,
        "Medium-High-Quality": 4,
        "Medium-Quality": 4,
        "High-Quality-Synthetic": 16,
        "Diverse-QA": 8,
        "Translated-Diverse-QA": 16,
    }
    assert made.metadata["dagster/partition_row_count"].value == len(rows)
    assert made.metadata["estimated_tokens"].value == pytest.approx(rows["characters"].sum() / 4, abs=6)
    assert "| High-Quality-Synthetic | 16 |" in made.metadata["subsets"].value
    stages = made.metadata["stages"].value
    for stage in ("unique documents | 20", "curated | 20", "rephrased | 80", "High-Quality | 4", "translations | 80"):
        assert f"| {stage} | " in stages
    for plot in ("funnel", "language_mix"):
        assert "data:image/png;base64," in made.metadata[plot].value
    assert made.metadata["left_out"].value["High-Quality-Synthetic"] == 64


def test_running_again_writes_nothing_and_a_change_only_its_subset(house):
    lake, run = house
    first, _ = run()
    again, _ = run()
    assert again.metadata["parts_written"].value == 0
    assert again.tags["dagster/data_version"] == first.tags["dagster/data_version"]
    changed = tables("S1")["web.rephrased"].with_columns(text=pl.concat_str("text", pl.lit(" anew")))
    put(lake, "web.rephrased", changed, "S1")
    second, _ = run()
    assert (second.metadata["parts_written"].value, second.metadata["parts_skipped"].value) == (1, 5)
    assert second.tags["dagster/data_version"] != first.tags["dagster/data_version"]
    rows = lake.read(NEMOTRON_CC_V2, "S1").scan().filter(subset="High-Quality-Synthetic").collect()
    assert rows["text"].str.ends_with(" anew").all() and len(rows) == 16
    put(lake, "web.rephrased", changed, "S1")  # another version, the same rows
    third, _ = run()
    assert third.metadata["parts_written"].value == 0


def test_snapshots_do_not_meet(house):
    lake, run = house
    run("S1")
    before = lake.read(NEMOTRON_CC_V2, "S1").scan().collect()
    run("S2")
    assert lake.read(NEMOTRON_CC_V2, "S1").scan().collect().equals(before)
    whole = lake.read(NEMOTRON_CC_V2).scan().collect()
    assert whole["id"].is_unique().all() and len(whole) == 2 * len(before)


def test_what_cannot_be_traced_is_quarantined(house):
    lake, run = house
    pages = tables("S1")["web.curated"]
    put(lake, "web.curated", pages[1:], "S1")
    made, checks = run()
    assert all(check.passed for check in checks.values())
    rejects = lake.read(QUARANTINE).scan().filter(stage=NEMOTRON_CC_V2.full_name).collect()
    assert set(rejects["cause"]) == {"no_origin"}
    assert dict(rejects.group_by("part").len().iter_rows()) == {
        "High-Quality-Synthetic": 4,
        "Diverse-QA": 2,
        "Translated-Diverse-QA": 4,
    }
    assert made.metadata["rejected"].value == {"no_origin": 10}


def test_an_origin_that_is_not_a_unique_document_stops_the_release(house):
    """With a wrong origin hash, the text of a held-out document could be trained on."""
    lake, run = house
    altered = tables("S1")["web.curated"].with_columns(url=pl.lit("https://another.example/"))
    put(lake, "web.curated", altered, "S1")
    _, checks = run(raise_on_error=False)
    assert not checks["every_parent_is_known"].passed
    assert checks["every_parent_is_known"].metadata["unknown_origin"].value == 52


def test_a_recipe_of_its_own(house, tmp_path):
    """A recipe can publish other texts, for example rephrasings of pages of the level low."""
    lake, _ = house
    from nemotron_assets.recipe.release import Subset
    from nemotron_assets.web.release.subsets import Tally, parts

    subsets = {"High-Quality-Synthetic": Subset(table="web.rephrased", levels=("low",), prompts=("wikipedia",))}
    readers = {table.full_name: lake.read(table, "S1") for table in INPUTS}
    (part,) = parts(
        subsets,
        {n: r.batches for n, r in readers.items()},
        {n: r.content() for n, r in readers.items()},
        128,
        pytest.fail,
        Tally(),
    )
    rows = pl.concat(part.make())
    assert len(rows) == 4 and rows["text"].str.starts_with("wikipedia of low").all()
    assert rows["id"].to_list()[0] == row_id(
        NEMOTRON_CC_V2.full_name, "High-Quality-Synthetic", "web.rephrased", rows["parents"][0][0]
    )
