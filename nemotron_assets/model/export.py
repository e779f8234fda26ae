"""Writes a model as a Hugging Face folder that transformers, vLLM and other readers of NemotronH load as it is.

`save` writes the weights as safetensors, config.json and generation_config.json; `add_tokenizer` adds the tokenizer.
transformers 5 writes a config.json that others cannot read, so `portable` gives it the form of the published models
(nvidia/NVIDIA-Nemotron-Nano-12B-v2-Base):

* It is strict JSON. transformers writes the upper limit of time steps as {"__float__": "Infinity"}, the published
  models as a bare Infinity. Either breaks other parsers, and every reader has this limit as its default.
* `hybrid_override_pattern` ("M-M*-") and `num_hidden_layers` are there beside `layers_block_type`. llama.cpp, MLX and
  the code of NVIDIA read these two. The block types have their first names, "mamba" and "attention": MLX, llama.cpp
  and earlier versions of transformers know no others, and today's transformers still accepts them.
* `torch_dtype` is there beside `dtype`, and `rms_norm_eps` beside `layer_norm_epsilon`.
* Settings of mixture-of-experts layers and multi-token prediction are left out if the model has no such layers. From
  `num_experts_per_tok` llama.cpp concludes that a model has experts.
* `time_step_min` is almost zero if time steps have no lower limit. transformers clamps them to this value, which is
  meant for initial values alone; vLLM and the code of NVIDIA do not, so the same model would give other results there.
* `mamba_ssm_cache_dtype` is float32: vLLM keeps the states of Mamba-2 layers in this precision, whatever the weights
  have. Lower precision adds up errors over a long text.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nemotron_assets.model.nemotron_h import SMALLEST_STEP, empty_model
from resources.files import replaced

if TYPE_CHECKING:
    from transformers import NemotronHConfig, PreTrainedModel

#: Largest file of weights. A larger model is written as several files with an index, as the published models are.
SHARD_SIZE = "5GB"

#: Beginnings of the names of a tokenizer's files.
TOKENIZER_FILES = ("tokenizer", "special_tokens", "chat_template")

_FIRST_NAMES = {"linear_attention": "mamba", "full_attention": "attention"}
_PATTERN = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}
_OF_EXPERTS = re.compile(r"moe_|.*_experts(_|$)|routed_|(n|topk)_group$|norm_topk_|output_router_")
_OF_PREDICTION = re.compile(r"mtp_|num_nextn_predict_layers")  # of several tokens at a time
_LARGEST = torch.finfo(torch.float32).max


def save(
    folder: Path,
    config: NemotronHConfig,
    weights: Mapping[str, torch.Tensor],
    dtype: torch.dtype,
    shard_size: str = SHARD_SIZE,
    empty: Callable[[NemotronHConfig], PreTrainedModel] = empty_model,
) -> None:
    """Write a model of this configuration into `folder`, with its weights in the precision `dtype`.

    `empty` gives the model without its weights: the language model, or another one of its family. `weights` are all
    parameters by their names in memory. The folder gets its name when it is complete, so a reader
    never sees half a model. An earlier folder of this name is deleted.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # its output would end up in log files
    partial = folder.with_name(f"partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    model = empty(config).to(dtype)
    if wrong := sorted(dict(model.named_parameters()).keys() ^ weights.keys()):
        raise ValueError(
            f"{folder} cannot be written: {len(wrong)} weights are missing or unknown: {', '.join(wrong[:5])}"
        )
    converted = {name: value.to(dtype) for name, value in weights.items()}
    model.save_pretrained(partial, state_dict=converted, max_shard_size=shard_size)
    make_portable(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def make_portable(folder: Path) -> None:
    """Rewrite config.json of a model that transformers saved in a form that all readers know."""
    path = folder / "config.json"
    text = json.dumps(portable(json.loads(path.read_text("utf-8"))), indent=2, sort_keys=True, allow_nan=False)
    with replaced(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config.json that transformers wrote, in a form that all readers know (see the module)."""
    kinds = [_FIRST_NAMES.get(kind, kind) for kind in config["layers_block_type"]]
    absent = [] if "moe" in kinds else [_OF_EXPERTS]
    absent += [] if config.get("num_nextn_predict_layers") else [_OF_PREDICTION]
    values = {name: value for name, value in config.items() if not any(names.match(name) for names in absent)}
    low, high = (_number(limit) for limit in values.pop("time_step_limit", (0.0, math.inf)))
    if (low, high) != (0.0, math.inf):
        values["time_step_limit"] = [low, min(high, _LARGEST)]  # no time step is larger, so the limit stays what it is
    return values | {
        "time_step_min": max(low, SMALLEST_STEP),
        "layers_block_type": kinds,
        "hybrid_override_pattern": "".join(_PATTERN[kind] for kind in kinds),
        "num_hidden_layers": len(kinds),
        "torch_dtype": config["dtype"],
        "rms_norm_eps": config["layer_norm_epsilon"],
        "mamba_ssm_cache_dtype": "float32",
    }


def _number(value: Any) -> float:
    """A number in a config.json of transformers, which writes infinity as {"__float__": "Infinity"}."""
    return float(value["__float__"] if isinstance(value, dict) else value)


def add_tokenizer(folder: Path, tokenizer: Path) -> None:
    """Copy the files of a tokenizer's folder beside a model. Its longest text becomes the context of the model."""
    for file in tokenizer.iterdir():
        if file.name.startswith(TOKENIZER_FILES):
            shutil.copyfile(file, folder / file.name)
    settings = folder / "tokenizer_config.json"
    if settings.exists():
        context = json.loads((folder / "config.json").read_text("utf-8"))["max_position_embeddings"]
        values = json.loads(settings.read_text("utf-8")) | {"model_max_length": context}
        with replaced(settings) as temporary:
            temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
