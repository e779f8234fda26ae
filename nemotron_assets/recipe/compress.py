"""Numbers of the compression: the memory of the device, how importance is measured, and which shapes are tried."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.distillation import Compressed, CompressedBase, DistillationStage
from nemotron_assets.recipe.section import Section


class Budget(Section):
    """The memory that a model may take (Nemotron Nano 2 §4.2: an A10G with 22.06 GiB, 5% of it for buffers, 1.3 GiB for
    a vision encoder; 19.66 GiB are left for weights, KV cache and states of one sequence of 131,072 tokens)."""

    device_gib: float = Field(gt=0, description="memory of the device, in GiB (published: 22.06)")
    buffer_share: float = Field(
        0.05, ge=0, lt=1, description="share of the device's memory that the engine keeps for buffers (published)"
    )
    reserve_gib: float = Field(ge=0, description="memory for other things on the device, in GiB (published: 1.3)")
    context: int = Field(ge=16, description="tokens of a sequence in the cache (published: 131,072)")
    sequences: int = Field(1, ge=1, description="sequences that are served together (published)")
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        "bfloat16", description="precision of weights, KV cache and convolutions; states are float32 (published)"
    )
    page_tokens: int = Field(
        16,
        ge=1,
        description="a page of the engine's KV cache has a multiple of so many tokens: 16 on CUDA (default), 128 on "
        "a CPU",
    )
    most_non_embedding: float = Field(
        1.0,
        gt=0,
        le=1,
        description="largest share of the parameters outside of the embeddings that a candidate may keep (default: "
        "all). Most parameters of a small model are embeddings, so bytes say little about what is computed",
    )

    @property
    def allowed_bytes(self) -> int:
        """Bytes for weights, KV cache and states."""
        return int((self.device_gib * (1 - self.buffer_share) - self.reserve_gib) * (1 << 30))

    @field_validator("reserve_gib")
    @classmethod
    def _leaves_something(cls, reserve: float, info) -> float:
        left = info.data.get("device_gib", 0) * (1 - info.data.get("buffer_share", 0)) - reserve
        if left <= 0:
            raise ValueError(f"reserve_gib {reserve} and the buffers leave nothing of the device's memory for a model")
        return reserve


class Importance(Section):
    """How the importance of layers, neurons, channels and heads is measured (Nemotron Nano 2 §4.1; Minitron)."""

    samples: int = Field(ge=1, description="calibration sequences of the training data (published: 1,024)")
    layer_samples: int = Field(
        ge=1, description="calibration sequences that the removal of layers is judged on, of the same ones"
    )
    batch: int = Field(1, ge=1, description="sequences of a forward pass (default); changes speed and memory")
    stage: Literal["sft_1", "sft_2", "sft_3"] = Field(
        "sft_1",
        description="supervised stage whose sequences the aligned model is measured on (default); the base model is "
        "measured on sequences of the pretraining",
    )
    scale_norms: bool = Field(
        True,
        description="scale the weights of norms so that their outputs keep their size when channels go (default); "
        "false: weights are only sliced, as published",
    )
    seed: int = Field(42, ge=0, description="seed of the choice of sequences (default)")


class Timing(Section):
    """How the speed of a candidate is measured (Nemotron Nano 2 §4.2: 8,192 tokens in, 16,384 out, batch 8)."""

    prompt_tokens: int = Field(ge=1, description="tokens of a prompt")
    output_tokens: int = Field(ge=2, description="tokens of an answer")
    batch: int = Field(ge=1, description="prompts that are answered together")
    runs: int = Field(1, ge=1, description="timed runs after the first, whose median counts (default)")


class Search(Section):
    """The search of a depth, and then of widths (Nemotron Nano 2 §4.2). If several depths are given, the aligned model
    is pruned to each, distilled and scored, and the best depth is used. Then every combination of widths is a
    candidate; of those that fit the budget, the largest are distilled and scored."""

    layers: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        min_length=1, description="numbers of layers that are tried (published: 52, 54 and 56; 56 was best)"
    )
    attention: int = Field(ge=0, description="attention layers that stay (published: 4)")
    hidden: tuple[Annotated[int, Field(ge=8)], ...] = Field(min_length=1, description="widths of the residual stream")
    ffn: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=1, description="widths of an FFN, in multiples of the width of the residual stream"
    )
    heads: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="Mamba-2 heads")
    head_dim: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="channels of a Mamba-2 head (published: not pruned)"
    )
    top: int = Field(ge=1, description="candidates that are distilled, scored and timed (published: 3)")
    score_items: int = Field(ge=1, description="held-out answers that a candidate is scored on")
    distillation: DistillationStage = Field(
        description="the brief distillation of a candidate before it is scored (published: 19 thousand million tokens)"
    )
    depth_tokens: int | None = Field(
        None,
        ge=1,
        description="tokens of the distillation of a depth (published: about 6 thousand million); null: as of a "
        "candidate (default)",
    )
    timing: Timing

    @field_validator("layers")
    @classmethod
    def _descending(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if list(layers) != sorted(set(layers), reverse=True):
            raise ValueError(f"layers {list(layers)}: give every number once, the largest first")
        return layers


class Compress(Section):
    """The compression of the base model and of the aligned model (Nemotron Nano 2 §4)."""

    budget: Budget
    importance: Importance
    search: Search
    base: CompressedBase
    aligned: Compressed
