"""Tables of what language models write about web documents."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, LANGUAGE, PARENTS, SNAPSHOT
from nemotron_assets.table.schema import Column, Table

REPHRASED = Table(
    "web",
    "rephrased",
    "English documents in other words, one row per document and prompt (Nemotron-CC §2.4).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("prompt", "string", "wikipedia, distill, extract_knowledge or knowledge_list"),
        Column("text", "string", "what the model wrote about the document's segments, joined in their order"),
        LANGUAGE,
        Column("generator", "string", "model that wrote it"),
        Column("generation_ids", "list[string]", "rows of llm.generations it is joined from, one per segment"),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.curated",),
)

DIVERSE_QA = Table(
    "web",
    "diverse_qa",
    "Segments of English documents followed by questions and answers about them (Diverse QA, Nemotron-CC §2.4).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("text", "string", "the segment, a blank line, and the question/answer pairs"),
        Column("question_count", "int32", "pairs in the text"),
        Column("prompt", "string", "name of the prompt"),
        Column("generator", "string", "model that wrote the pairs"),
        Column("generation_id", "string", "row of llm.generations the pairs come from"),
        LANGUAGE,
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.curated",),
)

TRANSLATED_DIVERSE_QA = Table(
    "web",
    "translated_diverse_qa",
    "Diverse QA samples translated line by line into 15 languages (Nemotron Nano 2 §2.2.2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("text", "string", "the sample in this language: same lines, same code, formulas, addresses, numbers"),
        Column("prompt", "string", "name of the prompt"),
        Column("generator", "string", "model that translated"),
        Column("generation_ids", "list[string]", "rows of llm.generations, one per translated line, in their order"),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.diverse_qa",),
)

TRANSLATION_OUTCOMES = Table(
    "web",
    "translation_outcomes",
    "What became of every sample in every language: translated, or the reason why not (web/synthetic/translate.py).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("outcome", "string", "accepted or rejected"),
        Column("reason", "string", "why it was rejected after the last attempt, in snake_case", nullable=True),
        Column("detail", "string", "the reason in words", nullable=True),
        Column("lines", "int32", "lines of the sample, blank ones as well"),
        Column("asked_lines", "int32", "lines with words, which the model was asked to translate"),
        Column("failed_lines", "int32", "lines that had not passed after the last attempt"),
        Column("copied_lines", "int32", "lines that came back as they were or in English, when the sample was judged"),
        Column("attempts", "int32", "times that lines of it were asked for"),
        Column("detected", "string", "language found when the sample was judged; null if lines failed", nullable=True),
        Column("detected_score", "float64", "the detector's confidence, 0 to 1", nullable=True),
        Column("output_tokens", "int64", "tokens the model wrote for it in all attempts"),
        Column("generation_ids", "list[string]", "rows of llm.generations asked for it, in the order of asking"),
    ),
    partition_by="snapshot",
    parents=("web.diverse_qa",),
)

TABLES = [REPHRASED, DIVERSE_QA, TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES]
