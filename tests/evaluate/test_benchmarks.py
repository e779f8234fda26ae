"""Benchmark files become rows. A line that is not an item of the benchmark is rejected; the other lines are kept."""

from __future__ import annotations

import base64
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.evaluate.items import benchmarks
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from resources.lakehouse import Lakehouse
from tests.evaluate import invented


def test_sample(items, tmp_path):
    counts = dict(items.group_by("benchmark").len().iter_rows())
    assert counts == {
        "gsm8k": 200,
        "mmlu": 570,
        "mmlu_dev": 285,
        "arc_challenge": 200,
        "humaneval": 164,
        "mbpp": 150,
    }
    assert items["id"].n_unique() == len(items)
    arc = items.filter(benchmark="arc_challenge").row(0, named=True)
    assert arc["item"] == "Mercury_7175875"
    assert arc["choices"][arc["answer_index"]] == arc["answer"] == "Planetary days will become shorter."
    gsm = items.filter(benchmark="gsm8k").row(0, named=True)
    assert gsm["answer"].endswith("#### 18") and gsm["final_answer"] == "18" and gsm["choices"] == []
    code = items.filter(benchmark="mbpp").row(0, named=True)
    assert code["item"] == "11" and len(code["tests"]) == 5 and code["tests"][0].startswith("assert")
    assert items.filter(benchmark="humaneval")["entry_point"].null_count() == 0
    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    assert lake.write(BENCHMARKS, items).rows == len(items)


GOOD = {"id": "x", "question": "q", "choices": ["a", "b"], "answer": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        json.dumps({**GOOD, "answer": 2}).encode(),
        json.dumps({**GOOD, "answer": -1}).encode(),
        json.dumps({**GOOD, "answer": "1"}).encode(),
        json.dumps({**GOOD, "answer": True}).encode(),
        json.dumps({**GOOD, "question": 7}).encode(),
        json.dumps({**GOOD, "choices": ["a", None]}).encode(),
        json.dumps({**GOOD, "choices": "ab"}).encode(),
        json.dumps({"id": "x"}).encode(),
        b"[" * 100_000,
    ],
)
def test_broken_line(tmp_path, line):
    good = json.dumps(GOOD).encode()
    (tmp_path / "arc_challenge.jsonl").write_bytes(b"\n".join([good, line, good.replace(b'"q"', b'"r"')]) + b"\n")
    rejected = []
    (frame,) = benchmarks.read(tmp_path, rejected.append)
    assert frame["position"].to_list() == [0, 2]
    assert [(r.cause, "line 2" in r.detail) for r in rejected] == [("broken_item", True)]


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_any_bytes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    rejected = []
    for name in benchmarks.SETS:
        (folder / f"{name}.jsonl").write_bytes(data)
    rows = pl.concat(benchmarks.read(folder, rejected.append)).height
    lines = len(data.split(b"\n")) - data.endswith(b"\n") - (not data)
    assert rows + len(rejected) == lines * len(benchmarks.SETS)


def test_another_item_in_the_same_line_has_another_id(tmp_path):
    """Else results to the one would be compared with results to the other."""
    ids = []
    for question in ("q", "q", "r"):
        (tmp_path / "arc_challenge.jsonl").write_text(json.dumps({**GOOD, "question": question}))
        (frame,) = benchmarks.read(tmp_path, pytest.fail)
        ids += frame["id"].to_list()
    assert ids[0] == ids[1] != ids[2]


class _Harm:
    def __reduce__(self):
        return open, (_Harm.path, "w")


@pytest.mark.parametrize(
    "wrong",
    [
        {"private_test_cases": "not packed"},
        {"private_test_cases": base64.b64encode(b"not zlib").decode()},
        {"private_test_cases": invented.packed(["a", "b"])},
        {"private_test_cases": invented.packed("[}")},
        {"private_test_cases": "harm"},
        {"metadata": '{"func_name": "f(); import os"}'},
        {"public_test_cases": '[{"input": "1", "output": "1", "testtype": "stdin"}]'},
    ],
)
def test_packed_test_cases_are_read_and_never_run(tmp_path, wrong):
    _Harm.path = str(tmp_path / "harmed")
    good = invented.ITEMS["livecodebench"][1]
    if wrong == {"private_test_cases": "harm"}:
        wrong = {"private_test_cases": invented.packed(_Harm())}
    (tmp_path / "livecodebench.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps({**good, **wrong})}\n")
    rejected = []
    (frame,) = benchmarks.read(tmp_path, rejected.append)
    assert [json.loads(case) for case in frame["cases"][0]] == [["[1, 2]\n3", "6"], ["[]\n0", "0"]]
    assert [r.cause for r in rejected] == ["broken_item"] and not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("hle", {"image": "data:image/png;base64,AA=="}),
        ("humaneval_plus", {"entry_point": None}),
        ("ifeval", {"instruction_id_list": [], "kwargs": []}),
        ("bfcl_live", {"id": "live_java_0"}),
        ("bfcl_live", {"id": "live_simple_0", "ground_truth": [{"other": {}}]}),
        ("bfcl_live", {"id": "multi_turn_0", "question": [[], []]}),
    ],
)
def test_items_that_cannot_be_asked_are_rejected(tmp_path, name, wrong):
    (tmp_path / f"{name}.jsonl").write_text(json.dumps({**invented.ITEMS[name][-1], **wrong}))
    rejected = []
    (frame,) = benchmarks.read(tmp_path, rejected.append)
    assert frame.is_empty() and len(rejected) == 1


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected one or more of gsm8k\.jsonl"):
        benchmarks.folder(str(tmp_path / "nowhere"))
