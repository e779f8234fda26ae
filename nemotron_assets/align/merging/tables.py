"""Declares the scores of the merged models, and the model that is used of them."""

from __future__ import annotations

from nemotron_assets.models.columns import metrics, model_table
from nemotron_assets.table.columns import ID, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

_PARENTS = ("models.dpo.uri", "models.rlhf.uri")
_ITEMS = ("align.prompts.id",)

MERGE_SCORES = Table(
    schema="align",
    name="merge_scores",
    description="Scores of the merges of two models at several shares, and of the two models themselves, on held-out "
    "prompts of every kind: one row per share and suite.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "the two models that are merged: <id>+<id>, each cut to 12 characters"),
        Column("alpha", "float64", "share of the second model; 0 and 1 are the two models themselves"),
        Column("suite", "string", "kind and domain of the prompts in align.prompts, for example verifiable/suite"),
        Column(
            "choice_score", "float64",
            "mean score of the answers to the half of the suite's prompts by which the share and the worse model are "
            "chosen, from 0 to 1; null: stored before the prompts were split in halves",
            nullable=True,
        ),
        Column("items", "int64", "number of prompts of the other half, which judges the choice"),
        Column("score", "float64", "mean score of the answers to these prompts, from 0 to 1"),
        Column("item_ids", "list[string]", "ids of the prompts in align.prompts, the same for every share"),
        Column("values", "list[float32]", "score of the answer to each of these prompts"),
        Column("worse_alpha", "float64", "0 or 1: which of the two models has the lower choice_score on this suite"),
        Column(
            "difference", "float64",
            "mean score beyond that of the worse of the two models; 0 in the row of this model",
        ),
        Column("low", "float64", "lower end of the 95% interval of the difference, bootstrapped over prompts"),
        Column("high", "float64", "upper end of the interval; below 0 the merge is worse than the worse model"),
        Column("is_used", "bool", "whether models.aligned has this share"),
        Column("unscored", "int64", "prompts that are left out because a verifier failed on the answer of a model"),
        Column("input_versions", "list[string]", "tables that were read, each with its Delta version", volatile=True),
        Column("run_id", "string", "id of the Dagster run that stored this row", volatile=True),
        Column("at", "timestamp", "time of the scoring, UTC", volatile=True),
    ),
    part_by="part",
    parents=("models.dpo", "models.rlhf"),
    origins={
        "part": ("models.dpo.id", "models.rlhf.id"),
        "alpha": (),
        "is_used": (*_PARENTS, *_ITEMS),
        "suite": ("align.prompts.kind", "align.prompts.domain"),
        "item_ids": _ITEMS,
        "*": (*_PARENTS, *_ITEMS),
    },
)  # fmt: skip

ALIGNED = model_table(
    "aligned",
    "Merges of the reasoning model and the chat model, at the share whose scores are best.",
    named="name of the model: the recipe and the stage, for example laptop-aligned",
    group="align",
    own=(
        Column("parameters", "int64", "number of parameters"),
        Column("alpha", "float64", "share of the second parent, the chat model; the rest is of the first"),
        metrics("scores of the suites at this share, on the prompts that did not choose it"),
    ),
    weights="Hugging Face folder (safetensors, config, tokenizer), relative to the root of the lake",
    origins={
        "parents": ("models.dpo.id", "models.rlhf.id"),
        "sources": (),
        "alpha": (*_PARENTS, *_ITEMS),
        "metrics": (*_PARENTS, *_ITEMS),
        "*": _PARENTS,
    },
    example_input="align.prompts@3",
)

TABLES = [MERGE_SCORES, ALIGNED]
