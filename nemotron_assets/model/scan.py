"""The Mamba-2 recurrence over packed documents, as a few large matrix products with a backward pass of its own.

The reference scan of transformers repeats B and C for every head, keeps a [chunk x chunk] decay matrix of every head
for the backward pass, and ignores packing, so the state of one document leaks into the next. This module has the same
chunked algorithm ("SSD", Dao and Gu 2024, section 6) with these differences:

* The decay from token j to token i is exp(a[i] - a[j]), where `a` is the log decay since the start of the chunk or of
  the document. Taken apart into exp(a[i] - s) and exp(s - a[j]) it scales rows, and all heads of a group share each
  product. `s` is about half the log decay of the document in the chunk, so that both factors stay as close to 1 as
  possible. exp(s) is a power of two, so it changes no rounding: a token does not depend on later ones, not by a bit.
* exp(s - a[j]) would overflow where a head forgets very fast. Tokens of a document whose log decay in a chunk falls
  below -2 GENTLE are therefore computed with the decay matrix of their head; usually there are none.
* A token sees its own document only: products with other documents are products with an exact zero.
* Of these products the backward pass keeps C B' and X, and computes the others again. So what is kept is half as
  much again as inputs, output and the state at each chunk's start, and far less than a decay matrix of every head.
* It computes in float32 whatever the model's precision, because the state is a long sum; the log decays in float64,
  because differences of values around -1,000 would have errors of 1e-4 in float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

#: A log decay inside a chunk down to -2 GENTLE is taken apart: exp(50) = 5e21 leaves room on both sides in float32.
GENTLE = 50.0
#: Tokens per chunk at most, whatever the configuration says: longer chunks cost more and overflow more often.
LONGEST_CHUNK = 64
#: Number of decays of the fast-forgetting heads in memory at once.
DECAYS_AT_ONCE = 1 << 24


@torch.compiler.disable  # which heads are fast depends on the values, and a compiled graph cannot
def chunked_scan(
    x: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
    documents: torch.Tensor,
    chunk: int,
    start: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """h[t] = exp(A dt[t]) h[t-1] + dt[t] B[t] x[t],  y[t] = C[t] h[t] + D x[t], with h = 0 at a document's start.

    x [batch, length, heads, width]; dt [batch, length, heads], positive; A [heads], negative; B and C [batch, length,
    groups, state]; D [heads]; documents [batch, length], non-decreasing along a sequence. `start` is the state before
    the first token, for the document of the first token. Returns y, float32 of x's shape, and the state after the last
    token. A state is [batch, groups, state, heads of the group x width].
    """
    batch, length, heads, width = x.shape
    chunk = min(chunk, LONGEST_CHUNK)
    padding = -length % chunk
    x, dt, B, C = x.float(), dt.float(), B.float(), C.float()
    if padding:  # steps with dt = 0 after the end do not change the state
        x, B, C = (F.pad(t, (0, 0, 0, 0, 0, padding)) for t in (x, B, C))
        dt = F.pad(dt, (0, 0, 0, padding))
        documents = torch.cat([documents, documents[:, -1:].expand(-1, padding)], dim=1)
    if start is None:
        start = x.new_zeros(batch, B.shape[2], B.shape[3], heads // B.shape[2] * width)
    y, end = _Scan.apply(x, dt, A.float(), B, C, D.float(), start, documents, chunk)
    return (y[:, :length] if padding else y), end


class _Scan(torch.autograd.Function):
    """With X = dt exp(s - a) x, all heads of a group share the products of  U = (C B' below its diagonal) X + C S.
    Then y = exp(a - s) U + (D + C·B dt) x, and the next chunk's state is exp(a[end] - s) (S + B' X); documents mask
    these products as `_Chunks` says. S is the state times exp(s), for the s of the chunk's first token. The token's own
    part is apart because the decay does not change it: in the gradient of the decay it would only cancel, and leave its
    rounding."""

    @staticmethod
    def forward(ctx, x, dt, A, B, C, D, start, documents, chunk):
        k = _Chunks(x, dt, A, B, C, documents, chunk)
        U = k.M @ k.X
        added = (k.B * k.stays).transpose(-1, -2) @ k.X
        k.heads(added).mul_(k.leaves)
        outputs = []
        for fast in k.fast_pairs():
            outputs.append((fast.in_group, fast.M @ fast.X))
            left = (fast.B * fast.leave).transpose(-1, -2) @ fast.X
            k.heads(added).transpose(3, 4).index_put_(fast.in_group, left, accumulate=True)
        states, end = torch.empty_like(added), torch.empty_like(start)
        torch.mul(k.heads(start), k.opens[:, 0], out=k.heads(states)[:, 0])
        k.pass_on(added, [*k.heads(states).unbind(1), k.heads(end)])
        U.flatten(0, 2).baddbmm_((k.C * k.opened).flatten(0, 2), states.flatten(0, 2))
        earlier = k.heads(U).mul_(k.per_token(k.fading))  # what a token reads from tokens before it
        for at, output in outputs:
            earlier.transpose(3, 4).index_put_(at, output, accumulate=True)
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        torch.addcmul(earlier, k.tokens(x), k.per_token(k.own(D)), out=k.tokens(y))
        ctx.rest, ctx.names, tensors = k.taken_apart()
        ctx.save_for_backward(x, dt, A, D, states, end, U, *tensors)
        return y, end

    @staticmethod
    def backward(ctx, grad, grad_end):
        x, dt, A, D, states, end, earlier, *tensors = ctx.saved_tensors
        k = _Chunks.put_together(ctx.rest, ctx.names, tensors)
        Z = torch.empty_like(k.X)  # the gradient of U
        torch.mul(k.tokens(grad), k.per_token(k.fading), out=k.heads(Z))

        reads = (k.C * k.opened).transpose(-1, -2) @ Z
        after = torch.empty_like(states)  # the gradient of the state after each chunk
        after[:, -1] = grad_end
        grad_start = torch.empty_like(grad_end)
        k.pass_on(reads, [k.heads(grad_start), *k.heads(after).unbind(1)], back=True)
        k.heads(grad_start).mul_(k.opens[:, 0])
        grad_last = k.state_products(after, states, end)  # by the log decay at the end of each chunk
        grad_added = reads  # its memory is free again
        torch.mul(k.heads(after), k.leaves, out=k.heads(grad_added))

        grad_X = k.M.transpose(-1, -2) @ Z
        grad_X.flatten(0, 2).baddbmm_((k.B * k.stays).flatten(0, 2), grad_added.flatten(0, 2))
        # Where a token does not see another, the product may have overflowed.
        grad_M = (Z @ k.X.transpose(-1, -2)).masked_fill_(k.earlier.unsqueeze(2) == 0, 0)
        grad_B = (k.X @ grad_added.transpose(-1, -2)).mul_(k.stays)
        grad_C = (Z @ states.transpose(-1, -2)).mul_(k.opened)

        products = k.all_heads((k.heads(grad_X) * k.tokens(x)).sum(-1))
        grad_dt = products * k.inverse
        # What a token reads from earlier ones is proportional to exp(a), and what it gives to later ones to exp(-a).
        grad_decay = k.all_heads((k.heads(earlier) * k.tokens(grad)).sum(-1)) - products * k.weight
        grad_decay[:, :, -1] += grad_last
        grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        torch.mul(k.heads(grad_X), k.per_token(k.weight), out=k.tokens(grad_x))
        k.tokens(grad_x).addcmul_(k.tokens(grad), k.per_token(k.own(D)))
        of_own = (grad * x).sum(-1)
        own_by_head = of_own.view(k.decay.shape)
        grad_dt += own_by_head * k.heads_of(k.meets)
        grad_M.diagonal(dim1=-2, dim2=-1).add_(k.by_group(own_by_head * k.dt).sum(-1))

        for fast in k.fast_pairs():
            of_y = k.by_head(grad)[fast.at]
            of_state = k.heads(after).transpose(3, 4)[fast.in_group]
            grad_M.index_put_(fast.group, of_y @ fast.X.transpose(-1, -2) * fast.fade, accumulate=True)
            grad_B.index_put_(fast.group, fast.X @ of_state.transpose(-1, -2) * fast.leave, accumulate=True)
            of_X = fast.M.transpose(-1, -2) @ of_y + (fast.B * fast.leave) @ of_state
            k.by_head(grad_x).index_put_(fast.at, of_X * fast.dt, accumulate=True)
            by_pair = (of_X * fast.x).sum(-1) * fast.is_fast
            grad_dt.transpose(2, 3).index_put_(fast.at, by_pair, accumulate=True)
            grad_decay.transpose(2, 3).index_put_(fast.at, -by_pair * fast.dt.squeeze(-1), accumulate=True)

        grad_C += grad_M @ k.B
        grad_B += grad_M.transpose(-1, -2) @ k.C
        grad_steps = (k.same_document.transpose(-1, -2) @ grad_decay).view(dt.shape)  # the decay sums up the steps
        grad_dt = grad_dt.reshape(dt.shape) + grad_steps * A
        grads = grad_x, grad_dt, (grad_steps * dt).sum((0, 1)), k.ungrouped(grad_B), k.ungrouped(grad_C)
        return *grads, of_own.sum((0, 1)), grad_start, None, None


def _power_of_two(exponents: torch.Tensor) -> torch.Tensor:
    """2 to the power of whole numbers, float64, exact: the exponents are put where a float64 has its own."""
    return (exponents + 1023 << 52).view(torch.float64)


class _Chunks:
    """The chunks of a sequence, what both passes derive from the inputs, and views of tensors.

    b: batch, c: chunks, g: groups, q: tokens of a chunk, h: heads, k: heads of a group, p: width of a head, n: state.
    """

    def __init__(self, x, dt, A, B, C, documents, chunk: int):
        batch, length, heads, width = x.shape
        self.chunks, self.groups, self.per_group = length // chunk, B.shape[2], heads // B.shape[2]
        docs = documents.view(batch, self.chunks, chunk)
        same = docs.unsqueeze(-1) == docs.unsqueeze(-2)
        self.same_document = same.tril().to(x.dtype)  # [b, c, q, q]: 1 where a token sees another
        self.earlier = same.tril(-1).to(x.dtype)  # the same without the token itself
        # [b, c, q, h], not positive: the log decay since the start of the chunk or of the document. The sum skips other
        # documents instead of subtracting them, so they do not even change its rounding.
        steps = (dt.double() * A.double()).view(batch, self.chunks, chunk, heads)
        self.decay = self.same_document.double() @ steps
        last = (docs.unsqueeze(-1) >= docs.unsqueeze(-2)).sum(-1) - 1  # [b, c, q]: last token of the same document
        whole = self.decay.gather(2, last.unsqueeze(-1).expand_as(self.decay))
        half, self.fast = (whole / (2 * math.log(2))).round_().long(), None  # s, as a power of two
        if whole.min() < -2 * GENTLE:
            self.fast = whole < -2 * GENTLE
            half.masked_fill_(self.fast, 0)
        self.fading = (self.decay.exp() * _power_of_two(-half)).float()
        self.inverse = ((-self.decay).exp() * _power_of_two(half)).float()
        if self.fast is not None:
            self.inverse.masked_fill_(self.fast, 0)
        self.dt = dt.reshape(self.decay.shape)
        self.weight = self.dt * self.inverse

        # A chunk begins with the state that the chunk before it left, if it goes on with the same document.
        goes_on = (docs[:, 1:, 0] == docs[:, :-1, -1]).to(x.dtype)
        self.goes_on = F.pad(goes_on, (0, 1), value=1.0)  # [b, c]
        opens = half[:, :, 0]  # [b, c, h]: the power of two that the state at the start of the chunk is multiplied by
        next_opens = F.pad(opens[:, 1:], (0, 0, 0, 1))
        self.next_opens = _power_of_two(next_opens)
        end = self.decay[:, :, -1].exp()
        goes_on, one_document = self.goes_on.unsqueeze(-1), (docs[:, :, 0] == docs[:, :, -1]).unsqueeze(-1)
        per_head = (batch, self.chunks, self.groups, 1, self.per_group, 1)
        self.opens = _power_of_two(opens).float().view(per_head)
        leaves, carried = (end * _power_of_two(next_opens - scaled) for scaled in (half[:, :, -1], opens))
        self.leaves = (leaves.float() * goes_on).view(per_head)
        self.carried = (carried.float() * goes_on * one_document).view(per_head)
        self.open_at_end = docs == docs[:, :, -1:]
        per_row = (batch, self.chunks, 1, chunk, 1)
        self.stays = self.open_at_end.to(x.dtype).view(per_row)  # 1 for the document that is open at the chunk's end
        self.opened = (docs == docs[:, :, :1]).to(x.dtype).view(per_row)  # 1 for the document that the chunk began with

        self.B, self.C = (self._grouped(t) for t in (B, C))  # [b, c, g, q, n]
        self.M = self.C @ self.B.transpose(-1, -2)
        self.meets = self.M.diagonal(dim1=-2, dim2=-1).clone()  # [b, c, g, q]: C and B of the same token
        self.M.mul_(self.earlier.unsqueeze(2))
        self.x = x
        self.X = x.new_empty(batch, self.chunks, self.groups, chunk, self.per_group * width)
        torch.mul(self.tokens(x), self.per_token(self.weight), out=self.heads(self.X))

    def taken_apart(self) -> tuple[dict[str, Any], list[str], list[torch.Tensor]]:
        """What autograd keeps until the backward pass: numbers, and names and values of the tensors."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        rest = {name: value for name, value in vars(self).items() if name not in tensors}
        return rest, list(tensors), list(tensors.values())

    @classmethod
    def put_together(cls, rest: dict[str, Any], names: list[str], tensors: list[torch.Tensor]) -> _Chunks:
        chunks = cls.__new__(cls)
        vars(chunks).update(rest, **dict(zip(names, tensors, strict=True)))
        return chunks

    def pass_on(self, gains: torch.Tensor, states: list[torch.Tensor], back: bool = False) -> None:
        """Fill in the states between the chunks from the first one on, or from the last one back: the next state is
        what is carried of this one, plus what the chunk between them adds."""
        gains, carried = self.heads(gains).unbind(1), self.carried.unbind(1)
        for i in reversed(range(self.chunks)) if back else range(self.chunks):
            torch.addcmul(gains[i], states[i + back], carried[i], out=states[i + 1 - back])

    def _grouped(self, t: torch.Tensor) -> torch.Tensor:
        return t.view(t.shape[0], self.chunks, -1, *t.shape[2:]).transpose(2, 3).contiguous()

    def ungrouped(self, t: torch.Tensor) -> torch.Tensor:
        """[b, c, g, q, n] as [b, length, g, n]."""
        return t.transpose(2, 3).flatten(1, 2)

    def heads(self, t: torch.Tensor) -> torch.Tensor:
        """[..., k x p] as [..., k, p]."""
        return t.unflatten(-1, (self.per_group, -1))

    def tokens(self, t: torch.Tensor) -> torch.Tensor:
        """[b, length, h, p] as [b, c, g, q, k, p]."""
        return t.view(t.shape[0], self.chunks, -1, self.groups, self.per_group, t.shape[-1]).transpose(2, 3)

    def by_head(self, t: torch.Tensor) -> torch.Tensor:
        """[b, length, h, p] as [b, c, h, q, p]."""
        return t.view(t.shape[0], self.chunks, -1, *t.shape[2:]).transpose(2, 3)

    def per_token(self, t: torch.Tensor) -> torch.Tensor:
        """[b, c, q, h] as [b, c, g, q, k, 1], a factor of `heads`."""
        return self.by_group(t).unsqueeze(-1)

    def by_group(self, t: torch.Tensor) -> torch.Tensor:
        """[b, c, q, h] as [b, c, g, q, k]."""
        return t.unflatten(-1, (self.groups, self.per_group)).transpose(2, 3)

    def heads_of(self, t: torch.Tensor) -> torch.Tensor:
        """[b, c, g, q] as [b, c, q, h]: every head has the value of its group."""
        return t.transpose(2, 3).repeat_interleave(self.per_group, dim=-1)

    def own(self, D: torch.Tensor) -> torch.Tensor:
        """[b, c, q, h]: the factor of a token's input in its own output."""
        return D + self.heads_of(self.meets) * self.dt

    def all_heads(self, t: torch.Tensor) -> torch.Tensor:
        """[b, c, g, q, k] as [b, c, q, h]."""
        return t.transpose(2, 3).flatten(-2)

    def state_products(self, grads: torch.Tensor, states: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        """[b, c, h]: the products of the states after each chunk with their gradients, summed up for each head."""
        inner = (self.heads(grads)[:, :-1] * self.heads(states)[:, 1:]).sum((3, 5))
        last = (self.heads(grads)[:, -1] * self.heads(end)).sum((2, 4))
        return torch.cat([inner, last.unsqueeze(1)], dim=1).flatten(-2)

    def fast_pairs(self) -> Iterator[_Fast]:
        """The pairs of a head and a chunk with tokens that the head forgets too fast, a bounded number at a time."""
        if self.fast is not None:
            pairs = self.fast.any(2).nonzero(as_tuple=True)
            size = max(1, DECAYS_AT_ONCE // self.fast.shape[2] ** 2)
            for at in zip(*(index.split(size) for index in pairs), strict=True):
                yield _Fast(self, at)


class _Fast:
    """i pairs of a head and a chunk in which the head forgets a document too fast, with their decay matrices.

    `at` has the numbers of batch, chunk and head, `group` those of batch, chunk and group.
    """

    def __init__(self, k: _Chunks, at: tuple[torch.Tensor, ...]):
        batch, chunk, head = self.at = at
        self.group = batch, chunk, head // k.per_group
        self.in_group = *self.group, head % k.per_group
        decay = k.decay.transpose(2, 3)[at]  # [i, q]
        unseen = k.earlier[batch, chunk] == 0
        self.fade = (decay.unsqueeze(-1) - decay.unsqueeze(-2)).masked_fill_(unseen, -torch.inf).float().exp_()
        leave = (decay[:, -1:] - decay).masked_fill_(~k.open_at_end[batch, chunk], -torch.inf).exp_()
        leave = (leave * k.next_opens[at].unsqueeze(-1)).float()
        self.leave = (leave * k.goes_on[batch, chunk].unsqueeze(-1)).unsqueeze(-1)
        self.is_fast = k.fast.transpose(2, 3)[at].float()
        self.dt = (k.dt.transpose(2, 3)[at] * self.is_fast).unsqueeze(-1)
        self.x = k.by_head(k.x)[at]  # [i, q, p]
        self.X = self.x * self.dt
        self.M = k.M[self.group] * self.fade
        self.B = k.B[self.group]  # [i, q, n]
