"""Checkpoints that survive a kill at any moment: plain safetensors and JSON, never pickle.

`<folder>/step-00000050/` holds `rank-00000-of-00002.safetensors` (each rank's slices of weights and optimizer moments)
and `state.json`. It is written under another name, synced and renamed, so a folder of that name is always whole. Slices
are along the first axis, as FSDP2 cuts: a run may resume on another number of devices than it was written by.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor, distribute_tensor


def rank_and_world() -> tuple[int, int]:
    """This process's rank and their number; (0, 1) when training is not distributed."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


def put(parameter: torch.Tensor, value: torch.Tensor) -> None:
    """Copy a whole tensor into a tensor that may be sharded."""
    with torch.no_grad():
        if isinstance(parameter, DTensor):
            value = distribute_tensor(
                value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
        parameter.copy_(value)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor on the CPU in full, gathered from all ranks where it is sharded."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


def save(folder: Path, step: int, tensors: dict[str, torch.Tensor], state: dict, keep: int = 2) -> None:
    """Write the checkpoint of `step` and drop all but the newest `keep`. Called by every rank."""
    rank, world = rank_and_world()
    final, partial = folder / f"step-{step:010d}", folder / f"writing-{step:010d}"
    if rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    barrier()
    local = {name: t.to_local() if isinstance(t, DTensor) else t for name, t in tensors.items()}
    path = partial / f"rank-{rank:05d}-of-{world:05d}.safetensors"
    save_file({name: t.detach().cpu().contiguous() for name, t in local.items()}, path)
    _sync(path)
    barrier()
    if rank == 0:
        (partial / "state.json").write_text(json.dumps(state | {"step": step}))
        _sync(partial / "state.json")
        _sync(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _sync(folder)
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)
        for left in folder.glob("writing-*"):  # of a process that was killed while writing
            shutil.rmtree(left)
    barrier()


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint, or None."""
    return max(folder.glob("step-*"), default=None)


def read_state(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "state.json").read_text())


def read_tensors(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a checkpoint in full, one at a time. Raises ValueError when a rank's file is missing."""
    paths = sorted(checkpoint.glob("rank-*.safetensors"))
    world = int(paths[0].stem.rsplit("-", 1)[-1]) if paths else 0
    if not paths or len(paths) != world:
        raise ValueError(f"{checkpoint} has files of {len(paths)} of {world or '?'} ranks; remove it to start earlier")
    files = [safe_open(path, "pt") for path in paths]
    for name in files[0].keys():  # noqa: SIM118 - a safetensors file is not a mapping
        yield name, torch.cat([file.get_tensor(name) for file in files]) if world > 1 else files[0].get_tensor(name)


def folder_tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a Hugging Face folder of safetensors as float32, one at a time. Raises ValueError without any."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ValueError(f"{folder} has no safetensors files to start from")
    for path in paths:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
                yield name, file.get_tensor(name).float()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
