"""Tables of the mathematics corpus: cleaned pages, scores, duplicates, contamination, published pages, dialogues."""

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
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import NEAR_DUPLICATES as WEB_NEAR_DUPLICATES
from nemotron_assets.web.dedup.tables import SIGNATURES as WEB_SIGNATURES

CLEANED = Table(
    "math",
    "cleaned",
    "Rendered pages from which a language model or rules removed navigation. No formula and no code block of a page is "
    "lost (Nemotron-CC-Math §2.3).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        WARC_FILE,
        URL,
        HOST,
        FETCHED_AT,
        LANGUAGE,
        Column("text", "string", "the page's cleaned text, with formulas as $…$ or $$…$$ and code in fenced blocks"),
        CHARACTERS,
        Column("formulas", "int32", "number of formulas in the text"),
        Column("code_blocks", "int32", "number of fenced code blocks in the text"),
        Column(
            "outcomes",
            "list[string]",
            "what became of each chunk of the page, in order: kept (the model's text), restored (the model's text with "
            "changed formulas put back), empty (left out), rules (not given to the model), or rules_ with the reason "
            "why the model's text was not used",
        ),
        Column(
            "formulas_restored",
            "int32",
            "number of formulas and code blocks that the model had changed and that were put back",
        ),
        Column(
            "repaired",
            "bool",
            "true if the joined chunks lacked a formula or code block, so that the page was cleaned by rules instead",
        ),
        Column("cut_characters", "int64", "characters cut off the end of the text, beyond the recipe's longest length"),
        Column(
            "generator",
            "string",
            "name of the model that wrote at least one chunk of the text; null if rules alone cleaned the page",
            nullable=True,
        ),
        Column(
            "generation_ids",
            "list[string]",
            "ids of the model's answers in llm.generations, in the order of the chunks; empty if it was not asked",
        ),
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("math.rendered",),
    origins={
        "generator": ("models.math_writer.name",),
        "*": ("math.rendered.text",),
    },
)

SCORE = Column("score", "float64", "how useful the page is for learning mathematics, 0 to 5, by a trained scorer")
INT_SCORE = Column("int_score", "int32", "the column score, rounded to 0, 1, 2, 3, 4 or 5")

QUALITY = Table(
    "math",
    "quality",
    "Scores of every cleaned page: how useful it is for learning mathematics (Nemotron-CC-Math §2.4), and its "
    "educational value by the first scorer of the web pipeline.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        SCORE,
        INT_SCORE,
        Column("edu_score", "float64", "educational value of the page, 0 to 5, by scorer edu_a of the web pipeline"),
        Column("edu_int_score", "int32", "the column edu_score, rounded to 0, 1, 2, 3, 4 or 5"),
        Column("model_id", "string", "id of the scorer that gave the column score, in models.math_scorers"),
    ),
    partition_by="snapshot",
    parents=("math.cleaned",),
    origins={
        "model_id": ("models.math_scorers.id",),
        "score": ("math.cleaned.text", "models.math_scorers.uri"),
        "int_score": ("math.cleaned.text", "models.math_scorers.uri"),
        "*": ("math.cleaned.text", "models.quality_scorers.uri"),
    },
)


def _like(table: Table, description: str, **changes: object) -> Table:
    """A table of the web's deduplication as a table of `math`, made from cleaned pages."""
    origins = {
        column: tuple(name.replace("web.documents", "math.cleaned").replace("web.", "math.") for name in names)
        for column, names in table.origins.items()
    }
    parents = ("math.cleaned",)
    return replace(table, schema="math", description=description, parents=parents, origins=origins, **changes)


SIGNATURES = _like(
    WEB_SIGNATURES, "MinHash signature and LSH bands of every distinct cleaned page, in the form of web.signatures."
)
NEAR_DUPLICATES = _like(
    WEB_NEAR_DUPLICATES, "Pairs of different cleaned pages with similar texts, in the form of web.near_duplicates."
)
DUPLICATES = _like(
    WEB_DUPLICATES,
    "Cleaned pages that are dropped because a kept page has the same or nearly the same text (Nemotron-CC-Math §2.5).",
    version=1,
)

CONTAMINATION = Table(
    "math",
    "contamination",
    "Benchmark items found in rendered pages of any quality and in the snapshot's other web documents: one row per "
    "page and item. A page with removed = true is left out of the corpus; the other rows are near misses "
    "(Nemotron-CC-Math §2.6).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        SOURCES,
        URL,
        Column("removed", "bool", "true if the page counts as contaminated by the item; false for a near miss"),
        Column("benchmark", "string", "name of the item's benchmark in evaluate.benchmarks, such as gsm8k"),
        Column("item", "string", "name of the item in its benchmark, such as gsm8k-test-17"),
        Column("item_id", "string", "id of the item's row in evaluate.benchmarks"),
        Column(
            "rule",
            "string",
            "rule that found the item: overlap (common n-grams of words), whole_question (a short question with its "
            "answer) or cosine (a passage with a similar embedding)",
        ),
        Column("field", "string", "part of the item that was found: question, question_choices or answer"),
        Column(
            "matched",
            "int32",
            "overlap: n-grams of the item that the page has; whole_question: words of the question; cosine: words in a "
            "row that passage and item share, or 0",
        ),
        Column(
            "of",
            "int32",
            "what matched is compared with: n-grams of the item (overlap), words of the question (whole_question), "
            "words of the passage (cosine)",
        ),
        Column("share", "float64", "`matched` / `of`: share of the item's text that was found in the page, 0 to 1"),
        Column(
            "cosine",
            "float64",
            "cosine similarity of the passage and the item; null for the rules overlap and whole_question",
            nullable=True,
        ),
        Column("page_text", "string", "the text of the page in which the item was found, at most 600 characters"),
        Column("item_text", "string", "the text of the item, at most 600 characters"),
    ),
    partition_by="snapshot",
    parents=("math.rendered", "web.documents"),
    origins={
        "benchmark": ("evaluate.benchmarks.benchmark",),
        "item": ("evaluate.benchmarks.item",),
        "item_id": ("evaluate.benchmarks.id",),
        "page_text": ("math.rendered.text", "web.documents.text"),
        "*": ("math.rendered.text", "web.documents.text", "evaluate.benchmarks.question", "evaluate.benchmarks.answer"),
    },
)

ORIGIN_HASH = Column(
    "origin_hash",
    "string",
    "hash of the address of the page, or of a page that it duplicates, as DuckDB's page_hash(url); decides whether the "
    "text is held out",
)
_METADATA = (
    Column("category", "string", "subset in which the row is published: 3, 4plus or 4plus_MIND"),
    Column("finemath_int_scores", "int32", "usefulness of the page for learning mathematics, rounded, 0 to 5"),
    Column("finemath_scores", "float64", "usefulness of the page for learning mathematics, 0 to 5"),
    Column("models_used", "list[string]", "names of the language models that wrote in the text; empty if none did"),
    Column("nemocurator_int_scores", "int32", "educational value of the page, rounded, 0 to 5"),
    Column("nemocurator_scores", "float64", "educational value of the page, 0 to 5"),
    Column("warc_filename", "string", "path of the page's WARC file in the crawl, or short name of the ingested file"),
    Column("warc_id", "string", "place of the page's record in its WARC file, as offset:length in bytes"),
)
_PUBLISHED = ("id", "text", *(column.name for column in _METADATA))
_STRUCTS = {"metadata": tuple(column.name for column in _METADATA)}

NEMOTRON_CC_MATH = Table(
    "math",
    "nemotron_cc_math",
    "Nemotron-CC-Math as published: cleaned pages with a high score, without duplicates and contaminated pages.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        LANGUAGE,
        Column("text", "string", "the page's cleaned text, with formulas as $…$ or $$…$$ and code in fenced blocks"),
        CHARACTERS,
        *_METADATA,
        ORIGIN_HASH,
        Column(
            "origin_hashes",
            "list[string]",
            "hashes of all these addresses, origin_hash first: the text is trained on if no address is held out, and "
            "measured if all are; null in rows that an older version of the program wrote",
            nullable=True,
        ),
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
    origins={
        "category": ("math.quality.int_score",),
        "finemath_int_scores": ("math.quality.int_score",),
        "finemath_scores": ("math.quality.score",),
        "models_used": ("math.cleaned.generator",),
        "nemocurator_int_scores": ("math.quality.edu_int_score",),
        "nemocurator_scores": ("math.quality.edu_score",),
        "warc_filename": ("math.cleaned.warc_file",),
        "warc_id": ("math.candidate_pages.warc_offset", "math.candidate_pages.warc_length"),
        "origin_hash": ("math.cleaned.url", "web.documents.url"),
        "origin_hashes": ("math.cleaned.url", "web.documents.url"),
    },
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
        Column("text", "string", "the dialogue, one turn per line, each with the name of its speaker before a colon"),
        Column(
            "style",
            "string",
            "style of the dialogue: two_professors, teacher_student, two_students, interview, problem_solving, "
            "layman_expert or debate",
        ),
        Column("chunk", "int32", "number of the chunk of the page that the dialogue is about, from 0"),
        Column("turns", "int32", "number of turns of the dialogue"),
        Column("tokens", "int64", "length of the text in tokens of the model that wrote it"),
        Column("prompt", "string", "name of the prompt: mind_ and the style"),
        Column("generator", "string", "name of the model that wrote the dialogue"),
        Column("generation_id", "string", "id of the model's answer in llm.generations"),
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
    origins={
        "style": (),
        "generator": ("models.math_writer.name",),
        "*": ("math.nemotron_cc_math.text",),
    },
)

MATH_WRITER = model_table(
    "math_writer",
    "The language model that cleans pages on mathematics and writes dialogues about them: the model of "
    "models.generator, or another one (published: phi-4).",
    named="name of the model, as SmolLM2-135M-Instruct",
    group="generators",
    own=LANGUAGE_MODEL,
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

MATH_SCORERS = model_table(
    "math_scorers",
    "The scorer of pages on mathematics, 0 to 5.",
    named="math",
    group="math",
    own=(
        *SCORER,
        Column(
            "teacher", "string", "what the scorer was trained to imitate; 'as published' for a downloaded checkpoint"
        ),
    ),
    example_input="math.cleaned@2",
    origins={
        "*": ("math.cleaned.text",),
    },
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
