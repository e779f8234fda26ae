"""Tables of what SFT data is made from: seeds, and the language models that write."""

from __future__ import annotations

from nemotron_assets.models.columns import model_table
from nemotron_assets.models.tables import LANGUAGE_MODEL, WEIGHTS
from nemotron_assets.table.columns import CONTENT_HASH, ID, LANGUAGE
from nemotron_assets.table.schema import Column, Table

SEEDS = Table(
    "sft",
    "seeds",
    "Seeds of the SFT data: questions with known answers, passages, and tasks that a model is shown as examples or "
    "asked about.",
    (
        ID,
        Column("seed_set", "string", "set of the seed, the name of its file: stem_questions, passages, logical, ..."),
        Column("item", "string", "name of the seed in its file, for example mmlu-validation-astronomy-0"),
        Column("question", "string", "question or task, without its options; null for a passage", nullable=True),
        Column("choices", "list[string]", "options of the question; empty if it has none"),
        Column(
            "answer",
            "string",
            "known answer: the right option, or the result; null if no answer is known",
            nullable=True,
        ),
        Column(
            "text", "string", "passage, or the facts that the question is about; null if there is none", nullable=True
        ),
        Column("topic", "string", "subject or kind of the seed, for example high_school_physics; may be empty"),
        Column("tests", "list[string]", "Python assertions that a solution of a programming task must pass"),
        LANGUAGE,
        Column("source", "string", "where the seed comes from, for example ARC-Easy validation"),
        Column("licence", "string", "SPDX expression of the licence of the seed; may be empty"),
        Column("url", "string", "address of the page that the seed was taken from; null if it has none", nullable=True),
        CONTENT_HASH,
        Column(
            "page_hash",
            "string",
            "hash of the address of the page that the seed was taken from, as DuckDB's page_hash(url), or of a page "
            "that web.duplicates has in its place, whichever is held out first; null if it has no address",
            nullable=True,
        ),
    ),
    origins={"page_hash": ("web.documents.url", "web.duplicates.duplicate_of")},
)

SFT_WRITERS = model_table(
    "sft_writers",
    "The language models that write and judge SFT data: the model of models.generator, and others that the recipe "
    "names (published: DeepSeek-R1, DeepSeek-V3, Qwen3-30B-A3B, Qwen3-235B-A22B and more).",
    named="name of the model, as SmolLM2-135M-Instruct",
    group="generators",
    own=(*LANGUAGE_MODEL, Column("recipe_name", "string", "name by which the recipe asks for the model: generator")),
    weights=WEIGHTS,
    origins={
        "name": ("models.generator.name",),
        "uri": ("models.generator.uri",),
        "sha256": ("models.generator.sha256",),
        "parameters": ("models.generator.parameters",),
        "dtype": ("models.generator.dtype",),
        "parents": ("models.generator.parents",),
    },
)

TABLES = [SEEDS, SFT_WRITERS]
