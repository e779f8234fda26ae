"""The frozen teacher of a distillation: what it knows of a batch, computed now or read from a cache on disk.

The cache holds the teacher's last hidden states, from which its head gives the exact logits over the whole vocabulary:
of a token `width` numbers instead of `vocabulary`. Several students of one teacher that read the same sequences, as the
candidates of a search, then pay for the teacher once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xxhash

from nemotron_assets.model.nemotron_h import packed_hidden

if TYPE_CHECKING:
    from transformers import NemotronHForCausalLM

    from nemotron_assets.training.stream import Batch


class Teacher(torch.nn.Module):
    """A frozen model, and a cache or None."""

    def __init__(self, model: NemotronHForCausalLM, cache: HiddenCache | None = None):
        super().__init__()
        self.model, self.cache = model.requires_grad_(False), cache

    @classmethod
    def load(cls, folder: Path, precision: str, cache: HiddenCache | None = None) -> Teacher:
        """The teacher in a Hugging Face folder, for a training with this precision (fp32, bf16 or fp8)."""
        from nemotron_assets.rollouts.transformers_engine import load

        return cls(load(folder, dtype="float32" if precision == "fp32" else "bfloat16"), cache)

    @torch.no_grad()
    def forward(self, batch: Batch, places: torch.Tensor) -> torch.Tensor:
        """The last hidden states [len(places), width] at these positions of the flattened batch, in rising order."""
        if self.cache is None:
            return self._computed(batch, places)
        if batch.parallel is not None:
            raise ValueError("a cache of the teacher knows whole sequences: use context_parallel 1 or no cache")
        rows, length = batch.tokens.shape
        at = [places[(places >= row * length) & (places < (row + 1) * length)] for row in range(rows)]
        keys = [
            self.cache.key(batch.tokens[row], batch.packing.lengths[row], at[row] - row * length) for row in range(rows)
        ]
        known = [self.cache.get(key) for key in keys]
        if any(value is None for value in known):
            known = self._computed(batch, places).split([len(own) for own in at])
            for key, value in zip(keys, known, strict=True):
                self.cache.put(key, value)
        return torch.cat([value.to(places.device) for value in known])

    def _computed(self, batch: Batch, places: torch.Tensor) -> torch.Tensor:
        return packed_hidden(self.model, batch.tokens, batch.packing, batch.parallel).flatten(0, 1)[places]


class HiddenCache:
    """Hidden states of one teacher, a file per sequence in `folder`, which no other teacher may use. When the files
    take `most_bytes`, no more are written, and the teacher computes what is missing.

    A sequence that another training has read in another batch has hidden states that differ in their last bits.
    """

    def __init__(self, folder: Path, most_bytes: float):
        self.folder, self._most = folder, most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.partial"):  # of a killed training; only one trains at a time
            left.unlink()
        self.bytes = sum(path.stat().st_size for path in folder.glob("*.npy"))
        self.found = self.missed = 0

    @staticmethod
    def key(tokens: torch.Tensor, lengths: tuple[int, ...], places: torch.Tensor) -> str:
        """The name of a sequence: tokens, where its documents lie, and the positions that are wanted."""
        digest = xxhash.xxh3_128(repr(lengths).encode())
        for values in (tokens, places):
            digest.update(values.cpu().numpy().tobytes())
        return digest.hexdigest()

    def get(self, key: str) -> torch.Tensor | None:
        """The hidden states of a sequence, or None."""
        try:
            value = torch.from_numpy(np.load(self.folder / f"{key}.npy", allow_pickle=False))
        except FileNotFoundError:
            self.missed += 1
            return None
        self.found += 1
        return value.view(torch.bfloat16) if value.dtype == torch.int16 else value

    def put(self, key: str, value: torch.Tensor) -> None:
        """Store the hidden states of a sequence, unless the cache is full. A kill leaves no half file behind."""
        value = value.detach().cpu().contiguous()
        stored = (value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy()
        if self.bytes + stored.nbytes > self._most:
            return
        temporary = self.folder / f"{key}.{os.getpid()}.partial"
        with temporary.open("wb") as file:
            np.save(file, stored, allow_pickle=False)
        temporary.rename(self.folder / f"{key}.npy")
        self.bytes += stored.nbytes
