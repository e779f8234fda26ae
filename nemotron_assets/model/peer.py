"""A plain Transformer of the size of a hybrid model, to compare their speed: Qwen3 with the proportions of Qwen3-8B.

Qwen3-8B has 36 layers of width 4,096 with 32 query heads, 8 key/value heads of width 128 and FFNs of width 12,288.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PretrainedConfig, Qwen3Config

_QUERIES = 4  # query heads per key/value head
_FFN = 3  # inner width of an FFN / width
_STEP = 16  # inner widths are multiples of it

QWEN3_8B: dict[str, Any] = {
    "vocab_size": 151_936, "hidden_size": 4_096, "intermediate_size": 12_288, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
}  # fmt: skip


def transformer(context: int, **shape: Any) -> Qwen3Config:
    """The configuration of a Qwen3 model for transformers and vLLM, with untied embeddings as Qwen3-8B has them."""
    from transformers import Qwen3Config

    return Qwen3Config(max_position_embeddings=context, tie_word_embeddings=False, dtype="bfloat16", **shape)


def parameters(config: PretrainedConfig) -> int:
    """The number of parameters of a configuration. No memory is taken."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(weight.numel() for weight in model.parameters())


def write(config: PretrainedConfig, folder: Path) -> None:
    """Write a configuration as the file from which vLLM starts: with the name of the class that runs it."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    config.architectures = [CLASSES[config.model_type]]
    config.save_pretrained(folder)


def peer(config: PretrainedConfig, context: int) -> Qwen3Config:
    """The plain Transformer with the vocabulary, the width and (to about 1%) the number of parameters of a model."""
    size, width, head = parameters(config), config.hidden_size, config.head_dim
    kv_heads = max(1, round(width / head / _QUERIES))
    shape = {
        "vocab_size": config.vocab_size, "hidden_size": width, "head_dim": head, "num_key_value_heads": kv_heads,
        "num_attention_heads": _QUERIES * kv_heads,
    }  # fmt: skip
    outside = 2 * config.vocab_size * width + width  # embeddings, and the last norm
    attention = 2 * width * head * (_QUERIES + 1) * kv_heads + 2 * width + 2 * head  # with its norms
    layers = max(1, round((size - outside) / (attention + 3 * width * _FFN * width)))
    ffn = round(((size - outside) / layers - attention) / (3 * width) / _STEP) * _STEP
    if ffn < _STEP:
        raise ValueError(f"{size:,} parameters are too few for a plain Transformer of width {width}")
    return transformer(context, intermediate_size=ffn, num_hidden_layers=layers, **shape)
