"""Merges two models linearly: every weight is (1 - alpha) of the first and alpha of the second, computed in fp32.

Weights are read and written one tensor at a time, so the memory is that of the largest tensor. Merging a model with
itself gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class MergeError(ValueError):
    """Two models cannot be merged. The message says in what they differ."""


def merge(first: Path, second: Path, alpha: float, target: Path) -> int:
    """Write the merge of two Hugging Face folders into the new folder `target`, with the files and the precision of the
    first. Returns the number of parameters.

    Raises `MergeError` when the models have other weights, shapes or tokens, and ValueError for an alpha outside 0..1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, but a share lies between 0 and 1")
    _check_tokens(first, second)
    target.mkdir(parents=True)
    for file in first.iterdir():
        if file.suffix != ".safetensors":
            shutil.copyfile(file, target / file.name)
    with ExitStack() as opened:
        others = _Tensors(second, opened)
        written = [_merge_file(path, others, alpha, target / path.name) for path in _files(first)]
    names = [name for of, _ in written for name in of]
    if unknown := sorted(others.names - set(names)):
        raise MergeError(f"{second} has the weights {', '.join(unknown[:5])}, which {first} does not have")
    return sum(count for _, count in written)


class _Tensors:
    """The tensors of a folder by name. Nothing is read before it is asked for."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        from safetensors import safe_open

        self._folder = folder
        files = [opened.enter_context(safe_open(path, "pt")) for path in _files(folder)]
        self._file_of = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - not a mapping
        self.names = set(self._file_of)

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.names:
            raise MergeError(f"{self._folder} lacks the weight {name}")
        return self._file_of[name].get_tensor(name)


def _merge_file(path: Path, others: _Tensors, alpha: float, target: Path) -> tuple[list[str], int]:
    """Write the merge of one file. It begins with the bytes of the first model's file that say where tensors lie, so
    only the values differ. Returns the names of the tensors, and the number of their values."""
    from safetensors import safe_open

    parameters = 0
    with path.open("rb") as source, target.open("wb") as out, safe_open(path, "pt") as file:
        (length,) = struct.unpack("<Q", source.read(8))
        header = source.read(length)
        out.write(struct.pack("<Q", length) + header)
        for name in _in_order(json.loads(header)):
            value = file.get_tensor(name)
            out.write(_bytes(_between(name, value, others[name], alpha)))
            parameters += value.numel()
        return list(_in_order(json.loads(header))), parameters


def _in_order(header: dict[str, Any]) -> Iterator[str]:
    """The names of the tensors in the order of their bytes."""
    tensors = {name: facts for name, facts in header.items() if name != "__metadata__"}
    yield from sorted(tensors, key=lambda name: tensors[name]["data_offsets"][0])


def _between(name: str, first: torch.Tensor, second: torch.Tensor, alpha: float) -> torch.Tensor:
    import torch

    if first.shape != second.shape:
        raise MergeError(f"{name} has the shapes {tuple(first.shape)} and {tuple(second.shape)}")
    # first + alpha (second - first): of two equal weights it is the weight itself, to the last bit.
    return torch.lerp(first.float(), second.float(), alpha).to(first.dtype)


def _bytes(tensor: torch.Tensor) -> memoryview:
    import torch

    return memoryview(tensor.contiguous().flatten().view(torch.uint8).numpy())


def _files(folder: Path) -> list[Path]:
    if not (found := sorted(folder.glob("*.safetensors"))):
        raise MergeError(f"{folder} has no safetensors files to merge")
    return found


def _check_tokens(first: Path, second: Path) -> None:
    name = "tokenizer.json"
    if (first / name).exists() and (first / name).read_bytes() != (second / name).read_bytes():
        raise MergeError(f"{first} and {second} were trained with different tokenizers")
