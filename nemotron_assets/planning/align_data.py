"""Estimates of the post-training's data: items of the suite, conversations, and prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nemotron_assets.planning.figures import Unknown, Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates


def _suite(plan: Plan, *splits: str) -> Value:
    """Items of the suite: "train_items", "held_out_items"."""
    own = plan.recipe.align.suite.tasks.values()
    named = f"{' and '.join(splits)} of align.suite.tasks"
    return plan.value(named, sum(getattr(task, split) for task in own for split in splits))


def _of_sft(plan: Plan, sources: Mapping[str, Any], where: str) -> list[Value]:
    """Usable rows of tables of SFT data, as many as the recipe takes."""
    found = []
    for name, source in sources.items():
        rows = plan.of(name).by_part["usable rows"] * plan.value(f"{where}.{name}.share", source.share)
        found.append(
            rows if source.max_rows is None else rows.up_to(plan.value(f"{where}.{name}.max_rows", source.max_rows))
        )
    return found


def _of_hub(plan: Plan, sources: Iterable[Any], where: str) -> list[Value]:
    """Rows of data sets of the hub; unknown for a set without a limit."""
    return [
        Unknown(f"rows of {source.dataset} {source.split}, which {where} does not limit")
        if source.max_rows is None
        else plan.value(f"{where}: {source.dataset} {source.split}", source.max_rows)
        for source in sources
    ]


def _tasks(plan: Plan, where: str) -> Value:
    return plan.value(f"{where}.tools.tasks", sum(plan.recipe.section(where).tools.tasks.values()))


@estimates("align.suite_items")
def suite_items(plan: Plan) -> Estimate:
    rows = _suite(plan, "train_items", "held_out_items")
    spent = plan.taking("align.suite_items", rows)
    tokens = rows * plan.size("align.suite.tokens", "sample")
    return Estimate(rows=rows, tokens=tokens, bytes=plan.stored("align.suite_items", rows), core_seconds=spent)


@estimates("align.conversations")
def conversations(plan: Plan) -> Estimate:
    """One conversation per train item, row of SFT data, task, own conversation and row of the hub; and their copies."""
    where = "align.conversations"
    own, copies = plan.recipe.align.conversations, plan.recipe.align.conversations.copies
    suite = _suite(plan, "train_items")
    outside = [plan.value("conversations of local files", 0)] if own.own else []
    others = total([
        *_of_sft(plan, own.sft, f"{where}.sft"),
        *_of_hub(plan, own.hub, f"{where}.hub"),
        *([plan.size("align.own", "sample")] if own.own else outside),
        _tasks(plan, where),
    ])  # fmt: skip
    if own.files:
        others = Unknown("how many conversations the files of align.conversations.files have")
    share = copies.no_think_share + copies.truncated_share
    copied = plan.value(f"shares of {where}.copies", 1 + share)
    length = plan.size("align.conversations.tokens", "published" if own.hub else "sample")
    tokens = (suite * plan.size("align.suite.tokens", "sample") + others * length) * copied
    rows = (suite + others) * copied
    spent = plan.taking(where, rows)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)


@estimates("align.prompts")
def prompts(plan: Plan) -> Estimate:
    """Items of the suite in both splits, questions of SFT data, calls of tasks, requests with instructions, and
    contexts."""
    where, own = "align.prompts", plan.recipe.align.prompts
    contexts = _of_hub(plan, own.contexts, f"{where}.contexts") or [plan.size("align.own", "sample")]
    rows = total([
        _suite(plan, "train_items", "held_out_items"),
        *_of_sft(plan, own.sft, f"{where}.sft"),
        *contexts,
        plan.value(f"{where}.instructions.prompts"),
        _tasks(plan, where) * plan.size("align.prompts.calls", "sample"),
    ])  # fmt: skip
    tokens = rows * plan.size("align.prompts.tokens", "published" if own.contexts else "sample")
    spent = plan.taking(where, rows)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)
