"""Reads benchmark files (one JSON object per line) into rows with the same columns, whatever names the fields have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject

TABLE = "evaluate.benchmarks"
SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "benchmarks"


def _gsm8k(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "item": item["id"],
        "question": item["question"],
        "answer": item["answer"],
        "final_answer": str(item["final_answer"]),
    }


def _choices(item: dict[str, Any]) -> dict[str, Any]:
    index, choices = item["answer"], item["choices"]
    if type(index) is not int or not 0 <= index < len(choices):
        raise ValueError(f"answer {index!r} is not the index of one of {len(choices)} choices")
    return {
        "item": item["id"],
        "question": item["question"],
        "choices": choices,
        "answer_index": index,
        "answer": choices[index],
        "worked": item.get("solution"),
        "subject": item.get("subject"),
        "language": item.get("language"),
    }


def _humaneval(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "item": item["task_id"],
        "question": item["prompt"],
        "answer": item["canonical_solution"],
        "entry_point": item["entry_point"],
        "tests": [item["test"]],
    }


def _mbpp(item: dict[str, Any]) -> dict[str, Any]:
    setup = [item["test_setup_code"]] if item.get("test_setup_code") else []
    return {
        "item": str(item["task_id"]),
        "question": item["text"],
        "answer": item["code"],
        "tests": setup + item["test_list"] + item.get("challenge_test_list", []),
    }


def _math(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "item": item["id"],
        "question": item["question"],
        "answer": item["answer"],
        "final_answer": str(item["final_answer"]),
        "subject": item.get("subject"),
        "language": item.get("language"),
    }


def _ifeval(item: dict[str, Any]) -> dict[str, Any]:
    given = zip(item["instruction_id_list"], item["kwargs"], strict=True)
    instructions = [
        {"id": name, "arguments": {key: value for key, value in arguments.items() if value is not None}}
        for name, arguments in given
    ]
    return {
        "item": str(item["key"]),
        "question": item["prompt"],
        "answer": "",
        "instructions": json.dumps(instructions, ensure_ascii=False),
    }


SETS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "gsm8k": _gsm8k,
    "gsm8k_dev": _gsm8k,
    **{name: _math for suite in ("math", "mgsm") for name in (suite, f"{suite}_dev")},
    **dict.fromkeys(("math_500", "aime24", "aime25"), _math),
    **{
        name: _choices
        for suite in (
            "mmlu", "mmlu_pro", "agieval", "gpqa", "arc_challenge", "hellaswag", "piqa", "winogrande", "openbookqa",
            "global_mmlu_lite",
        )
        for name in (suite, f"{suite}_dev")
    },
    **dict.fromkeys(("humaneval", "humaneval_plus"), _humaneval),
    **dict.fromkeys(("mbpp", "mbpp_plus", "mbpp_dev", "mbpp_plus_dev"), _mbpp),
    "ifeval": _ifeval,
}  # fmt: skip

_SCHEMA = {
    "id": pl.String, "benchmark": pl.String, "item": pl.String, "position": pl.Int64, "subject": pl.String,
    "question": pl.String, "choices": pl.List(pl.String), "answer_index": pl.Int32, "answer": pl.String,
    "final_answer": pl.String, "entry_point": pl.String, "tests": pl.List(pl.String), "content_hash": pl.String,
    "language": pl.String, "worked": pl.String, "instructions": pl.String,
}  # fmt: skip


def folder(name: str) -> Path:
    """The folder that the recipe's `evaluate.benchmarks` names; "sample" is the embedded sample. Raises
    FileNotFoundError for a folder without any benchmark file."""
    path = SAMPLE if name == "sample" else Path(name)
    if not any((path / f"{benchmark}.jsonl").is_file() for benchmark in SETS):
        names = ", ".join(f"{benchmark}.jsonl" for benchmark in SETS)
        raise FileNotFoundError(f"no benchmark file in {path} (evaluate.benchmarks): expected one or more of {names}")
    return path


def read(path: Path, reject: Callable[[Reject], None]) -> Iterator[pl.DataFrame]:
    """One frame per benchmark file in the folder. A line that is not an item of the benchmark goes to `reject`."""
    for benchmark, shape in SETS.items():
        file = path / f"{benchmark}.jsonl"
        if file.is_file():
            yield pl.DataFrame(list(_rows(benchmark, shape, file, reject)), schema=_SCHEMA)


def _rows(
    benchmark: str, shape: Callable[[dict[str, Any]], dict[str, Any]], file: Path, reject: Callable[[Reject], None]
) -> Iterator[dict[str, Any]]:
    empty = {name: [] if dtype == pl.List(pl.String) else None for name, dtype in _SCHEMA.items()}
    with file.open("rb") as lines:
        for position, line in enumerate(lines):
            id_ = row_id(TABLE, benchmark, position)
            try:
                item = shape(json.loads(line.decode("utf-8")))
                _check_types(item)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                reject(Reject(id_, "broken_item", f"{file.name} line {position + 1}: {error!r}"))
                continue
            place = {"id": id_, "benchmark": benchmark, "position": position, "content_hash": content_hash(line)}
            yield empty | item | place


#: Fields that an item may leave out.
_OPTIONAL = dict.fromkeys(("subject", "language", "worked"), str | None)


def _check_types(item: dict[str, Any]) -> None:
    for name, value in item.items():
        wanted = {"answer_index": int, "choices": list, "tests": list, **_OPTIONAL}.get(name, str)
        texts = all(isinstance(text, str) for text in value) if isinstance(value, list) else True
        if not (isinstance(value, wanted) and texts):
            raise TypeError(f"{name} has the wrong type: {value!r}")
