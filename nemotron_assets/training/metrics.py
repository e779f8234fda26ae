"""Stores the metrics and events of a training while it runs, reads them, and shows them in the Dagster UI."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.table.progress import EVERY_S, time_left

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse


def stored(lake: Lakehouse, model_id: str, table: Table = TRAINING_METRICS) -> pl.DataFrame:
    """The stored metrics of one model's training, or its events, sorted by step."""
    import polars as pl

    return lake.read(table).scan().filter(pl.col("model_id") == model_id).sort("step").collect()


def measure(rows: pl.DataFrame, name: str) -> pl.Series:
    """The values of one of the further measurements of a training, one per row that has it."""
    import polars as pl

    found = [dict(zip(n or (), v or (), strict=True)) for n, v in rows.select("measures", "measured").iter_rows()]
    return pl.Series(name, [row[name] for row in found if name in row], pl.Float64)


def appender(
    lake: Lakehouse,
    name: str,
    model_id: str,
    run_id: str,
    steps: int,
    length: int,
    log: Callable[[str], None],
    sequences: str | None = None,
) -> Callable[[list[dict[str, Any]]], None]:
    """A function that appends rows of metrics to `models.training_metrics` and events (rows with a `kind`) to
    `models.training_events`, and logs the progress of the training and every event.

    `steps` is the number of steps of the whole training, `length` that of its sequences in tokens, `sequences` says
    which part of which table they are ("blend.sequences/8192"). A resumed training
    sends some steps again; rows of steps that are stored already are left out. Only one process may train the model
    meanwhile.
    """
    import polars as pl

    last, logged = stored(lake, model_id)["step"].max() or 0, float("-inf")
    known = set(stored(lake, model_id, TRAINING_EVENTS).select("step", "kind", "message").iter_rows())

    def write(table: Table, rows: list[dict[str, Any]]) -> None:
        of = {"model": name, "model_id": model_id, "run_id": run_id}
        whole = [row | of | {"at": datetime.fromisoformat(row["at"])} for row in rows]
        lake.append(table, pl.DataFrame(whole, schema=table.empty().schema), run_id=run_id)

    def append_events(events: list[dict[str, Any]]) -> None:
        new = {(event["step"], event["kind"], event["message"]): event for event in events}
        new = {
            key: event | {"sequence_length": length, "sequences": sequences}
            for key, event in new.items()
            if key not in known
        }
        if new:
            write(TRAINING_EVENTS, list(new.values()))
            known.update(new)
            for event in new.values():
                log(event["message"])

    def append(rows: list[dict[str, Any]]) -> None:
        nonlocal last, logged
        append_events([row for row in rows if "kind" in row])
        new = [row for row in rows if "kind" not in row and row["step"] > last]
        if not new:
            return
        write(TRAINING_METRICS, new)
        row = new[-1]
        last = row["step"]
        if last == steps or time.monotonic() - logged > EVERY_S:
            log(_progress(row, steps))
            logged = time.monotonic()

    return append


def _progress(row: dict[str, Any], steps: int) -> str:
    """A line for the log: "step 5 of 64, phase-1: loss 8.1, 10,240 tokens, 900 tokens/s, 2 min left"."""
    speed = row["tokens_per_second"]
    parts = [
        f"step {row['step']:,} of {steps:,}{', ' + row['phase'] if row.get('phase') else ''}: loss {row['loss']:.3f}",
        f"{row['tokens']:,} tokens",
        f"{speed:,.0f} tokens/s",
        f"MFU {row['mfu']:.1%}" if row.get("mfu") else "",
        time_left(row["step"], steps, row["tokens"] / speed) if speed else "",
    ]
    return ", ".join(filter(None, parts))


def curves(rows: pl.DataFrame) -> dict[str, dg.MarkdownMetadataValue]:
    """Plots over tokens for the UI: loss and learning rate, gradient norm, throughput, and the loss of every category.
    A dotted line stands where a phase begins."""
    return {
        "loss": _plot(rows, {"loss": rows["loss"]}, "loss, nats per token", rate=True),
        "gradient norm": _plot(rows, {"gradient norm": rows["grad_norm"]}, "gradient norm"),
        "throughput": _plot(rows, {"throughput": rows["tokens_per_second"]}, "tokens per second"),
        "loss by category": _plot(rows, _by_category(rows), "loss, nats per token"),
        **{name: _plot(rows, lines, name) for name, lines in _measures(rows).items()},
    }


def _by_category(rows: pl.DataFrame) -> dict[str, list[float | None]]:
    known = rows.drop_nulls("categories")
    names = list(dict.fromkeys(name for names in known["categories"] for name in names))
    losses = [dict(zip(of or (), values or (), strict=True)) for of, values in rows.select(_CATEGORIES).iter_rows()]
    return {name: [row.get(name) for row in losses] for name in names}


def _measures(rows: pl.DataFrame) -> dict[str, dict[str, list[float | None]]]:
    """The further measurements of a training, by the first part of their names: rewards/margins and rewards/chosen
    stand in one plot."""
    found = [dict(zip(n or (), v or (), strict=True)) for n, v in rows.select("measures", "measured").iter_rows()]
    plots: dict[str, dict[str, list[float | None]]] = {}
    for name in dict.fromkeys(name for row in found for name in row):
        plots.setdefault(name.partition("/")[0], {})[name] = [row.get(name) for row in found]
    return plots


_CATEGORIES = ("categories", "category_losses")


def _plot(rows: pl.DataFrame, lines: dict[str, Any], y: str, rate: bool = False) -> dg.MarkdownMetadataValue:
    from nemotron_assets.plots import new_figure, png_markdown

    figure, axes = new_figure(x="tokens", y=y)
    for name, values in lines.items():
        points = [(x, value) for x, value in zip(rows["tokens"], values, strict=True) if value is not None]
        axes.plot([x for x, _ in points], [value for _, value in points], label=name, linewidth=1)
    if len(lines) > 1:
        axes.legend(fontsize="x-small", ncols=2)
    starts = rows.filter(rows["phase"].ne_missing(rows["phase"].shift())).drop_nulls("phase")
    for x, phase in starts.select("tokens", "phase").iter_rows():
        axes.axvline(x, color="grey", linestyle=":", linewidth=0.8)
        axes.annotate(phase, (x, 1), xycoords=("data", "axes fraction"), fontsize="x-small", va="top")
    if rate:
        other = axes.twinx()
        other.plot(rows["tokens"], rows["lr"], color="tab:orange", linestyle=":")
        other.set_ylabel("learning rate", color="tab:orange")
    return png_markdown(figure, f"{y} over tokens")


def facts(model: dict[str, Any], curve: pl.DataFrame, events: pl.DataFrame) -> dict[str, Any]:
    """The metadata of a trained model for the UI, from its row, its metrics and the events of its training."""
    left_out = events.filter(events["kind"].is_in(["nan", "spike"]))
    resumed = curve["run_id"].n_unique() - 1 if curve.height else 0
    return {
        **curves(curve),
        "final_loss": model["final_loss"],
        "parameters": model["parameters"],
        "tokens": model["tokens_seen"],
        "tokens_per_second": curve["tokens_per_second"].median(),
        "mfu": curve["mfu"].median() or "not known for this device",
        "peak_memory_bytes": curve["peak_memory_bytes"].max() or 0,
        "precision": model["precision"] or "not recorded",
        "bf16_layers": ", ".join(model["bf16_layers"] or ()) or "no layer is in FP8",
        "resumed": resumed,
        "left_out_batches": left_out.height,
        "events": "\n".join(events["message"].tail(20)) or "none",
        "weights": model["uri"],
        "inputs": ", ".join(model["input_versions"]),
        "sources": ", ".join(model["source_versions"]) or "not recorded",
    }
