"""How many floating-point operations a hybrid model needs for a batch, and how many a device can do.

The usual 6 per parameter and token leave out the scan and the attention, and count embeddings that are only looked up.
Here every kind of layer has its own term. Attention counts pairs of tokens within documents, because packed documents
do not see each other. A multiplication with an addition counts as two operations. Padding and activations that are
computed again do not count, so the share of the peak (MFU) is that of useful work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import NemotronHConfig

#: Dense BF16 operations per second by a part of the device's name, from the data sheets (without sparsity). The first
#: part that is found counts.
PEAKS = {
    "GB300": 2.5e15, "GB200": 2.5e15, "B300": 2.25e15, "B200": 2.25e15, "GH200": 989.4e12, "H200": 989.4e12,
    "H800": 989.4e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989.4e12, "H20": 148e12, "A100": 312e12,
    "A800": 312e12, "A40": 149.7e12, "A10": 125e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12,
    "RTX 6000 Ada": 364.2e12, "RTX 4090": 165.2e12, "RTX 3090": 71e12,
}  # fmt: skip


def per_token(config: NemotronHConfig) -> int:
    """Operations of the forward pass per token, without those between the tokens of attention layers."""
    h, inner = config.hidden_size, config.mamba_num_heads * config.mamba_head_dim
    conv = inner + 2 * config.n_groups * config.ssm_state_size
    projections = 2 * h * (inner + conv + config.mamba_num_heads) + 2 * inner * h
    of = {
        # The recurrence: decay, outer product and sum of the state (5 in all), and reading it (2), as Megatron counts.
        "mamba": projections + 2 * config.conv_kernel * conv + 7 * inner * config.ssm_state_size,
        "attention": 4 * h * config.head_dim * (config.num_attention_heads + config.num_key_value_heads),
        "mlp": 4 * h * config.intermediate_size,
    }
    names = {"linear_attention": "mamba", "full_attention": "attention"}
    layers = sum(of[names.get(kind, kind)] for kind in config.layers_block_type)
    return layers + 2 * h * config.vocab_size


def per_pair(config: NemotronHConfig) -> int:
    """Operations of the forward pass for a token that sees another one, over all attention layers."""
    attention = sum(kind in ("attention", "full_attention") for kind in config.layers_block_type)
    return attention * 4 * config.num_attention_heads * config.head_dim


def pairs(lengths: Iterable[int]) -> int:
    """Pairs of a token and one that it sees, itself included, in documents of these lengths."""
    return sum(n * (n + 1) // 2 for n in lengths)


def of_training(config: NemotronHConfig, documents: Iterable[int]) -> int:
    """Operations of a forward and backward pass over documents of these lengths in tokens. The backward pass takes
    twice as many as the forward pass."""
    lengths = list(documents)
    return 3 * (per_token(config) * sum(lengths) + per_pair(config) * pairs(lengths))


def peak(device: torch.device) -> float | None:
    """Dense BF16 operations per second of a device; None if it is not in the table, as a CPU."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return peak_of(name)


def peak_of(name: str) -> float | None:
    """The same by the name of a device, which has the part as a word: an "RTX A4000" is not an A40."""
    found = (value for part, value in PEAKS.items() if re.search(rf"\b{part}\b", name))
    return next(found, None)


def peak_memory(device: torch.device) -> int:
    """The most memory that this process has held so far, in bytes: of the GPU, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
