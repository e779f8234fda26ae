"""Checks that speeds were measured against a Transformer of the same size."""

import dagster as dg

from nemotron_assets.evaluate.throughput.tables import THROUGHPUT
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse

#: How much the numbers of parameters may differ.
SIZE = 0.03


@table_check(THROUGHPUT)
def sizes_are_equal(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The plain Transformer has the size of the model, to 3%, and all speeds are above zero."""
    import polars as pl

    rows = lake.read(THROUGHPUT).scan().collect()
    apart = (rows["peer_parameters"] / rows["parameters"] - 1).abs()
    slow = rows.filter((pl.col("decode_rate") <= 0) | (pl.col("peer_decode_rate") <= 0)).height
    return dg.AssetCheckResult(
        passed=bool(rows.height) and not slow and bool((apart <= SIZE).all()),
        metadata={"batches": rows.height, "largest_difference_in_size": apart.max() or 0.0, "without_speed": slow},
    )


CHECKS = [sizes_are_equal]
