"""Stores the metrics of a training while it runs, reads them, and shows them in the Dagster UI."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.table.progress import EVERY_S, time_left

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

    from resources.lakehouse import Lakehouse


def stored(lake: Lakehouse, model_id: str) -> pl.DataFrame:
    """The stored metrics of one model's training, sorted by step."""
    import polars as pl

    return lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == model_id).sort("step").collect()


def appender(
    lake: Lakehouse, name: str, model_id: str, run_id: str, steps: int, log: Callable[[str], None]
) -> Callable[[list[dict[str, Any]]], None]:
    """A function that appends rows of metrics to `models.training_metrics` and logs the progress of the training.

    `steps` is the number of steps of the whole training. A resumed training sends some steps again; rows of steps that
    are stored already are left out. Only one process may train the model meanwhile.
    """
    import polars as pl

    last, logged = stored(lake, model_id)["step"].max() or 0, float("-inf")
    schema = lake.read(TRAINING_METRICS).scan().collect_schema()

    def append(rows: list[dict[str, Any]]) -> None:
        nonlocal last, logged
        new = [
            row | {"model": name, "model_id": model_id, "run_id": run_id, "at": datetime.fromisoformat(row["at"])}
            for row in rows
            if row["step"] > last
        ]
        if not new:
            return
        lake.append(TRAINING_METRICS, pl.DataFrame(new, schema=schema), run_id=run_id)
        row = new[-1]
        last = row["step"]
        if last == steps or time.monotonic() - logged > EVERY_S:
            left = time_left(last, steps, row["tokens"] / row["tokens_per_second"]) if row["tokens_per_second"] else ""
            log(
                f"step {last:,} of {steps:,}: loss {row['loss']:.3f}, {row['tokens']:,} tokens, "
                f"{row['tokens_per_second']:,.0f} tokens/s{', ' + left if left else ''}"
            )
            logged = time.monotonic()

    return append


def loss_plot(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """A plot of loss and learning rate over tokens, for the UI."""
    from nemotron_assets.plots import new_figure, png_markdown

    figure, axes = new_figure(x="tokens", y="loss, nats per token")
    axes.plot(rows["tokens"], rows["loss"], color="tab:blue")
    rate = axes.twinx()
    rate.plot(rows["tokens"], rows["lr"], color="tab:orange", linestyle=":")
    rate.set_ylabel("learning rate", color="tab:orange")
    return png_markdown(figure, "loss and learning rate over tokens")


def facts(model: dict[str, Any], curve: pl.DataFrame) -> dict[str, Any]:
    """The metadata of a trained model for the UI, from its row and its metrics."""
    return {
        "loss": loss_plot(curve),
        "final_loss": model["final_loss"],
        "parameters": model["parameters"],
        "tokens": model["tokens_seen"],
        "tokens_per_second": curve["tokens_per_second"].median(),
        "weights": model["uri"],
        "inputs": ", ".join(model["input_versions"]),
        "sources": ", ".join(model["source_versions"]) or "not recorded",
    }
