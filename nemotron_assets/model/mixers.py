"""How the layers of the hybrid model compute packed sequences: the forward functions that `nemotron_h.attach` installs.

A call without a `Packing` runs the code of transformers. A long sequence goes through a layer in segments, and the
backward pass computes each segment again, so the memory of a layer's inside does not grow with the length.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from nemotron_assets.model import kernels
from nemotron_assets.model.attention import attend
from nemotron_assets.model.fused import causal_conv_silu, cross_entropy, gated_norm, rms_norm, squared_relu
from nemotron_assets.model.packing import Packing
from nemotron_assets.model.parallel import ContextParallel
from nemotron_assets.model.scan import chunked_scan

#: Sequences that are longer go through Mamba-2 and FFN layers in segments of this many tokens.
SEGMENT = 16384


def _recompute(function, *arguments):
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def mamba(
    self, hidden_states, *args, packing: Packing | None = None, parallel: ContextParallel | None = None, **kwargs
):
    """The Mamba-2 mixer. The state and the last inputs of the convolution go from segment to segment."""
    if packing is None:
        return type(self).forward(self, hidden_states, *args, **kwargs)
    if parallel is not None:
        return _mamba_part(self, hidden_states, packing.index, parallel)
    length, window = hidden_states.shape[1], self.conv_kernel_size - 1
    if length <= SEGMENT:
        return _mamba_segment(self, hidden_states, packing.index, None, None, whole=True)[0]
    outputs, tail, state = [], None, None
    for first in range(0, length, SEGMENT):
        last = min(first + SEGMENT, length)
        index = packing.index[:, max(0, first - window) : last]
        if first:
            goes_on = packing.index[:, first] == packing.index[:, first - 1]
            state = state * goes_on.view(-1, 1, 1, 1)
        output, tail, state = _recompute(_mamba_segment, self, hidden_states[:, first:last], index, tail, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


def _mamba_segment(self, hidden_states, index, tail, state, whole=False):
    """The output of a segment, its last inputs of the convolution, and the state after it. `index` begins with the
    documents of `tail`."""
    gate, mixed, dt = _projected(self, hidden_states)
    new_tail = mixed[:, 1 - self.conv_kernel_size :]
    y, state, *_ = _scanned(self, mixed, dt, index, tail, state, whole)
    return _gated_output(self, y, gate, hidden_states.dtype), new_tail, state


def _mamba_part(self, hidden_states, index, parallel: ContextParallel):
    """The output of this rank's part of sequences whose documents are `index`."""
    first, last = parallel.bounds(index.shape[1])
    window = self.conv_kernel_size - 1
    gate, mixed, dt = _projected(self, hidden_states)
    tail = parallel.end_of_left(mixed, window)
    before = index[:, first - window : first] if first else torch.full_like(index[:, :window], -1)
    own = index[:, first:last]
    y, state, steps, C = _scanned(self, mixed, dt, torch.cat([before, own], dim=1), tail, None)
    # The tokens of the document that may have begun on another rank also read the state before them.
    same = (own == own[:, :1]).unsqueeze(-1)
    with torch.autocast(hidden_states.device.type, enabled=False):
        decay = (steps * same).cumsum(1)
        stays = (own[:, -1] == own[:, 0]).view(-1, 1, 1, 1)
        over_all = _of_state(self, decay[:, -1].exp()) * stays
        start = parallel.state_before(over_all, state, index)
        read = (C.float().transpose(1, 2) @ start).transpose(
            1, 2
        )  # [batch, length, groups, heads of the group x width]
        y = y + read.reshape(y.shape) * (decay.exp() * same).unsqueeze(-1)
    return _gated_output(self, y, gate, hidden_states.dtype)


def _of_state(self, per_head: torch.Tensor) -> torch.Tensor:
    """[batch, heads] as a factor of a state, [batch, groups, 1, heads of the group x width]."""
    return per_head.repeat_interleave(self.head_dim, -1).view(len(per_head), self.n_groups, 1, -1)


def _projected(self, hidden_states):
    sizes = [self.intermediate_size, self.conv_dim, self.num_heads]
    return self.in_proj(hidden_states).split(sizes, dim=-1)


def _scanned(self, mixed, dt, index, tail, state, whole=False):
    """y, the state at the end (not if these are whole sequences), the log decay of every step, and C."""
    batch, length, _ = mixed.shape
    mixed = causal_conv_silu(mixed, self.conv1d.weight.squeeze(1), self.conv1d.bias, index, tail)
    size = self.n_groups * self.ssm_state_size
    x, B, C = mixed.split([self.intermediate_size, size, size], dim=-1)
    x = x.view(batch, length, self.num_heads, self.head_dim)
    B, C = (t.view(batch, length, self.n_groups, self.ssm_state_size) for t in (B, C))
    with torch.autocast(mixed.device.type, enabled=False):
        dt = F.softplus(dt.float() + self.dt_bias.float()).clamp(*self.time_step_limit)
        A = -torch.exp(self.A_log.float())
        inputs = x, dt, A, B, C, self.D, index[:, -length:], self.chunk_size
        if whole and x.is_cuda:
            y = kernels.scan(*inputs, lambda *arguments: chunked_scan(*arguments)[0])
        else:
            y, state = chunked_scan(*inputs, state)
        return y, state, dt * A, C


def _gated_output(self, y, gate, dtype):
    with torch.autocast(y.device.type, enabled=False):
        y = gated_norm(y.flatten(2), gate, self.norm.weight, self.n_groups, self.norm.variance_epsilon)
    return self.out_proj(y.to(dtype))


def attention(
    self, hidden_states, *args, packing: Packing | None = None, parallel: ContextParallel | None = None, **kwargs
):
    """The attention mixer: every document attends to itself."""
    if packing is None:
        return type(self).forward(self, hidden_states, *args, **kwargs)
    batch, length, _ = hidden_states.shape

    def heads(projected: torch.Tensor) -> torch.Tensor:
        return projected.view(batch, length, -1, self.head_dim).transpose(1, 2)

    q, k, v = (heads(projection(hidden_states)) for projection in (self.q_proj, self.k_proj, self.v_proj))
    first = 0
    if parallel is not None:
        first, _ = parallel.bounds(packing.index.shape[1])
        k, v = parallel.gather(torch.stack([k, v])).unbind(1)  # each [ranks, batch, heads, length, width]
        k, v = (t.permute(1, 2, 0, 3, 4).flatten(2, 3) for t in (k, v))
    output = attend(q, k, v, packing.lengths, self.scaling, first)
    return self.o_proj(output.transpose(1, 2).reshape(batch, length, -1)), None


def block(self, hidden_states, *args, packing: Packing | None = None, **kwargs):
    """A layer: the norm, the mixer and the residual."""
    if packing is None:
        return type(self).forward(self, hidden_states, *args, **kwargs)
    inputs = rms_norm(hidden_states.to(self.norm.weight.dtype), self.norm.weight, self.norm.variance_epsilon)
    if self.block_type == "linear_attention":
        output = self.mixer(inputs, packing=packing, parallel=kwargs.get("parallel"))
    elif self.block_type == "full_attention":
        output, _ = self.mixer(inputs, packing=packing, parallel=kwargs.get("parallel"))
    elif self.block_type == "mlp" and self.config.mlp_hidden_act == "relu2":
        parts = inputs.split(SEGMENT, dim=1)
        output = (
            _ffn(self.mixer, inputs)
            if len(parts) == 1
            else torch.cat([_recompute(_ffn, self.mixer, part) for part in parts], dim=1)
        )
    else:
        output = self.mixer(inputs)
    return hidden_states + output


def _ffn(mixer, inputs):
    return mixer.down_proj(squared_relu(mixer.up_proj(inputs)))


def head(self, hidden_states, targets=None):
    """The last product: logits, or with targets the cross-entropy (see `fused.cross_entropy`). It is a call of the
    layer, so that FSDP gathers its weights first."""
    if targets is None:
        return type(self).forward(self, hidden_states)
    return cross_entropy(hidden_states, self.weight, targets)
