"""Prunes a saved model: takes layers out, and makes the residual stream, the FFNs and the Mamba-2 heads narrower.

What stays is what `Importance` scores highest, in its old order. Every weight that reads or writes a pruned axis is
sliced alike: the projections of Mamba-2, its convolution, A, D, dt, the norms, the embeddings and the head. B and C of
a Mamba-2 layer belong to groups of heads, so every group keeps the same number of its own heads, and no head moves to
another group (Nemotron Nano 2 report §4.1; Minitron-SSM §3). Attention heads are not pruned, as published.

Weights are read and written file by file, so the memory is that of one file of weights.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nemotron_assets.recipe.model import Model

if TYPE_CHECKING:
    import torch

_KINDS = {"M": "mamba", "*": "attention", "-": "mlp"}
_LETTERS = {"mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*", "mlp": "-"}
_LAYER = re.compile(r"(.+)\.layers\.(\d+)\.(.+)")
#: The axes of every weight, by the end of its name. "rows" and "conv" are the rows of in_proj and of the convolution.
_AXES = {
    "embeddings.weight": (None, "hidden"),
    "lm_head.weight": (None, "hidden"),
    "norm_f.weight": ("hidden",),
    "norm.weight": ("hidden",),
    "mixer.in_proj.weight": ("rows", "hidden"),
    "mixer.conv1d.weight": ("conv",),
    "mixer.conv1d.bias": ("conv",),
    "mixer.A_log": ("heads",),
    "mixer.D": ("heads",),
    "mixer.dt_bias": ("heads",),
    "mixer.norm.weight": ("inner",),
    "mixer.out_proj.weight": ("hidden", "inner"),
    "mixer.up_proj.weight": ("ffn", "hidden"),
    "mixer.down_proj.weight": ("hidden", "ffn"),
    "mixer.q_proj.weight": (None, "hidden"),
    "mixer.k_proj.weight": (None, "hidden"),
    "mixer.v_proj.weight": (None, "hidden"),
    "mixer.o_proj.weight": ("hidden",),
}
#: Settings that give a model weights that are not in this list, or share them.
_UNKNOWN = ("tie_word_embeddings", "attention_bias", "mlp_bias", "mamba_proj_bias", "use_bias")


class PruningError(ValueError):
    """A model cannot be pruned so. The message says why."""


@dataclass(frozen=True)
class Shape:
    """What a pruned model keeps: the numbers of the layers, counted from 0 in the model before, and the widths."""

    layers: tuple[int, ...]
    hidden: int
    ffn: int
    heads: int
    head_dim: int

    @classmethod
    def of(cls, model: Model) -> Shape:
        """The shape that keeps everything."""
        sizes = model.hidden_size, model.ffn_size, model.mamba_heads, model.mamba_head_dim
        return cls(tuple(range(len(model.pattern))), *sizes)

    def apply(self, model: Model) -> Model:
        """The architecture of the pruned model. Raises `PruningError` for a shape that the model cannot get."""
        whole = Shape.of(model)
        if list(self.layers) != sorted(set(self.layers)) or not set(self.layers) <= set(whole.layers):
            raise PruningError(
                f"the kept layers are {list(self.layers)}: name each once, in order, from 0 to {len(whole.layers) - 1}"
            )
        for name in ("hidden", "ffn", "heads", "head_dim"):
            if not 1 <= getattr(self, name) <= getattr(whole, name):
                raise PruningError(f"{name} is {getattr(self, name)}, but the model has {getattr(whole, name)}")
        values = model.model_dump() | {
            "pattern": "".join(model.pattern[layer] for layer in self.layers),
            "hidden_size": self.hidden,
            "ffn_size": self.ffn,
            "mamba_heads": self.heads,
            "mamba_head_dim": self.head_dim,
        }
        try:
            return Model(**values)
        except ValidationError as error:
            messages = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}" for e in error.errors())
            raise PruningError(f"no model can have this shape: {messages}") from None


@dataclass(frozen=True)
class Importance:
    """How important the parts of a model are; higher is more important.

    - `channels` [hidden]: of the residual stream.
    - `neurons` {layer: [ffn]}: of each FFN layer.
    - `mamba` {layer: [heads, head_dim]}: of the channels of the heads of each Mamba-2 layer.
    - `shares`: what share of the mean square that a norm divides by is of each channel: of the norm before a layer
      [hidden] by its number, of the last norm [hidden] by -1. `gated_shares` {layer: [heads, head_dim]}: of the gated
      norm in a Mamba-2 layer, as shares of the group. A norm with fewer channels divides by the mean of the channels
      that are left; with these shares its weights are scaled so that its outputs keep their size. Without them, the
      weights are only sliced, as published.
    """

    channels: torch.Tensor
    neurons: Mapping[int, torch.Tensor]
    mamba: Mapping[int, torch.Tensor]
    shares: Mapping[int, torch.Tensor] = field(default_factory=dict)
    gated_shares: Mapping[int, torch.Tensor] = field(default_factory=dict)

    def published(self) -> Importance:
        """The same scores without what scales norms."""
        return replace(self, shares={}, gated_shares={})


def architecture(config: Mapping[str, Any]) -> Model:
    """The architecture in a config.json. Raises `PruningError` for a model of another kind."""
    if named := [name for name in _UNKNOWN if config.get(name)]:
        raise PruningError(f"a model with {', '.join(named)} cannot be pruned")
    pattern = config.get("hybrid_override_pattern") or "".join(
        _LETTERS.get(kind, "?") for kind in config.get("layers_block_type", ())
    )
    try:
        return Model(
            pattern=pattern,
            hidden_size=config["hidden_size"],
            ffn_size=config["intermediate_size"],
            attention_heads=config["num_attention_heads"],
            kv_heads=config["num_key_value_heads"],
            head_dim=config["head_dim"],
            mamba_heads=config["mamba_num_heads"],
            mamba_head_dim=config["mamba_head_dim"],
            mamba_groups=config["n_groups"],
            mamba_state=config["ssm_state_size"],
            mamba_conv=config["conv_kernel"],
            chunk_size=config["chunk_size"],
            norm_eps=config.get("layer_norm_epsilon", config.get("rms_norm_eps", 1e-5)),
            init_std=config.get("initializer_range", 0.02),
        )
    except (KeyError, ValidationError) as error:
        raise PruningError(
            f"config.json does not describe a hybrid Mamba-2 model that can be pruned: {error}"
        ) from None


def read_config(folder: Path) -> dict[str, Any]:
    """The values of a model's config.json."""
    return json.loads((folder / "config.json").read_text("utf-8"))


def prune(source: Path, target: Path, shape: Shape, importance: Importance) -> int:
    """Write the pruned model into the new folder `target`, with the precision and the other files (tokenizer) of the
    Hugging Face folder `source`. Returns its number of parameters.

    Raises `PruningError` for a shape that the model cannot get, scores that do not fit the model, and weights of other
    kinds or of another number than the shape has.
    """
    config = read_config(source)
    before = architecture(config)
    after = shape.apply(before)
    kept = Kept.of(before, shape, importance)
    partial = target.with_name(f"partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    parameters = _write_weights(source, partial, kept)
    if parameters != (wanted := after.parameters(config["vocab_size"])):
        raise PruningError(f"{source} was pruned to {parameters:,} parameters, but the shape has {wanted:,}")
    for file in source.iterdir():
        if file.is_file() and ".safetensors" not in file.name and file.name != "config.json":
            shutil.copyfile(file, partial / file.name)
    text = json.dumps(config | _settings(after), indent=2, sort_keys=True, allow_nan=False)
    (partial / "config.json").write_text(text + "\n", "utf-8")
    partial.rename(target)
    return parameters


def _settings(model: Model) -> dict[str, Any]:
    """The values of config.json that pruning changes."""
    return {
        "layers_block_type": [_KINDS[letter] for letter in model.pattern],
        "hybrid_override_pattern": model.pattern,
        "num_hidden_layers": len(model.pattern),
        "hidden_size": model.hidden_size,
        "intermediate_size": model.ffn_size,
        "mamba_num_heads": model.mamba_heads,
        "mamba_head_dim": model.mamba_head_dim,
    }


def _write_weights(source: Path, target: Path, kept: Kept) -> int:
    """Slice the weights file by file. Returns the number of values."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    if not (paths := sorted(source.glob("*.safetensors"))):
        raise PruningError(f"{source} has no safetensors files to prune")
    parameters, size, places = 0, 0, {}
    for path in paths:
        with safe_open(path, "pt") as file:
            sliced = dict(_sliced(file, kept))
        if sliced:
            save_file(sliced, target / path.name, {"format": "pt"})
        parameters += sum(value.numel() for value in sliced.values())
        size += sum(value.nbytes for value in sliced.values())
        places |= dict.fromkeys(sliced, path.name)
    if len(paths) > 1:
        index = {"metadata": {"total_size": size}, "weight_map": places}
        (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True), "utf-8")
    return parameters


def _sliced(file: Any, kept: Kept) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a file that stay, by their new names."""
    for name in file.keys():  # noqa: SIM118 - a safetensors file is not a mapping
        match = _LAYER.fullmatch(name)
        layer, end = (
            (int(match[2]), match[3]) if match else (None, name.removeprefix("backbone.").removeprefix("model."))
        )
        if end not in _AXES:
            raise PruningError(f"how the weight {name} is to be pruned is not known")
        if layer is None:
            yield name, kept.slice(file.get_tensor(name), end, -1)
        elif layer in kept.position:
            yield f"{match[1]}.layers.{kept.position[layer]}.{end}", kept.slice(file.get_tensor(name), end, layer)


@dataclass(frozen=True)
class Kept:
    """The indices that stay on every axis of every layer, and the factors of the weights of norms.

    `axes` {layer: {axis: indices}} has the layer -1 for the weights outside of the layers. `factors` {(layer, axis):
    values} scales the weights of norms, after they were sliced.
    """

    position: Mapping[int, int]
    axes: Mapping[int, Mapping[str, torch.Tensor]]
    factors: Mapping[tuple[int, str], torch.Tensor]

    @classmethod
    def of(cls, model: Model, shape: Shape, importance: Importance) -> Kept:
        """What a shape keeps of a model. Raises `PruningError` for scores that do not fit the model."""
        channels = _best(_fitting(importance.channels, (model.hidden_size,), "channels"), shape.hidden)
        axes, factors = {-1: {"hidden": channels}}, {}
        _scale(factors, importance.shares, -1, "hidden", channels, 1)
        for layer in shape.layers:
            own = axes[layer] = {"hidden": channels}
            _scale(factors, importance.shares, layer, "hidden", channels, 1)
            if model.pattern[layer] == "-" and shape.ffn < model.ffn_size:
                scores = _of_layer(importance.neurons, layer, (model.ffn_size,), "neurons")
                own["ffn"] = _best(scores, shape.ffn)
            if model.pattern[layer] == "M" and (shape.heads, shape.head_dim) != (
                model.mamba_heads,
                model.mamba_head_dim,
            ):
                sizes = model.mamba_heads, model.mamba_head_dim
                scores = _of_layer(importance.mamba, layer, sizes, "mamba")
                heads, width = heads_and_channels(scores, model.mamba_groups, shape.heads, shape.head_dim)
                own |= _mamba_axes(model, heads, width)
                _scale(factors, importance.gated_shares, layer, "inner", own["inner"], model.mamba_groups)
        return cls({layer: place for place, layer in enumerate(shape.layers)}, axes, factors)

    def slice(self, weight: torch.Tensor, end: str, layer: int) -> torch.Tensor:
        """The part of a weight that stays. `end` is the end of its name in `_AXES`."""
        for axis, name in enumerate(_AXES[end]):
            indices = self.axes[layer].get(name)
            if indices is not None and len(indices) < weight.shape[axis]:
                weight = weight.index_select(axis, indices)
        factor = self.factors.get((layer, _AXES[end][0])) if end.endswith(("norm.weight", "norm_f.weight")) else None
        return (weight if factor is None else (weight.float() * factor).to(weight.dtype)).contiguous()


def heads_and_channels(
    scores: torch.Tensor, groups: int, heads: int, head_dim: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The heads and the channels of every head that stay in a Mamba-2 layer with these `scores` [heads, head_dim].

    A channel is scored by its norm over all heads, and the best channels stay in all heads alike. Then a head is scored
    by its norm over the channels that stay, and every group keeps its `heads / groups` best heads (Minitron-SSM §3.2).
    """
    import torch

    width = _best(scores.double().norm(dim=0), head_dim)
    of_heads = scores.double()[:, width].norm(dim=1).view(groups, -1)
    first = torch.arange(groups).unsqueeze(1) * of_heads.shape[1]
    best = torch.stack([_best(own, heads // groups) for own in of_heads])
    return (best + first).flatten(), width


def _mamba_axes(model: Model, heads: torch.Tensor, width: torch.Tensor) -> dict[str, torch.Tensor]:
    """The indices on the axes of a Mamba-2 layer. in_proj gives z, x, B, C, dt; the convolution reads x, B, C."""
    import torch

    inner = (heads.unsqueeze(1) * model.mamba_head_dim + width).flatten()
    whole = model.mamba_heads * model.mamba_head_dim
    states = torch.arange(2 * model.mamba_groups * model.mamba_state)
    conv = torch.cat([inner, whole + states])
    rows = torch.cat([inner, whole + conv, 2 * whole + len(states) + heads])
    return {"inner": inner, "conv": conv, "rows": rows, "heads": heads}


def _scale(
    factors: dict[tuple[int, str], torch.Tensor],
    shares: Mapping[int, torch.Tensor],
    layer: int,
    axis: str,
    kept: torch.Tensor,
    groups: int,
) -> None:
    """Add the factors of a norm that loses channels: of n channels n' stay, with the share s of the mean square. Then
    the norm divides by sqrt(s n / n') times what it divided by before, so its weights get this factor."""
    if layer not in shares or len(kept) == shares[layer].numel():
        return
    of_group = shares[layer].double().flatten().view(groups, -1)
    left = shares[layer].double().flatten()[kept].view(groups, -1)
    share = (left.sum(1) / of_group.sum(1).clamp(min=math.ulp(0.0))).clamp(0, 1)
    factor = (share * of_group.shape[1] / left.shape[1]).sqrt()
    factors[layer, axis] = factor.repeat_interleave(left.shape[1]).float()


def _best(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The indices of the highest scores in their order; of equal scores, the first."""
    return scores.sort(descending=True, stable=True).indices[:count].sort().values


def _of_layer(scores: Mapping[int, torch.Tensor], layer: int, shape: tuple[int, ...], what: str) -> torch.Tensor:
    if layer not in scores:
        raise PruningError(f"layer {layer} has no scores of its {what}, so nothing tells what to prune")
    return _fitting(scores[layer], shape, f"{what} of layer {layer}")


def _fitting(scores: torch.Tensor, shape: tuple[int, ...], what: str) -> torch.Tensor:
    import torch

    if tuple(scores.shape) != shape or not torch.isfinite(scores).all():
        raise PruningError(f"the scores of {what} must be finite and have the shape {shape}, not {tuple(scores.shape)}")
    return scores
