"""The parts of a layer between its matrix products, and the loss: each one pass over blocks that fit a CPU's cache.

Under autograd these lines write every intermediate tensor to memory and keep most of them for the backward pass. Here
the backward pass computes them again from the inputs, block by block. All functions have the results of their plain
definitions in float32; tests compare them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

#: Elements of a block on a CPU: a few blocks fit the second-level cache of a core.
BLOCK = 1 << 17
#: Bytes of the logits in memory at once: on a CPU they stay in the cache, on a GPU the products are large enough.
LOGIT_BYTES = {"cpu": 1 << 24, "cuda": 1 << 29}
SMALLEST_SLICE = 64  # tokens of a slice of the logits: a smaller product would be slow
#: The target of a position whose next token belongs to another document or is padding (ignore_index of cross_entropy).
NO_TARGET = -100


def _blocks(length: int, per_row: int, device: torch.device) -> Iterator[slice]:
    """Slices of `length` rows with `per_row` elements each; all rows at once on a GPU."""
    size = max(1, BLOCK // per_row) if device.type == "cpu" else length
    for first in range(0, length, size):
        yield slice(first, min(first + size, length))


def squared_relu(inputs: torch.Tensor) -> torch.Tensor:
    """max(0, x)²."""
    return _SquaredRelu.apply(inputs)


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        positive = inputs.clamp_min(0)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx, grad):
        (positive,) = ctx.saved_tensors
        return (grad * positive).mul_(2)


def rms_norm(inputs: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """inputs [..., width] divided by the root of their mean square, times the weight, in the inputs' precision."""
    return _RmsNorm.apply(inputs, weight, eps)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, weight, eps):
        x = inputs.reshape(-1, inputs.shape[-1]).float()
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(inputs, weight, scale)
        return (x * scale).mul_(weight.float()).to(inputs.dtype).view(inputs.shape)

    @staticmethod
    def backward(ctx, grad):
        inputs, weight, scale = ctx.saved_tensors
        width = inputs.shape[-1]
        x, grad = inputs.reshape(-1, width).float(), grad.reshape(-1, width).float()
        products = grad * x
        grad_weight = (scale.T @ products).squeeze(0)
        projection = (products @ weight.float()).unsqueeze(-1) * scale.pow(3) / width
        grad_x = torch.mul(grad, weight.float(), out=products).mul_(scale).addcmul_(x, projection, value=-1)
        return grad_x.to(inputs.dtype).view(inputs.shape), grad_weight.to(weight.dtype), None


def gated_norm(y: torch.Tensor, gate: torch.Tensor, weight: torch.Tensor, groups: int, eps: float) -> torch.Tensor:
    """RMSNorm of y silu(gate) over each of the groups of channels alone, times the weight; in float32.

    y and gate [batch, length, channels]; weight [channels].
    """
    return _GatedNorm.apply(y, gate, weight, groups, eps)


class _GatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, gate, weight, groups, eps):
        shape = (*y.shape[:2], groups, -1)
        output = torch.empty_like(y, dtype=torch.float32, memory_format=torch.contiguous_format)
        scale = output.new_empty(*y.shape[:2], groups, 1)
        for part in _blocks(y.shape[1], y.shape[0] * y.shape[2], y.device):
            z = F.silu(gate[:, part].float()).mul_(y[:, part]).unflatten(-1, (groups, -1))
            mean = torch.linalg.vector_norm(z, dim=-1, keepdim=True).square_().div_(z.shape[-1])
            torch.rsqrt(mean.add_(eps), out=scale[:, part])
            torch.mul(z.mul_(scale[:, part]), weight.float().view(groups, -1), out=output.view(shape)[:, part])
        ctx.save_for_backward(y, gate, weight, scale)
        return output

    @staticmethod
    def backward(ctx, grad):
        y, gate, weight, scale = ctx.saved_tensors
        batch, length, channels = y.shape
        groups = scale.shape[2]
        grad_y = torch.empty_like(grad, memory_format=torch.contiguous_format)
        grad_gate = torch.empty_like(gate, memory_format=torch.contiguous_format)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        for part in _blocks(length, batch * channels, y.device):
            opened, g, s = gate[:, part].float(), grad[:, part].float(), scale[:, part]
            silu = F.silu(opened)
            z = silu * y[:, part]
            products = (z * g).unflatten(-1, (groups, -1))
            grad_weight += (products * s).sum((0, 1)).flatten()
            g = (g * weight.float()).unflatten(-1, (groups, -1))
            projection = (products * weight.float().view(groups, -1)).sum(-1, keepdim=True)
            projection *= s.pow(3) / (channels // groups)
            g = g.mul_(s).addcmul_(z.unflatten(-1, (groups, -1)), projection, value=-1).flatten(-2)
            torch.mul(g, silu, out=grad_y[:, part])
            grad_gate[:, part] = torch.ops.aten.silu_backward(g.mul_(y[:, part]), opened)
        return grad_y, grad_gate, grad_weight.to(weight.dtype), None, None


def causal_conv_silu(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    documents: torch.Tensor,
    before: torch.Tensor | None = None,
) -> torch.Tensor:
    """silu of a depthwise causal convolution that never looks across a document boundary.

    inputs [batch, length, channels]; weight [channels, window]; bias [channels]; documents [batch, length]: the number
    of the document that each token belongs to, non-decreasing along a sequence. `before` [batch, some, channels]: the
    inputs before the first; then `documents` begins with theirs. Returns [batch, length, channels] in the precision of
    the weight.
    """
    if before is not None:
        inputs = torch.cat([before, inputs], dim=1)
    output = _CausalConv.apply(inputs.to(weight.dtype), weight, bias, documents)
    return output if before is None else output[:, before.shape[1] :]


class _CausalConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, weight, bias, documents):
        ctx.save_for_backward(inputs, weight, bias, documents)
        output = torch.empty(inputs.shape, dtype=inputs.dtype, device=inputs.device)
        taps = _Taps(inputs, weight, bias, documents)
        for part in _blocks(inputs.shape[1], inputs.shape[0] * inputs.shape[2], inputs.device):
            torch.ops.aten.silu.out(taps.convolved(part), out=output[:, part])
        return output

    @staticmethod
    def backward(ctx, grad):
        inputs, weight, bias, documents = ctx.saved_tensors
        grad_inputs = torch.empty(inputs.shape, dtype=inputs.dtype, device=inputs.device)
        grad_taps = torch.zeros_like(weight.T, memory_format=torch.contiguous_format)
        grad_bias = torch.zeros_like(bias)
        taps = _Taps(inputs, weight, bias, documents)
        for part in _blocks(inputs.shape[1], inputs.shape[0] * inputs.shape[2], inputs.device):
            of_sum = torch.ops.aten.silu_backward(grad[:, part], taps.convolved(part))
            grad_bias += of_sum.sum((0, 1))
            grad_taps[-1] += (of_sum * inputs[:, part]).sum((0, 1))
            torch.mul(of_sum, taps.weights[-1], out=grad_inputs[:, part])
            for weight_of, grad_of, at, source, same in taps.earlier(part, grad_taps):
                reaching = of_sum[:, at] if same is None else of_sum[:, at] * same
                grad_of += (reaching * inputs[:, source]).sum((0, 1))
                grad_inputs[:, source].addcmul_(reaching, weight_of)
        return grad_inputs, grad_taps.T, grad_bias, None


class _Taps:
    """The products of a causal convolution, for a part of the tokens."""

    def __init__(self, inputs, weight, bias, documents):
        self.inputs, self.bias, self.documents = inputs, bias, documents
        self.weights = weight.T.contiguous()  # [window, channels]
        self.changes = None  # positions where a document begins; None: there may be one anywhere
        if inputs.device.type == "cpu":
            self.changes = ((documents[:, 1:] != documents[:, :-1]).any(0).nonzero().flatten() + 1).tolist()

    def convolved(self, part: slice) -> torch.Tensor:
        output = torch.addcmul(self.bias, self.inputs[:, part], self.weights[-1])
        for weight, _, at, source, same in self.earlier(part, self.weights):
            inputs = self.inputs[:, source]
            output[:, at].addcmul_(inputs if same is None else inputs * same, weight)
        return output

    def earlier(self, part: slice, others: torch.Tensor):
        """For each earlier position of the window: its weight, its row of `others`, the tokens of the part that have
        such a position, where it is, and 1 where it belongs to the same document (None: everywhere)."""
        window = len(self.weights)
        near = self.changes is None or any(part.start < c + window and c < part.stop for c in self.changes)
        for back in range(1, window):
            first = max(part.start, back)
            if first >= part.stop:
                return
            at, source = slice(first - part.start, None), slice(first - back, part.stop - back)
            same = None
            if near:
                same = self.documents[:, first : part.stop] == self.documents[:, source]
                same = same.unsqueeze(-1).to(self.inputs.dtype)
            yield self.weights[-1 - back], others[-1 - back], at, source, same


@torch.compiler.disable
def cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cross-entropy of the next token in nats, without ever holding all logits.

    hidden [tokens, width]; weight [vocabulary, width]; targets [tokens], NO_TARGET where no token is predicted. Returns
    the sum over all tokens, and the loss of each token without gradients. The gradients of hidden and weight are
    computed with the loss, slice by slice, so the logits are not computed a second time.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        return _CrossEntropy.apply(hidden.to(dtype), weight, targets, dtype)


def add_gradients(grad, hidden, matrix, part, grad_hidden, grad_weight) -> None:
    """Add what one slice of the tokens, `part`, gives to the gradients of hidden states and matrix. `grad` is the
    gradient of the logits of the slice. A gradient that nobody asked for is None."""
    if grad_hidden is not None:
        torch.mm(grad, matrix, out=grad_hidden[part])
    if grad_weight is not None and grad.dtype == torch.float32:
        grad_weight.addmm_(grad.T, hidden[part])
    elif grad_weight is not None:
        grad_weight += grad.T @ hidden[part]


class SlicedLoss(torch.autograd.Function):
    """A loss whose forward pass saves its gradients by the hidden states and the weight, and the weight's dtype."""

    @staticmethod
    def backward(ctx, scale, _):
        grad_hidden, grad_weight = ctx.saved_tensors
        if grad_hidden is not None:
            grad_hidden = grad_hidden * scale.to(grad_hidden.dtype)
        if grad_weight is not None:
            grad_weight = (grad_weight * scale).to(ctx.dtype)
        return grad_hidden, grad_weight, *[None] * (len(ctx.needs_input_grad) - 2)


class _CrossEntropy(SlicedLoss):
    @staticmethod
    def forward(ctx, hidden, weight, targets, dtype):
        matrix = weight.to(dtype)
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        most = LOGIT_BYTES.get(hidden.device.type, LOGIT_BYTES["cuda"])
        size = max(SMALLEST_SLICE, most // (4 * len(weight)))
        for first in range(0, len(hidden), size):
            part = slice(first, first + size)
            logits = (hidden[part] @ matrix.T).float()
            valid = targets[part] != NO_TARGET
            target = targets[part].where(valid, 0).unsqueeze(-1)
            of_target = logits.gather(1, target).squeeze(-1)
            highest = logits.amax(-1, keepdim=True)
            total = logits.sub_(highest).exp_().sum(-1, keepdim=True)
            losses[part] = (total.log() + highest).squeeze(-1).sub_(of_target).where(valid, 0)
            if grad_hidden is None and grad_weight is None:
                continue
            valid = valid.unsqueeze(-1).float()
            grad = logits.mul_(valid / total).scatter_add_(1, target, -valid).to(dtype)
            add_gradients(grad, hidden, matrix, part, grad_hidden, grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses
