"""Tables of the mathematics corpus: cleaned pages, scores, duplicates, contamination, and what is published."""

from __future__ import annotations

from dataclasses import replace

from nemotron_assets.math.tables import WARC_FILE
from nemotron_assets.models.columns import SCORER, model_table
from nemotron_assets.models.tables import LANGUAGE_MODEL, WEIGHTS
from nemotron_assets.table.columns import (
    CHARACTERS,
    CONTENT_HASH,
    FETCHED_AT,
    HOST,
    ID,
    LANGUAGE,
    PARENTS,
    SNAPSHOT,
    SOURCES,
    URL,
)
from nemotron_assets.table.schema import Column, Published, Table
from nemotron_assets.web.dedup import tables as dedup

CLEANED = Table(
    "math",
    "cleaned",
    "Rendered pages without navigation, by a language model or by rules; no formula and no code block is lost "
    "(Nemotron-CC-Math §2.3; math/clean.py is the guard).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        WARC_FILE,
        URL,
        HOST,
        FETCHED_AT,
        LANGUAGE,
        Column("text", "string", "the page's text with $…$ and $$…$$ formulas and fenced code blocks"),
        CHARACTERS,
        Column("formulas", "int32", "formulas in the text"),
        Column("code_blocks", "int32", "fenced code blocks in the text"),
        Column("outcomes", "list[string]", "what became of each chunk, in order; math/clean.py explains them"),
        Column("formulas_restored", "int32", "formulas and code blocks that the model had changed and were put back"),
        Column("repaired", "bool", "whether the merged text had lost something, so that the page's own text stands"),
        Column("cut_characters", "int64", "characters beyond the recipe's longest text, which are left out"),
        Column("generator", "string", "model that cleaned it; null: by rules alone", nullable=True),
        Column("generation_ids", "list[string]", "rows of llm.generations for its chunks, in their order"),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("math.rendered",),
)

SCORE = Column("score", "float64", "worth for learning mathematics, 0 to 5")
INT_SCORE = Column("int_score", "int32", "the score, rounded")

QUALITY = Table(
    "math",
    "quality",
    "The score of every cleaned page, 0 to 5 (Nemotron-CC-Math §2.4), and that of the web's first educational scorer.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        SCORE,
        INT_SCORE,
        Column("edu_score", "float64", "educational value by the scorer edu_a of the web's ensemble, 0 to 5"),
        Column("edu_int_score", "int32", "that score, rounded"),
        Column("model_id", "string", "row of models.math_scorers that gave the score"),
    ),
    partition_by="snapshot",
    parents=("math.cleaned",),
)


def _like(table: Table, description: str, **changes: object) -> Table:
    return replace(table, schema="math", description=description, parents=("math.cleaned",), **changes)


SIGNATURES = _like(
    dedup.SIGNATURES, "MinHash signature and LSH bands of every distinct cleaned page, as web.signatures has them."
)
NEAR_DUPLICATES = _like(
    dedup.NEAR_DUPLICATES, "Pairs of different cleaned pages that are alike, as web.near_duplicates has them."
)
DUPLICATES = _like(
    dedup.DUPLICATES,
    "Cleaned pages that are dropped, because one that is kept has (nearly) the same text (Nemotron-CC-Math §2.5).",
    version=1,
)

CONTAMINATION = Table(
    "math",
    "contamination",
    "Benchmark items found in rendered pages, whatever their quality, and in the snapshot's other documents: what is "
    "removed, and near misses that are kept (Nemotron-CC-Math §2.6; contamination.py says how they are found).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        SOURCES,
        URL,
        Column("removed", "bool", "whether the page is contaminated by it; else it is listed for reading only"),
        Column("benchmark", "string", "set of the item, as in evaluate.benchmarks"),
        Column("item", "string", "name of the item in its set"),
        Column("item_id", "string", "id of its row in evaluate.benchmarks"),
        Column("rule", "string", "overlap (n-grams), whole_question (a short one and its answer) or cosine"),
        Column("field", "string", "what of the item was found: question, question_choices, answer"),
        Column("matched", "int32", "n-grams of the item that the page has; words in a row for the other rules"),
        Column("of", "int32", "n-grams of the item; words of a short question; words of the passage"),
        Column("share", "float64", "matched over of"),
        Column("cosine", "float64", "likeness of the nearest passage and the item, if measured", nullable=True),
        Column("page_text", "string", "what stands in the page, at most 600 characters"),
        Column("item_text", "string", "the item's text, at most 600 characters"),
    ),
    partition_by="snapshot",
    parents=("math.rendered", "web.documents"),
)

ORIGIN_HASH = Column(
    "origin_hash", "string", "content_hash of the unique web document that the page is as well; else of its own text"
)
_METADATA = (
    Column("category", "string", "config it is published in: 3, 4plus or 4plus_MIND"),
    Column("finemath_int_scores", "int32", "score of the page, rounded"),
    Column("finemath_scores", "float64", "score of the page, 0 to 5"),
    Column("models_used", "list[string]", "language models that wrote in the text"),
    Column("nemocurator_int_scores", "int32", "educational value of the page, rounded"),
    Column("nemocurator_scores", "float64", "educational value of the page, 0 to 5"),
    Column("warc_filename", "string", "file the page came in"),
    Column("warc_id", "string", "the page's record in it, as offset:length in bytes"),
)
_PUBLISHED = ("id", "text", *(column.name for column in _METADATA))
_STRUCTS = {"metadata": tuple(column.name for column in _METADATA)}

NEMOTRON_CC_MATH = Table(
    "math",
    "nemotron_cc_math",
    "Nemotron-CC-Math as it is published: cleaned pages by score, without duplicates and contaminated pages.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        LANGUAGE,
        Column("text", "string", "the page's text"),
        CHARACTERS,
        *_METADATA,
        ORIGIN_HASH,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="category",
    parents=("math.cleaned",),
    published=Published(
        title="Nemotron-CC-Math-v1",
        columns=_PUBLISHED,
        configs_by="category",
        configs=("3", "4plus"),
        structs=_STRUCTS,
        histograms=(("math.quality", "int_score"),),
    ),
)

MIND = Table(
    "math",
    "mind",
    "Dialogues in seven styles about pages of the subset 4plus, written by a language model (MIND; Nano 2 §2.2.1).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("text", "string", "the turns of the dialogue, one a line"),
        Column("style", "string", "kind of dialogue, as teacher_student"),
        Column("chunk", "int32", "number of the chunk"),
        Column("turns", "int32", "turns of the dialogue"),
        Column("tokens", "int64", "tokens of the text"),
        Column("prompt", "string", "name of the prompt"),
        Column("generator", "string", "model that wrote it"),
        Column("generation_id", "string", "row of llm.generations it comes from"),
        *_METADATA,
        ORIGIN_HASH,
    ),
    partition_by="snapshot",
    parents=("math.nemotron_cc_math",),
    published=Published(
        title="Nemotron-CC-Math-v1: 4plus_MIND",
        columns=_PUBLISHED,
        configs_by="category",
        configs=("4plus_MIND",),
        structs=_STRUCTS,
    ),
)

MATH_WRITER = model_table(
    "math_writer",
    "The language model that cleans pages on mathematics and writes dialogues about them: the model of "
    "models.generator, or another one (published: phi-4).",
    named="name of the model, as SmolLM2-135M-Instruct",
    own=LANGUAGE_MODEL,
    weights=WEIGHTS,
    parents=("models.generator",),
)

MATH_SCORERS = model_table(
    "math_scorers",
    "The scorer of pages on mathematics, 0 to 5.",
    named="math",
    own=(
        *SCORER,
        Column("teacher", "string", "what an embedded scorer learnt from, in words; as published for a checkpoint"),
    ),
    example_input="math.cleaned@2",
)

TABLES = [
    MATH_WRITER,
    MATH_SCORERS,
    CLEANED,
    QUALITY,
    SIGNATURES,
    NEAR_DUPLICATES,
    DUPLICATES,
    CONTAMINATION,
    NEMOTRON_CC_MATH,
    MIND,
]
