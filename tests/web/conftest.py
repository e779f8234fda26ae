"""The sample, ingested once and deduplicated, for the tests of the web pipeline's first rooms."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import NamedTuple

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import catalog, pages, records
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.web import assets as web
from nemotron_assets.web import checks as extraction_checks
from nemotron_assets.web.dedup import assets as dedup
from nemotron_assets.web.dedup import checks as dedup_checks
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import Lakehouse

SNAPSHOTS = ("CC-MAIN-2024-51", "CC-MAIN-2025-08")
TRUTH = SAMPLE / "truth"
CHECKS = [*extraction_checks.CHECKS, *dedup_checks.CHECKS]
GRAPH = [catalog, pages, records, *web.ASSETS, *dedup.ASSETS, *CHECKS]


class House(NamedTuple):
    """A lake with the sample in it, and the Dagster instance that knows how it came there."""

    lake: Lakehouse
    run: Callable[..., dg.ExecuteInProcessResult]
    results: dict[str, dg.ExecuteInProcessResult]
    instance: dg.DagsterInstance
    stale: Callable[[], list[tuple[str, str]]]
    #: What was stale when the earlier snapshot had arrived, before it was made again.
    stale_on_arrival: list[tuple[str, str]]


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    """The sample ingested, the later snapshot first, so that the earlier one arrives late."""
    recipe = current_recipe()
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    compute = Compute(**recipe.compute.model_dump())
    resources = {
        "lake": lake,
        "io_manager": lake,
        "recipe": recipe,
        "compute": compute,
        "crawl": Crawl.from_recipe(recipe.snapshots.crawl),
    }
    with dg.DagsterInstance.ephemeral() as instance:

        def run(*assets, snapshot: str | None = None) -> dg.ExecuteInProcessResult:
            keys = [asset.key for asset in assets]
            return dg.materialize(
                GRAPH,
                instance=instance,
                resources=resources,
                partition_key=snapshot,
                selection=dg.AssetSelection.assets(*keys),
            )

        run(catalog)
        results = {}
        for snapshot in reversed(SNAPSHOTS):
            results[snapshot] = run(pages, web.documents, *dedup.ASSETS, snapshot=snapshot)
        graph = dg.Definitions(assets=GRAPH[: -len(CHECKS)], resources=resources).get_repository_def().asset_graph

        def stale() -> list[tuple[str, str]]:
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            units = [(asset.key, s) for asset in (web.documents, *dedup.ASSETS) for s in SNAPSHOTS]
            return [(key.path[-1], s) for key, s in units if resolver.get_status(key, s).value != "FRESH"]

        stale_on_arrival = stale()
        run(*dedup.ASSETS[-1:], snapshot=SNAPSHOTS[1])
        yield House(lake, run, results, instance, stale, stale_on_arrival)


def page_truth() -> list[dict]:
    return [json.loads(line) for line in gzip.decompress((TRUTH / "pages.jsonl.gz").read_bytes()).splitlines()]


@pytest.fixture(scope="session")
def truth(house):
    """One row per document: its text and language, and what is true of its page."""
    lake, *_ = house
    rows = pl.DataFrame(page_truth(), infer_schema_length=None).select(
        "snapshot",
        "url",
        "kind",
        "flags",
        true_language="language",
        warc_file="warc_filename",
        warc_offset="warc_record_offset",
    )
    page_ids = lake.read(PAGES).scan().select("warc_file", "warc_offset", page="id").collect()
    texts = lake.read(DOCUMENTS).scan().with_columns(page=pl.col("parents").list.first()).collect()
    return texts.join(page_ids, on="page").join(rows, on=["warc_file", "warc_offset"], suffix="_page")
