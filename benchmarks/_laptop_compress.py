"""What the compression reached on the finished lake of `make run`: the claims of the benchmark `laptop` about it."""

from __future__ import annotations

from typing import Any

from benchmarks._procedural import fresh_items, right_answers
from benchmarks.harness import Claim, table

#: Items of each task that both models answer: of eight tasks, at least the wanted number in all.
_PER_TASK, _ITEMS = 220, 1_500
#: How much worse than its teacher the compressed model may be: share of right answers, bits per byte.
_WORSE, _BITS = 0.05, 0.03


def compression(lake: Any) -> list[Claim]:
    """All claims about both compressed models."""
    from nemotron_assets.align.merging.tables import ALIGNED
    from nemotron_assets.compress.distilling.tables import COMPRESSED, COMPRESSED_BASE
    from nemotron_assets.models.registry import newest
    from nemotron_assets.pretrain.tables import LONG_CONTEXT
    from nemotron_assets.recipe import current_recipe

    recipe, claims = current_recipe(), []
    for student, teacher in ((COMPRESSED_BASE, LONG_CONTEXT), (COMPRESSED, ALIGNED)):
        rows = [newest(lake.read(of)) for of in (student, teacher)]
        claims += [*_size(lake, recipe, rows[0]), _bits_per_byte(lake, *rows)]
    return [*claims, *_suite(lake, recipe, *rows)]


def _size(lake: Any, recipe: Any, row: dict[str, Any]) -> list[Claim]:
    from nemotron_assets.compress.budget import memory_columns
    from nemotron_assets.model.pruning import architecture, read_config

    config = read_config(lake.get_weights(row["uri"]))
    found = memory_columns(architecture(config), config["vocab_size"], recipe.compress.budget)
    names = ("pattern", "parameters", "weight_bytes", "kv_bytes", "total_bytes", "engine_bytes", "allowed_bytes")
    print()
    print(table((row["name"], "value"), [(name, found[name]) for name in names]))
    used = max(found["total_bytes"], found["engine_bytes"]) / found["allowed_bytes"]
    share = row["inner_parameters"] / row["teacher_inner_parameters"]
    return [
        Claim(f"{row['name']}: share of its byte budget", used, at_most=1.0),
        Claim(f"{row['name']}: share of the teacher's parameters outside of embeddings", share, at_most=0.75),
    ]


def _bits_per_byte(lake: Any, student: dict[str, Any], teacher: dict[str, Any]) -> Claim:
    """Mean of the bits per byte over the kinds of held-out texts, against the teacher's."""
    import polars as pl

    from nemotron_assets.evaluate.tables import BENCHMARK_SCORES

    scores = lake.read(BENCHMARK_SCORES).scan().filter(pl.col("metric") == "bits_per_byte").collect()
    own, other = (scores.filter(model_id=row["id"]).select("task", "value") for row in (student, teacher))
    both = own.join(other, on="task", suffix="_teacher").sort("task")
    print()
    print(table((f"bits per byte, {student['name']}", "compressed", "teacher"), list(both.iter_rows())))
    ratio = both["value"].mean() / both["value_teacher"].mean() - 1 if both.height else float("nan")
    return Claim(f"{student['name']}: rise of the bits per byte", ratio, at_most=_BITS)


def _suite(lake: Any, recipe: Any, student: dict[str, Any], teacher: dict[str, Any]) -> list[Claim]:
    """Right answers to fresh items of the suite, item by item against the teacher's."""
    from nemotron_assets.grading.paired import paired

    asked = fresh_items(lake, recipe, _PER_TASK)
    own, other = (right_answers(lake.get_weights(row["uri"]), asked) for row in (student, teacher))
    found = paired(other, own)
    tasks: dict[str, list[tuple[float, float]]] = {}
    for (task, _, _), *scores in zip(asked, other, own, strict=True):
        tasks.setdefault(task, []).append(tuple(scores))
    lines = [
        (task, len(pairs), *(f"{sum(column) / len(pairs):.1%}" for column in zip(*pairs, strict=True)))
        for task, pairs in tasks.items()
    ]
    print()
    print(table(("fresh items of the suite", "items", "teacher", "compressed"), lines))
    print(f"difference {found.difference:+.4f}, 95% interval {found.low:+.4f} to {found.high:+.4f}")
    return [
        Claim("compression: items that both models answered", len(asked), at_least=_ITEMS),
        Claim("compression: right answers, difference to the teacher", found.difference, at_least=-_WORSE),
    ]
