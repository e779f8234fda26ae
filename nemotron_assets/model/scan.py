"""The Mamba-2 recurrence over packed documents, as matrix products in plain PyTorch.

The reference scan of transformers is slow: it repeats B and C for every head, and materialises the chunk products of
all heads through five-dimensional einsums. It also ignores packing, so the state of one document leaks into the next.
This module has the same chunked algorithm ("SSD", Dao and Gu 2024, section 6) with three differences:

* Products that do not depend on the head are computed once per group, and everything is a batched matrix product.
* A token sees the state of its own document only: the decay is exactly zero where the document changes.
* It computes in float32 on the device of its inputs, whatever the model's precision, because the state is a long sum.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def causal_conv(
    inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, documents: torch.Tensor
) -> torch.Tensor:
    """A depthwise causal convolution that never looks across a document boundary.

    inputs [batch, length, channels]; weight [channels, window]; bias [channels]; documents [batch, length]: the number
    of the document that each token belongs to, non-decreasing along a sequence. Returns [batch, length, channels] in
    the precision of the weight.
    """
    return _CausalConv.apply(inputs.to(weight.dtype), weight, bias, documents)


class _CausalConv(torch.autograd.Function):
    """Sums over the few positions of the window in place. This takes half the time of the same lines under autograd."""

    @staticmethod
    def forward(ctx, inputs, weight, bias, documents):
        output = torch.addcmul(bias, inputs, weight[:, -1])
        backs = range(1, min(weight.shape[-1], inputs.shape[1]))
        same = [(documents[:, back:] == documents[:, :-back]).unsqueeze(-1).to(inputs.dtype) for back in backs]
        for back, in_document in zip(backs, same, strict=True):  # add the token that is `back` positions earlier
            output[:, back:].addcmul_(inputs[:, :-back] * in_document, weight[:, -1 - back])
        ctx.save_for_backward(inputs, weight, *same)
        return output

    @staticmethod
    def backward(ctx, grad):
        inputs, weight, *same = ctx.saved_tensors
        grad_inputs, grad_weight = grad * weight[:, -1], torch.zeros_like(weight)
        grad_weight[:, -1] = (grad * inputs).sum((0, 1))
        for back, in_document in enumerate(same, start=1):
            reaching = grad[:, back:] * in_document
            grad_inputs[:, :-back].addcmul_(reaching, weight[:, -1 - back])
            grad_weight[:, -1 - back] = (reaching * inputs[:, :-back]).sum((0, 1))
        return grad_inputs, grad_weight, grad.sum((0, 1)), None


def chunked_scan(
    x: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
    documents: torch.Tensor,
    chunk: int,
) -> torch.Tensor:
    """h[t] = exp(A dt[t]) h[t-1] + dt[t] B[t] x[t],  y[t] = C[t] h[t] + D x[t], with h = 0 at a document's start.

    x [batch, length, heads, width]; dt [batch, length, heads], positive; A [heads], negative; B and C [batch, length,
    groups, state]; D [heads]; documents [batch, length], non-decreasing along a sequence. Returns float32 of x's shape.
    """
    batch, length, heads, width = x.shape
    groups, state = B.shape[2:]
    per_group = heads // groups
    x, dt, B, C = x.float(), dt.float(), B.float(), C.float()

    padding = -length % chunk
    if padding:  # steps with dt = 0 after the end do not change the steps before it
        x, B, C = (F.pad(t, (0, 0, 0, 0, 0, padding)) for t in (x, B, C))
        dt = F.pad(dt, (0, 0, 0, padding))
        documents = torch.cat([documents, documents[:, -1:].expand(-1, padding)], dim=1)
    chunks = (length + padding) // chunk

    # Shapes: [batch, chunks, groups, (heads of the group,) chunk, ...]. All products below are over the last two axes.
    xs = x.view(batch, chunks, chunk, groups, per_group, width).permute(0, 1, 3, 4, 2, 5)
    dts = dt.view(batch, chunks, chunk, groups, per_group).permute(0, 1, 3, 4, 2)
    Bs = B.view(batch, chunks, chunk, groups, state).permute(0, 1, 3, 2, 4)
    Cs = C.view(batch, chunks, chunk, groups, state).permute(0, 1, 3, 2, 4)
    docs = documents.view(batch, chunks, chunk)

    # The log decay since the start of the chunk or of the document, whichever is later. The sum skips other documents
    # instead of subtracting them, so they do not even change its rounding. [batch, chunks, groups, per_group, chunk]
    visible = (docs.unsqueeze(-1) == docs.unsqueeze(-2)).tril()
    steps = (dt * A.float()).view(batch, chunks, chunk, heads)
    decay = (visible.to(steps.dtype) @ steps).view(batch, chunks, chunk, groups, per_group).permute(0, 1, 3, 4, 2)
    inputs = xs * dts.unsqueeze(-1)

    # Inside a chunk: a product like attention. Its decay matrix is zero above the diagonal and across documents.
    fade = (decay.unsqueeze(-1) - decay.unsqueeze(-2)).masked_fill(~visible[:, :, None, None], -torch.inf).exp()
    scores = (Cs @ Bs.transpose(-1, -2)).unsqueeze(3) * fade
    output = scores @ inputs
    if chunks > 1:
        # The state that each chunk adds to the document that is open at its end:
        # [batch, chunks, groups, per_group, width, state].
        open_at_end = (docs == docs[:, :, -1:])[:, :, None, None]
        leaves = (decay[..., -1:] - decay).masked_fill(~open_at_end, -torch.inf).exp().unsqueeze(-1)
        left = (inputs * leaves).transpose(-1, -2) @ Bs.unsqueeze(3)

        # The state at the start of each chunk. It survives a chunk only if the whole chunk is one document.
        survives = decay[..., -1].masked_fill(~(docs[:, :, 0] == docs[:, :, -1])[:, :, None, None], -torch.inf).exp()
        before = [left.new_zeros(left.shape[0], *left.shape[2:])]
        for index in range(chunks - 1):
            joins = (docs[:, index + 1, 0] == docs[:, index, -1]).view(batch, 1, 1, 1, 1)
            carried = before[-1] * survives[:, index, ..., None, None] + left[:, index]
            before.append(carried * joins)
        states = torch.stack(before, dim=1)

        # The part of the output that a token reads from that state, if its document was open when the chunk began.
        from_start = (docs == docs[:, :, :1])[:, :, None, None]
        reads = decay.masked_fill(~from_start, -torch.inf).exp().unsqueeze(-1)
        output = output + (Cs.unsqueeze(3) @ states.transpose(-1, -2)) * reads
    output = output + xs * D.float().view(groups, per_group, 1, 1)
    return output.permute(0, 1, 4, 2, 3, 5).reshape(batch, chunks * chunk, heads, width)[:, :length]
