"""The tokenizers of a home as tables of bytes, by which token ids are decoded in bulk.

A list of token ids does not say which tokenizer made it. So it is decoded with each tokenizer of the home; with a wrong
one it is nothing that anybody looks for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from nemotron_assets.rights import _passes
from nemotron_assets.text.tokenizer import byte_letters

if TYPE_CHECKING:
    import pyarrow as pa


_MOST_IDS = 1 << 24


@dataclass(frozen=True)
class Vocabulary:
    """What the ids of a tokenizer stand for: id k is `spelled[bounds[k] : bounds[k + 1]]`."""

    name: str
    spelled: np.ndarray = field(repr=False)
    bounds: np.ndarray = field(repr=False)

    def texts(self, ids: np.ndarray, ends: np.ndarray) -> pa.Array:
        """The texts of lists of ids (int64): list k is `ids[ends[k] : ends[k + 1]]`. Unknown ids are left out."""
        import pyarrow as pa

        known = ids[(ids >= 0) & (ids < len(self.bounds) - 1)]
        out = np.empty(int((self.bounds[known + 1] - self.bounds[known]).sum()), np.uint8)
        offsets = np.empty(len(ends), np.int64)
        _passes.decode(ids, ends, self.spelled, self.bounds, out, offsets)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(out)]
        return pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, buffers)

    def text(self, ids: np.ndarray) -> bytes:
        """The text of one list of ids."""
        ids = ids.astype(np.int64)
        return self.texts(ids, np.array([0, len(ids)], np.int64))[0].as_py()


def vocabulary(path: str, data: bytes) -> Vocabulary | None:
    """The vocabulary of a byte-level tokenizer.json with this content; None for another kind of tokenizer. Raises
    `ValueError`, `KeyError` or `TypeError` for a file that is damaged."""
    stored = json.loads(data)
    model = stored.get("model") or {}
    if model.get("type") != "BPE":
        return None
    ids = {number: token for token, number in model["vocab"].items()}
    special = {entry["id"]: entry["content"] for entry in stored.get("added_tokens") or []}
    bytes_of = {letter: byte for byte, letter in byte_letters().items()}
    spelled, size = [], max([*ids, *special], default=-1) + 1
    if size > _MOST_IDS:
        raise ValueError(f"an id of {size - 1:,} is larger than that of any tokenizer, {_MOST_IDS:,}")
    for number in range(size):
        token = ids.get(number, "")
        if number in special or any(letter not in bytes_of for letter in token):
            spelled.append(f" {special.get(number, token)} ".replace("▁", " ").encode())
        else:
            spelled.append(bytes(bytes_of[letter] for letter in token))
    bounds = np.cumsum([0, *map(len, spelled)])
    kind, version = ("", "", *PurePath(path).parent.parts)[-2:]
    return Vocabulary(f"{kind}/{version}", np.frombuffer(b"".join(spelled), np.uint8), bounds)
