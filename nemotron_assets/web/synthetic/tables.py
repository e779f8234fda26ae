"""Tables of what language models write about web documents."""

from __future__ import annotations

from nemotron_assets.table import ID, PARENTS, SNAPSHOT, Column, Table
from nemotron_assets.web.columns import LANGUAGE

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
    parents=("web.unique_documents",),
)

TABLES = [DIVERSE_QA]
