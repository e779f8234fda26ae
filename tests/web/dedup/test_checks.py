"""The checks pass on correct tables and fail on wrong ones; also the published recipe and the view of bands."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import current_recipe, load_recipe
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.dedup import checks
from nemotron_assets.web.dedup.missed_pairs import missed_pairs
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse
from tests.web.dedup.lake import RECIPE, SUBSTRING, deduplicate, finish, make, put
from tests.web.dedup.test_arrivals import ROWS, SNAPSHOTS, text
from tests.web.dedup.test_substring import ROWS as SPAN_ROWS


def prepared(folder: Path, rows) -> Path:
    """The folder of a lake with the rows, deduplicated. Tests change copies of it."""
    lake = Lakehouse(root=str(folder))
    for snapshot in SNAPSHOTS:
        put(lake, rows, snapshot)
        deduplicate(lake, snapshot)
    finish(lake, SNAPSHOTS)
    return folder


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("right"), ROWS)


@pytest.fixture(scope="module")
def right_spans(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("spans"), SPAN_ROWS)


@pytest.fixture
def lake(right, tmp_path) -> Lakehouse:
    return Lakehouse(root=shutil.copytree(right, str(tmp_path / "lake")))


def outcome(check: dg.AssetChecksDefinition, lake: Lakehouse, snapshot: str, dedup=RECIPE) -> bool:
    """Whether the check passes; it is called without a Dagster run."""
    function = check.op.compute_fn.decorated_fn
    recipe = current_recipe().with_sections({"web.dedup": dedup})
    arguments = {"lake": lake, "recipe": recipe}
    wanted = function.__annotations__.keys() & arguments.keys()
    found = function(SimpleNamespace(partition_key=snapshot), **{name: arguments[name] for name in wanted})
    assert found.metadata
    return found.passed


def test_all_checks_pass_on_correct_tables(lake):
    for check in checks.CHECKS:
        for snapshot in SNAPSHOTS:
            assert outcome(check, lake, snapshot), check


def test_a_recipe_without_deduplication_keeps_every_text(tmp_path):
    """For an ablation: no row is a duplicate, and only then may a text occur twice."""
    without, uncut = RECIPE.model_copy(update={"enabled": False}), SUBSTRING.model_copy(update={"enabled": False})
    lake, same = Lakehouse(root=str(tmp_path)), text(0, 0)
    rows = [("a1", "A-1", 0, same, "en"), ("b1", "B-2", 0, same, "en")]
    for snapshot in ("A-1", "B-2"):
        put(lake, rows, snapshot)
        deduplicate(lake, snapshot, without, uncut)
    assert lake.read(DUPLICATES).rows == 0
    for snapshot in ("A-1", "B-2"):
        make(lake, UNIQUE_DOCUMENTS, snapshot, without, uncut)
    assert lake.read(UNIQUE_DOCUMENTS).scan().collect()["id"].n_unique() == 2
    assert outcome(checks.every_text_once, lake, "B-2", without)
    assert not outcome(checks.every_text_once, lake, "B-2", RECIPE)


def rewrite(lake: Lakehouse, table, snapshot: str, change) -> None:
    """Replace the rows of a partition directly in the lake."""
    rows = change(lake.read(table, snapshot).scan().collect())
    if table.part_by:
        parts = [Part(key, "wrong", lambda some=some: some) for (key,), some in rows.group_by(table.part_by)]
        lake.write(table, Parts(parts), snapshot)
    else:
        lake.write(table, rows, snapshot)


@pytest.mark.parametrize(
    ("check", "table", "change"),
    [
        (checks.every_text_signed_once, SIGNATURES, lambda rows: rows.head(1)),
        (checks.every_text_signed_once, SIGNATURES, lambda rows: pl.concat([rows, rows.head(1)])),
        (checks.pairs_are_alike, NEAR_DUPLICATES, lambda rows: rows.with_columns(similarity=pl.lit(0.79))),
        (checks.pairs_are_alike, NEAR_DUPLICATES, lambda rows: pl.concat([rows, rows])),
        (checks.pairs_are_alike, NEAR_DUPLICATES, lambda rows: rows.with_columns(other_content_hash="content_hash")),
        (
            checks.duplicates_point_backwards,
            DUPLICATES,
            lambda rows: rows.with_columns(duplicate_of_snapshot=pl.lit("Z-9")),
        ),
        (checks.duplicates_point_backwards, DUPLICATES, lambda rows: rows.with_columns(duplicate_of=pl.lit("b1"))),
        (checks.kept_documents_differ, DUPLICATES, lambda rows: rows.head(0)),
        (checks.every_text_once, DUPLICATES, lambda rows: rows.head(0)),
        (checks.every_text_once, UNIQUE_DOCUMENTS, lambda rows: pl.concat([rows, rows])),
    ],
)
def test_each_check_fails_on_wrong_rows(lake, check, table, change):
    rewrite(lake, table, "C-3", change)
    assert not outcome(check, lake, "C-3")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.with_columns(end=pl.lit(10**6, pl.Int64)),
        lambda rows: rows.with_columns(end="start"),
        lambda rows: rows.with_columns(parents=pl.lit(["b2"])),
        lambda rows: pl.concat([rows, rows]),
    ],
)
def test_spans_are_checked(right_spans, tmp_path, change):
    lake = Lakehouse(root=shutil.copytree(right_spans, str(tmp_path / "lake")))
    assert outcome(checks.spans_are_in_kept_documents, lake, "B-2")
    rewrite(lake, REPEATED_SPANS, "B-2", change)
    assert not outcome(checks.spans_are_in_kept_documents, lake, "B-2")


def test_the_sample_finds_a_missed_pair(lake):
    looked_at, pairs = missed_pairs(lake, "C-3", RECIPE)
    assert (looked_at, pairs.height) == (1, 0)
    rewrite(lake, DUPLICATES, "C-3", lambda rows: rows.filter(pl.col("parents").list.first() != "c1"))
    looked_at, pairs = missed_pairs(lake, "C-3", RECIPE)
    assert looked_at == 2
    assert set(pairs["document"]) == {"c1"} and set(pairs["other"]) == {"a1"}


def test_the_published_recipe_links_every_candidate_in_components(tmp_path):
    """Characters, 20 x 13 bands, no verification; yet the similarity to the kept document is measured."""
    recipe = load_recipe("nano2").web.dedup.model_copy(update={"memory_mb": 128})
    lake = Lakehouse(root=str(tmp_path))
    chain = [("a1", "A-1", 0, text(0, 0), "en"), ("b1", "B-2", 0, text(0, 2), "en"), ("c1", "C-3", 0, text(0, 4), "en"),
             ("c2", "C-3", 1, text(0, 6), "en")]  # fmt: skip
    for snapshot in ("C-3", "A-1", "B-2"):
        put(lake, chain, snapshot)
        deduplicate(lake, snapshot, recipe)
    rows = lake.read(DUPLICATES).scan().sort("snapshot", "id").collect()
    assert set(rows["duplicate_of"]) == {"a1"} == set(rows["cluster"])
    assert rows["document"].to_list() == rows["parents"].list.first().to_list()
    assert set(rows["kind"]) == {"near"} and rows.height == 3
    assert ((rows["similarity"] > 0.5) & (rows["similarity"] < 1)).all()
    assert set(lake.read(SIGNATURES).scan().collect()["unit"]) == {"characters"}


def test_bands_are_joined_in_sql(lake, tmp_path):
    warehouse = Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb"))
    warehouse.refresh()
    with warehouse.connect() as connection:
        pairs = connection.execute("""
            select distinct new.document, old.document
            from web.bands new join web.bands old using (band)
            where new.snapshot = 'B-2' and old.snapshot = 'A-1'
        """).fetchall()
        count = connection.execute("select count(*), max(number) from web.bands").fetchone()
    assert ("b1", "a1") in pairs and not {"b2"} & {pair[0] for pair in pairs}
    assert count == (64 * lake.read(SIGNATURES).rows, 63)
