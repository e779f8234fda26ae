"""Tables of questions about code: snippets, and the problems and solutions that a language model writes about them."""

from __future__ import annotations

from nemotron_assets.code.columns import LANGUAGE
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Published, Table

ORIGIN_HASH = Column(
    "origin_hash",
    "string",
    "content_hash of the curated file that the row comes from; if this file is held out from training, so is the row",
)

SNIPPETS = Table(
    "code",
    "snippets",
    "Short pieces of curated files, cut along the syntax: whole functions, methods or statements.",
    (
        ID,
        PARENTS,
        LANGUAGE,
        Column("license", "string", "SPDX expression of the licence that the file is used under"),
        Column("kind", "string", "function (also a method) or statement"),
        Column("snippet", "string", "the code, without the indentation that all its lines share"),
        Column("start_line", "int64", "number of the first line in the file, from 1"),
        Column("end_line", "int64", "number of the last line in the file"),
        CONTENT_HASH,
        ORIGIN_HASH,
    ),
    parents=("code.curated",),
    origins={
        "origin_hash": ("code.curated.content_hash",),
        "*": ("code.curated.content",),
    },
)

QA = Table(
    "code",
    "qa",
    "Programming problems inspired by snippets, with solutions; both written by a model (Nemotron Nano 2 §2.2.2).",
    (
        ID,
        PARENTS,
        LANGUAGE,
        Column("problem", "string", "the programming problem that the model wrote"),
        Column("solution", "string", "the model's answer to the problem: an explanation and code between fences"),
        Column("code", "string", "the code of the solution, without the fences; it parses without errors"),
        Column("text", "string", "the problem, a blank line and the solution"),
        Column("attempt", "int32", "number of the attempt that gave this row, from 0"),
        Column("generator", "string", "name of the model that wrote the problem and the solution"),
        Column(
            "generation_ids", "list[string]", "ids in llm.generations: first that of the problem, then the solution's"
        ),
        Column("tokens", "int64", "number of tokens of the text, in the vocabulary of the generator"),
        Column(
            "execution",
            "string",
            "result of running the code in the sandbox: ran (exit code 0), failed, timed_out, exceeded (a limit other "
            "than time) or not_run; null: the recipe does not run code",
            nullable=True,
        ),
        Column(
            "execution_detail",
            "string",
            "exit code and error ('exit code 1: NameError'), the limit that was exceeded, or why the code was not run; "
            "null: the recipe does not run code",
            nullable=True,
        ),
        ORIGIN_HASH,
    ),
    partition_by="language",
    parents=("code.snippets",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, Synthetic-Code", columns=("id", "text"), configs=("Synthetic-Code",)
    ),
    origins={
        "generator": ("models.generator.name",),
        "attempt": (),
        "*": ("code.snippets.snippet",),
    },
)

TABLES = [SNIPPETS, QA]
