"""Tables of questions about code: snippets, and what a language model makes of them."""

from __future__ import annotations

from nemotron_assets.code.columns import LANGUAGE
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Published, Table

ORIGIN_HASH = Column("origin_hash", "string", "content_hash of the curated file: what is held out is so with its file")

SNIPPETS = Table(
    "code",
    "snippets",
    "Short pieces of curated code, cut where the syntax has its borders: functions, methods, statements.",
    (
        ID,
        PARENTS,
        LANGUAGE,
        Column("license", "string", "SPDX expression the file is used under"),
        Column("kind", "string", "function or statement"),
        Column("snippet", "string", "the code, without the indentation that all its lines share"),
        Column("start_line", "int64", "first line in the file's text, from 1"),
        Column("end_line", "int64", "last line in the file's text"),
        CONTENT_HASH,
        ORIGIN_HASH,
    ),
    parents=("code.curated",),
)

QA = Table(
    "code",
    "qa",
    "Programming problems inspired by snippets, and their solutions with code (Nemotron Nano 2 §2.2.2).",
    (
        ID,
        PARENTS,
        LANGUAGE,
        Column("problem", "string", "what the model asks for"),
        Column("solution", "string", "its answer: explanation and fenced code"),
        Column("code", "string", "the code of the solution, without fences; parses without errors"),
        Column("text", "string", "problem, a blank line, and solution"),
        Column("attempt", "int32", "which attempt it is, from 0"),
        Column("generator", "string", "model that wrote both"),
        Column("generation_ids", "list[string]", "rows of llm.generations: the problem's and the solution's"),
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
        Column(
            "execution",
            "string",
            "what became of the code in the sandbox: ran, failed, timed_out, exceeded (a limit) "
            "or not_run; null where the recipe runs nothing",
            nullable=True,
        ),
        Column("execution_detail", "string", "exit code and error, the limit, or why it was not run", nullable=True),
        ORIGIN_HASH,
    ),
    partition_by="language",
    parents=("code.snippets",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, Synthetic-Code", columns=("id", "text"), configs=("Synthetic-Code",)
    ),
)

TABLES = [SNIPPETS, QA]
