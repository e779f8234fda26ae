"""The metadata of a training with rollouts in the Dagster UI: rewards and lengths over the steps, and examples."""

from __future__ import annotations

from typing import Any

import polars as pl

from nemotron_assets.plots import markdown, new_figure, png_markdown
from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.training.reinforcement.audit import disagreement, held_out

_SHOWN = 6


def of_rollouts(rollouts: pl.LazyFrame, model_id: str) -> dict[str, Any]:
    """The curve of the mean reward, what the held-out prompts show, and the rollouts with the most and least advantage
    of the last step."""
    own = rollouts.filter(pl.col("model_id") == model_id)
    steps = own.filter(pl.col("split") == "train").group_by("step")
    curve = steps.agg(pl.col("reward").mean(), pl.col("length").mean()).sort("step").collect(engine="streaming")
    figure, axes = new_figure(x="step", y="mean reward")
    axes.plot(curve["step"], curve["reward"])
    found, measured = disagreement(rollouts, model_id), held_out(rollouts, model_id)
    shown = {"rewards": png_markdown(figure, "mean reward over steps"), "rollouts_last_step": _examples(own)}
    shown |= {f"sampler_against_trainer_{name}": value for name, value in found.items()}
    if measured is not None:
        shown |= {"held_out_difference": measured.difference, "held_out_p": measured.p}
    return shown


def _examples(own: pl.LazyFrame) -> Any:
    trained = own.filter(pl.col("split") == "train")
    columns = ("prompt", "completion", "rewards", "advantage")
    last = trained.filter(pl.col("step") == pl.col("step").max()).select(columns).collect(engine="streaming")
    rows = last.sort("advantage", descending=True, nulls_last=True)
    rows = pl.concat([rows.head(_SHOWN // 2), rows.tail(_SHOWN // 2)])
    lines = [markdown_row(columns), "|---|---|---|--:|"]
    lines += [markdown_row([*map(str, row[:-1]), f"{row[-1]:.2f}"], 240) for row in rows.iter_rows()]
    return markdown("\n".join(lines))
