"""Declares the tables of the compression: memory of models, importance of their parts, candidates."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

_MODELS = ("models.long_context.uri", "models.aligned.uri")
_IDS = ("models.long_context.id", "models.aligned.id")
_INPUTS = Column("input_versions", "list[string]", "tables that were read, each with its Delta version", volatile=True)
_RUN_ID = Column("run_id", "string", "id of the Dagster run that stored this row", volatile=True)
_AT = Column("at", "timestamp", "time when the row was made, UTC", volatile=True)

_PATTERN = Column("pattern", "string", "kinds of the layers: M is Mamba-2, * attention, - an FFN")
_PARAMETERS = Column("parameters", "int64", "number of parameters")
_MEMORY = (
    Column("weight_bytes", "int64", "bytes of the weights"),
    Column("kv_bytes", "int64", "bytes of the KV cache of all sequences at full context"),
    Column("ssm_bytes", "int64", "bytes of the states of the Mamba-2 layers, in float32"),
    Column("conv_bytes", "int64", "bytes of the last inputs of the convolutions of the Mamba-2 layers"),
    Column("total_bytes", "int64", "sum of weights, KV cache, states and convolutions"),
    Column(
        "engine_bytes",
        "int64",
        "weights and the cache as vLLM sets it aside, in pages of one size: more than total_bytes by what pages leave "
        "empty",
    ),
)
_FITS = "whether total_bytes and engine_bytes are within the budget"

BUDGET = Table(
    schema="compress",
    name="budget",
    description="The memory of the device that the compression aims at, and what models need of it: the models that "
    "are compressed, and the published shapes, whose memory is known, on the published device.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("model", "string", "name of the model, for example laptop-aligned"),
        _PATTERN,
        _PARAMETERS,
        Column("device_bytes", "int64", "memory of the device"),
        Column("buffer_bytes", "int64", "memory that the engine keeps for buffers"),
        Column("reserve_bytes", "int64", "memory for other things on the device"),
        Column("allowed_bytes", "int64", "what is left: the budget"),
        Column("context", "int64", "tokens of a sequence in the cache"),
        Column("sequences", "int64", "sequences that are served together"),
        Column("dtype", "string", "precision of weights, KV cache and convolutions"),
        *_MEMORY,
        Column("block_tokens", "int64", "tokens in a page of the engine's KV cache; 0: no attention layer"),
        Column("page_bytes", "int64", "bytes of a page of the engine's cache"),
        Column("padding_bytes", "int64", "bytes of a page that the state of a Mamba-2 layer leaves empty"),
        Column("fits", "bool", _FITS),
        _INPUTS,
        _RUN_ID,
        _AT,
    ),
    parents=("models.long_context", "models.aligned"),
    origins={
        "device_bytes": (),
        "buffer_bytes": (),
        "reserve_bytes": (),
        "allowed_bytes": (),
        "context": (),
        "sequences": (),
        "dtype": (),
        "parents": _IDS,
        "sources": (),
        "model": ("models.long_context.name", "models.aligned.name"),
        "*": _MODELS,
    },
)

IMPORTANCE = Table(
    schema="compress",
    name="importance",
    description="How important the parts of the models are that are compressed, from their activations on calibration "
    "sequences: a row per model, axis and layer. Of layers: a row per layer, with the error of the logits without it.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "id of the model"),
        Column("model", "string", "name of the model, for example laptop-aligned"),
        Column(
            "axis",
            "string",
            "what the scores are of: channels (of the residual stream, of all norms), neurons (of an FFN), mamba "
            "(channels of Mamba-2 heads), shares (of the mean square that a norm divides by), gated_shares (the same "
            "in a Mamba-2 layer), layer (a whole layer)",
        ),
        Column("layer", "int64", "number of the layer, from 0; -1: all layers together, or the last norm"),
        Column("kind", "string", "kind of the layer: M, * or -; empty for -1"),
        Column(
            "scores",
            "list[float32]",
            "score of each part, higher is more important; of mamba head after head; of a layer one number: the mean "
            "squared error of the logits when this layer alone is left out",
        ),
        Column(
            "removed",
            "int64",
            "of a layer: at which step it was removed, from 1; null: the layer stays, or the row is not about a layer",
            nullable=True,
        ),
        Column(
            "logit_mse",
            "float64",
            "of a layer that went: the mean squared error of the logits after the step, against the whole model",
            nullable=True,
        ),
        Column("normalised_mse", "float64", "the same as a share of the mean square of the logits", nullable=True),
        Column("sequences", "int64", "number of calibration sequences"),
        _INPUTS,
        _RUN_ID,
        _AT,
    ),
    part_by="part",
    parents=("models.long_context", "models.aligned"),
    origins={
        "parents": _IDS,
        "sources": (),
        "part": _IDS,
        "model": ("models.long_context.name", "models.aligned.name"),
        "axis": (),
        "layer": (),
        "sequences": (),
        "*": (*_MODELS, "align.token_shards.tokens", "blend.token_shards.tokens"),
    },
)

CANDIDATES = Table(
    schema="compress",
    name="candidates",
    description="All shapes of the grid that the aligned model can be pruned to, with their memory. The largest that "
    "fit the budget were pruned, distilled briefly, scored and timed; one of them is chosen. If several depths were "
    "tried first, each has a row.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "id of the model that is pruned"),
        Column(
            "step",
            "string",
            "depth: a number of layers, tried at the whole width before the widths; width: a shape of the grid",
        ),
        _PATTERN,
        Column("layers", "list[int64]", "numbers of the layers that stay, in the model that is pruned"),
        Column("hidden", "int64", "width of the residual stream"),
        Column("ffn", "int64", "width of an FFN"),
        Column("heads", "int64", "heads of a Mamba-2 layer"),
        Column("head_dim", "int64", "channels of a Mamba-2 head"),
        _PARAMETERS,
        Column(
            "non_embedding_share",
            "float64",
            "parameters outside of the embeddings, as a share of those of the model that is pruned",
        ),
        *_MEMORY,
        Column("allowed_bytes", "int64", "the budget"),
        Column("fits", "bool", f"{_FITS}, and non_embedding_share is within the recipe's limit"),
        Column(
            "rank", "int64", "place among the shapes that fit, the largest first, from 1; null: no fit", nullable=True
        ),
        Column(
            "tokens", "int64", "tokens of its brief distillation; 0: it was only pruned; null: not tried", nullable=True
        ),
        Column(
            "zero_shot_loss",
            "float64",
            "loss on held-out answers right after pruning, in nats per token; null: not tried",
            nullable=True,
        ),
        Column("loss", "float64", "the same after the brief distillation; null: not tried", nullable=True),
        Column(
            "score",
            "float64",
            "share of the held-out answers that greedy decoding gives to the letter, after the brief distillation; "
            "null: not tried",
            nullable=True,
        ),
        Column("items", "int64", "number of held-out answers that it was scored on; null: not tried", nullable=True),
        Column(
            "tokens_per_second",
            "float64",
            "tokens that the engine writes per second, at the lengths and the batch of the recipe; null: not tried",
            nullable=True,
            volatile=True,
        ),
        Column(
            "measured_engine_bytes",
            "int64",
            "weights and the cache that the running engine reports for the budget's context; null: not tried",
            nullable=True,
            volatile=True,
        ),
        Column(
            "on_front",
            "bool",
            "whether no other candidate that was tried is better in score, bytes or speed and as good in the others",
            volatile=True,
        ),
        Column("chosen", "bool", "whether models are compressed to this shape: it has the best score, else loss"),
        _INPUTS,
        _RUN_ID,
        _AT,
    ),
    part_by="part",
    parents=("models.aligned",),
    origins={
        "parents": ("models.aligned.id",),
        "sources": (),
        "part": ("models.aligned.id",),
        "step": (),
        "pattern": ("compress.importance.scores",),
        "layers": ("compress.importance.scores",),
        "hidden": (),
        "ffn": (),
        "heads": (),
        "head_dim": (),
        "allowed_bytes": (),
        "items": (),
        "tokens": (),
        "*": ("models.aligned.uri", "compress.importance.scores", "align.token_shards.tokens"),
    },
)

TABLES = [BUDGET, IMPORTANCE, CANDIDATES]
