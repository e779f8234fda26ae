"""Scores the answers of padded batches fast, for the trainers of TRL.

TRL asks a model for the log-probabilities of labels: `model(input_ids, attention_mask, labels, fused_lm_head=True)`.
Without Triton, its own head computes the logits of every position, also of prompts and padding, and the model of
transformers scans padded rows with its slow reference code. `score_labels` answers the same call from the scan of this
project, and computes the logits of labels alone.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from nemotron_assets.model.packing import Packing

if TYPE_CHECKING:
    from transformers import NemotronHForCausalLM, NemotronHModel

#: Labels whose logits are in memory together.
CHUNK = 2_048
#: Logit of a token that cannot follow.
_IMPOSSIBLE = -1e30


def score_labels(model: NemotronHForCausalLM, temperature: float = 1.0) -> None:
    """Let an attached model answer TRL's calls with `fused_lm_head=True`. All other calls stay what they are.

    A call returns TRL's `FusedCausalLMOutput`: log-probabilities, entropy, mean logits and whether the label is the
    likeliest token, each [batch, length - 1] in float32, zero where the label is -100. `temperature` divides logits.
    Padding, on the left or on the right, changes no value and costs nothing.

    A call may have `banned`, (sets, numbers): `sets` [number of sets, vocabulary] names sets of tokens, and `numbers`
    [batch, n] the set of each of the last n tokens of a row. The label there was chosen among the other tokens, so its
    log-probability and entropy are of the distribution over them.
    """
    other = model.forward

    def forward(self, *args: Any, fused_lm_head: bool = False, **kwargs: Any):
        if not fused_lm_head:
            return other(*args, **kwargs)
        return _scored(self, temperature, **kwargs)

    model.forward = MethodType(forward, model)


def hidden_states(model: NemotronHModel, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The last hidden states [rows, length, hidden] of rows that are padded on the left, on the right or on both sides;
    zero at padding. Padding is not computed: the texts of all rows are packed into one."""
    real = attention_mask.bool()
    lengths = [length for length in real.sum(1).tolist() if length]
    packing = Packing.of([lengths], sum(lengths), input_ids.device)
    found = model(input_ids=input_ids[real].unsqueeze(0), use_cache=False, packing=packing).last_hidden_state[0]
    return found.new_zeros(*real.shape, found.shape[-1]).masked_scatter(real.unsqueeze(-1), found)


def _scored(model, temperature: float, input_ids, attention_mask, labels, use_cache: bool = False, banned=None):
    from trl.trainer.utils import FusedCausalLMOutput

    hidden = hidden_states(model.model, input_ids, attention_mask)
    labels = labels[:, 1:]
    mask = labels != -100
    found = hidden[:, :-1][mask].split(CHUNK), labels[mask].split(CHUNK)
    sets, numbers = banned or (None, labels[:, :0])
    numbers = torch.cat([numbers.new_zeros(len(labels), labels.size(1) - numbers.size(1)), numbers], 1)
    parts = [
        checkpoint(_of_labels, model.lm_head, states, wanted, temperature, sets, of, use_reentrant=False)
        for states, wanted, of in zip(*found, numbers[mask].split(CHUNK), strict=True)
    ]
    # With no label at all the sum stays connected to the weights, so that a backward pass has something to do.
    whole = [torch.cat(values) for values in zip(*parts, strict=True)] or [hidden.sum(-1).flatten()[:0]] * 4
    log_probs, entropy, mean_logits, is_top1 = (
        value.new_zeros(mask.shape).masked_scatter(mask, value) for value in whole
    )
    return FusedCausalLMOutput(
        loss=-log_probs.sum() / mask.sum().clamp(min=1),
        log_probs=log_probs,
        entropy=entropy,
        mean_logits=mean_logits,
        is_top1=is_top1.bool(),
        label_mask=mask,
    )


def _of_labels(
    head, states: torch.Tensor, labels: torch.Tensor, temperature: float, sets: torch.Tensor | None, of: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    logits = head(states).float() / temperature
    # Minus infinity would make the entropy 0 x inf.
    log_probs = (logits if sets is None else logits.masked_fill(sets[of], _IMPOSSIBLE)).log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    with torch.no_grad():
        mean, top = logits.mean(-1), (logits.argmax(-1) == labels).float()
    return log_probs.gather(-1, labels.unsqueeze(-1)).squeeze(-1), entropy, mean, top
