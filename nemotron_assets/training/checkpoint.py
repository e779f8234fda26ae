"""Writes and reads checkpoints that survive a kill at any moment. They are plain safetensors and JSON, never pickle.

`<folder>/step-0000000050/` holds `rank-00000-of-00002.safetensors` (each rank's slices of weights and optimizer
moments, and the state of its random numbers) and `state.json`. The folder is written under another name, and renamed
when the files of all ranks are complete and synced, so a folder with this name is always complete. Tensors are cut
along the first axis, as FSDP2 does, so a training may resume on another number of devices.

The training goes on while a checkpoint is written: `Checkpoints.save` copies the tensors to host memory, and a thread
writes the copies. torch.distributed.checkpoint writes in the background too, but its metadata is a pickle, which runs
code of whoever wrote the file.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from nemotron_assets.training.checkpoint_store import CheckpointStore

#: Beginning of the names of tensors that belong to one rank alone: they are not slices of a larger tensor.
OWN = "own/"
#: How often rank 0 looks whether the other ranks have written their files, in seconds.
_LOOK_EVERY_S = 0.05


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


class CheckpointError(RuntimeError):
    """A checkpoint could not be written. The message says which file and why."""


class Checkpoints:
    """Writes the checkpoints of one training into `folder`, and keeps the newest `keep`; the newest one also in
    `store`, if there is one. A context manager: at its end it waits for the checkpoint that is being written.

    At most one is written at a time: `save` waits for the one before.
    """

    def __init__(self, folder: Path, keep: int = 2, store: CheckpointStore | None = None) -> None:
        self._folder, self._keep, self._store = folder, keep, store
        self._host: dict[str, torch.Tensor] = {}
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if self._thread:
            self._thread.join()
        if kind is None:
            self.check()

    def save(self, step: int, tensors: dict[str, torch.Tensor], state: dict) -> None:
        """Begin to write the checkpoint of `step`. Every rank must call this. The caller may change tensors and state
        as soon as this returns. Raises `CheckpointError` if the one before has failed."""
        self.wait()
        rank, world = rank_and_world()
        partial = self._folder / f"writing-{step:010d}"
        if rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        barrier()  # no rank writes into a folder that another process has left
        self._copy(tensors)
        arguments = (partial, step, json.dumps(state | {"step": step}), rank, world)
        self._thread = threading.Thread(target=self._write, args=arguments, name="checkpoint", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last checkpoint is complete. Raises `CheckpointError` if it has failed."""
        if self._thread:
            self._thread.join()
            self._thread = None
        self.check()

    def check(self) -> None:
        """Raise `CheckpointError` if a checkpoint could not be written."""
        if self._error:
            raise CheckpointError(
                f"a checkpoint could not be written to {self._folder}: {self._error}. The training is stopped, because "
                "it could not go on from here after an interruption; make room or choose another disk "
                "(NEMOTRON_HOME), and run it again: it goes on from the checkpoint before"
            ) from self._error

    def _copy(self, tensors: dict[str, torch.Tensor]) -> None:
        """Copy the slices of this rank to the buffers on the host, which are pinned if they come from a GPU."""
        cuda = False
        for name, tensor in tensors.items():
            local = (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()
            if name not in self._host:
                self._host[name] = torch.empty(local.shape, dtype=local.dtype, pin_memory=local.is_cuda)
            self._host[name].copy_(local, non_blocking=True)
            cuda = cuda or local.is_cuda
        if cuda:
            torch.cuda.synchronize()

    def _write(self, partial: Path, step: int, state: str, rank: int, world: int) -> None:
        try:
            path = partial / f"rank-{rank:05d}-of-{world:05d}.safetensors"
            unfinished = path.with_suffix(".writing")
            save_file(self._host, unfinished)
            _sync(unfinished)
            unfinished.rename(path)
            if rank == 0:
                while len(list(partial.glob("rank-*.safetensors"))) < world:
                    if not threading.main_thread().is_alive():
                        return  # the training has ended without the other ranks
                    time.sleep(_LOOK_EVERY_S)
                self._publish(partial, step, state)
        except BaseException as error:
            self._error = error

    def _publish(self, partial: Path, step: int, state: str) -> None:
        (partial / "state.json").write_text(state)
        _sync(partial / "state.json")
        _sync(partial)
        final = self._folder / f"step-{step:010d}"
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _sync(self._folder)
        for old in sorted(self._folder.glob("step-*"))[: -self._keep]:
            shutil.rmtree(old)
        for unfinished in self._folder.glob("writing-*"):  # by a process that was killed while writing
            shutil.rmtree(unfinished)
        if self._store:
            self._store.put(final)


def latest(folder: Path) -> Path | None:
    """The folder of the newest complete checkpoint, or None."""
    return max(folder.glob("step-*"), default=None)


def read_state(checkpoint: Path) -> dict:
    """The state that `save` wrote, with its "step"."""
    return json.loads((checkpoint / "state.json").read_text())


def read_own(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The tensors that this rank alone has saved, by name; empty for a checkpoint of another number of ranks."""
    rank, world = rank_and_world()
    path = checkpoint / f"rank-{rank:05d}-of-{world:05d}.safetensors"
    if not path.exists():
        return {}
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.startswith(OWN)}  # noqa: SIM118


def read_tensors(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The full tensors of a checkpoint by name, one at a time, without those of single ranks. Raises ValueError when
    the file of a rank is missing."""
    paths = sorted(checkpoint.glob("rank-*.safetensors"))
    world = int(paths[0].stem.rsplit("-", 1)[-1]) if paths else 0
    if not paths or len(paths) != world:
        raise ValueError(
            f"{checkpoint} has the files of {len(paths)} of {world or '?'} ranks; delete the folder to resume from an "
            "earlier checkpoint"
        )
    files = [safe_open(path, "pt") for path in paths]
    for name in files[0].keys():  # noqa: SIM118 - a safetensors file is not a mapping
        if name.startswith(OWN):
            continue
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
