"""Numbers of the architecture."""

from __future__ import annotations

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Model(Section):
    """The hybrid Mamba-2/attention architecture (Nemotron Nano 2 §2.1)."""

    pattern: str = Field(pattern=r"^M[M*-]*-$", description="one letter per layer: M Mamba-2, * attention, - FFN")
    hidden_size: int = Field(ge=8, description="width of the residual stream")
    ffn_size: int = Field(ge=8, description="inner width of the squared-ReLU FFN")
    attention_heads: int = Field(ge=1, description="query heads")
    kv_heads: int = Field(ge=1, description="key/value heads; divides attention_heads")
    head_dim: int = Field(ge=4, description="width of an attention head")
    mamba_heads: int = Field(ge=1, description="Mamba-2 heads")
    mamba_head_dim: int = Field(ge=4, description="width of a Mamba-2 head")
    mamba_groups: int = Field(ge=1, description="B/C groups; divides mamba_heads")
    mamba_state: int = Field(ge=4, description="state size")
    mamba_conv: int = Field(ge=2, le=8, description="width of the causal convolution")
    chunk_size: int = Field(ge=8, description="tokens per chunk of the scan")
    norm_eps: float = Field(gt=0, lt=1e-2, description="epsilon of RMSNorm")
    init_std: float = Field(gt=0, lt=1, description="standard deviation of the initial weights")

    @model_validator(mode="after")
    def _divisible(self) -> Model:
        if self.attention_heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide attention_heads {self.attention_heads}")
        if self.mamba_heads % self.mamba_groups:
            raise ValueError(f"mamba_groups {self.mamba_groups} does not divide mamba_heads {self.mamba_heads}")
        if self.pattern.count("*") != self.pattern.count("*-"):
            raise ValueError("pattern: attention (*) stands directly before an FFN (-), as in M-M*-M-")
        return self
