"""Declares the tables of the supervised stages: conversations as tokens, sequences of each stage, and the models."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.table.columns import ID, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

#: The domain of texts of the pretraining that stages read again.
REPLAY = "replay"

_CATEGORY = Column(
    "category", "string", "domain of the conversations: math, code, science, tools, chat, ...; replay: pretraining text"
)
_CONVERSATION = ("align.conversations.messages", "align.conversations.tools", "blend.tokenizer.uri")

TOKEN_SHARDS = Table(
    schema="align",
    name="token_shards",
    description="Conversations as token ids, as the model reads them: a row per answer of the assistant, with all that "
    "comes before it. Thoughts of earlier answers are not there, as when the model answers. Rows of the domain replay "
    "are windows of the pretraining's documents, of which every token but the first is trained.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "shard as domain/variant/number, for example math/full/000003"),
        _CATEGORY,
        Column("data_set", "string", "data set of the conversation or text, for example sft.math_sft"),
        Column("variant", "string", "variant of the conversation: full, no_think, truncated or concatenated"),
        Column(
            "original",
            "string",
            "id of the conversation that this one is a copy of, or, of a concatenated one, of one of its parts, else "
            "its own id; copies of one conversation have the same; of a text: the id of its document",
        ),
        Column("answer", "int64", "number of the answer in its conversation, from 0; a row ends with it"),
        Column("held_out", "bool", "whether no stage reads the conversation: it only measures the models"),
        Column("position", "int64", "number of the row in the shard, from 0"),
        Column("tokens", "list[int32]", "token ids, the end of turn included"),
        Column("trained", "list[bool]", "whether the model learns to predict the token: it is one of the answer"),
        Column("length", "int64", "number of tokens"),
        Column("answer_length", "int64", "number of tokens of the answer, which are trained"),
        Column(
            "read_versions",
            "list[string]",
            "version of the table that was read when the shard was written, as align.conversations@3",
            volatile=True,
        ),
    ),
    part_by="part",
    parents=("align.conversations", "blend.token_shards"),
    origins={
        "part": (),
        "category": ("align.conversations.domain",),
        "data_set": ("align.conversations.data_set", "blend.token_shards.data_set"),
        "original": ("align.conversations.id", "align.conversations.copy_of", "blend.token_shards.id"),
        "held_out": ("align.conversations.id", "align.conversations.copy_of"),
        "position": (),
        "read_versions": (),
        "*": (*_CONVERSATION, "blend.token_shards.tokens"),
    },
)

SEQUENCES = Table(
    schema="align",
    name="sequences",
    description="The sequences of each supervised stage as an index: which rows of align.token_shards are together in "
    "a sequence. One part per stage; a row that is longer than the sequences of the stage is left out.",
    columns=(
        ID,
        PARENTS,
        Column(
            "part",
            "string",
            "stage: sft_1, sft_2, sft_3 or sft_3_untruncated (whole thoughts, not cut ones); or stage and length, as "
            "sft_2_8192: its conversations, packed for distillations",
        ),
        _CATEGORY,
        Column("data_set", "string", "domain and variant of the conversations, for example math/full"),
        Column("shard", "string", "shard of align.token_shards (its column part) that all rows are in"),
        Column("position", "int64", "number of the sequence in the shard, from 0"),
        Column("documents", "list[int64]", "position in the shard of each row in the sequence"),
        Column("piece_offsets", "list[int64]", "where each piece begins in its row, in tokens: always 0"),
        Column("piece_lengths", "list[int32]", "number of tokens of each piece: always the whole row"),
        Column("tokens", "int64", "number of tokens of all pieces; the rest of the sequence is padding"),
    ),
    part_by="part",
    parents=("align.token_shards",),
    origins={
        "part": (),
        "data_set": ("align.token_shards.category", "align.token_shards.variant"),
        "shard": ("align.token_shards.part",),
        "documents": ("align.token_shards.position", "align.token_shards.length"),
        "*": ("align.token_shards.length",),
    },
)

_WEIGHTS = "Hugging Face folder (safetensors, config, tokenizer, chat template), relative to the root of the lake"


def _stage(name: str, number: int, description: str, before: str) -> Table:
    return model_table(
        name,
        description,
        named=f"name of the model: the recipe and the stage, for example laptop-sft-{number}",
        group="align",
        own=TRAINED,
        weights=_WEIGHTS,
        origins={
            "parents": (f"models.{before}.id",),
            "sources": (),
            "*": (f"models.{before}.uri", "align.token_shards.tokens", "align.token_shards.trained"),
        },
        example_input="align.token_shards@12",
    )


SFT_1 = _stage(
    "sft_1",
    1,
    "Models of the first supervised stage: the long-context model, trained on all conversations. The rows of the "
    "special tokens were drawn again before.",
    "long_context",
)
SFT_2 = _stage(
    "sft_2",
    2,
    "Models of the second supervised stage: trained on all conversations with tools and a part of the others.",
    "sft_1",
)
SFT_3 = _stage(
    "sft_3",
    3,
    "Models of the third supervised stage: trained on long conversations and on conversations whose thought is cut. A "
    "model of another name has seen whole thoughts in the place of the cut ones, for comparison.",
    "sft_2",
)

#: The model table of each stage, by name, in their order.
STAGES = {"sft_1": SFT_1, "sft_2": SFT_2, "sft_3": SFT_3}

TABLES = [TOKEN_SHARDS, SEQUENCES, *STAGES.values()]
