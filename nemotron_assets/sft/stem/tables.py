"""Tables of science questions: the questions that models made from seeds, and all questions with their answers."""

from __future__ import annotations

from nemotron_assets.sft.columns import ORIGIN_HASH, SFT_COLUMNS
from nemotron_assets.table.columns import ID, LANGUAGE, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

_TOPIC = Column("topic", "string", "subject of the seed that the question goes back to, for example college_physics")
_MODE = Column(
    "mode", "string", "how the question differs from the one that it was made from: similar, harder or varied"
)
_ROUND = Column("round", "int32", "round of expansion that made the question, from 1")

STEM_EXPANSIONS = Table(
    "sft",
    "stem_expansions",
    "Science questions that language models made from seeds, in rounds, without near-duplicates (Nemotron Nano 2 "
    "§2.2.2).",
    (
        ID,
        PARENTS,
        SOURCES,
        Column(
            "made_from", "string", "id of the question that it was made from: of the seed, or of a row of this table"
        ),
        Column("question", "string", "the new question"),
        _TOPIC,
        _MODE,
        _ROUND,
        LANGUAGE,
        Column("prompt", "string", "name of the prompt: stem_similar, stem_harder or stem_varied"),
        Column("generator", "string", "name of the model that wrote the question"),
        Column("recipe_name", "string", "name by which the recipe asks for this model, as in models.sft_writers"),
        Column("generation_id", "string", "id of the answer in llm.generations"),
        ORIGIN_HASH,
        Column("tokens", "int64", "tokens of the question, in the generator's vocabulary"),
    ),
    parents=("sft.seeds",),
    origins={
        "generator": ("models.sft_writers.name",),
        "made_from": ("sft.seeds.id",),
        "recipe_name": ("models.sft_writers.recipe_name",),
        "mode": (),
        "round": (),
        "topic": ("sft.seeds.topic",),
        "origin_hash": (
            "sft.seeds.content_hash",
            "sft.seeds.page_hash",
        ),
        "*": ("sft.seeds.question",),
    },
)

STEM_QUESTIONS = Table(
    "sft",
    "stem_questions",
    "Science questions with answers: seeds and questions made from them, as open questions and as multiple choice with "
    "4 and with 10 options (Nemotron Nano 2 §2.2.2). One row per question, model and form.",
    (
        *SFT_COLUMNS,
        _TOPIC,
        Column("mode", "string", "how the question was made: seed, similar, harder or varied"),
        Column("round", "int32", "round of expansion that made the question; 0 for a seed"),
        Column("choices", "list[string]", "options of the question, in their order; empty for an open question"),
        Column("result", "string", "the answer alone, without a letter: the text of the right option"),
    ),
    parents=("sft.seeds", "sft.stem_expansions"),
    origins={
        "generator": ("models.sft_writers.name",),
        "topic": ("sft.seeds.topic",),
        "mode": ("sft.stem_expansions.mode",),
        "round": ("sft.stem_expansions.round",),
        "origin_hash": (
            "sft.seeds.content_hash",
            "sft.seeds.page_hash",
        ),
        "status": (),
        "*": ("sft.seeds.question", "sft.stem_expansions.question"),
    },
)

TABLES = [STEM_EXPANSIONS, STEM_QUESTIONS]
