"""Searches the pages and documents of a snapshot for benchmark items, batch by batch in worker processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.contamination.items import ITEMS
from nemotron_assets.math.corpus.contamination import READ, search_pages
from nemotron_assets.math.corpus.tables import CONTAMINATION
from nemotron_assets.recipe.math.corpus import MathContamination
from nemotron_assets.scorers.embeddings import fetch_embedding
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.scratch import scratch_folder

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader


def search_snapshot(
    rendered: Reader,
    documents: Reader,
    benchmarks: Reader,
    recipe: MathContamination,
    compute: Compute,
    reject: Callable[[Reject], None],
) -> pl.DataFrame:
    """Rows of `math.contamination` for one snapshot. Rendered pages are searched by all rules. Documents of
    `web.documents` whose page is not in `math.rendered` are searched by words alone, without the embedding. A page that
    cannot be searched goes to `reject`."""
    with scratch_folder("nemotron-items-") as scratch:
        items = str(scratch / "items.parquet")
        benchmarks.scan().select(ITEMS).sort("id").collect().write_parquet(items)
        embedding = str(fetch_embedding(recipe.embedding, scratch / "embedding"))
        frames = [CONTAMINATION.empty()]
        for source, batches, folder in (
            (rendered.table.full_name, rendered.batches(READ, recipe.batch_rows), embedding),
            (documents.table.full_name, _not_rendered(rendered, documents, recipe.batch_rows), None),
        ):
            search = functools.partial(search_pages, items=items, embedding=folder, recipe=recipe, source=source)
            found = compute.map(batches, search, reject=reject, stage=CONTAMINATION.full_name)
            frames += [frame for frame in found if len(frame)]
        return pl.concat(frames)


def _not_rendered(rendered: Reader, documents: Reader, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `web.documents` whose page is not in `math.rendered`."""
    # In memory: the ids of the rendered pages of one snapshot, 40 bytes for each.
    pages = rendered.scan().select(pl.col("parents").list.first()).collect(engine="streaming")["parents"]
    known = pages.to_arrow(compat_level=pl.CompatLevel.oldest())
    for batch in documents.batches((*READ, "parents"), batch_size=batch_rows):
        others = batch.filter(pc.invert(pc.is_in(pc.list_element(batch.column("parents"), 0), value_set=known)))
        if others.num_rows:
            yield others.drop_columns(["parents"])
