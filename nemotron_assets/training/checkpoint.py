"""Writes and reads checkpoints that survive a kill at any moment. They are plain safetensors and JSON, never pickle.

`<folder>/step-0000000050/` holds `rank-00000-of-00002.safetensors` (each rank's slices of weights and optimizer
moments) and `state.json`. The folder is written under another name, synced and renamed, so a folder with this name is
always complete. Tensors are cut along the first axis, as FSDP2 does, so a training may resume on another number of
devices.
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
    """The rank of this process and the number of ranks; (0, 1) when the training is not distributed."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def barrier() -> None:
    """Wait until every rank is here."""
    if dist.is_initialized():
        dist.barrier()


def put(parameter: torch.Tensor, value: torch.Tensor) -> None:
    """Copy a full tensor into a parameter that may be sharded over ranks."""
    with torch.no_grad():
        if isinstance(parameter, DTensor):
            value = distribute_tensor(
                value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
        parameter.copy_(value)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The full tensor on the CPU. A sharded tensor is gathered from all ranks."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


def save(folder: Path, step: int, tensors: dict[str, torch.Tensor], state: dict, keep: int = 2) -> None:
    """Write the checkpoint of `step`, then delete all but the newest `keep` checkpoints. Every rank must call this."""
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
        for unfinished in folder.glob("writing-*"):  # by a process that was killed while writing
            shutil.rmtree(unfinished)
    barrier()


def latest(folder: Path) -> Path | None:
    """The folder of the newest complete checkpoint, or None."""
    return max(folder.glob("step-*"), default=None)


def read_state(checkpoint: Path) -> dict:
    """The state that `save` wrote, with its "step"."""
    return json.loads((checkpoint / "state.json").read_text())


def read_tensors(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The full tensors of a checkpoint by name, one at a time. Raises ValueError when the file of a rank is missing."""
    paths = sorted(checkpoint.glob("rank-*.safetensors"))
    world = int(paths[0].stem.rsplit("-", 1)[-1]) if paths else 0
    if not paths or len(paths) != world:
        raise ValueError(
            f"{checkpoint} has the files of {len(paths)} of {world or '?'} ranks; delete the folder to resume from an "
            "earlier checkpoint"
        )
    files = [safe_open(path, "pt") for path in paths]
    for name in files[0].keys():  # noqa: SIM118 - a safetensors file is not a mapping
        yield name, torch.cat([file.get_tensor(name) for file in files]) if world > 1 else files[0].get_tensor(name)


def folder_tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a Hugging Face folder by name, as float32, one at a time. Raises ValueError when the folder has no
    safetensors files."""
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
