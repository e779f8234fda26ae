"""Applies what the automaton of the thinking budget says to the logits of one token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemotron_assets.chat.budget.automaton import Thought

if TYPE_CHECKING:
    import torch


def mask(logits: torch.Tensor, thought: Thought) -> None:
    """Leave only the possible tokens in `logits` (vocabulary), in place."""
    if thought.forced is not None:
        logits.fill_(-float("inf"))
        logits[thought.forced] = 0.0
    elif banned := thought.banned():
        logits[list(banned)] = -float("inf")
