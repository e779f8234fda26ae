"""Estimates of the SFT data, Nemotron-Pretraining-SFT.

A table of SFT data says in `by_part` how many of its rows and tokens are usable. What is published of all tables
follows from these.
"""

from __future__ import annotations

from typing import get_args

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.recipe.sft.procedural import Difficulty

#: The tables of SFT data that are published, each with its config there and its category in the blend.
PUBLISHED: dict[str, tuple[str, str]] = {}


def _usable(plan: Plan, what: str) -> dict[str, Value]:
    """Usable rows or tokens of every published table."""
    return {asset: plan.of(asset).by_part[f"usable {what}"] for asset in PUBLISHED}


@estimates("sft.procedural")
def procedural(plan: Plan) -> Estimate:
    """Items of every task and difficulty in both splits; a task with few different questions gives fewer."""
    own = plan.recipe.sft.procedural
    sets = plan.value("sft.procedural.tasks", len(own.tasks)) * len(get_args(Difficulty))
    each = plan.value("sft.procedural.train_items") + plan.value("sft.procedural.test_items")
    rows = sets * each.up_to(plan.size("sft.procedural.different", "sample"))
    rows = rows * plan.size("sft.procedural.new_share", "sample")
    tokens = rows * plan.size("sft.procedural.tokens", "sample")
    spent = plan.taking("sft.procedural", rows)
    stored = rows * plan.size("sft.row_bytes", "sample")
    usable = {"usable rows": rows, "usable tokens": tokens}
    return Estimate(rows=rows, tokens=tokens, bytes=stored, core_seconds=spent, by_part=usable)


@estimates("sft.contaminated")
def contaminated(plan: Plan) -> Estimate:
    read = total(_usable(plan, "rows").values())
    rows = read * plan.size("sft.contaminated.share", "sample")
    spent = plan.taking("sft.contaminated", read)
    return Estimate(rows=rows, bytes=rows * plan.size("sft.row_bytes", "sample"), core_seconds=spent)


@estimates("sft.nemotron_sft")
def nemotron_sft(plan: Plan) -> Estimate:
    """The usable rows of all tables; items found in benchmarks are too few to count."""
    rows, tokens = total(_usable(plan, "rows").values()), _usable(plan, "tokens")
    parts = {name: [tokens[asset] for asset, of in PUBLISHED.items() if name in of] for name in _PARTS}
    everything = total(tokens.values())
    return Estimate(
        rows=rows,
        tokens=everything,
        bytes=plan.text_bytes(everything),
        core_seconds=plan.taking("sft.nemotron_sft", rows),
        by_part={name: total(of_part) for name, of_part in parts.items()},
    )


_PARTS = ("Code", "General", "MATH", "general-sft", "stem-sft", "code-sft")
