"""What the post-training reached on the finished lake of `make run`: the claims of the benchmark `laptop` about it."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Claim, table

#: Share of right answers before the supervised stages: the suite's items stand in no training data before them.
_BEFORE = 0.05
#: And after them (a character-level model of this size reaches 52% after 272,000 tokens).
_AFTER = 0.5
#: Held-out prompts that the reinforcement learning must be measured on.
_PROMPTS = 500


def rows(lake: Any, found: Any) -> Any:
    return lake.read(found).scan().collect()


def post_training(lake: Any) -> list[Claim]:
    """All claims, in the order of the stages."""
    return [*suite(lake), *reinforcement(lake), *budgets(lake), *merge(lake)]


def suite(lake: Any) -> list[Claim]:
    """Right answers to the held-out items of the suite, by stage and task."""
    import polars as pl

    from nemotron_assets.evaluate.suite.tables import MODELS, SUITE_ANSWERS

    answers = _newest(rows(lake, SUITE_ANSWERS))
    by_task = answers.group_by("model", "stage", "task").agg(pl.col("right").mean())
    whole = answers.group_by("model", "stage").agg(pl.col("right").mean(), pl.len())
    tasks, order = sorted(by_task["task"].unique()), list(MODELS)
    shown = []
    for model, _, right, items in sorted(whole.iter_rows(), key=lambda row: (order.index(row[1]), row[0])):
        own = dict(by_task.filter(model=model).select("task", "right").iter_rows())
        shown.append((model, items, f"{right:.1%}", *(f"{own[task]:.0%}" for task in tasks)))
    print()
    print(table(("suite, right answers", "items", "all", *tasks), shown))
    of_stage = {stage: right for model, stage, right, _ in whole.iter_rows() if not model.endswith("untruncated")}
    return [
        Claim("suite: right answers before the supervised stages", of_stage["long_context"], at_most=_BEFORE),
        Claim("suite: right answers after them", of_stage["sft_3"], at_least=_AFTER),
    ]


def reinforcement(lake: Any) -> list[Claim]:
    """The verified reward of held-out prompts before the first step of models.ifeval_rl and after its last, paired."""
    import polars as pl

    from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, ROLLOUTS
    from nemotron_assets.grading.paired import paired

    model = rows(lake, IFEVAL_RL).sort("at")["id"][-1]
    held_out = rows(lake, ROLLOUTS).filter(stage="ifeval_rl", model_id=model, split="held_out")
    prompts = held_out.with_columns(held_out["parents"].list.first().alias("of")).drop_nulls("reward")
    before, after = (
        prompts.filter(prompts["step"] == step).group_by("of").agg(pl.col("reward").mean())
        for step in (0, held_out["step"].max())
    )
    both = before.join(after, on="of", suffix="_after").sort("of")
    found = paired(both["reward"].to_list(), both["reward_after"].to_list())
    print()
    print(table(("GRPO, held-out prompts", "reward before", "after", "difference", "95% interval", "p"), [
        (found.items, both["reward"].mean(), both["reward_after"].mean(), found.difference,
         f"{found.low:+.3f} to {found.high:+.3f}", found.p),
    ]))  # fmt: skip
    return [
        Claim("GRPO: held-out prompts", found.items, at_least=_PROMPTS),
        Claim("GRPO: rise of the mean verified reward", found.difference, at_least=1e-9),
        Claim("GRPO: probability of the difference by chance", found.p, at_most=0.05),
    ]


def budgets(lake: Any) -> list[Claim]:
    """Form of the answers within enforced budgets, and what cut thoughts in the training are good for."""
    from nemotron_assets.evaluate.suite.budgets import ENFORCED, OWN, with_and_without
    from nemotron_assets.evaluate.suite.tables import BUDGET_ANSWERS, BUDGET_CONTROL

    control, answers = rows(lake, BUDGET_CONTROL).sort("model", "mode", "budget"), rows(lake, BUDGET_ANSWERS)
    heads = ("model", "mode", "budget", "accuracy", "well_formed", "thought_tokens", "answer_tokens")
    print()
    print(table(heads, list(control.select(heads).iter_rows())))
    enforced = control.filter(mode=ENFORCED)
    claims = [
        Claim("enforced budgets: smallest share of well-formed answers", enforced["well_formed"].min(), at_least=1)
    ]
    for mode in (OWN, ENFORCED):
        found = with_and_without(answers, mode)
        high = found.high if found else float("nan")
        claims.append(Claim(f"cut thoughts against whole ones, small budgets, {mode}: upper end", high, at_least=0))
    return claims


def merge(lake: Any) -> list[Claim]:
    """The scores of the merges, and the merge that is used against the worse of its two models."""
    from nemotron_assets.align.merging.tables import MERGE_SCORES

    scores = rows(lake, MERGE_SCORES).sort("suite", "alpha")
    print()
    print(merge_table(scores))
    used = scores.filter("is_used")
    between = scores.filter((scores["alpha"] > 0) & (scores["alpha"] < 1))["alpha"].n_unique()
    return [Claim("merge: shares that were scored", between, at_least=3), worst_against_worse(used)]


def merge_table(scores: Any) -> str:
    """Scores by suite and share, with the interval of the difference to the worse model."""
    heads = ("suite", "alpha", "items", "score", "difference", "low", "high", "is_used")
    return table(heads, list(scores.select(heads).iter_rows()))


def worst_against_worse(used: Any) -> Claim:
    """The smallest upper end over the suites: below 0 the merge is worse than the worse model on a suite."""
    what = "merge against the worse of its models: upper end of the 95% interval, on the worst suite"
    return Claim(what, used["high"].min(), at_least=0)


def _newest(answers: Any) -> Any:
    """The answers of the newest version of every model."""
    newest = answers.sort("at").group_by("model").last().select("model", "model_id")
    return answers.join(newest, on=["model", "model_id"])
