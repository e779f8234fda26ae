"""Every number of the recipe, typed: its meaning, unit, allowed range and where it was published.

`recipes/laptop.yaml` runs the whole graph on two cores, `recipes/nano2.yaml` is the published recipe of Nemotron
Nano 2. A recipe of one's own may start with `extends: laptop` and name only what differs. Unknown keys and impossible
values are refused with the range that is allowed. Where a source is given as "default", the value was not published.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.code import CodeDedup, CodeSources
from nemotron_assets.recipe.code_licences import CodeLicences
from nemotron_assets.recipe.code_qa import CodeQa
from nemotron_assets.recipe.code_quality import CodeQuality
from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.recipe.heuristics import Heuristics, Measures, Perplexity
from nemotron_assets.recipe.math import Math
from nemotron_assets.recipe.math_corpus import MathCorpus
from nemotron_assets.recipe.privacy import OptOuts, Privacy
from nemotron_assets.recipe.quality import Quality
from nemotron_assets.recipe.release import Release
from nemotron_assets.recipe.section import RecipeError, Section
from nemotron_assets.recipe.synthetic import DiverseQa, Rephrased
from nemotron_assets.recipe.translation import Translation

BUILT_IN = ("laptop", "nano2")


class Storage(Section):
    """How tables are written (default; measured for 4 GB partitions under 1.5 GB of memory)."""

    row_group_rows: int = Field(65_536, ge=1_024, le=1_048_576, description="most rows in one Parquet row group")
    row_group_mb: int = Field(128, ge=1, le=1_024, description="most MB in one row group, before compression")
    batch_rows: int = Field(1_024, ge=1, le=65_536, description="rows in one batch handed to a stage")
    compression_level: int = Field(3, ge=1, le=22, description="ZSTD level")
    free_disk_mb: int = Field(512, ge=0, description="refuse to start a write with less free disk than this, in MB")


class Compute(Section):
    """Worker processes for per-document work (default)."""

    backend: Literal["processes", "ray"] = Field(description="local worker processes, or Ray Data on a cluster")
    workers: int = Field(ge=0, le=1_024, description="worker processes; 0 means one per core")
    row_timeout_s: float = Field(gt=0, le=3_600, description="longest time one row may take, in seconds")
    memory_mb: int = Field(ge=256, description="resident memory one worker may hold, in MiB")
    queue: int = Field(ge=1, le=64, description="batches in flight per worker")


class Quarantine(Section):
    """When rejected rows make a check fail (default)."""

    max_share: float = Field(ge=0, le=1, description="largest share of rejected rows in a partition")


class Crawl(Section):
    """Where snapshots come from and how much of them may be fetched (Nemotron-CC §2.1 for the snapshots)."""

    source: str = Field(description="'sample', a folder, an http(s) URL or an s3 URL in Common Crawl's layout")
    first: str = Field(description="earliest snapshot of the window, as CC-MAIN-YYYY-WW")
    last: str = Field(description="latest snapshot of the window, as CC-MAIN-YYYY-WW")
    max_snapshots: int = Field(ge=1, le=500, description="most snapshots the sensor may register")
    max_warc_files: int = Field(ge=1, le=200_000, description="most WARC files read from one snapshot")
    max_warc_mb: int = Field(ge=1, le=16_384, description="largest WARC file accepted, in MB (compressed)")
    timeout_s: float = Field(gt=0, le=600, description="longest silence of a connection, in seconds")
    file_timeout_s: float = Field(gt=0, le=86_400, description="longest time for one WARC file, in seconds")
    retries: int = Field(ge=0, le=20, description="attempts after the first for one transfer")
    backoff_s: float = Field(ge=0, le=300, description="first wait before a retry, doubled each time, in seconds")
    delay_s: float = Field(ge=0, le=60, description="pause between requests to one server, in seconds")
    user_agent: str = Field(min_length=3, description="how requests identify themselves")
    schedule: str = Field(description="cron expression of the regular ingestion")
    fresh_days: float = Field(
        35, gt=0, description="the catalog is stale when it was not refreshed for this many days (crawls are monthly)"
    )


class Pages(Section):
    """From WARC records to pages."""

    max_html_mb: float = Field(gt=0, le=256, description="largest HTTP body kept, in MB after decoding")
    mimes: tuple[str, ...] = Field(
        ("text/html", "application/xhtml+xml"), min_length=1, description="media types that are pages (CC-MAIN's HTML)"
    )
    keep_truncated: bool = Field(False, description="keep pages that the crawler cut off (default)")
    max_broken_share: float = Field(
        0.05, ge=0, le=1, description="largest share of broken records (malformed, damaged, broken_file) (default)"
    )
    batch_rows: int = Field(ge=1, le=65_536, description="pages in one batch")
    batch_mb: int = Field(ge=1, le=512, description="most MB of bodies in one batch")


class JusText(Section):
    """jusText's paragraph classification (its defaults, which the published pipeline keeps: NeMo Curator)."""

    length_low: int = Field(70, ge=0, description="shorter paragraphs are judged by their neighbours, in characters")
    length_high: int = Field(200, ge=0, description="longer ones full of stop words are content, in characters")
    stopwords_low: float = Field(0.30, ge=0, le=1, description="share of stop words below which text is boilerplate")
    stopwords_high: float = Field(0.32, ge=0, le=1, description="share of stop words from which text is content")
    max_link_density: float = Field(0.2, ge=0, le=1, description="largest share of characters inside links")
    max_heading_distance: int = Field(200, ge=0, description="a heading is kept this close to content, in characters")
    headings: bool = Field(True, description="whether headings of content are kept")


class Documents(Section):
    """Text extraction and language identification (Nemotron-CC §2.1)."""

    extractor: Literal["justext", "resiliparse"] = Field(description="jusText as published, or the faster resiliparse")
    extractor_by_language: dict[str, Literal["justext", "resiliparse"]] = Field(
        {
            "zh": "resiliparse",
            "ja": "resiliparse",
            "th": "resiliparse",
            "ko": "resiliparse",
            "he": "resiliparse",
            "vi": "resiliparse",
        },
        description="languages read by another extractor. zh, ja, th have no jusText stop list, and with one of our "
        "own, words cut out by it and lengths scaled, jusText did no better (F1 on the sample's pages: zh .77, ja .84, "
        "th 1.0; resiliparse .78, .90, 1.0); ko (.90 against .97) and he say in few characters what its length limits "
        "expect in many; the list of vi has words, its text has syllables",
    )
    justext: JusText = Field(JusText(), description="paragraph classification of jusText")
    language_hint: Literal["pycld2", "model"] = Field(
        description="what chooses a page's stop list: CLD2 as published, or the language model (0.8 ms a page more; "
        "right on 99.8% of the sample's pages against 99.3%)"
    )
    language_model: Literal["lite", "full"] = Field(description="fastText lid.176: packaged .ftz, or downloaded .bin")
    language_characters: int = Field(4_000, ge=80, le=1_000_000, description="start of a text that is judged (default)")
    language_min_score: float = Field(ge=0, le=1, description="keep a document when its language scores at least this")
    min_characters: int = Field(ge=0, description="shortest text kept, in characters (default)")
    max_html_characters: int = Field(ge=1_000, description="longer decoded pages are cut here (default)")
    batch_rows: int = Field(32, ge=1, le=4_096, description="pages handed to a worker at a time (default)")
    opt_outs: OptOuts = Field(OptOuts(), description="pages that may not be used")
    privacy: Privacy = Field(Privacy(), description="what is done about personal data")


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


class Tokenizer(Section):
    """The vocabulary (Nemotron Nano 2: a byte-level BPE of exactly 2^17 entries, 1000 of them special tokens)."""

    kind: Literal["bpe", "tekken"] = Field(description="train a byte-level BPE, or take the tekken vocabulary")
    vocabulary: int = Field(ge=1_024, le=1_048_576, description="entries including special tokens")
    special_tokens: int = Field(ge=13, le=1_000, description="reserved first ids; the chat template uses up to 12")
    min_frequency: int = Field(ge=1, le=1_000, description="a pair of pieces must occur this often to be merged")
    max_training_mb: int = Field(ge=1, description="text used for training, in MB of UTF-8; more is sampled by hash")

    @model_validator(mode="after")
    def _room(self) -> Tokenizer:
        if self.vocabulary < self.special_tokens + 256:
            raise ValueError(f"vocabulary {self.vocabulary} has no room for {self.special_tokens} specials + 256 bytes")
        return self


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


class Pretrain(Section):
    """Base training (Nemotron Nano 2 §2.3-2.5)."""

    tokens: int = Field(ge=64, description="horizon, in tokens of packed sequences, padding included")
    batch_sequences: int = Field(ge=1, description="sequences per optimizer step")
    micro_batch_sequences: int = Field(ge=1, description="sequences per forward pass; divides batch_sequences")
    peak_lr: float = Field(gt=0, lt=1, description="learning rate of the stable part")
    min_lr_ratio: float = Field(ge=0, le=1, description="final learning rate as a share of the peak")
    warmup_share: float = Field(ge=0, lt=1, description="share of the tokens spent warming up")
    decay_share: float = Field(ge=0, lt=1, description="share of the tokens spent decaying")
    decay_shape: Literal["linear", "cosine", "minus_sqrt"] = Field(description="curve of the decay (not published)")
    weight_decay: float = Field(ge=0, lt=1, description="AdamW weight decay")
    beta1: float = Field(ge=0, lt=1, description="AdamW beta 1")
    beta2: float = Field(ge=0, lt=1, description="AdamW beta 2")
    adam_eps: float = Field(gt=0, lt=1e-2, description="AdamW epsilon (default; not published)")
    grad_clip: float = Field(gt=0, description="largest gradient norm")
    precision: Literal["fp32", "bf16"] = Field(description="precision of the forward and backward pass")
    recompute: bool = Field(description="compute activations again in the backward pass instead of keeping them")
    log_every: int = Field(ge=1, description="steps between two rows of training metrics")
    checkpoint_every: int = Field(ge=1, description="steps between two checkpoints")
    mixed_shards: int = Field(16, ge=1, le=1_024, description="token shards in memory, shuffled together (default)")
    seed: int = Field(ge=0, description="seed of initial weights and data order")

    @model_validator(mode="after")
    def _shares(self) -> Pretrain:
        if self.warmup_share + self.decay_share > 1:
            raise ValueError("warmup_share and decay_share add up to more than 1")
        if self.batch_sequences % self.micro_batch_sequences:
            raise ValueError("micro_batch_sequences does not divide batch_sequences")
        return self


class Evaluate(Section):
    """Benchmarks (shots of the Nano 2 base model's published settings and its successor's)."""

    benchmarks: str = Field(description="'sample', or a folder with the benchmark files")
    gsm8k_shots: int = Field(ge=0, le=64, description="worked examples before a GSM8K question")
    arc_shots: int = Field(ge=0, le=64, description="worked examples before an ARC-Challenge question")
    max_items: int | None = Field(ge=1, description="most items per benchmark; null for all")
    max_output_tokens: int = Field(ge=1, le=32_768, description="longest generated answer, in tokens")
    max_held_out_documents: int | None = Field(ge=1, description="documents for bits per byte; null for all")
    window: int = Field(ge=16, le=1_048_576, description="tokens the model sees at once for bits per byte")
    window_overlap: int = Field(ge=0, description="tokens of context carried into the next window of a long document")
    batch_size: int = Field(ge=1, description="sequences per forward pass")

    @model_validator(mode="after")
    def _progress(self) -> Evaluate:
        if self.window_overlap >= self.window:
            raise ValueError(f"window_overlap {self.window_overlap} must be less than window {self.window}")
        return self


class Maintenance(Section):
    """Upkeep of the tables (default)."""

    target_file_mb: int = Field(ge=1, le=4_096, description="size of a compacted file, in MB")
    min_files: int = Field(ge=2, description="compact a partition with at least this many files")
    retention_hours: int = Field(ge=1, description="keep removed files this long for readers and running writers")


class Recipe(Section):
    """The whole recipe."""

    name: str = Field(description="what this recipe is called")
    executor: Literal["in_process", "multiprocess"] = Field(description="how Dagster runs the steps of a run")
    storage: Storage
    compute: Compute
    quarantine: Quarantine
    crawl: Crawl
    pages: Pages
    documents: Documents
    dedup: Dedup
    substring: Substring
    quality: Quality
    measures: Measures = Field(Measures(), description="strings that the numbers of the rules are made with")
    heuristics: Heuristics = Field(Heuristics(), description="which rules decide about which documents")
    perplexity: Perplexity
    llm: Llm
    rephrased: Rephrased
    diverse_qa: DiverseQa
    translation: Translation
    math: Math = Field(Math(), description="mathematics")
    math_corpus: MathCorpus
    code_sources: CodeSources = Field(CodeSources(), description="where code comes from")
    code_dedup: CodeDedup
    code_licences: CodeLicences = Field(CodeLicences(), description="which licences code may have")
    code_quality: CodeQuality = Field(CodeQuality(), description="which code files are kept")
    code_qa: CodeQa
    release: Release
    tokenizer: Tokenizer
    blend: Blend
    model: Model
    pretrain: Pretrain
    evaluate: Evaluate
    maintenance: Maintenance

    @model_validator(mode="after")
    def _window(self) -> Recipe:
        window = self.llm.max_model_len
        for name, prompt in {**self.rephrased.prompts(), "diverse_qa": self.diverse_qa}.items():
            if self.llm.engine == "vllm" and prompt.max_input_tokens + prompt.max_output_tokens > window:
                raise ValueError(
                    f"prompt {name}: max_input_tokens {prompt.max_input_tokens} + max_output_tokens "
                    f"{prompt.max_output_tokens} is more than llm.max_model_len {window}"
                )
        return self

    def section(self, dotted: str) -> Any:
        """A section or value by its dotted name. Raises `KeyError` naming the sections there are."""
        value: Any = self
        for name in dotted.split("."):
            fields = type(value).model_fields if isinstance(value, Section) else ()
            if name not in fields:
                raise KeyError(f"the recipe has no {dotted!r}; {name!r} is not one of: {', '.join(fields) or 'none'}")
            value = getattr(value, name)
        return value

    def section_hash(self, dotted: str) -> str:
        """A short hash of a section's values; two recipes that say the same have the same hash."""
        return _hash(self.section(dotted))

    def hash(self) -> str:
        """A short hash of the whole recipe."""
        return _hash(self)


def _hash(value: Any) -> str:
    data = json.dumps(to_jsonable_python(value), sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()[:16]


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: a built-in name or the path of a YAML file. Raises `RecipeError`."""
    try:
        return Recipe.model_validate(_read(name_or_path, seen=()))
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(e)}" for e in error.errors(include_url=False))
        raise RecipeError(f"recipe {name_or_path}:\n{problems}") from None


@functools.lru_cache(maxsize=1)
def current_recipe() -> Recipe:
    """The recipe named by `NEMOTRON_RECIPE` (default: laptop), read once per process."""
    return load_recipe(os.environ.get("NEMOTRON_RECIPE") or "laptop")


def _read(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name_or_path in seen:
        raise RecipeError(f"recipe {name_or_path} extends itself: {' -> '.join((*seen, name_or_path))}")
    if name_or_path in BUILT_IN:
        text = (resources.files("nemotron_assets") / "recipes" / f"{name_or_path}.yaml").read_text()
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise RecipeError(f"no recipe {name_or_path!r}: it is neither {' nor '.join(BUILT_IN)} nor a file")
        text = path.read_text()
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {name_or_path} is not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise RecipeError(f"recipe {name_or_path} is not a mapping of sections")
    parent = data.pop("extends", None)
    return _merge(_read(str(parent), (*seen, name_or_path)), data) if parent else data


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _problem(error: Any) -> str:
    """One validation error as: key, what is wrong, the value, and what is allowed."""
    where = ".".join(str(part) for part in error["loc"])
    if not where:  # between sections
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        parent = _section_class(error["loc"][:-1])
        return f"{where}: unknown key; this section knows: {', '.join(parent.model_fields) if parent else 'none'}"
    if error["type"] == "missing":
        return f"{where}: missing"
    allowed = _allowed(error["loc"])
    return f"{where} = {error['input']!r}: {error['msg']}" + (f" (allowed: {allowed})" if allowed else "")


def _section_class(loc: tuple[Any, ...]) -> type[Section] | None:
    current: Any = Recipe
    for name in loc:
        field = current.model_fields.get(name)
        current = field.annotation if field else None
        if not (isinstance(current, type) and issubclass(current, Section)):
            return None
    return current


def _allowed(loc: tuple[Any, ...]) -> str:
    parent = _section_class(loc[:-1])
    return allowed_values(parent, loc[-1]) if parent and loc[-1] in parent.model_fields else ""


def allowed_values(section: type[Section], name: str) -> str:
    """The allowed range of a section's field in words, from its schema."""
    schema = section.model_json_schema()["properties"][name]
    options = [schema, *schema.get("anyOf", [])]
    bounds = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
        "exclusiveMaximum": "less than {}", "pattern": "matching {}", "minLength": "at least {} characters",
        "enum": "one of {}", "type": "{}",
    }  # fmt: skip
    return ", ".join(text.format(o[key]) for o in options for key, text in bounds.items() if key in o)
