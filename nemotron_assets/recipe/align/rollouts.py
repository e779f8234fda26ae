"""Numbers of the rollouts: which engine samples, how many together, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Rollouts(Section):
    """How the models of the post-training are sampled, for reinforcement and for evaluation.

    Rollouts are drawn from all tokens (top-p 1, no top-k): any cut would bias the ratio of the probabilities that the
    reinforcement computes.
    """

    engine: Literal["transformers", "vllm"] = Field(
        description="transformers: sampled with the weights that train, in the same process; vllm: vLLM, whose weights "
        "are reloaded after every update. The name is stored with every rollout, and there is no fallback"
    )
    batch: int = Field(ge=1, description="rollouts that transformers samples together; decides memory and speed")
    dtype: Literal["float32", "bfloat16"] = Field(
        description="precision in which vLLM samples, and transformers where it does not share the trainer's weights"
    )
    temperature: float = Field(1.0, gt=0, description="temperature of sampling (analogue: 1.0, Llama-Nemotron Ultra)")
