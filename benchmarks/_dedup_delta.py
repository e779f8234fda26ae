"""The code of the assets as a contender of the deduplication benchmark.

Documents, signatures, pairs and duplicates are Delta tables, joined in DuckDB. That code works snapshot by snapshot and
may be killed at any moment, which costs more than one pass in memory.

python -m benchmarks._dedup_delta documents.parquet lake          write the documents to the lake; not measured
python -m benchmarks._dedup_delta documents.parquet out.parquet   run the three assets and write the common result
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SNAPSHOT = "CC-MAIN-2024-51"


def _lake(source: str):
    from resources.lakehouse import Lake

    return Lake(root=str(Path(source).with_name("lake")), row_group_mb=32, compression_level=1)


def prepare(source: str) -> None:
    """Write the texts as `web.documents`, in their order."""
    import pyarrow.parquet as pq

    from benchmarks._incremental import documents
    from nemotron_assets.web.tables import DOCUMENTS

    texts = (text.as_py() for batch in pq.ParquetFile(source).iter_batches(1000) for text in batch["text"])
    _lake(source).write(DOCUMENTS, documents(SNAPSHOT, texts), SNAPSHOT)


def main(source: str, target: str) -> None:
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    from benchmarks._incremental import deduplicate
    from nemotron_assets.dedup.clusters import components
    from nemotron_assets.recipe import load_recipe
    from nemotron_assets.table.ids import row_ids
    from nemotron_assets.web.dedup.tables import DUPLICATES, NEAR_DUPLICATES
    from nemotron_assets.web.tables import DOCUMENTS

    lake = _lake(source)
    deduplicate(lake, SNAPSHOT, load_recipe("laptop").web.dedup)

    ids = pq.read_table(source, columns=["id"])["id"].to_numpy()
    names = pl.select(row=pl.int_range(len(ids))).select(
        "row", name=row_ids(DOCUMENTS.full_name, pl.lit(SNAPSHOT), pl.col("row").cast(pl.String))
    )

    def edges(table, one: pl.Expr, other: pl.Expr) -> pl.DataFrame:
        found = lake.read(table, SNAPSHOT).scan().select(one.alias("one"), other.alias("other"), "similarity").collect()
        for side in ("one", "other"):
            found = found.join(names, left_on=side, right_on="name").drop(side).rename({"row": side})
        return found

    pairs = edges(NEAR_DUPLICATES, pl.col("parents").list.first(), pl.col("parents").list.last())
    dropped = edges(DUPLICATES, pl.col("parents").list.first(), pl.col("duplicate_of"))
    both = pl.concat([pairs, dropped])
    cluster = components(len(ids), both["one"].to_numpy(), both["other"].to_numpy())
    result = pl.DataFrame({"id": ids, "cluster": ids[cluster], "row": np.arange(len(ids))})
    result = result.join(dropped, left_on="row", right_on="one", how="left", maintain_order="left")
    result.select(
        "id",
        "cluster",
        removed=pl.col("other").is_not_null(),
        duplicate_of=pl.lit(pl.Series(ids)).gather("other"),
        similarity="similarity",
    ).write_parquet(target)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    if target == "lake":
        prepare(source)
    else:
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        main(source, target)
