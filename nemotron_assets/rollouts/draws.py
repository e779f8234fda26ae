"""Chooses tokens by random numbers that follow from the request and the position of the token, and from nothing else.

So a rollout that is asked for again is the same, whatever other rollouts are in its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Tokens of a block, see `_first_above`.
_BLOCK = 128


class Draws:
    """Numbers in 0..1 for the tokens of one request, one after the other. `key` is its generation id (hex)."""

    def __init__(self, key: str) -> None:
        from numpy.random import Generator, Philox

        self._generator = Generator(Philox(key=int(key[:32], 16)))

    def next(self) -> float:
        """The number for the next token. A forced token uses up a number too."""
        return self._generator.random()


def choose(
    logits: torch.Tensor,
    temperature: float,
    draws: list[float],
    banned: dict[int, list[int]] | None = None,
    top_p: float = 1.0,
) -> tuple[list[int], list[float]]:
    """For every row of `logits` [rows, vocabulary] a token, and its log-probability (nats) under the distribution that
    it is drawn from: at this temperature, over all tokens that are not in `banned` (token ids by row). With `top_p`
    below 1 it is drawn from the fewest likeliest tokens whose probabilities sum up to at least `top_p`.

    The token is the first one whose cumulative probability exceeds the row's draw. Temperature 0 takes the likeliest
    token; its log-probability is then that at temperature 1. Raises ValueError for logits that are not finite.
    """
    import torch

    scores = logits / temperature if temperature not in (0, 1) else logits
    if banned:
        scores = scores.clone()
    for row, tokens in (banned or {}).items():
        scores[row, tokens] = -torch.inf
    logprobs = scores.float().log_softmax(-1)
    if logprobs[:, 0].isnan().any():
        raise ValueError("the model gives logits that are not finite numbers: its weights are damaged")
    if top_p < 1 and temperature:
        logprobs = _nucleus(logprobs, top_p)
    if temperature == 0:
        tokens = logprobs.argmax(-1, keepdim=True)
    else:
        tokens = _first_above(logprobs.exp(), torch.tensor(draws, dtype=torch.float64, device=logits.device))
    return tokens.squeeze(1).tolist(), logprobs.gather(1, tokens).squeeze(1).tolist()


def _nucleus(logprobs: torch.Tensor, top_p: float) -> torch.Tensor:
    """The log-probabilities over the fewest likeliest tokens that have `top_p` together; -inf for all others."""
    import torch

    ordered, places = logprobs.sort(-1, descending=True)
    before = ordered.exp().double().cumsum(-1) - ordered.exp().double()
    cut = torch.zeros_like(logprobs, dtype=torch.bool).scatter(-1, places, before >= top_p)
    return logprobs.masked_fill(cut, -torch.inf).log_softmax(-1)


def _first_above(probabilities: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """[rows, 1]: the first token of each row whose cumulative probability exceeds the draw. Sums are in float64: in
    float32 those over a large vocabulary would be too rough. Whole blocks of tokens are skipped first."""
    import torch
    import torch.nn.functional as F

    rows, vocabulary = probabilities.shape
    blocks = F.pad(probabilities, (0, -vocabulary % _BLOCK)).view(rows, -1, _BLOCK)
    block, rest = _place(blocks.sum(-1, dtype=torch.float64), draws.unsqueeze(1), scaled=True)
    inside = blocks[torch.arange(rows, device=block.device), block.squeeze(1)].double()
    return block * _BLOCK + _place(inside, rest)[0]


def _place(values: torch.Tensor, wanted: torch.Tensor, scaled: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place of each row whose cumulative value exceeds `wanted` (`scaled`: a share of the sum), and what
    is left of `wanted` there. The place has a value above zero, whatever the rounding."""
    import torch

    ends = values.cumsum(-1)
    largest = torch.nextafter(ends[:, -1:], torch.zeros_like(ends[:, -1:]))
    wanted = torch.minimum(wanted * ends[:, -1:] if scaled else wanted, largest)
    place = torch.searchsorted(ends, wanted, right=True)
    before = ends.gather(1, place) - values.gather(1, place)
    return place, (wanted - before).clamp(min=0)
