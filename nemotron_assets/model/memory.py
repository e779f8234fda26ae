"""The memory that a model needs to serve: its weights, the KV cache, and the states of its Mamba-2 layers.

`footprint` is the arithmetic that Nemotron Nano 2 enumerates candidates with (report §4.2). `engine_cache` is what vLLM
sets aside for the same cache: it pages, and all pages of a model have one size. `candidates` lists every shape of a
grid with its memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nemotron_assets.model.pruning import Shape
from nemotron_assets.recipe.model import Model

GIB = 1 << 30

#: Bytes of one number.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp32": 4, "bf16": 2, "fp8": 1}

#: vLLM groups layers in the size of the larger kind if this is at most so many times the smaller kind.
_ALIKE = 1.5


@dataclass(frozen=True)
class Serving:
    """How a model is served: tokens of `context` for each of `sequences`, and the bytes of a number of the weights, of
    the KV cache, and of the Mamba-2 states (float32 as published) and convolutions."""

    context: int
    sequences: int = 1
    weight_bytes: int = 2
    kv_bytes: int = 2
    ssm_bytes: int = 4
    conv_bytes: int = 2


@dataclass(frozen=True)
class Footprint:
    """Bytes by what they hold. The KV cache grows with sequences and context, the states with sequences alone."""

    weights: int
    kv: int
    ssm: int
    conv: int

    @property
    def cache(self) -> int:
        """The bytes that are not weights."""
        return self.kv + self.ssm + self.conv

    @property
    def total(self) -> int:
        return self.weights + self.cache


def footprint(model: Model, vocabulary: int, serving: Serving) -> Footprint:
    """The exact bytes of a model without biases and with untied embeddings.

    A convolution keeps `mamba_conv` columns, as transformers and the published arithmetic count it; vLLM keeps one
    column less. For Nemotron Nano 2 in BF16 at 131,072 tokens this gives 26.07 GiB (12B) and 18.69 GiB (9B).
    """
    mamba, attention = model.pattern.count("M"), model.pattern.count("*")
    keys = 2 * model.kv_heads * model.head_dim
    return Footprint(
        weights=model.parameters(vocabulary) * serving.weight_bytes,
        kv=attention * keys * serving.context * serving.sequences * serving.kv_bytes,
        ssm=mamba * _states(model) * serving.sequences * serving.ssm_bytes,
        conv=mamba * _conv_channels(model) * model.mamba_conv * serving.sequences * serving.conv_bytes,
    )


def _states(model: Model) -> int:
    return model.mamba_heads * model.mamba_head_dim * model.mamba_state


def _conv_channels(model: Model) -> int:
    return model.mamba_heads * model.mamba_head_dim + 2 * model.mamba_groups * model.mamba_state


@dataclass(frozen=True)
class EngineCache:
    """vLLM's cache of a hybrid model: `block_tokens` per block of the KV cache, `page` bytes per block and layer,
    `padding` bytes of them that a Mamba-2 layer leaves empty, and the `total` bytes for all sequences."""

    block_tokens: int
    page: int
    padding: int
    total: int


def engine_cache(model: Model, serving: Serving, alignment: int = 16) -> EngineCache:
    """What vLLM 0.32 sets aside for the cache, without prefix caching.

    The states of a Mamba-2 layer take a page, and a page of the KV cache takes so many tokens that it is as large:
    a multiple of `alignment` tokens (16 on CUDA, 128 on a CPU). Layers form groups of one size, and a block holds a
    page for every layer of a group.
    """
    mamba, attention = model.pattern.count("M"), model.pattern.count("*")
    state = _states(model) * serving.ssm_bytes
    state += _conv_channels(model) * (model.mamba_conv - 1) * serving.conv_bytes
    if not attention:
        return EngineCache(0, state, 0, mamba * state * serving.sequences)
    token = 2 * model.kv_heads * model.head_dim * serving.kv_bytes
    block = alignment * math.ceil(state / (alignment * token))
    fewest, most = sorted((mamba, attention))
    group = most if most < fewest * _ALIKE else fewest
    blocks = math.ceil(mamba / group) + math.ceil(attention / group) * math.ceil(serving.context / block)
    page = block * token
    return EngineCache(block, page, page - state, blocks * group * page * serving.sequences)


@dataclass(frozen=True)
class Candidate:
    """One shape of a grid: what it keeps, its architecture, and its memory."""

    shape: Shape
    model: Model
    memory: Footprint


def candidates(
    parent: Model,
    layers: Sequence[Sequence[int]],
    widths: Mapping[str, Sequence[float]],
    vocabulary: int,
    serving: Serving,
) -> Iterator[Candidate]:
    """Every combination of kept layers and widths. `widths` has hidden, ffn (in multiples of hidden), heads and
    head_dim. An FFN wider than that of the parent keeps the parent's width; equal shapes are given once.

    On {4480, 4800, 5120} x FFN {3, 3.5, 4} x heads {112, 120, 128} with 56 layers, 13 of the 27 shapes of Nemotron
    Nano 2 fit 19.66 GiB. The largest that fit are not the three published candidates: these are the largest below a cap
    between 18.83 and 19.18 GiB. The published budget alone does not select the published winner.
    """
    seen = set()
    sizes = widths["hidden"], widths["ffn"], widths["heads"], widths["head_dim"]
    for kept, hidden, multiple, heads, head_dim in itertools.product(layers, *sizes):
        ffn = min(round(multiple * hidden), parent.ffn_size)
        shape = Shape(tuple(kept), int(hidden), ffn, int(heads), int(head_dim))
        if shape not in seen:
            seen.add(shape)
            model = shape.apply(parent)
            yield Candidate(shape, model, footprint(model, vocabulary, serving))


def layer_alignments(before: str, after: str) -> list[tuple[int, ...]]:
    """Every way to take layers out of the pattern `before` that gives `after`: the numbers of the layers that go, from
    0. Attention layers 7 and 52 and FFNs 8 and 48 are in all of those of Nemotron Nano 2's two patterns."""
    found: list[tuple[int, ...]] = []

    def walk(at: int, matched: int, gone: tuple[int, ...]) -> None:
        if len(before) - at < len(after) - matched:
            return
        if at == len(before):
            found.append(gone)
            return
        if matched < len(after) and before[at] == after[matched]:
            walk(at + 1, matched + 1, gone)
        walk(at + 1, matched, (*gone, at))

    walk(0, 0, ())
    return found
