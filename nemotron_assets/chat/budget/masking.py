"""Applies what the automaton of the thinking budget says to the logits of one token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nemotron_assets.chat.budget.automaton import Phase, Thought

if TYPE_CHECKING:
    import torch


def mask(logits: torch.Tensor, thought: Thought) -> None:
    """Leave only the possible tokens in `logits` (vocabulary), in place.

    A grammar that begins after the thought may have masked the logits before. The newlines after the close are forced
    only if it allows them.
    """
    forced = thought.forced
    if forced is not None and thought.phase is Phase.ANSWER and logits[forced] == -math.inf:
        forced = None
    if forced is not None:
        logits.fill_(-math.inf)
        logits[forced] = 0.0
    elif banned := thought.banned():
        logits[list(banned)] = -math.inf
