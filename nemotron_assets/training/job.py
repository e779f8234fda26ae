"""What to train: the starting weights, the numbers of the training, the loss, and the folder it works in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nemotron_assets.model.nemotron_h import fresh_weights, model_config
from nemotron_assets.recipe.model import Model
from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.training import checkpoint
from nemotron_assets.training.losses import NextToken

if TYPE_CHECKING:
    from transformers import NemotronHConfig


@dataclass(frozen=True)
class Fresh:
    """Start from random weights of the recipe's architecture. `special` gives the ids of "pad", "bos" and "eos"."""

    model: Model
    vocabulary: int
    special: Mapping[str, int]

    def config(self, length: int) -> NemotronHConfig:
        return model_config(self.model, self.vocabulary, length, dict(self.special))

    def weights(
        self, parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
    ) -> Iterator[tuple[str, torch.Tensor]]:
        yield from fresh_weights(parameters, config, seed)


@dataclass(frozen=True)
class FromFolder:
    """Start from the weights of a Hugging Face folder of any NemotronH shape (a pruned model, say)."""

    folder: Path

    def config(self, length: int) -> NemotronHConfig:
        """The folder's configuration; its context grows to `length` tokens if it was shorter."""
        from transformers import NemotronHConfig

        config = NemotronHConfig.from_pretrained(self.folder, local_files_only=True)
        config.max_position_embeddings = max(length, config.max_position_embeddings)
        config.rescale_prenorm_residual = False
        return config

    def weights(
        self, parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Raises `ValueError` when the folder has other weights than the model of its configuration."""
        # transformers calls the backbone "model" in memory and "backbone" in files.
        found = (
            (f"model.{name.removeprefix('backbone.')}" if name.startswith("backbone.") else name, value)
            for name, value in checkpoint.folder_tensors(self.folder)
        )
        yield from _checked(found, parameters, self.folder)


@dataclass(frozen=True)
class FromCheckpoint:
    """Start from the weights of a checkpoint of another training. Its optimizer state is left behind: the new training
    has a learning-rate schedule of its own."""

    folder: Path

    def config(self, length: int) -> NemotronHConfig:
        from transformers import NemotronHConfig

        config = NemotronHConfig.from_dict(checkpoint.read_state(self.folder)["config"])
        config.max_position_embeddings = max(length, config.max_position_embeddings)
        return config

    def weights(
        self, parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
    ) -> Iterator[tuple[str, torch.Tensor]]:
        prefix = "weights/"
        found = (
            (name.removeprefix(prefix), value)
            for name, value in checkpoint.read_tensors(self.folder)
            if name.startswith(prefix)
        )
        yield from _checked(found, parameters, self.folder)


Start = Fresh | FromFolder | FromCheckpoint


@dataclass(frozen=True)
class Job:
    """One training. `folder` holds its checkpoints and the finished weights; it belongs to this job alone.

    `loss` makes, of the student, the module that is trained (see `losses`). `section` names the recipe's section of
    `settings`, for messages.
    """

    start: Start
    settings: TrainingRun
    sequence_length: int
    folder: Path
    loss: Callable[[torch.nn.Module], torch.nn.Module] = NextToken
    section: str = "train.base"


def _checked(
    found: Iterator[tuple[str, torch.Tensor]], parameters: Mapping[str, torch.Tensor], folder: Path
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter exactly once and in its shape, or a `ValueError` that names what differs."""
    missing = set(parameters)
    for name, value in found:
        if name not in missing or value.shape != parameters[name].shape:
            expected = tuple(parameters[name].shape) if name in parameters else "no such weight"
            raise ValueError(f"{folder} has {name} of shape {tuple(value.shape)}; its configuration says {expected}")
        missing.discard(name)
        yield name, value
    if missing:
        raise ValueError(f"{folder} lacks the weights {', '.join(sorted(missing)[:5])}")
