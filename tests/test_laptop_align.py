"""The bars of the post-training in the benchmark `laptop`: each is missed when what it is about is bad."""

from datetime import UTC, datetime

import polars as pl
import pytest

from benchmarks import _laptop_align
from nemotron_assets.align.merging.tables import MERGE_SCORES
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, ROLLOUTS
from nemotron_assets.evaluate.suite.tables import BUDGET_ANSWERS, BUDGET_CONTROL, SUITE_ANSWERS
from tests.sql.lake import frame

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Lake:
    """A lake of rows by table; columns that are not given are empty."""

    def __init__(self, rows):
        self.frames = {t.name: pl.DataFrame(pl.from_arrow(frame(t, of))) for t, of in rows.items()}

    def read(self, table):
        return type("Reader", (), {"scan": lambda _, found=self.frames[table.name]: found.lazy()})()


def lake(before=0.0, after=0.6, gained=60, formed=1.0, cut=(6, 6), high=0.1):
    """A lake of good figures: shares of the suite before and after, prompts that GRPO has won of 500, form of enforced
    budgets, right answers of 10 with cut thoughts and with whole ones, and the upper end of the merge's interval."""
    suite = [
        {"id": f"{stage}{n}", "model": stage, "model_id": stage, "stage": stage, "task": "count", "item": f"i{n}",
         "right": n < 100 * share, "at": AT}
        for stage, share in (("long_context", before), ("sft_3", after)) for n in range(100)
    ]  # fmt: skip
    rollouts = [
        {"id": f"{step}{n}", "parents": [f"p{n}"], "stage": "ifeval_rl", "model_id": "m", "split": "held_out",
         "step": step, "reward": float(n < 200 + (gained if step else 0))}
        for step in (0, 9) for n in range(500)
    ]  # fmt: skip
    models = ("sft-3", "sft-3-untruncated")
    answers = [
        {"id": f"{model}{mode}{budget}{n}", "model": model, "model_id": model, "mode": mode, "budget": budget,
         "item": f"i{n}", "task": "count", "right": n < right, "at": AT}
        for model, right in zip(models, cut, strict=True)
        for mode in ("own", "enforced") for budget in (0, 64) for n in range(10)
    ]  # fmt: skip
    control = [
        {"id": f"{model}{mode}", "model": model, "mode": mode, "budget": 0, "accuracy": 0.5, "thought_tokens": 1.0,
         "answer_tokens": 1.0, "well_formed": formed if mode == "enforced" else 0.2}
        for model in models for mode in ("own", "enforced")
    ]  # fmt: skip
    scores = [
        {"id": f"{alpha}", "alpha": alpha, "suite": "tools/tools", "items": 9, "score": 0.5, "difference": 0.0,
         "low": -0.2, "high": high if alpha == 0.5 else 0.0, "is_used": alpha == 0.5, "worse_alpha": 0.0}
        for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]  # fmt: skip
    return Lake({
        SUITE_ANSWERS: suite, IFEVAL_RL: [{"id": "m", "at": AT}], ROLLOUTS: rollouts, BUDGET_ANSWERS: answers,
        BUDGET_CONTROL: control, MERGE_SCORES: scores,
    })  # fmt: skip


def missed(**changed) -> set[str]:
    return {claim.what.partition(":")[0] for claim in _laptop_align.post_training(lake(**changed)) if not claim.holds}


def test_good_figures_hold(capsys):
    assert missed() == set()
    printed = capsys.readouterr().out
    assert "| sft_3 | 100 | 60.0% |" in printed and "| tools/tools | 0.25 |" in printed


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({"before": 0.3}, "suite"),
        ({"after": 0.49}, "suite"),
        ({"gained": 1}, "GRPO"),
        ({"gained": -60}, "GRPO"),
        ({"formed": 0.999}, "enforced budgets"),
        ({"cut": (1, 9)}, "cut thoughts against whole ones, small budgets, own"),
        ({"high": -0.01}, "merge against the worse of its models"),
    ],
)
def test_bars_that_are_missed(changed, bar):
    assert bar in missed(**changed)
