"""Invented items in the form of the suites that the embedded sample lacks. None of them is from a benchmark: they are
written for these tests, to see that a suite's items are read, asked and graded."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nemotron_assets.evaluate.items import benchmarks

_SUBJECTS = ("physics", "law")
_LANGUAGES = ("de", "ja")


def _choices(name: str, count: int, number: int, **more: Any) -> list[dict[str, Any]]:
    """`number` items with `count` choices; the right choice of item k is k modulo `count`."""
    return [
        {
            "id": f"invented-{name}-{k}",
            "question": f"Which of these words has the number {k}?",
            "choices": [f"word {n}" for n in range(count)],
            "answer": k % count,
            **{key: values[k % len(values)] if isinstance(values, tuple) else values for key, values in more.items()},
        }
        for k in range(number)
    ]


def _maths(name: str, number: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": f"invented-{name}-{k}",
            "question": f"What is {k} plus {k + 1}?",
            "answer": f"It is \\boxed{{{2 * k + 1}}}.",
            "final_answer": str(2 * k + 1),
            **{key: values[k % len(values)] for key, values in more.items()},
        }
        for k in range(number)
    ]


_ADD = {
    "task_id": "Invented/0",
    "prompt": 'import math\n\n\ndef area(r: float) -> float:\n    """The area of a circle."""\n',
    "canonical_solution": "    return math.pi * r * r\n",
    "entry_point": "area",
    "test": "def check(candidate):\n    assert abs(candidate(1) - 3.14159265) < 1e-6\n    assert candidate(0) == 0\n",
}
_TWICE = {
    "text": "Write a function that gives twice a number.", "code": "def twice(n):\r\n    return 2 * n\r\n",
    "test_list": ["assert twice(2) == 4", "assert twice(0) == 0"], "challenge_test_list": ["assert twice(-1) == -2"],
}  # fmt: skip
_FOLLOW = {
    "key": 1,
    "prompt": "Write about rain. Use no commas, and write the word umbrella.",
    "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
    "kwargs": [{}, {"keywords": ["umbrella"], "num_words": None}],
}


def packed(value: Any) -> str:
    """A value as LiveCodeBench packs its private test cases."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def _contest(kind: str, cases: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    made = [{"input": given, "output": wanted, "testtype": kind} for given, wanted in cases]
    return {
        "question_id": f"invented-{kind}", "question_content": "Print the sum of all numbers.", "starter_code": "",
        "metadata": "{}", "public_test_cases": json.dumps(made[:1]),
        "private_test_cases": packed(json.dumps(made[1:])), **more,
    }  # fmt: skip


_METHOD = {"metadata": '{"func_name": "total"}',
           "starter_code": "class Solution:\n    def total(self, a: List[int], b: int) -> int:\n        "}  # fmt: skip


def _tool(name: str, **properties: str) -> dict[str, Any]:
    return {
        "name": name, "description": f"The tool {name}.",
        "parameters": {"type": "dict", "required": list(properties)[:1],
                       "properties": {key: {"type": kind, "description": key} for key, kind in properties.items()}},
    }  # fmt: skip


def _calling(id_: str, **more: Any) -> dict[str, Any]:
    asked = [[{"role": "user", "content": "What is the weather in Bonn, and in Kiel?"}]]
    return {"id": id_, "question": asked, "function": [_tool("weather", city="string", days="integer")], **more}


_BONN = {"weather": {"city": ["Bonn", "Bonn, Germany"], "days": ["", 1]}}

ITEMS: dict[str, list[dict[str, Any]]] = {
    "mmlu_pro": _choices("mmlu-pro", 10, 4, subject=_SUBJECTS),
    "mmlu_pro_dev": _choices(
        "mmlu-pro-dev", 10, 4, subject=_SUBJECTS, solution="It is in the question. The answer is (A)."
    ),
    "agieval": _choices("agieval", 5, 6, subject=_SUBJECTS),
    "gpqa": _choices("gpqa", 4, 3),
    "hellaswag": _choices("hellaswag", 4, 4),
    "piqa": _choices("piqa", 2, 4),
    "winogrande": [item | {"question": "The _ is in the list."} for item in _choices("winogrande", 2, 4)],
    "openbookqa": _choices("openbookqa", 4, 4),
    "global_mmlu_lite": _choices("global-mmlu", 4, 6, language=_LANGUAGES),
    "math": _maths("math", 6, subject=("algebra", "geometry")),
    "math_500": _maths("math-500", 3),
    "aime24": _maths("aime24", 2),
    "aime25": _maths("aime25", 2),
    "mgsm": _maths("mgsm", 6, language=_LANGUAGES),
    "humaneval_plus": [_ADD, {**_ADD, "task_id": "Invented/1"}],
    "mbpp_plus": [{**_TWICE, "task_id": k} for k in range(4)],
    "ifeval": [_FOLLOW],
    "math_level_5": _maths("math-level-5", 6, subject=("algebra", "geometry")),
    "livecodebench": [
        _contest("stdin", [("1 2\n", "3\n"), ("5 -5", "0")]),
        _contest("functional", [("[1, 2]\n3", "6"), ("[]\n0", "0")], **_METHOD),
    ],
    "hle": [
        {"id": f"invented-hle-{k}", "question": f"{k}?", "answer": answer, "image": "", "category": "History"}
        for k, answer in enumerate(("B", "Peace of Westphalia", r"\frac{3}{4}"))
    ],
    "bfcl_non_live": [
        _calling("simple_0", ground_truth=[_BONN]),
        _calling("parallel_0", ground_truth=[_BONN, {"weather": {"city": ["Kiel"]}}]),
        _calling("irrelevance_0"),
    ],
    "bfcl_live": [_calling("live_relevance_0-0-0"), _calling("live_simple_0-0-0", ground_truth=[_BONN])],
}


def write(folder: Path) -> Path:
    """Write the items as benchmark files."""
    folder.mkdir(exist_ok=True)
    for name, items in ITEMS.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items), "utf-8")
    return folder


def read(folder: Path) -> pl.DataFrame:
    """The items as rows of `evaluate.benchmarks`."""
    return pl.concat(benchmarks.read(benchmarks.folder(str(write(folder))), pytest.fail))
