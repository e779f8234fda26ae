"""The processes of a training: which of them reads which sequences, and sums over all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from nemotron_assets.model.parallel import ContextParallel


@dataclass(frozen=True)
class Ranks:
    """This process among all of a training. `context` neighbouring ranks form a group: they read the same sequences,
    and each takes a slice of them (context parallelism, `parallel`)."""

    rank: int
    world: int
    context: int
    device: torch.device
    parallel: ContextParallel | None = None

    @classmethod
    def join(cls, context: int, section: str) -> Ranks:
        """Under torchrun, join the process group. Raises ValueError if the groups do not use up the ranks."""
        cuda = torch.cuda.is_available()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
            if cuda:
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            dist.init_process_group("nccl" if cuda else "gloo")
        device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if world % context:
            raise ValueError(
                f"{world} devices cannot form groups of {context}: make {section}.context_parallel a divisor of {world}"
            )
        if context == 1:
            return cls(rank, world, context, device)
        mesh = init_device_mesh(device.type, (world // context, context), mesh_dim_names=("readers", "context"))
        return cls(rank, world, context, device, ContextParallel(mesh.get_group("context")))

    @property
    def readers(self) -> int:
        """Number of groups: each reads its own sequences of a batch."""
        return self.world // self.context

    @property
    def reader(self) -> int:
        """Number of the group of this rank."""
        return self.rank // self.context

    @property
    def slice(self) -> int:
        """Number of the slice of every sequence that this rank takes."""
        return self.rank % self.context

    def summed(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a value over all ranks."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def largest(self, value: int) -> int:
        """The largest value of all ranks."""
        if self.world == 1:
            return value
        there = torch.tensor(value, device=self.device)
        dist.all_reduce(there, dist.ReduceOp.MAX)
        return int(there)
