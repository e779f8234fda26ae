"""The sections of compression, throughput and ablations, on rows that are written for them."""

from __future__ import annotations

import duckdb
import pytest

from nemotron_assets.evaluate.report import results
from nemotron_assets.evaluate.report.lake import Lake
from nemotron_assets.evaluate.report.published import published
from nemotron_assets.stages import all_tables
from tests.sql.lake import START, frame

BUDGET = {"device_bytes": 100, "allowed_bytes": 80, "context": 64, "sequences": 1, "at": START}
ROWS = {
    "compress.budget": [
        {**BUDGET, "id": "a", "model": "big", "parameters": 50, "weight_bytes": 90, "total_bytes": 96, "fits": False},
        {**BUDGET, "id": "b", "model": "small", "parameters": 20, "weight_bytes": 40, "total_bytes": 48, "fits": True},
    ],
    "compress.candidates": [
        {
            "id": f"c{rank}", "part": "m", "layers": [0, 1], "hidden": 96, "ffn": 10 * rank, "heads": 4, "head_dim": 8,
            "parameters": 30 - rank, "total_bytes": 60 - rank, "allowed_bytes": 80, "fits": True, "rank": rank,
            "score": 0.4 + rank / 10 if rank < 3 else None, "tokens_per_second": 9.0 if rank < 3 else None,
            "on_front": rank == 1, "chosen": rank == 2, "at": START,
        }
        for rank in (1, 2, 3)
    ],
    "evaluate.throughput": [
        {"id": f"t{n}", "model": "m", "peer": "Llama", "device": "cpu", "input_tokens": 1024 * n, "output_tokens": 8,
         "batch": 1, "runs": 3, "decode_ratio": 1.0 * n, "decode_ratio_low": 0.9 * n, "decode_ratio_high": 1.1 * n,
         "prefill_ratio": 1.0, "decode_rate": 50.0, "peer_decode_rate": 50.0 / n, "at": START} for n in (1, 8)
    ],
    "evaluate.ablations": [
        {"id": metric + task, "ablation": "dedup", "question": "?", "change": "{}", "model": "models.base", "tokens": 9,
         "seeds": [1, 2], "task": task, "metric": metric, "items": 4, "unchanged": 2.0, "changed": 1.5,
         "difference": -0.5, "low": -0.7, "high": -0.3, "p_value": 0.01, "verdict": "better", "at": START}
        for metric, task in (("bits_per_byte", "held_out_code"), ("bits_per_byte", "held_out_web"), ("right", "suite"))
    ],
}  # fmt: skip


#: A chat model thinks and follows all instructions of half of the prompts; RULER was asked at another length too.
LEADERBOARD = ", ".join(
    str(row).replace("None", "null") for row in (
        ("gsm8k", "right", None, "base", 0.5, 1), ("ifeval_thinking", "right", None, "chat", 0.5, 2),
        ("ifeval_thinking", "instructions", None, "chat", 0.75, 2), ("aime24", "right", None, "base", 0.25, 1),
        ("aime24_thinking", "right", None, "chat", 0.125, 1), ("ruler", "recall", 512, "base", 0.9, 2),
        ("ruler", "recall", 131072, "chat", 0.0625, 2), ("suite", "right", None, "other", 1.0, 2),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def lake():
    tables = all_tables()
    with duckdb.connect() as connection:
        for name in {table.schema for table in tables.values()}:
            connection.execute(f"create schema {name}")
        for name, rows in ROWS.items():
            if name in tables:
                rows_ = frame(tables[name], rows)
                connection.register("rows_", rows_)
                connection.execute(f"create table {name} as select * from rows_")
        connection.execute("create view evaluate.suite_scores as select 'm' as model, 'all' as task, 0.5 as score")
        connection.execute(f"create view evaluate.leaderboard as select * from (values {LEADERBOARD}) "
                           "as t(task, metric, length, model, value, scored_at)")  # fmt: skip
        yield Lake(connection, tables)


def titles(section) -> list[str]:
    return [figure.title for figure in section.figures]


def test_candidates_are_shown_with_score_memory_and_speed(lake):
    section = results.compression(lake, published())
    assert titles(section) == [
        "Memory of models, as a share of the budget",
        "Score against memory of the candidates",
        "Score against speed of the candidates",
    ]
    assert "96 / 20 / 4 x 8, chosen"[:19] in section.figures[1].svg
    memory, candidates, *rest = section.grids
    assert [row[0] for row in memory.rows] == ["big", "small"]
    assert [row[6] for row in candidates.rows] == [1, 2, 3] and candidates.rows[0][8] == pytest.approx(50)
    assert len(rest) == 2, "the published numbers stand beside"


def test_speeds_are_shown_as_ratios_and_beside_the_score(lake):
    if not lake.has("evaluate.throughput"):
        pytest.skip("the table of speeds is not declared")
    section = results.throughput(lake, published())
    assert titles(section) == [
        "Decoding, as a multiple of the Transformer",
        "Reading prompts, as a multiple of the Transformer",
        "Score against speed at the longest prompt",
    ]
    assert [row[7] for row in section.grids[0].rows] == [1.0, 8.0]


def test_ablations_are_shown_with_their_intervals(lake):
    section = results.ablations(lake, published())
    assert titles(section) == ["Ablation dedup: bits_per_byte", "Ablation dedup: right"]
    assert all(figure.svg.count("mark-interval") == n for figure, n in zip(section.figures, (2, 1), strict=True))
    assert [row[1] for row in section.grids[0].rows] == ["held_out_code", "held_out_web", "suite"]


def test_only_the_same_measurement_stands_beside_a_published_score(lake):
    """With its thought, its metric and its length."""
    base, aligned = (
        results._beside(lake, "t", group) for group in (published().base_scores, published().aligned_scores)
    )
    assert list(base.columns[5:]) == ["base", "chat"] and list(aligned.columns[3:]) == ["chat", "base"]
    of_base, of_aligned = ({row[0]: row[1:] for row in one.rows} for one in (base, aligned))
    assert of_base["GSM8K, CoT"][4:] == [50.0, None] and of_base["AIME 2024"][4:] == [25.0, None]
    assert of_base["RULER at 128k"][4:] == [None, 6.25], "not its recall at 512 tokens"
    assert of_aligned["IFEval, strict, instructions"][2:] == [75.0, None]
    assert of_aligned["AIME 2024"][2:] == [12.5, None], "not that of a base model"
