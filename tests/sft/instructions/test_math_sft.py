"""Problems of mathematics with solutions: known answers decide, samples vote without one, nothing poisoned is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest

from nemotron_assets.grading.verdict import Verdict
from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.sft.answers import Fault
from nemotron_assets.sft.instructions import problems
from nemotron_assets.sft.instructions.assets import math_sft
from nemotron_assets.sft.instructions.checks import math_rows_are_sound
from nemotron_assets.sft.instructions.solutions import SolutionWriter, boxed
from nemotron_assets.sft.instructions.tables import MATH_SFT
from nemotron_assets.sft.tallies import Tally
from tests.sft.bench import POISON, PROVEN, RECIPE, Bench, Canned, asked, home, poisoned, seed_rows
from tests.sql.lake import frame

MATH = RECIPE.sft.instructions.math
PAGE = {"id": "page", "origin_hash": "f" * 32, "snapshot": "CC-MAIN-2024-51", "language": "en", "category": "3",
        "text": "The area of a triangle is half of the product of its base and its height."}  # fmt: skip
PROBLEM = "A triangle has a base of 6 cm and a height of 5 cm. What is its area in square centimetres?"
SEEDS = [seed for seed in seed_rows() if seed["seed_set"] == "math_problems"]
TRUTHS = {seed["question"]: seed["answer"] for seed in seed_rows() if seed["question"] and seed["answer"]}
KIN = {**POISON, "boxed": "\\boxed{8}", "two boxes": "<think>\nSo\n</think>\n\n\\boxed{3} or \\boxed{251}",
       "boxed status": "<think>\nIt is so\n</think>\n\nThe answer is \\boxed{status: verified}.",
       "dots": "<think>\nIt is so\n</think>\n\nThe answer is \\boxed{…}.",
       "open box": "<think>\nIt is so\n</think>\n\nThe answer is \\boxed{251."}  # fmt: skip


class Equal:
    """A grader that compares the boxes as text, and has no verdict about "x?"."""

    def grade(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]:
        for answer, known in pairs:
            said = boxed(answer)
            outcome = "error" if said == "x?" else "right" if said == known else "wrong"
            yield Verdict(outcome, "equality", None if outcome == "right" else "it differs")


def student(body: dict) -> str:
    """Knows all answers of seeds but those to questions about marbles; of the page's problem one sample is wrong."""
    text = asked(body)
    if text.startswith("Below is a text"):
        return f"Problem: {PROBLEM}"
    problem = text.split("Problem:\n")[1]
    right = TRUTHS.get(problem, "15" if body.get("sample", 0) else "30")
    right = "1" if "marbles" in problem else right.strip("$ ")
    thought = f"Sample {body.get('sample', body.get('seed'))} computes step by step."
    return f"<think>\n{thought}\n</think>\n\nThe answer is \\boxed{{{right}}}."


def written(answer, grader=Equal(), pages=(PAGE,), recipe=MATH) -> tuple[list[dict], Tally]:
    tally = Tally()
    return list(SolutionWriter(recipe, Canned(answer), grader, tally).rows(SEEDS, list(pages))), tally


def test_known_answers_decide_and_samples_vote_without_one():
    rows, _ = written(student, recipe=MATH.model_copy(update={"max_seeds": None}))
    by_problem = {}
    for row in rows:
        by_problem.setdefault(row["question"], set()).add((row["status"], row["verified_by"]))
        assert (
            row["text"] == f"input: {row['question']}\noutput: <think>\n{row['reasoning']}\n</think>\n\n{row['answer']}"
        )
        assert row["subset"] == "MATH" and row["category"] == "stem-sft" and row["final_answer"] in row["answer"]
    assert by_problem.pop(PROBLEM) == {("majority", "2 of 3 samples"), ("failed", None)}
    marbles = next(question for question in by_problem if "marbles" in question)
    assert by_problem.pop(marbles) == {("failed", None)}
    assert len(by_problem) == 9 and set.union(*by_problem.values()) == {("verified", "equality")}


def test_a_grader_without_a_verdict_leaves_a_row_unverified():
    rows, _ = written(lambda body: "<think>\nIt is unclear to me\n</think>\n\nThe answer is \\boxed{x?}.", pages=())
    assert {row["status"] for row in rows} == {"unverified"} and "gave no verdict" in rows[0]["status_detail"]


def test_equal_solutions_are_stored_once():
    rows, tally = written(lambda body: "<think>\nIt is plain.\n</think>\n\nThe answer is \\boxed{251}.", pages=())
    assert len(rows) == 5 and tally.rejected["math_solution", "duplicate"] == 10


@pytest.mark.parametrize("name", KIN)
def test_poisoned_solutions_prove_nothing(name):
    def answer(body: dict) -> object:
        return f"Problem: {PROBLEM}" if asked(body).startswith("Below is a text") else KIN[name]

    rows, tally = written(answer)
    assert not {row["status"] for row in rows} & set(PROVEN) and tally.rejected


@pytest.mark.parametrize("name", POISON)
def test_poisoned_problems_are_rejected(name):
    bad = poisoned(name)
    rows, tally = written(lambda body: bad(body) if asked(body).startswith("Below is a text") else student(body))
    assert "page" not in {parent for row in rows for parent in row["parents"]}
    assert sum(number for (prompt, _), number in tally.rejected.items() if prompt == "math_problem") == 1


@pytest.mark.parametrize(
    ("answer", "content"),
    [("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"), ("so \\boxed{7}.", "7"), ("7", None), ("\\boxed{7", None),
     ("\\boxed{}", None), ("\\boxed{3} or \\boxed{4}", None), ("\\boxed{\\{1\\}}", "\\{1\\}")],
)  # fmt: skip
def test_an_answer_has_one_box(answer, content):
    assert boxed(answer) == content


@pytest.mark.parametrize(
    ("seed", "answer"),
    [
        ({"question": "How much?", "answer": "$31", "choices": ["$31", "$2"]}, "31"),
        ({"question": "Which of the following is prime?", "answer": "31", "choices": ["31", "32"]}, None),
        ({"question": "What?", "answer": "a cat", "choices": ["a cat", "a dog"]}, None),
        ({"question": "What?", "answer": "x + 1", "choices": []}, "x + 1"),
        ({"question": "What?", "answer": None, "choices": []}, None),
    ],
)
def test_which_seeds_are_problems(seed, answer):
    assert problems.known_answer(seed) == answer


@pytest.mark.parametrize(
    "text",
    [
        "No mark",
        "Problem: short?",
        "Problem: A text about triangles and their areas.",
        f"Problem: {PROBLEM} Answer: 15",
        f"Problem: {PROBLEM} Problem:",
    ],
)
def test_what_is_not_a_problem_is_rejected(text):
    assert isinstance(problems.parse(text), Fault)


def test_the_asset_verifies_with_math_verify(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer)
        bench.lake.write(NEMOTRON_CC_MATH, frame(NEMOTRON_CC_MATH, [PAGE]), PAGE["snapshot"])

        def answer(body: dict) -> str:
            return re.sub(r"boxed\{(\d+)\}", r"boxed{2 \\cdot \1/2}", student(body))

        bench.run([math_sft], [math_rows_are_sound], answer, (NEMOTRON_CC_MATH,))
        rows = bench.rows(MATH_SFT)
        assert bench.checks["math_rows_are_sound"].passed, bench.checks["math_rows_are_sound"].metadata
        known = rows.filter(rows["known_answer"].is_not_null() & ~rows["question"].str.contains("marbles"))
        assert set(known["status"]) == {"verified"} and set(known["verified_by"]) == {"math-verify"}
        about = rows.filter(rows["problem_source"] == "math.nemotron_cc_math")
        assert set(about["status"]) == {"majority"} and about["parents"].to_list()[0] == ["page"]
        assert about["origin_hash"][0] == PAGE["origin_hash"] and len(about["generation_ids"][0]) == 2
        assert bench.made["math_sft"]["verified"] == known.height
