"""Tokens are drawn with their probabilities, by numbers that follow from the request alone."""

import pytest
import torch

from nemotron_assets.rollouts.draws import Draws, choose


def test_evenly_spaced_draws_give_every_token_its_share():
    logits = torch.tensor([[0.0, 1.0, -1.0, 0.5]])
    draws = [(number + 0.5) / 20_000 for number in range(20_000)]
    tokens, logprobs = choose(logits.expand(len(draws), -1), 1.0, draws)
    shares = torch.bincount(torch.tensor(tokens), minlength=4) / len(draws)
    torch.testing.assert_close(shares, logits.softmax(-1)[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(logprobs), logits.log_softmax(-1)[0][tokens])


def test_a_temperature_and_banned_tokens_change_the_distribution_that_is_reported():
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    tokens, logprobs = choose(logits, 0.5, [0.999999, 0.999999], {1: [2]})
    assert tokens == [2, 1]
    expected = (logits / 0.5).log_softmax(-1)[0, 2], (logits[1, :2] / 0.5).log_softmax(-1)[1]
    torch.testing.assert_close(torch.tensor(logprobs), torch.stack(expected))
    assert torch.equal(logits[0], logits[1])  # the caller's logits stay as they are


def test_temperature_zero_takes_the_likeliest_token():
    tokens, logprobs = choose(torch.tensor([[0.0, 3.0, 1.0]]), 0.0, [0.01])
    assert tokens == [1]
    assert logprobs == pytest.approx([torch.tensor([0.0, 3.0, 1.0]).log_softmax(-1)[1].item()])


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0 - 2**-53])
def test_an_impossible_token_is_never_drawn(draw):
    inf = float("inf")
    assert choose(torch.tensor([[-inf, 0.0, -inf, 1.0, -inf]]), 1.0, [draw])[0][0] in (1, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_logits_are_an_error(value):
    with pytest.raises(ValueError, match="not finite"):
        choose(torch.tensor([[0.0, value]]), 1.0, [0.5])


def test_draws_follow_from_the_key():
    first, again, other = (Draws(key * 32) for key in "aab")
    numbers = [first.next() for _ in range(3)]
    assert numbers == [again.next() for _ in range(3)] != [other.next() for _ in range(3)]
    assert all(0 <= number < 1 for number in numbers)


@pytest.mark.parametrize("vocabulary", [1, 127, 128, 1000, 4097])
def test_blocks_of_tokens_choose_what_one_sum_over_all_tokens_chooses(vocabulary):
    numbers = torch.Generator().manual_seed(vocabulary)
    logits = torch.randn(200, vocabulary, generator=numbers) * 4
    draws = torch.rand(200, dtype=torch.float64, generator=numbers)
    sums = logits.log_softmax(-1).exp().cumsum(-1, dtype=torch.float64)
    expected = torch.searchsorted(sums, draws[:, None] * sums[:, -1:], right=True).squeeze(1)
    assert choose(logits, 1.0, draws.tolist())[0] == expected.tolist()
