"""Finds the vectors of other documents that are most similar to a vector: exactly, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BLOCK = 65_536  # vectors that are compared at a time
_QUERIES = 1_024


def nearest(
    vectors: np.ndarray, owners: Sequence[int], queries: Sequence[int], most: int
) -> list[list[tuple[int, float]]]:
    """(row, cosine) of the `most` vectors that are most similar to each of the `queries` (rows of `vectors`), the most
    similar first.

    `vectors` is float32[n, width], each of length one. `owners` has the document of every row: rows of the query's own
    document are left out, so there may be fewer than `most`. Equal cosines are in the order of the rows.
    """
    import torch

    if not most or not len(queries):
        return [[] for _ in queries]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    of = torch.as_tensor(np.asarray(owners, np.int64), device=device)
    found: list[list[tuple[int, float]]] = []
    for start in range(0, len(queries), _QUERIES):
        rows = np.asarray(queries[start : start + _QUERIES], np.int64)
        mine = torch.as_tensor(vectors[rows], device=device)
        best = (
            torch.full((len(rows), 0), 0.0, device=device),
            torch.zeros((len(rows), 0), dtype=torch.long, device=device),
        )
        for first in range(0, len(vectors), _BLOCK):
            block = torch.as_tensor(np.ascontiguousarray(vectors[first : first + _BLOCK]), device=device)
            cosines = mine @ block.T
            theirs = of[first : first + len(block)]
            cosines[theirs[None, :] == of[torch.as_tensor(rows, device=device)][:, None]] = -torch.inf
            top = cosines.topk(min(most, len(block)), dim=1)
            best = torch.cat([best[0], top.values], 1), torch.cat([best[1], top.indices + first], 1)
            kept = best[0].topk(min(most, best[0].shape[1]), dim=1)
            best = kept.values, best[1].gather(1, kept.indices)
        for values, places in zip(best[0].tolist(), best[1].tolist(), strict=True):
            pairs = [(place, value) for value, place in zip(values, places, strict=True) if value != float("-inf")]
            found.append(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    return found
