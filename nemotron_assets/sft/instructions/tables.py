"""Tables of instructions with responses: mathematics, code, general."""

from __future__ import annotations

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.table.schema import Column, Table

_WRITER = {"generator": ("models.sft_writers.name",), "status": ()}

MATH_SFT = Table(
    "sft",
    "math_sft",
    "Problems of mathematics with solutions, several per problem. Known answers are compared by math-verify; without "
    "one the samples vote. One row per solution (Nemotron Nano 2 data card).",
    (
        *SFT_COLUMNS,
        Column("problem_id", "string", "what all solutions of one problem share: a hash of its source"),
        Column(
            "problem_source", "string", "where the problem comes from: a set of sft.seeds, or math.nemotron_cc_math"
        ),
        Column("final_answer", "string", "the content of the box in the answer"),
        Column("known_answer", "string", "known answer of the problem; null if it has none", nullable=True),
        Column("sample", "int32", "number of the sample, from 0"),
    ),
    parents=("sft.seeds", "math.nemotron_cc_math"),
    origins={
        **_WRITER,
        "known_answer": ("sft.seeds.answer",),
        "problem_source": ("sft.seeds.seed_set",),
        "origin_hash": ("sft.seeds.content_hash", "sft.seeds.page_hash", "math.nemotron_cc_math.origin_hash"),
        "*": ("sft.seeds.question", "math.nemotron_cc_math.text"),
    },
)

CODE_SFT = Table(
    "sft",
    "code_sft",
    "Programming tasks with reasoned solutions. Code must parse; where a task has tests, the sandbox runs them. One "
    "row per solution (Nemotron-H §2.3).",
    (
        *SFT_COLUMNS,
        Column("task_source", "string", "where the task comes from: a set of sft.seeds, or code.qa"),
        Column("programming_language", "string", "programming language of the task: Python, C++, ..."),
        Column("code", "string", "the code of the answer, without its fences; it parses without errors"),
        Column("tests", "list[string]", "Python assertions that were run with the code; empty if the task has none"),
        Column("sample", "int32", "number of the sample, from 0"),
    ),
    parents=("sft.seeds", "code.qa"),
    origins={
        **_WRITER,
        "task_source": ("sft.seeds.seed_set",),
        "programming_language": ("code.qa.language", "sft.seeds.topic"),
        "language": (),
        "tests": ("sft.seeds.tests",),
        "origin_hash": ("sft.seeds.content_hash", "sft.seeds.page_hash", "code.qa.origin_hash"),
        "*": ("sft.seeds.question", "code.qa.problem"),
    },
)

GENERAL_SFT = Table(
    "sft",
    "general_sft",
    "General instructions with responses, written about curated pages and seeds, in named sets. No program can verify "
    "them: they are unverified, or a language model judges them (Nemotron Nano 2 data card).",
    (
        *SFT_COLUMNS,
        Column("instruction_set", "string", "name of the set in the recipe: general, moral, health, ..."),
        Column("grade", "int32", "grade that the judge gave, from 1 to 5; null if no judge gave one", nullable=True),
    ),
    parents=("sft.seeds", "web.curated"),
    origins={
        **_WRITER,
        "instruction_set": (),
        "origin_hash": ("sft.seeds.content_hash", "sft.seeds.page_hash", "web.curated.url"),
        "*": ("sft.seeds.text", "web.curated.text"),
    },
)

TABLES = [MATH_SFT, CODE_SFT, GENERAL_SFT]
