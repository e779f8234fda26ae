"""Benchmark files become rows. A line that is not an item of the benchmark is rejected; the other lines are kept."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.evaluate.items import benchmarks
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from resources.lakehouse import Lakehouse


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


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected one or more of gsm8k\.jsonl"):
        benchmarks.folder(str(tmp_path / "nowhere"))
