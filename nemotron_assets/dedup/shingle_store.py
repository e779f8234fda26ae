"""The shingle sets of chosen documents: each text is looked up by its id once, and its set is kept in a file.

Most documents of a partition are not wanted. Their ids are read, but only those pages of the Parquet files that hold a
wanted text (`resources/pointreads.py`). Where that is not possible, polars reads the texts and skips what it can.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nemotron_assets.dedup.jaccard import containment, jaccard
from nemotron_assets.dedup.shingles import ShingleSets, shingle_sets
from nemotron_assets.dedup.signatures import by_characters, shingling
from nemotron_assets.recipe.dedup import Signatures
from resources.pointreads import NotIndexed, values_at

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_AT_ONCE = 4_096


class ShingleStore:
    """Shingle sets by document id.

    The hashes (8 bytes per shingle) are in an unnamed temporary file that is mapped into memory, so the operating
    system may drop them when memory is short. The ids stay in memory.
    """

    def __init__(self, recipe: Signatures) -> None:
        self._recipe = recipe
        self._file = tempfile.TemporaryFile(prefix="nemotron-shingles-")  # noqa: SIM115 (deleted with this object)
        self._sizes: list[np.ndarray] = [np.zeros(1, np.int64)]
        self._ids: list[pl.Series] = [pl.Series(dtype=pl.String)]

    def add(self, documents: Reader, ids: pl.Series) -> None:
        """Add the sets of the documents whose id is in `ids`."""
        if len(ids):
            for frame in _look_up(documents, ids):
                if not frame.is_empty():
                    self._append(frame)

    def _append(self, frame: pl.DataFrame) -> None:
        mask = by_characters(frame["language"], self._recipe)
        sets = shingle_sets(frame["text"], shingling(self._recipe), mask)
        sets.hashes.tofile(self._file)
        self._sizes.append(sets.sizes)
        self._ids.append(frame["id"])

    def places(self, ids: pl.Series) -> np.ndarray:
        """int64 per id: the place of its set in this store, -1 if the document was not found."""
        places = pl.concat(self._ids).to_frame("id").with_row_index("place")
        found = ids.to_frame("id").join(places, on="id", how="left", maintain_order="left")["place"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()

    def measure(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(exact Jaccard similarity, containment) as float64 per pair of places."""
        self._file.flush()
        offsets = np.cumsum(np.concatenate(self._sizes))
        hashes = np.asarray(np.memmap(self._file, np.uint64, "r")) if offsets[-1] else np.zeros(0, np.uint64)
        sets = ShingleSets(offsets, hashes)
        similarity = jaccard(sets, left, right)
        return similarity, containment(similarity, sets.sizes[left], sets.sizes[right])

    def similarities(self, pairs: pl.DataFrame, left: str, right: str) -> pl.DataFrame:
        """The pairs with the columns similarity (exact Jaccard) and containment. `left` and `right` name the columns
        with the two ids. Pairs with a document that was not found are left out."""
        one, other = self.places(pairs[left]), self.places(pairs[right])
        known = (one >= 0) & (other >= 0)
        similarity, contained = self.measure(one[known], other[known])
        return pairs.filter(known).with_columns(
            similarity=pl.Series(similarity, dtype=pl.Float64), containment=pl.Series(contained, dtype=pl.Float64)
        )


def _look_up(documents: Reader, ids: pl.Series) -> Iterator[pl.DataFrame]:
    """Frames of id, language and text of the documents with these ids, a few thousand rows each."""
    wanted = pl.col("id").is_in(ids.implode())
    paths = documents.files()
    if not paths or not all(map(os.path.isfile, paths)):
        found = documents.scan().filter(wanted).select("id", "language", "text")
        yield from found.collect_batches(chunk_size=_AT_ONCE, engine="streaming")
        return
    for path in paths:
        file = pl.scan_parquet(path, row_index_name="row", hive_partitioning=False, glob=False)
        rows = file.filter(wanted).select("id", "language", "row").collect().sort("row")
        try:
            for some in rows.iter_slices(_AT_ONCE):
                texts = [value.decode() for value in values_at(path, "text", some["row"].to_numpy())]
                yield some.select("id", "language", text=pl.Series(texts, dtype=pl.String))
        except NotIndexed:  # for example a file that compaction has written
            found = file.filter(wanted).select("id", "language", "text")
            yield from found.collect_batches(chunk_size=_AT_ONCE, engine="streaming")
