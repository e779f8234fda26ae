"""Records under which conditions a training runs, and says what differs after a resume.

Weights, optimizer, data and random numbers are those of the checkpoint. But sums of floating-point numbers depend on
their order, so another number of threads or devices, or another split of a batch, changes the last bits of a loss.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import TrainingRun
    from nemotron_assets.training.ranks import Ranks


def conditions(settings: TrainingRun, ranks: Ranks) -> dict[str, Any]:
    """The conditions of this process, by their names in messages."""
    return {
        "threads": torch.get_num_threads(),
        "devices": ranks.world,
        "kind of device": kind_of(ranks.device),
        "PyTorch": torch.__version__.partition("+")[0],
        "micro_batch_sequences": settings.micro_batch_sequences,
        "context_parallel": settings.context_parallel,
        "recompute": settings.recompute,
        "compile": settings.compile,
    }


def kind_of(device: torch.device) -> str:
    """The name of a GPU, or the kind of the processor: NVIDIA H200, x86_64."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs, for a message: "threads is 2 instead of 1"; empty if nothing does. A condition that was not
    recorded is not compared."""
    return ", ".join(
        f"{name} is {value} instead of {before[name]}"
        for name, value in now.items()
        if name in before and before[name] != value
    )
