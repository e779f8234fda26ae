"""Answers for evaluations may be drawn from the likeliest tokens alone; rollouts that train may not."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.rollouts.draws import choose


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.99), st.floats(0, 1, exclude_max=True))
def test_tokens_come_from_the_fewest_likeliest_tokens_with_top_p(seed, top_p, draw):
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(seed)) * 3
    ((token,), (logprob,)) = choose(logits, 1.0, [draw], top_p=top_p)
    probabilities, order = logits.double().softmax(-1)[0].sort(descending=True)
    kept = int((probabilities.cumsum(0) < top_p - 1e-6).sum()) + 1
    place = order.tolist().index(token)
    assert place <= kept, "one more at most: sums are rounded"
    share = probabilities[: kept + 1].sum()
    assert probabilities[place] / share * 0.99 <= torch.tensor(logprob).exp() <= probabilities[place] / top_p * 1.01


def test_without_a_cut_nothing_changes():
    logits = torch.randn(4, 50)
    assert choose(logits, 0.6, [0.1, 0.5, 0.9, 0.99]) == choose(logits, 0.6, [0.1, 0.5, 0.9, 0.99], top_p=1.0)
    assert choose(logits, 0, [0.5] * 4, top_p=0.1) == choose(logits, 0, [0.5] * 4)
