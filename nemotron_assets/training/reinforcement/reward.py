"""The reward model: the hybrid model with a head that gives one number for a prompt with its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import NemotronHConfig
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutputWithPast
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHPreTrainedModel

from nemotron_assets.model.nemotron_h import attach
from nemotron_assets.model.scored import hidden_states


class NemotronHForSequenceClassification(GenericForSequenceClassification, NemotronHPreTrainedModel):
    """transformers has no such class for NemotronH. The number is read at the last token of a row; rows are scanned by
    this project's code, without their padding, so padding changes nothing."""

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, use_cache: bool = False
    ) -> SequenceClassifierOutputWithPast:
        """`logits` are [rows, 1]. `attention_mask` [rows, length] is 0 at padding, on the left or on the right."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden = hidden_states(self.model, input_ids, mask)
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(1)
        rows = torch.arange(len(last), device=last.device)
        return SequenceClassifierOutputWithPast(logits=self.score(hidden[rows, last]))


def empty_reward_model(config: NemotronHConfig) -> NemotronHForSequenceClassification:
    """The reward model with weights on the meta device. It is attached already."""
    with torch.device("meta"):
        return attach(NemotronHForSequenceClassification(config))


def reward_config(config: NemotronHConfig) -> NemotronHConfig:
    """The configuration of the reward model that continues a model of this configuration."""
    found = NemotronHConfig.from_dict(config.to_dict())
    found.num_labels = 1
    return found


def begin(folder: Path, seed: int) -> NemotronHForSequenceClassification:
    """The reward model that continues the language model of a folder. Its head starts with small random weights."""
    config = reward_config(NemotronHConfig.from_pretrained(folder, local_files_only=True))
    model = NemotronHForSequenceClassification.from_pretrained(
        folder, config=config, dtype="float32", local_files_only=True
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.score.weight.normal_(0, config.initializer_range, generator=generator)
    return attach(model)


def load(folder: Path) -> NemotronHForSequenceClassification:
    """The reward model of a folder, in float32. Raises `ValueError` for a folder without its head."""
    model, report = NemotronHForSequenceClassification.from_pretrained(
        folder, dtype="float32", local_files_only=True, output_loading_info=True
    )
    if report["missing_keys"]:
        raise ValueError(f"{folder} is not a reward model: it lacks {', '.join(sorted(report['missing_keys'])[:3])}")
    return attach(model)


def scores(model: NemotronHForSequenceClassification, rows: Sequence[Sequence[int]], batch: int) -> list[float]:
    """The number of every row of tokens. Rows of like length are read together, `batch` at a time."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    found = [0.0] * len(rows)
    for first in range(0, len(order), batch):
        places = order[first : first + batch]
        longest = max(len(rows[place]) for place in places)
        tokens = torch.zeros(len(places), longest, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for number, place in enumerate(places):
            tokens[number, : len(rows[place])] = torch.tensor(rows[place])
            mask[number, : len(rows[place])] = 1
        with torch.inference_mode():
            numbers = model(tokens.to(model.device), mask.to(model.device)).logits[:, 0].float().tolist()
        for place, value in zip(places, numbers, strict=True):
            found[place] = value
    return found
