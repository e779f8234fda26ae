"""Causal attention inside each document of packed sequences, without a mask of length x length.

On a CPU, and in float32, every document is one call of PyTorch's attention, whose flash algorithm keeps no matrix of
scores. On CUDA in half precision all documents are one call of its variable-length flash attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint as recompute

#: Queries per block where a block needs a mask: a document that began on another rank.
QUERY_BLOCK = 512


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Sequence[Sequence[int]], scale: float, first: int = 0
) -> torch.Tensor:
    """q [batch, heads, length, width]; k and v [batch, key heads, whole length, width]; `lengths`: the documents of
    each whole sequence. The queries are those of the positions from `first` on. Returns a tensor like q."""
    if q.device.type == "cuda" and q.dtype in (torch.float16, torch.bfloat16):
        return _varlen(q, k, v, lengths, scale, first)
    if all(row == lengths[0] for row in lengths):  # the whole batch at once
        return _row(q, k, v, lengths[0], scale, first)
    rows = [_row(q[i : i + 1], k[i : i + 1], v[i : i + 1], row, scale, first) for i, row in enumerate(lengths)]
    return torch.cat(rows)


def _pieces(lengths: Sequence[int], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """For each document with positions in [first, last): its first position, and the first and last (exclusive) of its
    queries."""
    start = 0
    for length in lengths:
        begin, end = max(start, first), min(start + length, last)
        if begin < end:
            yield start, begin, end
        start += length


def _row(q, k, v, lengths, scale, first):
    outputs = []
    for start, begin, end in _pieces(lengths, first, first + q.shape[2]):
        query, keys, values = q[:, :, begin - first : end - first], k[:, :, start:end], v[:, :, start:end]
        if start == begin:
            outputs.append(
                F.scaled_dot_product_attention(query, keys, values, is_causal=True, scale=scale, enable_gqa=True)
            )
            continue
        for at in range(begin, end, QUERY_BLOCK):  # the document began before `first`
            block, stop = query[:, :, at - begin : at - begin + QUERY_BLOCK], min(at + QUERY_BLOCK, end)
            arguments = block, keys[:, :, : stop - start], values[:, :, : stop - start], at - start, scale
            outputs.append(recompute(_later_queries, *arguments, use_reentrant=False, preserve_rng_state=False))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def _later_queries(q, k, v, position: int, scale: float) -> torch.Tensor:
    """Attention of queries that begin at a later position of the keys' document."""
    mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril(position)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=True)


def _varlen(q, k, v, lengths, scale, first):
    """Not measured on a GPU yet. Causal flash attention aligns the last query with the last key, which is what a
    document that began before `first` needs."""
    from torch.nn.attention.varlen import varlen_attn

    queries, keys, taken = [0], [0], []
    for row, documents in enumerate(lengths):
        for start, begin, end in _pieces(documents, first, first + q.shape[2]):
            queries.append(queries[-1] + end - begin)
            keys.append(keys[-1] + end - start)
            taken.append((row, start, end))
    flat_k, flat_v = (
        torch.cat([t[row, :, start:end] for row, start, end in taken], dim=1).transpose(0, 1) for t in (k, v)
    )
    bounds = [torch.tensor(t, dtype=torch.int32, device=q.device) for t in (queries, keys)]
    longest = [max(b - a for a, b in pairwise(t)) for t in (queries, keys)]
    output = varlen_attn(
        q.transpose(1, 2).flatten(0, 1).contiguous(), flat_k.contiguous(), flat_v.contiguous(), *bounds, *longest,
        scale=scale, window_size=(-1, 0), enable_gqa=True,
    )  # fmt: skip
    return output.view(q.shape[0], q.shape[2], *output.shape[1:]).transpose(1, 2)
