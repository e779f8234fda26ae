"""Describes one training: the starting weights, the recipe's settings, the loss, and the working folder."""

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
from nemotron_assets.training.mixture import Entry

if TYPE_CHECKING:
    from transformers import NemotronHConfig


#: The matrices with a row per token.
EMBEDDINGS = ("model.embeddings.weight", "lm_head.weight")


@dataclass(frozen=True)
class Fresh:
    """Start from random weights of the recipe's architecture.

    `vocabulary` is the number of tokens, `special` gives the token ids of "pad", "bos" and "eos".
    """

    model: Model
    vocabulary: int
    special: Mapping[str, int]

    def config(self, length: int) -> NemotronHConfig:
        """The configuration of the model for a context of `length` tokens."""
        return model_config(self.model, self.vocabulary, length, dict(self.special))

    def weights(
        self, parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """The starting values of `parameters` by name. The seed decides the values that are drawn."""
        yield from fresh_weights(parameters, config, seed)


@dataclass(frozen=True)
class FromFolder:
    """Start from the weights of a Hugging Face folder with a NemotronH model of any shape, for example a pruned one.

    The embeddings of `fresh_tokens` and their rows of the head are drawn again, as those of a fresh model. Special
    tokens of a chat template did not occur in the pretraining: there their rows only learn that they never come.
    """

    folder: Path
    fresh_tokens: tuple[int, ...] = ()

    def config(self, length: int) -> NemotronHConfig:
        """The folder's configuration. A context shorter than `length` tokens is extended to it."""
        from transformers import NemotronHConfig

        config = NemotronHConfig.from_pretrained(self.folder, local_files_only=True)
        config.max_position_embeddings = max(length, config.max_position_embeddings)
        config.rescale_prenorm_residual = False
        return config

    def weights(
        self, parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Raises `ValueError` when the weights in the folder do not fit its configuration."""
        # The names of weights begin with "model." in memory and with "backbone." in files.
        found = (
            (f"model.{name.removeprefix('backbone.')}" if name.startswith("backbone.") else name, value)
            for name, value in checkpoint.folder_tensors(self.folder)
        )
        rows = list(self.fresh_tokens)
        for name, value in checked(found, parameters, self.folder):
            if rows and name in EMBEDDINGS:
                value[rows] = next(fresh_weights({name: value}, config, seed))[1][rows]
            yield name, value


@dataclass(frozen=True)
class FromCheckpoint:
    """Start from the weights of a checkpoint of another training, such as its `step-500`. Its optimizer state is not
    used, because the new training has its own learning-rate schedule.

    A training removes its checkpoints when it ends; copy one away to start from it later.
    """

    folder: Path

    def config(self, length: int) -> NemotronHConfig:
        from transformers import NemotronHConfig

        state = checkpoint.read_state(self.folder)
        if "config" not in state:
            raise ValueError(f"{self.folder} was written by an older program and does not say the shape of its model")
        config = NemotronHConfig.from_dict(state["config"])
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
        yield from checked(found, parameters, self.folder)


Start = Fresh | FromFolder | FromCheckpoint


@dataclass(frozen=True)
class Job:
    """One training.

    - `folder` is for its checkpoints and finished weights. No other job may use it.
    - `loss` wraps the model into the module that is trained (see `losses`).
    - `section` is the recipe section of `settings`, for error messages.
    - `checkpoints` is the URI of its checkpoints in the object store of the lake; "" for a lake in a folder.
    - `entries` say which share each category of the data has from which step on; without entries, all data is read
      equally often.
    """

    start: Start
    settings: TrainingRun
    sequence_length: int
    folder: Path
    loss: Callable[[torch.nn.Module], torch.nn.Module] = NextToken
    section: str = "train.base"
    entries: tuple[Entry, ...] = ()
    checkpoints: str = ""


def checked(
    found: Iterator[tuple[str, torch.Tensor]], parameters: Mapping[str, torch.Tensor], folder: Path
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights in `found`, which are read from `folder`. Raises `ValueError` unless every one of `parameters`
    is there once, in its shape."""
    missing = set(parameters)
    for name, value in found:
        if name not in parameters:
            raise ValueError(f"{folder} has the weight {name}, which the model of its configuration does not have")
        if name not in missing:
            raise ValueError(f"{folder} has the weight {name} in two files")
        if value.shape != parameters[name].shape:
            shapes = tuple(value.shape), tuple(parameters[name].shape)
            raise ValueError(f"{folder} has {name} of shape {shapes[0]}; its configuration expects {shapes[1]}")
        missing.discard(name)
        yield name, value
    if missing:
        names = ", ".join(sorted(missing)[:5])
        raise ValueError(f"{folder} lacks weights that its configuration expects: {names} ({len(missing)} in all)")
