"""Declares the compressed models, the models on the way to them, and the pairs and rollouts of their training."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.table.schema import Column
from nemotron_assets.training.preference.columns import preferences_table
from nemotron_assets.training.reinforcement.columns import rollouts_table

_WEIGHTS = "Hugging Face folder (safetensors, config, tokenizer), relative to the root of the lake"
_TEXTS = ("blend.token_shards.tokens", "blend.tokenizer.uri")
_ANSWERS = ("align.token_shards.tokens", "align.token_shards.trained")
_SHAPE = ("compress.candidates.id",)
#: What one step of the chain writes beside another is, in the graph of assets, made of the inputs of the whole chain.
_OF_BASE = ("models.long_context.uri", *_SHAPE, *_TEXTS)
_OF_ALIGNED = (
    "models.aligned.uri", "models.reward_model.uri", *_SHAPE, *_TEXTS, *_ANSWERS, "align.prompts.messages",
    "align.prompts.verifiers",
)  # fmt: skip
_SIZES = (
    Column("teacher", "string", "id of the model that it was pruned from and distilled from"),
    Column("teacher_parameters", "int64", "number of parameters of the teacher"),
    Column("inner_parameters", "int64", "number of parameters outside of the embeddings and the head"),
    Column("teacher_inner_parameters", "int64", "the same number of the teacher"),
)

#: The models that the two compressed models are made from, as in the column `compresses`.
BASE, ALIGNED = "base", "aligned"

COMPRESSION_STEPS = model_table(
    "compression_steps",
    "Models on the way from a teacher to its compressed model, one per step: after a distillation, DPO or "
    "reinforcement learning.",
    named="name of the model: the recipe, what is compressed, and the step, for example laptop-compressed-depth",
    group="compress",
    own=(
        *TRAINED,
        Column("compresses", "string", "base or aligned: which compressed model it is a step to"),
        Column("step", "string", "depth, the name of a stage after the width, dpo, grpo, recovery or rlhf"),
        Column("pruned", "string", "what was pruned before the step, as JSON; null: nothing", nullable=True),
        Column("metrics", "string", "what the step measured, as JSON; null: nothing", nullable=True),
    ),
    weights=_WEIGHTS,
    origins={
        "parents": ("models.long_context.id", "models.aligned.id", "models.reward_model.id"),
        "sources": (),
        "compresses": (),
        "step": (),
        "pruned": _SHAPE,
        "*": ("models.long_context.uri", *_OF_ALIGNED),
    },
)

COMPRESSED_BASE = model_table(
    "compressed_base",
    "The long-context model, pruned to the chosen shape and distilled from itself on texts of the pretraining.",
    named="name of the model: the recipe and the stage, for example laptop-compressed-base",
    group="compress",
    own=(*TRAINED, *_SIZES),
    weights=_WEIGHTS,
    origins={
        "parents": ("models.long_context.id",),
        "sources": (),
        "teacher": ("models.long_context.id",),
        "teacher_parameters": ("models.long_context.parameters",),
        "*": _OF_BASE,
    },
)

COMPRESSED = model_table(
    "compressed",
    "The aligned model, pruned to the chosen shape, distilled from itself, and trained with preferences and rewards: "
    "the merge of its last two steps.",
    named="name of the model: the recipe and the stage, for example laptop-compressed",
    group="compress",
    own=(
        Column("parameters", "int64", "number of parameters"),
        Column("tokens_seen", "int64", "number of tokens of all of its distillations, padding included"),
        Column("alpha", "float64", "share of the second parent, the model of RLHF; the rest is of the first"),
        *_SIZES,
    ),
    weights=_WEIGHTS,
    origins={
        "parents": ("models.aligned.id",),
        "sources": (),
        "alpha": (),
        "teacher": ("models.aligned.id",),
        "teacher_parameters": ("models.aligned.parameters",),
        "*": _OF_ALIGNED,
    },
    example_input="align.prompts@3",
)

PREFERENCES = preferences_table("compress", "They train the compressed model with DPO.", policy="models.aligned")
ROLLOUTS = rollouts_table("compress", stages="grpo or rlhf", policies=("models.aligned",), made=("models.compressed",))

TABLES = [COMPRESSION_STEPS, COMPRESSED_BASE, COMPRESSED, PREFERENCES, ROLLOUTS]
