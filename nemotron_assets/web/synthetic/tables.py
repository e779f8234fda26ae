"""Tables of the texts that a language model writes about web documents."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, LANGUAGE, PARENTS, SNAPSHOT
from nemotron_assets.table.schema import Column, Table

REPHRASED = Table(
    "web",
    "rephrased",
    "English documents rephrased by a language model. One row per document and prompt (Nemotron-CC §2.4).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("prompt", "string", "name of the prompt: wikipedia, distill, extract_knowledge or knowledge_list"),
        Column("text", "string", "rephrased text: the model's answers for the document's segments, joined in order"),
        LANGUAGE,
        Column("generator", "string", "name of the language model, as in models.generator"),
        Column("generation_ids", "list[string]", "ids of the answers in llm.generations, one per segment in the text"),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.curated",),
    origins={
        "generator": ("models.generator.name",),
        "*": ("web.curated.text",),
    },
)

DIVERSE_QA = Table(
    "web",
    "diverse_qa",
    "Diverse QA: segments of English documents followed by questions and answers about them. One row per segment "
    "(Nemotron-CC §2.4).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("text", "string", "the segment, followed by question/answer pairs; blank lines separate them"),
        Column("question_count", "int32", "number of question/answer pairs in the text"),
        Column("prompt", "string", "name of the prompt: diverse_qa"),
        Column("generator", "string", "name of the language model, as in models.generator"),
        Column("generation_id", "string", "id of the answer with the pairs in llm.generations"),
        LANGUAGE,
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.curated",),
    origins={
        "generator": ("models.generator.name",),
        "*": ("web.curated.text",),
    },
)

NATIVE_QA = Table(
    "web",
    "native_qa",
    "Diverse QA in other languages: segments of pages of Wikipedia, followed by questions and answers that the model "
    "wrote in the language of the page. One row per segment; without rows unless the recipe asks for them (Nano 2 "
    "§2.2.2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("text", "string", "the segment, followed by question/answer pairs in its language"),
        Column("question_count", "int32", "number of question/answer pairs in the text"),
        Column("prompt", "string", "name of the prompt: native_qa"),
        Column("generator", "string", "name of the language model, as in models.generator"),
        Column("generation_id", "string", "id of the answer with the pairs in llm.generations"),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
        Column(
            "origin_hash",
            "string",
            "hash of the address of the page that the row was written from, as DuckDB's page_hash(url); if the page is "
            "held out from training, so is the row",
        ),
    ),
    partition_by="snapshot",
    parents=("web.multilingual",),
    origins={
        "generator": ("models.generator.name",),
        "origin_hash": ("web.multilingual.url",),
        "*": ("web.multilingual.text",),
    },
)

TRANSLATED_DIVERSE_QA = Table(
    "web",
    "translated_diverse_qa",
    "Diverse QA samples translated line by line into 15 languages. One row per sample and language that was accepted "
    "(Nemotron Nano 2 §2.2.2).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column(
            "text",
            "string",
            "the sample in the row's language; lines, code, formulas, addresses and numbers are those of the English "
            "sample",
        ),
        Column("prompt", "string", "name of the prompt: translation"),
        Column("generator", "string", "name of the language model, as in models.generator"),
        Column(
            "generation_ids", "list[string]", "ids of the accepted answers in llm.generations, one per line with words"
        ),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.diverse_qa",),
    origins={
        "language": (),
        "generator": ("models.generator.name",),
        "*": ("web.diverse_qa.text",),
    },
)

TRANSLATION_OUTCOMES = Table(
    "web",
    "translation_outcomes",
    "Outcome of the translation of every Diverse QA sample: accepted, or rejected with the reason. One row per "
    "sample and language.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("outcome", "string", "accepted (the translation is in web.translated_diverse_qa) or rejected"),
        Column(
            "reason",
            "string",
            "why the last attempt was rejected: truncated, unparsable, pieces_differ, numbers_differ, wrong_length, "
            "degenerate, copied, wrong_language, line_too_long or nothing_to_translate; null if accepted",
            nullable=True,
        ),
        Column("detail", "string", "what was found, for example the answer at fault; null if accepted", nullable=True),
        Column("lines", "int32", "number of lines of the sample, blank lines included"),
        Column("asked_lines", "int32", "number of lines with words, which the model is asked to translate"),
        Column("failed_lines", "int32", "number of lines that were still not accepted after the last attempt"),
        Column(
            "copied_lines",
            "int32",
            "number of translated lines that equal the English line or are in English; counted when all lines are "
            "there",
        ),
        Column("attempts", "int32", "number of times that lines of the sample were asked for"),
        Column(
            "detected",
            "string",
            "language that the detector found in all translated lines together, for example de; null if lines failed "
            "in every attempt",
            nullable=True,
        ),
        Column(
            "detected_score",
            "float64",
            "confidence of the detector in `detected`, 0 to 1; null if `detected` is null",
            nullable=True,
        ),
        Column("output_tokens", "int64", "number of tokens that the model wrote for the sample in all attempts"),
        Column(
            "generation_ids",
            "list[string]",
            "ids of all answers for the sample in llm.generations, in the order in which they were asked for",
        ),
    ),
    partition_by="snapshot",
    parents=("web.diverse_qa",),
    origins={
        "language": (),
        "*": ("web.diverse_qa.text",),
    },
)

TABLES = [REPHRASED, DIVERSE_QA, NATIVE_QA, TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES]
