"""Checks the rows of `sft.procedural`: they can be made again, and no question is in both splits."""

from __future__ import annotations

import polars as pl

from nemotron_assets.grading.procedural import Item, NoItem, ProceduralGrader
from nemotron_assets.sft.procedural.making import SPLITS, same_question

_READ = ("task", "config", "seed", "item_index", "question", "answer")


def repeated(rows: pl.LazyFrame) -> dict[str, int]:
    """{kind of fault: number of rows}: questions that stand twice, rows that are not verified, and unknown splits."""
    seen: set[str] = set()
    found = {"repeated_questions": 0, "not_verified": 0, "unknown_splits": 0}
    for frame in rows.select("question", "status", "split").collect_batches(engine="streaming"):
        hashes = [same_question(question) for question in frame["question"]]
        found["repeated_questions"] += len(hashes) - len(set(hashes) - seen)
        seen.update(hashes)
        found["not_verified"] += frame.filter(pl.col("status") != "verified").height
        found["unknown_splits"] += frame.filter(~pl.col("split").is_in(SPLITS)).height
    return found


def made_again(rows: pl.LazyFrame, per_group: int, grader: ProceduralGrader) -> dict[str, int]:
    """{kind of fault: number of rows} for `per_group` rows of each task, difficulty and split, made and scored again:
    another question or answer, the stored answer not right, or another item's answer right."""
    sample = (
        rows.select("id", "difficulty", "split", *_READ)
        .with_columns(place=pl.col("id").rank("ordinal").over("task", "difficulty", "split"))
        .filter(pl.col("place") <= per_group)
        .sort("id")
        .collect(engine="streaming")
    )
    stored = list(sample.select(_READ).iter_rows())
    items = [Item(*row[:4]) for row in stored]
    made = list(grader.make(items))
    verdicts = list(grader.grade((row[5], item) for row, item in zip(stored, items, strict=True)))
    junk = list(grader.grade(("I do not know.", item) for item in items))
    same = [
        not isinstance(one, NoItem) and (one.question, one.answer) == row[4:]
        for one, row in zip(made, stored, strict=True)
    ]
    return {
        "rows_made_again": len(items),
        "different": same.count(False),
        "answer_not_right": sum(not verdict.right for verdict in verdicts),
        "junk_right": sum(verdict.outcome != "wrong" for verdict in junk),
    }
