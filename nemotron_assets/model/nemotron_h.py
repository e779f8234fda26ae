"""Builds the hybrid model: transformers' NemotronHForCausalLM with the recipe's sizes, which can read packed documents.

Configuration, weight names and cache are those of transformers, so vLLM, TRL and lm-evaluation-harness load the saved
folder as it is. `attach` replaces the forward functions of the layers. A call with a `Packing` then uses the faster
scan, and no token sees another document. A call without packed documents (generation, for example) runs the code of
transformers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING

import torch
import xxhash

from nemotron_assets.model import mixers, packed_inputs
from nemotron_assets.model.packing import Packing
from nemotron_assets.model.parallel import ContextParallel

if TYPE_CHECKING:
    from transformers import NemotronHConfig, NemotronHForCausalLM

    from nemotron_assets.recipe.model import Model

LAYER_KINDS = {"M": "linear_attention", "*": "full_attention", "-": "mlp"}

#: Smallest and largest time step of fresh weights, and the least that rounding may leave (defaults of Mamba-2).
INITIAL_STEPS = (0.001, 0.1, 1e-4)
#: A lower limit of time steps that has no effect. It is not zero, because transformers takes its logarithm.
SMALLEST_STEP = 1e-30


def model_config(
    recipe: Model, vocabulary: int, context: int, special: dict[str, int] | None = None
) -> NemotronHConfig:
    """The configuration for transformers. `context` is the training length in tokens; `special` may give the token ids
    of "pad", "bos" and "eos"."""
    from transformers import NemotronHConfig

    return NemotronHConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden_size,
        layers_block_type=[LAYER_KINDS[kind] for kind in recipe.pattern],
        intermediate_size=recipe.ffn_size,
        num_attention_heads=recipe.attention_heads,
        num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.head_dim,
        mamba_num_heads=recipe.mamba_heads,
        mamba_head_dim=recipe.mamba_head_dim,
        n_groups=recipe.mamba_groups,
        ssm_state_size=recipe.mamba_state,
        conv_kernel=recipe.mamba_conv,
        chunk_size=recipe.chunk_size,
        layer_norm_epsilon=recipe.norm_eps,
        initializer_range=recipe.init_std,
        max_position_embeddings=context,
        mlp_hidden_act="relu2",
        tie_word_embeddings=False,
        rescale_prenorm_residual=False,  # fresh_weights does this
        **{f"{name}_token_id": index for name, index in (special or {}).items()},
    )


def empty_model(config: NemotronHConfig) -> NemotronHForCausalLM:
    """The model with weights on the meta device, which take no memory. It is attached already."""
    from transformers import NemotronHForCausalLM

    with torch.device("meta"):
        model = NemotronHForCausalLM(config)
    return attach(model)


def fresh_weights(
    parameters: Mapping[str, torch.Tensor], config: NemotronHConfig, seed: int
) -> Iterator[tuple[str, torch.Tensor]]:
    """The initial values of all parameters by name, one float32 tensor at a time. Only the names and shapes of
    `parameters` are used.

    A value depends on the seed and the parameter's name, but not on devices or ranks. Weights are normal with the
    recipe's `init_std`; output projections are scaled by 1/sqrt(2 layers), as in Megatron. Mamba-2: A is uniform in
    1..16, and dt is log-uniform in 0.001..0.1 and at least 1e-4. These are the defaults of Mamba-2; Nemotron Nano 2
    publishes only the standard deviation.
    """
    depth = math.sqrt(2 * config.num_hidden_layers)
    for name, parameter in parameters.items():
        generator = torch.Generator().manual_seed(xxhash.xxh3_64_intdigest(f"{seed}/{name}".encode()) >> 1)
        shape = parameter.shape
        kind = name.rsplit("mixer.", 1)[-1]
        if kind == "A_log":
            value = torch.empty(shape).uniform_(1, 16, generator=generator).log()
        elif kind == "dt_bias":
            low, high, floor = INITIAL_STEPS
            dt = torch.empty(shape).uniform_(math.log(low), math.log(high), generator=generator).exp().clamp(min=floor)
            value = dt + torch.log(-torch.expm1(-dt))  # the inverse of softplus
        elif kind.startswith("conv1d."):  # PyTorch's default for a convolution over `conv_kernel` values
            bound = config.conv_kernel**-0.5
            value = torch.empty(shape).uniform_(-bound, bound, generator=generator)
        elif kind == "D" or "norm" in name:
            value = torch.ones(shape)
        else:
            out = kind in ("out_proj.weight", "o_proj.weight", "down_proj.weight")
            std = config.initializer_range / (depth if out else 1)
            value = torch.empty(shape).normal_(0, std, generator=generator)
        yield name, value


def attach(model: NemotronHForCausalLM) -> NemotronHForCausalLM:
    """Make a model accept the argument `packing=`, and convert or refuse what else describes packed documents (see
    `packed_inputs`). Other calls run the code of transformers. Returns the model.

    transformers limits time steps from below by `time_step_min`, which is meant for initial values. The published
    models, vLLM and single steps of generation have no such limit, so `time_step_limit` replaces it, and a saved
    configuration has a `time_step_min` without effect.
    """
    from transformers.models.nemotron_h import modeling_nemotron_h as library

    forwards = {
        library.NemotronHMamba2Mixer: mixers.mamba,
        library.NemotronHAttention: mixers.attention,
        library.NemotronHBlock: mixers.block,
        library.NemotronHModel: packed_inputs.forward,
    }
    limit = tuple(model.config.time_step_limit)
    model.config.time_step_min = max(limit[0], SMALLEST_STEP)
    for module in model.modules():
        for kind, forward in forwards.items():
            if isinstance(module, kind):  # FSDP2 makes a subclass of each class
                module.forward = MethodType(forward, module)
        if isinstance(module, library.NemotronHMamba2Mixer):
            module.time_step_limit = limit
    if hasattr(model, "lm_head"):
        model.lm_head.forward = MethodType(mixers.head, model.lm_head)
    return model


def packed_hidden(
    model: NemotronHForCausalLM, tokens: torch.Tensor, packing: Packing, parallel: ContextParallel | None = None
) -> torch.Tensor:
    """The last hidden states [batch, length, hidden] of packed sequences. Every document gives the same states as it
    would alone.

    With `parallel`, `tokens` are this rank's part of the sequences, and `packing` describes the whole sequences.
    """
    return model.model(tokens, use_cache=False, packing=packing, parallel=parallel).last_hidden_state


def load_report(folder: Path) -> tuple[int, list[str]]:
    """Load a saved model with plain transformers. Returns the number of its parameters, and the weights that are
    missing, unexpected or of the wrong shape ("missing_keys lm_head.weight")."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # its output would end up in log files
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    problems = [f"{kind} {name}" for kind in kinds for name in report[kind]]
    return sum(p.numel() for p in model.parameters()), problems
