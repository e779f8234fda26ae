"""Forced tokens beside a grammar: what closes the thought goes before it, what follows the close gives way to it."""

from __future__ import annotations

import math

import torch

from nemotron_assets.chat.budget.automaton import Budget, Phase, Thought
from nemotron_assets.chat.budget.masking import mask
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.text import tokenizer as bpe


def possible(thought: Thought, allowed: set[int], size: int) -> set[int]:
    """The tokens that are left of what a grammar allows."""
    logits = torch.full((size,), -math.inf)
    logits[list(allowed)] = 0.0
    mask(logits, thought)
    return set(torch.nonzero(logits > -math.inf).flatten().tolist())


def test_a_grammar_may_leave_out_the_newlines_after_the_close(vocabulary):
    size = vocabulary.get_vocab_size()
    everything, brace = set(range(size)), bpe.encode(vocabulary, "{")[0]
    thought = Thought(Tags.of(vocabulary), Budget(0, 5), bpe.encode(vocabulary, "<think>\n"), total=400)
    while thought.phase is Phase.THOUGHT:  # no grammar rules before the close, and none could change it
        assert possible(thought, {brace}, size) == {thought.forced}
        thought.feed(thought.forced)
    assert bpe.decode(vocabulary, [thought.forced]) == "\n\n"
    assert possible(thought, everything, size) == {thought.forced}
    assert possible(thought, {brace}, size) == {brace}
    thought.feed(brace)
    assert thought.forced is None and thought.phase is Phase.ANSWER
