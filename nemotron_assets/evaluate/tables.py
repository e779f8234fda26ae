"""Declares the tables of the evaluation: scores, bits per byte by position, and RULER items with their answers."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

MODEL = Column("model", "string", "name of the model, for example laptop-base")
MODEL_ID = Column("model_id", "string", "id of the model version, in a table of models such as models.base")
MODEL_VERSION = Column(
    "model_version", "string", "number of the model version among the models with this name: 1, 2, ..."
)
MADE = (
    Column(
        "input_versions",
        "list[string]",
        "tables that the row was computed from, each with its Delta version, for example models.base@3",
        volatile=True,
    ),
    Column("run_id", "string", "id of the Dagster run that computed the row", volatile=True),
    Column("at", "timestamp", "time when the row was computed, UTC", volatile=True),
)
#: Columns of a row about a model, and the columns of the models that they are from.
_OF_THE_MODEL = {
    "model": ("models.base.name", "models.long_context.name"),
    "model_id": ("models.base.id", "models.long_context.id"),
    "model_version": ("models.base.version", "models.long_context.version"),
}
_WEIGHTS = ("models.base.uri", "models.long_context.uri")
#: The held-out texts.
HELD_OUT_COLUMNS = (
    "web.unique_documents.text", "math.nemotron_cc_math.text", "code.curated.content", "sft.procedural.text",
)  # fmt: skip

#: The tables with the result of a model on every item.
_MEASURED = ("evaluate.item_results", "evaluate.ruler_answers", "evaluate.suite_answers")

BENCHMARK_SCORES = Table(
    schema="evaluate",
    name="benchmark_scores",
    description="Scores of model versions, each the mean over the items of a task with its 95% interval: benchmarks "
    "(lm-evaluation-harness), bits per byte of held-out texts, RULER, and the suite of procedural tasks.",
    columns=(
        ID,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column(
            "task",
            "string",
            "what the model was scored on: a benchmark (gsm8k), a kind of held-out text (held_out_code), a task of "
            "RULER (ruler_needle_single) or of the suite (suite_reverse), or ruler or suite: all tasks of it together",
        ),
        Column(
            "metric",
            "string",
            "what is measured: acc and acc_norm (the likeliest choice, also by its length), right (a written answer), "
            "instructions (the followed ones of all), bits_per_byte, or recall: the share of the right answers that an "
            "answer names",
        ),
        Column("value", "float64", "score: a share of right answers from 0 to 1, or bits per byte of UTF-8"),
        Column(
            "stderr",
            "float64",
            "standard error of the score over the samples; null if it cannot be estimated (one sample)",
            nullable=True,
        ),
        Column(
            "random_baseline",
            "float64",
            "score of guessing: 1/choices, 0 for free answers; for bits per byte: the score of a model that gives all "
            "tokens the same probability; null if unknown",
            nullable=True,
        ),
        Column("samples", "int64", "number of benchmark items or documents that were scored"),
        Column("shots", "int32", "number of worked examples in the prompt"),
        *MADE,
        Column(
            "length",
            "int64",
            "tokens of a prompt and its answer together, for a task of RULER; null for other tasks",
            nullable=True,
        ),
        Column(
            "unigram_bits_per_byte",
            "float64",
            "entropy of single bytes of the same texts: the bits per byte of the best model that ignores the order of "
            "the bytes; null if the metric is not bits_per_byte",
            nullable=True,
        ),
        Column(
            "gzip_bits_per_byte",
            "float64",
            "bits per byte that gzip -9 needs for the same texts, one after the other; null if the metric is not "
            "bits_per_byte",
            nullable=True,
        ),
        Column(
            "low",
            "float64",
            "lower end of the 95% interval of the score over the items: Wilson's for right and wrong answers, else "
            "1.96 standard errors; null if it cannot be estimated",
            nullable=True,
        ),
        Column("high", "float64", "upper end of this interval", nullable=True),
        Column("runs", "int32", "number of answers to every item; the score is the mean over them", nullable=True),
    ),
    part_by="model_id",
    version=2,
    origins={
        **{name: tuple(f"{source}.{name}" for source in _MEASURED) for name in ("model", "model_id", "model_version")},
        "task": tuple(f"{source}.task" for source in _MEASURED),
        "length": ("evaluate.ruler_answers.length",),
        "shots": ("evaluate.item_results.shots",),
        "runs": ("evaluate.item_results.run",),
        "metric": ("evaluate.item_results.metric",),
        "random_baseline": ("evaluate.item_results.guessing",),
        "unigram_bits_per_byte": ("evaluate.item_results.unigram_bits_per_byte",),
        "gzip_bits_per_byte": ("evaluate.item_results.gzip_bits_per_byte",),
        "*": ("evaluate.item_results.score", "evaluate.ruler_answers.recall", "evaluate.suite_answers.right"),
    },
)

BITS_BY_POSITION = Table(
    schema="evaluate",
    name="bits_by_position",
    description="Bits per byte of model versions by the position in long held-out documents, which are read from their "
    "beginning in one piece. A model that uses a long context needs fewer bits further on.",
    columns=(
        ID,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("first_token", "int64", "first token of the stretch of positions, counted from 0 in every document"),
        Column("last_token", "int64", "end of the stretch: the first token after it, counted from 0"),
        Column("bits_per_byte", "float64", "bits per byte of UTF-8 over the tokens of all documents in the stretch"),
        Column(
            "stderr",
            "float64",
            "standard error of bits_per_byte over the documents; null for one document",
            nullable=True,
        ),
        Column("tokens", "int64", "number of tokens in the stretch, over all documents"),
        Column("bytes", "int64", "bytes of UTF-8 of these tokens"),
        Column("documents", "int64", "number of documents that reach into the stretch"),
        Column("trained_length", "int64", "context that the model was trained for, in tokens"),
        *MADE,
    ),
    part_by="model_id",
    origins={
        **_OF_THE_MODEL,
        "first_token": (),
        "last_token": (),
        "trained_length": _WEIGHTS,
        "*": (*_WEIGHTS, *HELD_OUT_COLUMNS),
    },
)

RULER_ITEMS = Table(
    schema="evaluate",
    name="ruler_items",
    description="Questions about long prompts in the manner of RULER, made from documents of the lake: hidden numbers, "
    "chains of variables, frequent words.",
    columns=(
        ID,
        PARENTS,
        Column(
            "task",
            "string",
            "needle_single, needle_multi_key, needle_multi_value, needle_multi_query, variable_tracking, common_words "
            "or frequent_words",
        ),
        Column("length", "int64", "room for the prompt and its answer together, in tokens"),
        Column("number", "int64", "number of the item among the items of the same task and length, from 0"),
        Column("seed", "int64", "seed of the random numbers that decide what the item hides, and where"),
        Column("prompt", "string", "what the model reads"),
        Column("answers", "list[string]", "all right answers; each has the same weight in the recall"),
        Column("tokens", "int64", "length of the prompt in tokens of blend.tokenizer"),
    ),
    parents=("web.unique_documents",),
    origins={
        "task": (),
        "length": (),
        "number": (),
        "seed": (),
        "prompt": ("web.unique_documents.text",),
        "answers": ("web.unique_documents.text",),
        "tokens": ("web.unique_documents.text", "blend.tokenizer.uri"),
    },
)

RULER_ANSWERS = Table(
    schema="evaluate",
    name="ruler_answers",
    description="What model versions answered to the items of evaluate.ruler_items that fit the context they were "
    "trained for.",
    columns=(
        ID,
        Column("parents", "list[string]", "id of the item in evaluate.ruler_items"),
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("task", "string", "task of the item"),
        Column("length", "int64", "room for the prompt and its answer together, in tokens"),
        Column("item", "string", "id of the item, the same as in parents"),
        Column("answer", "string", "what the model wrote, without the end-of-text token"),
        Column("recall", "float64", "share of the right answers that the answer names, 0 to 1"),
        *MADE,
    ),
    part_by="model_id",
    parents=("evaluate.ruler_items",),
    origins={
        **_OF_THE_MODEL,
        "task": ("evaluate.ruler_items.task",),
        "length": ("evaluate.ruler_items.length",),
        "item": ("evaluate.ruler_items.id",),
        "answer": ("evaluate.ruler_items.prompt", *_WEIGHTS),
        "recall": ("evaluate.ruler_items.prompt", "evaluate.ruler_items.answers", *_WEIGHTS),
    },
)

ABLATIONS = Table(
    schema="evaluate",
    name="ablations",
    description="Results of `nemotron ablate`: one change of the recipe, models with and without it that are trained "
    "on the same number of tokens, and the difference of their scores on the same items over all seeds.",
    columns=(
        ID,
        Column("ablation", "string", "name of the ablation, for example dedup"),
        Column("question", "string", "what it asks"),
        Column("change", "string", "the changed values of the recipe: a JSON object of values by dotted names"),
        Column("model", "string", "table of the models that were trained and measured, for example models.base"),
        Column("tokens", "int64", "tokens that every model was trained on, padding included"),
        Column("seeds", "list[int64]", "seeds of the pairs of models"),
        Column(
            "task", "string",
            "what was measured: a kind of held-out text (held_out_maths), suite, or a thinking budget and how it is "
            "kept (budget 8, own)",
        ),
        Column("metric", "string", "bits_per_byte (less is better), right or well_formed: shares from 0 to 1"),
        Column("items", "int64", "number of texts or items"),
        Column("unchanged", "float64", "score without the change, mean over the seeds"),
        Column("changed", "float64", "score with the change, mean over the seeds"),
        Column("difference", "float64", "changed - unchanged"),
        Column(
            "low", "float64",
            "lower end of the 95% interval of the difference (bootstrap that draws seeds and items)",
        ),
        Column("high", "float64", "upper end of this interval"),
        Column(
            "p_value", "float64",
            "two-sided probability of such a difference of the items by chance, given these models (paired permutation "
            "test over items)",
        ),
        Column("seed_differences", "list[float32]", "changed - unchanged of each seed"),
        Column("verdict", "string", "better or worse with the change; undecided if the interval has 0 in it"),
        Column("models", "list[string]", "ids of the models without the change and then with it, by seed"),
        Column("made_again", "list[string]", "tables that the side with the change made again; it read all others"),
        *MADE,
    ),
    part_by="ablation",
    origins={"*": (*HELD_OUT_COLUMNS, "align.suite_items.question", "align.suite_items.answer")},
)  # fmt: skip

TABLES = [ABLATIONS, BENCHMARK_SCORES, BITS_BY_POSITION, RULER_ITEMS, RULER_ANSWERS]
