"""The language model that writes synthetic data and judges texts, and how inference runs."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from nemotron_assets.recipe.addresses import Address, access_to
from nemotron_assets.recipe.section import Section

#: Names of environment variables. Keys have other signs or are longer: "sk-..." is not a name.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


def _variable(name: str | None) -> str | None:
    # Whoever writes the key itself here must not find it in a message.
    if name is not None and not _VARIABLE.fullmatch(name):
        raise PydanticCustomError(
            "secret",
            "this is not the name of an environment variable: put the key into a variable, such as LLM_API_KEY, "
            "and write the name of the variable here",
        )
    return name


#: The name of the environment variable that holds a key.
KeyVariable = Annotated[str | None, AfterValidator(_variable)]
Dialect = Literal["vllm", "sglang", "nim", "none"]


class LlmEndpoint(Section):
    """One of several OpenAI-compatible endpoints that serve the same model. What is null is as in `llm`."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="name of the endpoint, which is stored with its answers; null: its address",
    )
    base_url: Address = Field(pattern=r"^https?://", description="address of the endpoint: http://127.0.0.1:8000/v1")
    models: dict[str, str] = Field(
        default_factory=dict,
        description="names under which this endpoint serves models, by their names in this recipe; a model that is not "
        "listed has the same name there",
    )
    api_key_env: KeyVariable = Field(
        None, description="name of the environment variable that holds the key of this endpoint"
    )
    structured_outputs: Dialect | None = Field(
        None, description="dialect in which this endpoint is sent output grammars"
    )
    concurrency: int | None = Field(None, ge=1, le=4_096, description="most requests in flight at this endpoint")


class Llm(Section):
    """The language model that writes synthetic data, and how it runs (Nano 2: Qwen3-30B-A3B; the rest is default)."""

    engine: Literal["vllm", "openai"] = Field(
        description="vllm: vLLM on this machine; openai: an OpenAI-compatible endpoint at `base_url`"
    )
    model: str = Field(
        description="'embedded' (SmolLM2-135M-Instruct), a folder, or a Hugging Face id; with engine openai the name "
        "of a model that the endpoint serves"
    )
    tokenizer: str = Field(
        "embedded",
        description="with engine openai, the model whose tokenizer counts tokens: 'embedded', a folder, or a Hugging "
        "Face id",
    )
    base_url: Address | None = Field(
        None,
        pattern=r"^https?://",
        description="address of the endpoint for engine openai: http://127.0.0.1:8000/v1",
    )
    endpoints: tuple[LlmEndpoint, ...] = Field(
        (),
        max_length=1_024,
        description="several endpoints of the same model, instead of `base_url`: requests are spread over them by the "
        "room that each has, and asked elsewhere if one fails",
    )
    api_key_env: KeyVariable = Field(
        None,
        description="name of the environment variable that holds the endpoint's key; null for an endpoint without key",
    )
    structured_outputs: Dialect = Field(
        "vllm",
        description="dialect in which the endpoint is sent output grammars; none: no grammar is sent, only the prompt "
        "says what form the answer has",
    )
    concurrency: int = Field(16, ge=1, le=4_096, description="most requests in flight at an endpoint")
    timeout_s: float = Field(
        300,
        gt=0,
        le=7_200,
        description="longest wait for one whole answer of the endpoint, in seconds; then it is asked again",
    )
    retries: int = Field(5, ge=0, le=50, description="retries of one request to the endpoint before the step fails")
    backoff_s: float = Field(
        1.0, ge=0, le=300, description="wait before the first retry, in seconds; the wait doubles with every retry"
    )
    pause_s: float = Field(
        60,
        ge=0,
        le=3_600,
        description="longest wait before a retry, and before an endpoint that fails is tried again, in seconds",
    )
    prompt_price: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="price of a million tokens of requests, in a currency of your choice, for the report llm_tokens; "
        "null: the report names no cost",
    )
    output_price: float | None = Field(
        None, ge=0, le=1e6, description="price of a million tokens of answers, in the same currency"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        description="precision of inference; auto: bfloat16 where the device computes it natively, else float32"
    )
    max_model_len: int = Field(
        ge=256, le=1_048_576, description="context window, in tokens: a prompt and its answer must fit into it"
    )
    max_num_seqs: int = Field(
        ge=1, le=4_096, description="sequences that vLLM decodes together; more are faster and need more memory"
    )
    kv_cache_gb: float = Field(gt=0, le=640, description="memory for vLLM's KV cache on a CPU, in GB")
    gpu_memory_share: float = Field(gt=0, le=1, description="share of a GPU's memory that vLLM may use")
    cpu_threads: int = Field(0, ge=0, le=1_024, description="threads of inference on a CPU; 0: one per usable core")

    @model_validator(mode="after")
    def _endpoint(self) -> Llm:
        if self.engine == "openai" and bool(self.base_url) == bool(self.endpoints):
            raise ValueError(
                "engine openai needs either base_url, e.g. http://127.0.0.1:8000/v1, or endpoints, a list of them"
            )
        for names in ([one.base_url for one in self.endpoints], [one.name or one.base_url for one in self.endpoints]):
            if again := [name for number, name in enumerate(names) if name in names[:number]]:
                raise ValueError(f"llm.endpoints has {again[0]!r} twice: each needs an address and a name of its own")
        for one in (self, *self.endpoints):
            if one.base_url and (one.api_key_env or self.api_key_env) and access_to(one.base_url).login:
                raise ValueError(
                    "give either a user in base_url or api_key_env: a request has one Authorization header"
                )
        return self
