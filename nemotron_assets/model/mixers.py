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
from nemotron_assets.model.divergence import forward_kl
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
        cache, mask = kwargs.get("cache_params"), kwargs.get("attention_mask")
        if cache is not None and not args and _reads_prompt(self, hidden_states, cache, mask):
            return _prompt(self, hidden_states, cache, mask)
        if cache is not None and not args and _goes_on(self, hidden_states, cache, mask):
            return _token(self, hidden_states, cache)
        return type(self).forward(self, hidden_states, *args, **kwargs)
    if hidden_states.shape[1] <= SEGMENT:
        if parallel is not None:
            return _mamba_part(self, hidden_states, packing.index, parallel)
        return _mamba_segment(self, hidden_states, packing.index, None, None, whole=True)[0]
    if parallel is None:
        return _in_segments(self, _mamba_segment, hidden_states, packing.index, None, None)[0]
    window = self.conv_kernel_size - 1
    index = _own_index(packing.index, parallel, window)
    tail = parallel.end_of_left(_projected(self, hidden_states[:, -window:])[1], window)
    # The first pass is for the state at the end alone, which the ranks to the right need before they can begin.
    decays, state = _in_segments(self, _mamba_state, hidden_states, index, tail, None)
    state = _state_before(self, decays.sum(1), state, packing.index, parallel)
    return _in_segments(self, _mamba_segment, hidden_states, index, tail, state)[0]


def _in_segments(self, function, hidden_states, index, tail, state):
    """What a function of segments gives for all of them, and the state after the last one. `index` begins with the
    documents of `tail`, if there is a tail."""
    length, window = hidden_states.shape[1], self.conv_kernel_size - 1
    before = 0 if tail is None else window
    outputs = []
    for first in range(0, length, SEGMENT):
        last, at = min(first + SEGMENT, length), first + before
        if first:
            state = state * (index[:, at] == index[:, at - 1]).view(-1, 1, 1, 1)
        of_segment = index[:, max(0, at - window) : last + before]
        output, tail, state = _recompute(function, self, hidden_states[:, first:last], of_segment, tail, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


def _mamba_state(self, hidden_states, index, tail, state):
    """The sum of the log decays of a segment, [batch, 1, heads], and what `_mamba_segment` gives beside its output."""
    _, mixed, dt = _projected(self, hidden_states)
    _, state, decays, _ = _scanned(self, mixed, dt, index, tail, state)
    return decays.sum(1, keepdim=True), mixed[:, 1 - self.conv_kernel_size :], state


def _reads_prompt(self, hidden_states, cache, mask) -> bool:
    """Whether a call fills an empty cache with prompts of at least two tokens, which may be padded on the left only."""
    if hidden_states.shape[1] < 2 or cache.has_previous_state(self.layer_idx):
        return False
    return mask is None or (mask.ndim == 2 and bool((mask.int().diff(dim=1) >= 0).all()))


def _prompt(self, hidden_states, cache, mask):
    """The mixer's output for whole prompts, whose last states go into the cache. The scan is many times as fast as the
    reference code of transformers. Padding is a document of its own, whose inputs are zero."""
    batch, length, _ = hidden_states.shape
    if mask is None:
        index = torch.ones(batch, length, dtype=torch.int32, device=hidden_states.device)
    else:
        index = mask[:, -length:].int()
        hidden_states = hidden_states * index.unsqueeze(-1).to(hidden_states.dtype)
    gate, mixed, dt = _projected(self, hidden_states)
    y, state, *_ = _scanned(self, mixed, dt, index, None, None)
    cache.update_conv_state(mixed.transpose(1, 2), self.layer_idx, conv_kernel_size=self.conv_kernel_size)
    by_head = state.unflatten(-1, (-1, self.head_dim)).permute(0, 1, 3, 4, 2).flatten(1, 2)
    cache.update_recurrent_state(by_head.contiguous(), layer_idx=self.layer_idx)
    return _gated_output(self, y, gate, hidden_states.dtype)


def _goes_on(self, hidden_states, cache, mask) -> bool:
    """Whether a call adds one token to each sequence of a filled cache."""
    if hidden_states.shape[1] != 1 or mask is not None or not cache.has_previous_state(self.layer_idx):
        return False
    return not cache.layers[self.layer_idx].record_past and not torch.is_grad_enabled()


def _token(self, hidden_states, cache):
    """The mixer's output for one more token of each sequence. A head has one decay; the reference code of transformers
    computes it for every number of the state."""
    layer = cache.layers[self.layer_idx]
    last, state = layer.conv_states[0], layer.recurrent_states[0]  # [batch, channels, kernel], [batch, heads, width, n]
    gate, mixed, dt = (part.squeeze(1) for part in _projected(self, hidden_states))
    last.copy_(torch.cat([last[..., 1:], mixed.unsqueeze(-1)], dim=-1))
    mixed = (last * self.conv1d.weight.squeeze(1)).sum(-1)
    mixed = F.silu(mixed if self.conv1d.bias is None else mixed + self.conv1d.bias)
    size = self.n_groups * self.ssm_state_size
    x, B, C = mixed.float().split([self.intermediate_size, size, size], dim=-1)
    x = x.unflatten(-1, (self.num_heads, self.head_dim))
    per_group = self.num_heads // self.n_groups
    B, C = (t.unflatten(-1, (self.n_groups, -1)).repeat_interleave(per_group, dim=1) for t in (B, C))
    dt = F.softplus(dt.float() + self.dt_bias.float()).clamp(*self.time_step_limit)
    decay = torch.exp(-torch.exp(self.A_log.float()) * dt)
    state.mul_(decay[..., None, None]).addcmul_((dt.unsqueeze(-1) * x).unsqueeze(-1), B.unsqueeze(2))
    y = (state @ C.unsqueeze(-1).to(state.dtype)).squeeze(-1) + self.D.float().unsqueeze(-1) * x
    return _gated_output(self, y.unsqueeze(1), gate.unsqueeze(1), hidden_states.dtype)


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
    with_tail, tail = _own_index(index, parallel, window), parallel.end_of_left(mixed, window)
    own = index[:, first:last]
    y, state, steps, C = _scanned(self, mixed, dt, with_tail, tail, None)
    # The tokens of the document that may have begun on another rank also read the state before them.
    same = (own == own[:, :1]).unsqueeze(-1)
    with torch.autocast(hidden_states.device.type, enabled=False):
        decay = (steps * same).cumsum(1)
        start = _state_before(self, decay[:, -1], state, index, parallel)
        read = (C.float().transpose(1, 2) @ start).transpose(
            1, 2
        )  # [batch, length, groups, heads of the group x width]
        y = y + read.reshape(y.shape) * (decay.exp() * same).unsqueeze(-1)
    return _gated_output(self, y, gate, hidden_states.dtype)


def _own_index(index, parallel: ContextParallel, window: int):
    """The documents of this rank's part, and of the last tokens before it; -1 where there are none."""
    first, last = parallel.bounds(index.shape[1])
    before = index[:, first - window : first] if first else torch.full_like(index[:, :window], -1)
    return torch.cat([before, index[:, first:last]], dim=1)


def _state_before(self, decay, state, index, parallel: ContextParallel):
    """The state before this rank's part. `decay` [batch, heads] is the log decay over the part, and `state` the one
    after it, if it begins with an empty one."""
    first, last = parallel.bounds(index.shape[1])
    with torch.autocast(state.device.type, enabled=False):
        stays = (index[:, last - 1] == index[:, first]).view(-1, 1, 1, 1)
        return parallel.state_before(_of_state(self, decay.exp()) * stays, state, index)


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


def head(self, hidden_states, targets=None, teacher=None):
    """The last product: logits; with targets the cross-entropy (see `fused.cross_entropy`); with a teacher's hidden
    states and the matrix of its head the divergence from it (see `divergence.forward_kl`). It is a call of the layer,
    so that FSDP gathers its weights first."""
    if teacher is not None:
        return forward_kl(hidden_states, self.weight, *teacher)
    if targets is None:
        return type(self).forward(self, hidden_states)
    return cross_entropy(hidden_states, self.weight, targets)
