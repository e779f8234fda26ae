"""Reads benchmark files (one JSON object per line) into rows with the same columns, whatever names the fields have."""

from __future__ import annotations

import base64
import json
import pickletools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from nemotron_assets.chat.conversation import Message, from_json, problems, to_json, tools_from_json
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
    if not isinstance(item["entry_point"], str):
        raise TypeError(f"entry_point is {item['entry_point']!r:.60}, not the name of the function to test")
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
    if not instructions:
        raise ValueError("it has no instruction")
    return {
        "item": str(item["key"]),
        "question": item["prompt"],
        "answer": "",
        "instructions": json.dumps(instructions, ensure_ascii=False),
    }


#: Most bytes of the packed test cases of an item. Of a pickled text, the operations that only say that it is a text.
_MOST_BYTES = 256 * 1024 * 1024
_TEXT, _OF_A_TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}, {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "STOP"}


def _livecodebench(item: dict[str, Any]) -> dict[str, Any]:
    cases = [*json.loads(item["public_test_cases"]), *_unpacked(item["private_test_cases"])]
    kinds = {case["testtype"] for case in cases}
    if len(kinds) != 1 or not kinds <= {"stdin", "functional"}:
        raise ValueError(f"the kinds of its test cases are {kinds}, not stdin or functional alone")
    name = json.loads(item["metadata"])["func_name"] if "functional" in kinds else None
    if name is not None and not name.isidentifier():
        raise ValueError(f"{name!r:.60} is no name of a function")
    return {
        "item": item["question_id"],
        "question": item["question_content"],
        "answer": "",
        "starter": item["starter_code"] or None,
        "entry_point": name,
        "cases": [json.dumps([case["input"], case["output"]], ensure_ascii=False) for case in cases],
    }


def _unpacked(text: str) -> list[dict[str, Any]]:
    """Test cases as a JSON list, or as LiveCodeBench packs them: base64 of the zlib stream of a pickled JSON text. The
    pickle is only read: whatever is not one text is refused."""
    if text.lstrip().startswith("["):
        return json.loads(text)
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"its private test cases cannot be unpacked: {error}") from None
    refused = ValueError(f"its private test cases are not one packed text of at most {_MOST_BYTES:,} bytes")
    if not stream.eof:
        raise refused
    found = None
    for operation, value, _ in pickletools.genops(data):
        if operation.name in _TEXT and found is None:
            found = value
        elif operation.name not in _OF_A_TEXT:
            raise refused
    if found is None:
        raise refused
    return json.loads(found)


def _hle(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("image"):
        raise ValueError("it has an image: leave such questions out of the file")
    return {
        "item": item["id"],
        "question": item["question"],
        "answer": item["answer"],
        "final_answer": item["answer"],
        "subject": item.get("category"),
    }


#: Types of BFCL's parameters that JSON schemas call otherwise.
_SCHEMA_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


def _bfcl(item: dict[str, Any]) -> dict[str, Any]:
    (said,) = item["question"]  # a conversation of several turns is not asked
    tools, name = [_as_schema(tool) for tool in item["function"]], item["id"]
    messages = from_json(json.dumps([{key: one[key] for key in ("role", "content")} for one in said]))
    if problem := next(iter(problems([*messages, Message("assistant", "-")])), None):
        raise ValueError(problem)
    known = {tool["name"]: tool["parameters"]["properties"] for tool in tools_from_json(json.dumps(tools))}
    if "java" in name:  # and javascript
        raise ValueError("its calls are of another language than Python: leave such questions out of the file")
    if "relevance" in name:
        wanted = [] if "irrelevance" in name else None
    else:
        wanted = item["ground_truth"]
        for call in wanted:
            ((called, arguments),) = call.items()
            if called not in known or not all(isinstance(values, list) for values in arguments.values()):
                raise ValueError(f"its right call of {called!r:.60} is of no tool that it has, or without values")
    return {
        "item": name,
        "question": next(one.content for one in reversed(messages) if one.role == "user"),
        "answer": "",
        "subject": name.rpartition("_")[0],
        "messages": to_json(messages),
        "tools": json.dumps(tools, ensure_ascii=False),
        "calls": json.dumps(wanted, ensure_ascii=False),
    }


def _as_schema(value: Any) -> Any:
    """The description of a tool with the types of JSON schemas."""
    if isinstance(value, list):
        return [_as_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _as_schema(one) for key, one in value.items()}
    kind = made.get("type")
    return made | {"type": _SCHEMA_TYPES.get(kind, kind)} if isinstance(kind, str) else made


SETS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "gsm8k": _gsm8k,
    "gsm8k_dev": _gsm8k,
    **{name: _math for suite in ("math", "math_level_5", "mgsm") for name in (suite, f"{suite}_dev")},
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
    "livecodebench": _livecodebench,
    "hle": _hle,
    **dict.fromkeys(("bfcl_non_live", "bfcl_live"), _bfcl),
}  # fmt: skip

_SCHEMA = {
    "id": pl.String, "benchmark": pl.String, "item": pl.String, "position": pl.Int64, "subject": pl.String,
    "question": pl.String, "choices": pl.List(pl.String), "answer_index": pl.Int32, "answer": pl.String,
    "final_answer": pl.String, "entry_point": pl.String, "tests": pl.List(pl.String), "content_hash": pl.String,
    "language": pl.String, "worked": pl.String, "instructions": pl.String, "starter": pl.String,
    "cases": pl.List(pl.String), "messages": pl.String, "tools": pl.String, "calls": pl.String,
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
            # Another item in the same line has another id, so no result to the one counts as a result to the other.
            hash_ = content_hash(line)
            id_ = row_id(TABLE, benchmark, position, hash_)
            try:
                item = shape(json.loads(line.decode("utf-8")))
                _check_types(item)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError, StopIteration) as error:
                reject(Reject(id_, "broken_item", f"{file.name} line {position + 1}: {error!r}"))
                continue
            place = {"id": id_, "benchmark": benchmark, "position": position, "content_hash": hash_}
            yield empty | item | place


#: Fields that an item may leave out.
_OPTIONAL = dict.fromkeys(("subject", "language", "worked", "starter", "entry_point"), str | None)


def _check_types(item: dict[str, Any]) -> None:
    for name, value in item.items():
        wanted = {"answer_index": int, "choices": list, "tests": list, "cases": list, **_OPTIONAL}.get(name, str)
        texts = all(isinstance(text, str) for text in value) if isinstance(value, list) else True
        if not (isinstance(value, wanted) and texts):
            raise TypeError(f"{name} has the wrong type: {value!r}")
