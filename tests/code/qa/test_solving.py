"""Good, careless and hostile answers become rows or rejects; code may have any form, as in the published recipe."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.qa.solving import QuestionWriter, text_of
from nemotron_assets.generation import code_blocks
from nemotron_assets.grading.execution import Executor
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.code.qa import LANGUAGES
from resources.generations import Completion
from tests.code.qa.codes import CODES
from tests.resources.sandbox.programs import sandboxed

PUBLISHED = load_recipe("nano2").code.qa
PROBLEM = "Two whole numbers are given.\n\n- Return their sum.\n- Negative numbers are allowed."
ITEM = {
    "benchmark": "humaneval", "item": "HumanEval/999", "answer": "    return sorted(set(numbers))[-2]\n",
    "question": 'def second(numbers: list[int]) -> int:\n    """ Return the second largest of the different numbers in '
    'a list that holds at least two of them.\n    >>> second([1, 3, 3, 2])\n    2\n    """\n',
}  # fmt: skip


class Canned:
    """A writer that gives the same answer to every request of a kind."""

    name, window = "canned", 8_192

    def __init__(self, problem, solution, finish_reason="stop", tokens=50):
        self.problem, self.solution, self.finish_reason, self.tokens = problem, solution, finish_reason, tokens
        self.asked = []

    def count(self, texts):
        return [len(text) // 4 for text in texts]

    def prompt_tokens(self, request):
        return 100

    def ask(self, requests):
        for request in requests:
            self.asked.append(request)
            text = self.problem if "Below is a snippet" in request.messages[-1][1] else self.solution
            yield Completion(f"g{len(self.asked)}", request, text, 100, self.tokens, self.finish_reason, True)


def solved(language, solution, problem=PROBLEM, recipe=PUBLISHED, snippets=1, **canned):
    """Rows, rejects, and the tally for some snippets of a language."""
    frame = pl.LazyFrame(
        [
            {
                "id": f"s{n}",
                "language": language,
                "snippet": CODES[language],
                "content_hash": f"{n}",
                "origin_hash": "o",
            }
            for n in range(snippets)
        ]
    )
    rejects, items, executor = [], Items([ITEM], recipe), Executor(recipe.execution, language)
    twice = recipe.model_copy(update={"attempts": 2})
    questions = QuestionWriter(language, Canned(problem, solution, **canned), twice, items, executor)
    made = list(questions.rows(frame, rejects.append))
    for row in made:  # as the check of the table does
        assert code_blocks.extract_code(row["text"], language) == row["code"] and not code_blocks.syntax_problem(
            row["code"], language
        )
        assert row["text"] == text_of(row["problem"], row["solution"])
    return made, rejects, questions.tally


@pytest.mark.parametrize("language", LANGUAGES)
def test_free_answers_become_rows(language):
    fence, code = code_blocks.FENCES[language][0], CODES[language]
    for answer in (
        f"Both are added.\n\n```{fence}\n{code}\n```\n\n1. It takes constant time.\n2. Nothing else is needed.",
        f"Both are added.\r\n\r\n```{fence}\r\n{code.replace(chr(10), chr(13) + chr(10))}\r\n```",
        f"First:\n\n~~~{fence} title=x\n{code}\n~~~\n\nIt prints:\n\n```\n3\n```\n\nRun it:\n\n```sh\nrun x\n```",
        f"1. Add both.\n\n   ````{fence.upper()}\n   {code.replace(chr(10), chr(10) + '   ')}\n   ````",
    ):
        (row,), rejects, _ = solved(language, answer)
        assert row["code"].split() == code.split() and not rejects
        assert row["execution"] is None and row["execution_detail"] is None  # published: not executed


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("There is no code.", "no_code"),
        ("```python\ndef f():\n    return 1", "no_code"),
        ("```javascript\nfunction f() {}\n```", "no_code"),
        ("```python\ndef f(:\n    return 1\n```", "syntax_error"),
        ("```python\n# only a remark about what could be here\n```", "syntax_error"),
        ("```python\nx = '\0' + 'some more text'\n```", "syntax_error"),
        ("```python\n" + "(" * 200_000 + "\n```", "syntax_error"),
        ("```python\nx = 1\n```", "too_short"),
        ("```\n" * 100_001, "no_code"),
        (f"The list is sorted.\n\n```python\n{ITEM['question']}{ITEM['answer']}```", "contaminated"),
    ],
)
def test_bad_answers_are_rejected_with_their_cause(answer, cause):
    made, (reject,), tally = solved("Python", answer)
    assert not made and reject.cause == cause and reject.row_id == "s0" and "attempt 2" in reject.detail
    assert tally.rejected == Counter({cause: 2})
    assert len(reject.detail) < 600
    if cause == "contaminated":
        assert "humaneval HumanEval/999" in reject.detail


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        ("Short.", "too_short"),
        ("Write what this does:\n```python\nx = 1\n```\nand explain every line of it.", "unparsable"),
        ("Write what this does:\n~~~\nx = 1\n~~~\nand explain every line of it.", "unparsable"),
        (ITEM["question"] + " Write it without a loop.", "contaminated"),
    ],
)
def test_bad_problems_are_rejected_with_their_cause(problem, cause):
    made, (reject,), _ = solved("Python", f"```python\n{CODES['Python']}\n```", problem)
    assert not made and reject.cause == cause


def test_answers_that_a_limit_ended_are_rejected():
    made, (reject,), _ = solved("Go", f"```go\n{CODES['Go']}\n```", finish_reason="length")
    assert not made and reject.cause == "truncated"


def test_equal_solutions_are_kept_once():
    made, rejects, _ = solved("Rust", f"```rust\n{CODES['Rust']}\n```", snippets=3)
    assert len(made) == 1 and [reject.cause for reject in rejects] == ["duplicate"] * 2


@sandboxed
def test_what_does_not_run_is_dropped_if_the_recipe_says_so():
    answer = "```python\ndef total(a, b):\n    return a + b\n\n\nassert total(1, 2) == 4\n```"
    keep = PUBLISHED.model_copy(update={"execution": PUBLISHED.execution.model_copy(update={"run": "on"})})
    (row,), rejects, _ = solved("Python", answer, recipe=keep)
    assert (row["execution"], row["execution_detail"]) == ("failed", "exit code 1: AssertionError") and not rejects
    drop = keep.model_copy(update={"execution": keep.execution.model_copy(update={"failing": "drop"})})
    made, (reject,), tally = solved("Python", answer, recipe=drop)
    assert not made and reject.cause == "fails_to_run" and tally.rejected["fails_to_run"] == 2
    assert "failed: exit code 1: AssertionError" in reject.detail
    (row,), _, _ = solved("Python", answer.replace("== 4", "== 3"), recipe=drop)
    assert row["execution"] == "ran"
