"""Context parallelism: every rank holds one contiguous part of each sequence, and gradients go through the exchange.

A Mamba-2 layer needs two things from the ranks to the left: the last few inputs of the convolution, and the state.
Every rank scans its part from an empty state; then the states are joined, S_out = a S_in + S, where `a` is the decay
over the whole part (zero if a document ends in it). Attention gathers the keys and values of all ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class ContextParallel:
    """The ranks that share each sequence. Rank r of `group` holds the r-th part; all parts are equally long.

    Every rank must call the model at the same time with the same `Packing` of the whole sequences. The gradients of a
    rank are those of its own tokens, so the gradients of all ranks have to be summed up.
    """

    group: dist.ProcessGroup | None = None  # None: all ranks

    @property
    def rank(self) -> int:
        return dist.get_rank(self.group)

    @property
    def world(self) -> int:
        return dist.get_world_size(self.group)

    def bounds(self, whole: int) -> tuple[int, int]:
        """The positions [first, last) that this rank holds of sequences of `whole` tokens."""
        if whole % self.world:
            raise ValueError(
                f"sequences of {whole} tokens cannot be split into {self.world} equal parts: make the sequence length "
                f"a multiple of the {self.world} ranks that share a sequence"
            )
        part = whole // self.world
        return self.rank * part, (self.rank + 1) * part

    def part(self, whole: torch.Tensor) -> torch.Tensor:
        """This rank's part of a tensor [batch, whole length, ...]."""
        first, last = self.bounds(whole.shape[1])
        return whole[:, first:last]

    def gather(self, part: torch.Tensor) -> torch.Tensor:
        """[ranks, ...]: the tensors of all ranks. In the backward pass every rank gets the gradient of its own tensor,
        summed over all ranks; so each rank must use the result, if only times zero."""
        return _Gather.apply(part, self.group)

    def end_of_left(self, part: torch.Tensor, tokens: int) -> torch.Tensor:
        """The last tokens of the part to the left of `part` [batch, length, ...]; zeros on the first rank."""
        if part.shape[1] < tokens:
            raise ValueError(f"a rank holds {part.shape[1]} tokens of a sequence, but its neighbour needs {tokens}")
        ends = self.gather(part[:, -tokens:])
        return ends[self.rank - 1] if self.rank else ends[0] * 0

    def state_before(self, decay: torch.Tensor, state: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """The state before this rank's first token.

        decay, state: the factor that the part gives to an older state, and the state at its end if it starts empty;
        decay can be broadcast to state. index [batch, whole length]: the numbers of the documents.
        """
        decays, states = self.gather(decay), self.gather(state)
        part = index.shape[1] // self.world
        before = torch.zeros_like(state)
        for rank in range(self.world):
            after = decays[rank] * before + states[rank]
            if rank >= self.rank:
                before = before + after * 0  # keeps the backward pass alike on all ranks
                continue
            end = (rank + 1) * part
            goes_on = (index[:, end] == index[:, end - 1]).view(-1, *[1] * (state.ndim - 1))
            before = after * goes_on
        return before


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, part, group):
        ctx.group = group
        parts = [
            torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size(group))
        ]
        dist.all_gather(parts, part.contiguous(), group=group)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, grads):
        grads = grads.contiguous()
        dist.all_reduce(grads, group=ctx.group)
        return grads[dist.get_rank(ctx.group)], None
