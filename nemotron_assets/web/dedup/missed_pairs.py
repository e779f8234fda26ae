"""Pairs of similar documents that are both kept, because the bands of their signatures missed them; found in a sample.

Whole signatures are compared position by position, without bands. That estimates the similarity of every document of
the sample to every other document. Pairs that may be similar enough are then measured exactly on their texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nemotron_assets.dedup.shingle_store import ShingleStore
from nemotron_assets.dedup.signatures import scheme
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.web.dedup.tables import DUPLICATES, SIGNATURES
from nemotron_assets.web.tables import DOCUMENTS
from resources.kernels import kernel

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: A pair is measured if its estimate is at most this many standard deviations below the wanted similarity.
_DEVIATIONS = 4


def missed_pairs(lake: Lakehouse, snapshot: str, recipe: Dedup) -> tuple[int, pl.DataFrame]:
    """(number of documents in the sample, the missed pairs as a frame of document, other, other_snapshot, similarity).

    The sample is drawn from a snapshot's kept documents. The pairs have at least the recipe's `min_similarity`; their
    other document is kept too, in the same or an earlier snapshot.
    """
    permutations = recipe.signatures.permutations
    sample = next(iter(_kept(lake, [snapshot], recipe, recipe.check_documents, lowest=True)), None)
    if sample is None:
        return 0, _no_pairs()
    signatures = _signatures(sample, permutations)
    deviation = (recipe.min_similarity * (1 - recipe.min_similarity) / permutations) ** 0.5
    least = (recipe.min_similarity - _DEVIATIONS * deviation) * permutations
    earlier = [other for other in lake.read(SIGNATURES).snapshots() if other <= snapshot]
    found = []
    for frame in _kept(lake, earlier[::-1], recipe, recipe.check_against):
        left, right = np.nonzero(_agreements(signatures, _signatures(frame, permutations)) >= least)
        pairs = pl.concat(
            [
                sample[left].select("document", "content_hash"),
                frame[right].select(other="document", other_snapshot="snapshot", other_hash="content_hash"),
            ],
            how="horizontal",
        )
        found.append(pairs.filter(pl.col("content_hash") != pl.col("other_hash")))
    pairs = pl.concat(found).select("document", "other", "other_snapshot")
    store = ShingleStore(recipe.signatures)
    sides = pl.concat(
        [
            pairs.select("document", other_snapshot=pl.lit(snapshot)),
            pairs.select(document="other", other_snapshot="other_snapshot"),
        ]
    ).unique()
    for (of,), documents in sides.group_by("other_snapshot"):
        store.add(lake.read(DOCUMENTS, of), documents["document"])
    measured = store.similarities(pairs, "document", "other")
    return len(sample), measured.filter(pl.col("similarity") >= recipe.min_similarity)


def _kept(
    lake: Lakehouse, snapshots: Iterable[str], recipe: Dedup, most: int, lowest: bool = False
) -> Iterator[pl.DataFrame]:
    """Frames of the signatures of kept documents, about `most` in all.

    With `lowest`, a single frame per snapshot with the documents of the lowest content_hash, which is as good as a
    random sample and always the same. The ids of the duplicates of one snapshot are in memory, 100 bytes each.
    """
    for snapshot in snapshots:
        dropped = lake.read(DUPLICATES, snapshot).scan().select(document=pl.col("parents").list.first())
        kept = (
            lake.read(SIGNATURES, snapshot)
            .scan()
            .filter(pl.col("scheme") == scheme(recipe.signatures))
            .select("snapshot", "content_hash", "signature", document=pl.col("parents").list.first())
            .join(dropped, on="document", how="anti")
        )
        if lowest:
            chosen = kept.drop("signature").bottom_k(most, by="content_hash").select("document")
            frames = [kept.join(chosen, on="document", how="semi").collect(engine="streaming").sort("content_hash")]
        else:
            frames = kept.collect_batches(chunk_size=4_096, engine="streaming")
        for frame in frames:
            if not frame.is_empty():
                yield frame
            most -= len(frame)
            if most <= 0:
                return


def _signatures(frame: pl.DataFrame, permutations: int) -> np.ndarray:
    """uint32[documents, permutations]."""
    return np.frombuffer(b"".join(frame["signature"]), "<u4").reshape(-1, permutations)


def _no_pairs() -> pl.DataFrame:
    return pl.DataFrame(
        schema={"document": pl.String, "other": pl.String, "other_snapshot": pl.String, "similarity": pl.Float64}
    )


@kernel
def _agreements(left, right):
    """int32[left, right]: the number of positions in which two signatures agree."""
    out = np.zeros((left.shape[0], right.shape[0]), np.int32)
    for i in range(left.shape[0]):
        for j in range(right.shape[0]):
            count = 0
            for k in range(left.shape[1]):
                count += left[i, k] == right[j, k]
            out[i, j] = count
    return out
