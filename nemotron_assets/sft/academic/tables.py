"""Tables of academic documents, of questions about their passages, and of long documents with questions."""

from __future__ import annotations

from nemotron_assets.recipe.sft.layouts import TABLES as TEXTS
from nemotron_assets.sft.columns import ORIGIN_HASH, SFT_COLUMNS
from nemotron_assets.table.columns import CHARACTERS, ID, LANGUAGE, PARENTS, SNAPSHOT, SOURCES
from nemotron_assets.table.schema import Column, Table

_SUBJECT = Column("subject", "string", "subject of the document: mathematics, physics, chemistry, biology or medicine")
_LEVEL = Column("level", "string", "what a reader must have learned before: school, undergraduate or graduate")
_QUESTION_TEXTS = ("sft.academic_documents.text",)

ACADEMIC_DOCUMENTS = Table(
    "sft",
    "academic_documents",
    "Documents that teach mathematics, physics, chemistry, biology or medicine, as a language model labels them. "
    "Held-out documents are not among them (Nano 2 §2.2.2).",
    (
        ID,
        PARENTS,
        SOURCES,
        SNAPSHOT,
        LANGUAGE,
        Column("text", "string", "the text of the document, as in its source table"),
        CHARACTERS,
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
        _SUBJECT,
        _LEVEL,
        Column("quality", "float64", "educational quality, 0 to 5: the score of the source table, else the model's"),
        Column("quality_by", "string", "what gave the quality: a column of the source table, or the name of the model"),
        Column("prompt", "string", "name of the prompt: academic_labels"),
        Column("generator", "string", "name of the model that labelled the document, as in models.generator"),
        Column("generation_id", "string", "id of the labels in llm.generations"),
        ORIGIN_HASH,
    ),
    parents=tuple(TEXTS),
    origins={
        "generator": ("models.generator.name",),
        "quality": ("math.nemotron_cc_math.nemocurator_scores", *(f"{name}.text" for name in TEXTS)),
        "origin_hash": tuple(f"{name}.{layout.origin}" for name, layout in TEXTS.items()),
        "*": tuple(f"{name}.text" for name in TEXTS),
    },
)

ACADEMIC_QA = Table(
    "sft",
    "academic_qa",
    "Questions about passages of academic documents: multiple choice and free response, with an answer and its "
    "justification (Nano 2 §2.2.2).",
    (
        *SFT_COLUMNS,
        Column("kind", "string", "kind of the question: multiple_choice or free_response"),
        _SUBJECT,
        _LEVEL,
        Column("passage", "int32", "number of the snippet that the question is about, in its document, from 0"),
        Column("options", "list[string]", "options in the order of the question; empty for a free response"),
        Column("final_answer", "string", "the right option, or the short answer of a free response"),
        Column("justification", "string", "why the answer is right, as the model wrote it"),
        Column(
            "snippets",
            "list[string]",
            "further snippets that the prompt showed, the most similar ones of other documents: id of the document, "
            "a colon, and the number of the snippet",
        ),
        Column("similarities", "list[float32]", "cosine similarity of each snippet and the passage, in the same order"),
    ),
    parents=("sft.academic_documents",),
    origins={
        "generator": ("models.generator.name",),
        **dict.fromkeys(("subset", "category", "kind"), ()),
        "*": _QUESTION_TEXTS,
    },
)

LONGDOC_QA = Table(
    "sft",
    "longdoc_qa",
    "Long academic documents, each followed by questions about some of its pieces and their answers: a model must look "
    "back across the document (Nano 2 §2.6).",
    (
        *SFT_COLUMNS,
        _SUBJECT,
        _LEVEL,
        Column("document_tokens", "int64", "tokens of the document, without the questions"),
        Column("pieces", "list[int32]", "numbers of the pieces that the questions are about, in order, from 0"),
        Column("questions", "list[string]", "the questions, in the order of the pieces"),
        Column("answers", "list[string]", "the answer to each question"),
    ),
    parents=("sft.academic_documents",),
    origins={
        "generator": ("models.generator.name",),
        **dict.fromkeys(("subset", "category"), ()),
        "*": _QUESTION_TEXTS,
    },
)

TABLES = [ACADEMIC_DOCUMENTS, ACADEMIC_QA, LONGDOC_QA]
