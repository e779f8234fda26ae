"""The language model that writes synthetic data, and how it is run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Llm(Section):
    """The model that writes synthetic data, and how it is run (Nano 2: Qwen3-30B-A3B; the rest is default)."""

    engine: Literal["vllm", "openai"] = Field(description="vLLM in this process, or an OpenAI-compatible endpoint")
    model: str = Field(description="'embedded' (SmolLM2-135M-Instruct), a folder, or a Hugging Face id")
    tokenizer: str = Field("embedded", description="whose tokens are counted when `model` is behind an endpoint")
    base_url: str | None = Field(None, description="endpoint of the openai engine, e.g. http://127.0.0.1:8000/v1")
    api_key_env: str | None = Field(None, description="environment variable that holds the endpoint's key")
    structured_outputs: Literal["vllm", "sglang", "nim", "none"] = Field(
        "vllm", description="how the endpoint is told an output grammar; none: rely on the prompt"
    )
    concurrency: int = Field(16, ge=1, le=4_096, description="requests in flight at the endpoint")
    timeout_s: float = Field(300, gt=0, le=7_200, description="longest wait for one answer of the endpoint, seconds")
    retries: int = Field(5, ge=0, le=50, description="attempts after the first for one request to the endpoint")
    backoff_s: float = Field(1.0, ge=0, le=300, description="first wait before a retry, doubled each time, seconds")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        description="precision of inference; auto: bfloat16 where the device computes it natively, else float32"
    )
    max_model_len: int = Field(ge=256, le=1_048_576, description="context window, in tokens")
    max_num_seqs: int = Field(ge=1, le=4_096, description="sequences decoded together")
    kv_cache_gb: float = Field(gt=0, le=640, description="memory for the KV cache on a CPU, in GB")
    gpu_memory_share: float = Field(gt=0, le=1, description="share of a GPU's memory that vLLM may use")
    cpu_threads: int = Field(0, ge=0, le=1_024, description="threads of inference on a CPU; 0: one per usable core")

    @model_validator(mode="after")
    def _endpoint(self) -> Llm:
        if self.engine == "openai" and not self.base_url:
            raise ValueError("engine openai needs base_url, e.g. http://127.0.0.1:8000/v1")
        return self
