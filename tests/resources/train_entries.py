"""Tiny training functions that `Gpu.train` is tested with."""

from __future__ import annotations

import os
import time


def count(config, emit):
    """Report `steps` rows in this process."""
    for step in range(config["steps"]):
        emit([{"step": step}])
    return {"pid": os.getpid(), "steps": config["steps"]}


def fail(config, emit):
    emit([{"step": 0}])
    raise RuntimeError("the loss is not a number")


def all_reduce(config, emit):
    """Sum a tensor over gloo. Every rank reports a row, but only the row of rank 0 may arrive."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    value = torch.tensor([float(dist.get_rank() + 1)])
    dist.all_reduce(value)
    emit([{"step": 0, "rank": dist.get_rank(), "sum": value.item()}])
    world = dist.get_world_size()
    dist.destroy_process_group()
    return {"world": world, "sum": value.item()}


def hang(config, emit):
    """Write this process's id and wait."""
    with open(f"{config['folder']}/{os.environ.get('RANK', '0')}.pid", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)
