"""Numbers of the architecture of the model that is pretrained."""

from __future__ import annotations

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Model(Section):
    """The hybrid Mamba-2/attention architecture (Nemotron Nano 2 §2.1)."""

    pattern: str = Field(
        pattern=r"^M[M*-]*-$",
        description="one character per layer: M is a Mamba-2 layer, * attention, - an FFN; M-M*-M- has seven layers",
    )
    hidden_size: int = Field(ge=8, description="width of the residual stream")
    ffn_size: int = Field(ge=8, description="inner width of an FFN; its activation is squared ReLU")
    attention_heads: int = Field(ge=1, description="query heads of an attention layer")
    kv_heads: int = Field(ge=1, description="key/value heads of an attention layer; must divide attention_heads")
    head_dim: int = Field(ge=4, description="width of one attention head")
    mamba_heads: int = Field(ge=1, description="heads of a Mamba-2 layer")
    mamba_head_dim: int = Field(ge=4, description="width of one Mamba-2 head")
    mamba_groups: int = Field(ge=1, description="groups of Mamba-2 heads that share B and C; must divide mamba_heads")
    mamba_state: int = Field(ge=4, description="size of a Mamba-2 head's state, per channel")
    mamba_conv: int = Field(ge=2, le=8, description="width of the causal convolution in a Mamba-2 layer, in tokens")
    chunk_size: int = Field(
        ge=8, description="tokens per chunk of the Mamba-2 scan; changes speed and memory, not the result"
    )
    norm_eps: float = Field(gt=0, lt=1e-2, description="epsilon of RMSNorm")
    init_std: float = Field(gt=0, lt=1, description="standard deviation of the initial weights")

    def parameters(self, vocabulary: int) -> int:
        """The exact number of parameters with `vocabulary` tokens and untied embeddings."""
        h, f = self.hidden_size, self.ffn_size
        inner = self.mamba_heads * self.mamba_head_dim
        conv = inner + 2 * self.mamba_groups * self.mamba_state
        layer = {
            "M": h * (inner + conv + self.mamba_heads)
            + conv * (self.mamba_conv + 1)
            + 3 * self.mamba_heads
            + inner
            + inner * h
            + h,
            "*": 2 * h * self.head_dim * (self.attention_heads + self.kv_heads) + h,
            "-": 2 * h * f + h,
        }
        return sum(layer[kind] for kind in self.pattern) + 2 * vocabulary * h + h

    @model_validator(mode="after")
    def _divisible(self) -> Model:
        if self.attention_heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide attention_heads {self.attention_heads}")
        if self.mamba_heads % self.mamba_groups:
            raise ValueError(f"mamba_groups {self.mamba_groups} does not divide mamba_heads {self.mamba_heads}")
        if self.pattern.count("*") != self.pattern.count("*-"):
            raise ValueError(
                f"pattern {self.pattern!r}: every attention layer (*) must be followed by an FFN (-), as in M-M*-M-"
            )
        return self
