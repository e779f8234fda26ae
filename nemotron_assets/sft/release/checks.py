"""Checks of the SFT release: every row may be published and exists in its table, and no benchmark item is left."""

import dagster as dg

from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.release.tables import CONTAMINATED, NEMOTRON_SFT, SFT_TABLES, SPLIT_TABLES
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(NEMOTRON_SFT, blocking=True)
def published_sft_rows_are_sound(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Ids are unique, configs are those of the published data, no answer failed, no row has a status that the recipe
    does not take, and no text is empty."""
    from nemotron_assets.sft.release.audit import invalid_rows

    found = invalid_rows(lake.read(NEMOTRON_SFT).scan(), recipe.sft.release)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(NEMOTRON_SFT, blocking=True, reads=SFT_TABLES)
def every_sft_parent_exists(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row has one parent in its table, with the same text and status."""
    from nemotron_assets.sft.release.audit import untraceable_rows

    tables = {table.full_name: lake.read(table).scan() for table in SFT_TABLES}
    found = untraceable_rows(lake.read(NEMOTRON_SFT).scan(), tables)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(NEMOTRON_SFT, blocking=True, reads=[BENCHMARKS, *SPLIT_TABLES])
def no_benchmark_item_is_left(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Counts the n-grams of all items once more, in another way than sft/contaminated: no published row may have one
    that few items have."""
    from nemotron_assets.sft.release.audit import items_left
    from nemotron_assets.sft.release.decontamination import read_items

    numbers, rows = recipe.sft.release, lake.read(NEMOTRON_SFT).scan().select("id", "text")
    if numbers.recounted_rows is not None:
        rows = rows.bottom_k(numbers.recounted_rows, by="id")
    texts = rows.collect(engine="streaming").iter_rows()
    items = read_items(lake.read(BENCHMARKS), [lake.read(table) for table in SPLIT_TABLES])
    left = items_left(texts, items.iter_rows(named=True), numbers.contamination)
    shown = dict(list(left.items())[:10])
    return dg.AssetCheckResult(passed=not left, metadata={"rows_with_items": len(left), "items": shown})


@table_check(CONTAMINATED, blocking=True, reads=[BENCHMARKS, *SFT_TABLES])
def found_items_exist(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every entry names a row of SFT data and an item that exist, and no entry stands twice."""
    from nemotron_assets.sft.release.audit import unknown_entries

    tables = {table.full_name: lake.read(table).scan().select("id") for table in SFT_TABLES}
    items = [lake.read(BENCHMARKS).scan().select("id"), *(tables[table.full_name] for table in SPLIT_TABLES)]
    found = unknown_entries(lake.read(CONTAMINATED).scan(), tables, items)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


CHECKS = [published_sft_rows_are_sound, every_sft_parent_exists, no_benchmark_item_is_left, found_items_exist]
