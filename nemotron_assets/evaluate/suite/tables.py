"""Declares the tables of the suite's evaluation: answers, comparisons of the stages, and answers within budgets."""

from __future__ import annotations

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.preference.tables import DPO
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, RLHF
from nemotron_assets.align.tuning.tables import SFT_1, SFT_2, SFT_3
from nemotron_assets.compress.distilling.tables import COMPRESSED, COMPRESSED_BASE
from nemotron_assets.evaluate.tables import MADE, MODEL, MODEL_ID, MODEL_VERSION
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

#: The tables of models that answer the suite, in the order of the stages.
_STAGES = (BASE, LONG_CONTEXT, SFT_1, SFT_2, SFT_3, IFEVAL_RL, DPO, RLHF, ALIGNED, COMPRESSED_BASE, COMPRESSED)
MODELS = {table.name: table for table in _STAGES}
#: The table whose models are measured within budgets: some have learned from cut thoughts, some have not.
BUDGETED = {"sft_3": SFT_3}

_ITEM = ("align.suite_items.question", "align.suite_items.answer")


def _of(column: str, models: dict[str, Table]) -> tuple[str, ...]:
    return tuple(f"{table.full_name}.{column}" for table in models.values())


def origins_of_models(models: dict[str, Table]) -> dict[str, tuple[str, ...]]:
    """Where the columns model, model_id and model_version are from."""
    return {"model": _of("name", models), "model_id": _of("id", models), "model_version": _of("version", models)}


_TASK = Column("task", "string", "task of the item: last_word, reverse, count, ...")
_ITEM_ID = Column("item", "string", "id of the item in align.suite_items, the same as in parents")
_PARENTS = Column("parents", "list[string]", "id of the item in align.suite_items")
_GENERATION = Column("generation_id", "string", "id of the answer in llm.generations")

SUITE_ANSWERS = Table(
    schema="evaluate",
    name="suite_answers",
    description="What every model of the post-training answered to every held-out item of the suite, without a "
    "thought. The likeliest token is taken. There is a row per model version and item, for comparisons item by item.",
    columns=(
        ID,
        _PARENTS,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("stage", "string", "table of the model without its schema: base, long_context, sft_1, ..."),
        _TASK,
        _ITEM_ID,
        Column("answer", "string", "what the model wrote, without the token that ended it"),
        Column(
            "right",
            "bool",
            "whether the answer ended and is right, but for white space around and between words",
        ),
        Column("output_tokens", "int64", "tokens of the answer, with the token that ended it"),
        Column("finish_reason", "string", "stop if the model ended its answer, length if it was cut"),
        _GENERATION,
        *MADE,
    ),
    part_by="model_id",
    parents=("align.suite_items",),
    origins={
        **origins_of_models(MODELS),
        "stage": (),
        "task": ("align.suite_items.task",),
        "item": ("align.suite_items.id",),
        "right": (*_ITEM, *_of("uri", MODELS)),
        "*": ("align.suite_items.question", *_of("uri", MODELS)),
    },
)

SUITE_COMPARISONS = Table(
    schema="evaluate",
    name="suite_comparisons",
    description="Each model version in use against each model that it was made from, on the same held-out items: did a "
    "stage damage what the stage before had learned?",
    columns=(
        ID,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("stage", "string", "table of the model without its schema"),
        Column("before_model", "string", "name of the model that it was made from"),
        Column("before_id", "string", "id of the model that it was made from"),
        Column("before_stage", "string", "table of this model without its schema"),
        Column("task", "string", "task of the items, or all: the items of all tasks"),
        Column("items", "int64", "number of items that both have answered"),
        Column("before", "float64", "share of right answers before, 0 to 1"),
        Column("after", "float64", "share of right answers after, 0 to 1"),
        Column("difference", "float64", "after - before"),
        Column("low", "float64", "lower end of the 95% interval of the difference (paired bootstrap over items)"),
        Column("high", "float64", "upper end of this interval; below 0 the stage has damaged the task"),
        Column("p_value", "float64", "two-sided probability of such a difference by chance (paired permutation test)"),
        Column("gained", "int64", "items that became right"),
        Column("lost", "int64", "items that became wrong"),
        *MADE,
    ),
    origins={
        **origins_of_models(MODELS),
        "stage": (),
        "before_model": _of("name", MODELS),
        "before_id": _of("id", MODELS),
        "before_stage": (),
        "task": ("evaluate.suite_answers.task",),
        "*": ("evaluate.suite_answers.right",),
    },
)

_MODE = Column(
    "mode",
    "string",
    "own: the client of two requests cuts the thought at the budget, and the model does the rest by itself; enforced: "
    "the budget also forces and bans tokens",
)
_BUDGET = Column("budget", "int64", "tokens of thought that the model may use")

BUDGET_ANSWERS = Table(
    schema="evaluate",
    name="budget_answers",
    description="What models answered to held-out items of the suite within thinking budgets, by themselves and with "
    "the budget enforced. Models that have learned from cut thoughts stand beside models that have not.",
    columns=(
        ID,
        _PARENTS,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        _MODE,
        _BUDGET,
        _TASK,
        _ITEM_ID,
        Column("completion", "string", "thought and answer as they are after the prompt, with their tags"),
        Column("right", "bool", "whether the answer ended and is right, but for white space around and between words"),
        Column(
            "well_formed", "bool",
            "whether there is exactly one pair of thinking tags, the close after the open and in no tool call",
        ),
        Column("thought_tokens", "int64", "tokens of the thought; of an own answer, those of its text"),
        Column("answer_tokens", "int64", "tokens after it"),
        Column("closed_by", "string", "who closed the thought: model or budget"),
        Column("finish_reason", "string", "stop if the model ended its answer, length if it was cut"),
        Column("generation_ids", "list[string]", "ids of the answers in llm.generations that it is made of"),
        *MADE,
    ),
    part_by="model_id",
    parents=("align.suite_items",),
    origins={
        **origins_of_models(BUDGETED),
        "mode": (),
        "budget": (),
        "task": ("align.suite_items.task",),
        "item": ("align.suite_items.id",),
        "right": (*_ITEM, *_of("uri", BUDGETED)),
        "*": ("align.suite_items.question", *_of("uri", BUDGETED)),
    },
)  # fmt: skip

BUDGET_CONTROL = Table(
    schema="evaluate",
    name="budget_control",
    description="Accuracy, form and length of answers against the thinking budget, of models with and without cut "
    "thoughts in their training, by themselves and with the budget enforced.",
    columns=(
        ID,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("truncated", "bool", "whether the model has learned from conversations whose thought is cut"),
        _MODE,
        _BUDGET,
        Column("items", "int64", "number of items"),
        Column("accuracy", "float64", "share of right answers, 0 to 1"),
        Column("stderr", "float64", "standard error of the accuracy over the items; null for one item", nullable=True),
        Column("well_formed", "float64", "share of answers with exactly one pair of thinking tags, 0 to 1"),
        Column("thought_tokens", "float64", "mean tokens of the thought"),
        Column("answer_tokens", "float64", "mean tokens of the answer; it grows if the model goes on thinking there"),
        Column("closed_by_budget", "float64", "share of thoughts that the budget closed, 0 to 1"),
        *MADE,
    ),
    origins={
        **origins_of_models(BUDGETED),
        "truncated": ("models.sft_3.name",),
        "mode": (),
        "budget": (),
        "items": ("evaluate.budget_answers.item",),
        "accuracy": ("evaluate.budget_answers.right",),
        "stderr": ("evaluate.budget_answers.right",),
        "closed_by_budget": ("evaluate.budget_answers.closed_by",),
        "well_formed": ("evaluate.budget_answers.well_formed",),
        "*": ("evaluate.budget_answers.completion",),
    },
)

TABLES = [SUITE_ANSWERS, SUITE_COMPARISONS, BUDGET_ANSWERS, BUDGET_CONTROL]
