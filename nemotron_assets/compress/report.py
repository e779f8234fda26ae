"""Shows budgets, importance and candidates in the Dagster UI: tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemotron_assets.compress.budget import shown
from nemotron_assets.plots import lines, markdown, new_figure, png_markdown
from nemotron_assets.table.markdown import markdown_row

if TYPE_CHECKING:
    import polars as pl

_COLOURS = {"M": "#3d7a00", "*": "#c2410c", "-": "#1d4ed8"}


def of_budget(rows: pl.DataFrame) -> dict[str, Any]:
    """A table with a row per model."""
    names = ("model", "weights", "KV cache", "states", "convolutions", "total", "engine", "budget", "fits")
    return {"memory": _table(names, shown(rows))}


def of_importance(rows: pl.LazyFrame) -> dict[str, Any]:
    """Per model: the error of each layer alone, the removals, and the sorted scores of channels and neurons."""
    import polars as pl

    found: dict[str, Any] = {}
    for (name,), own in rows.collect().group_by("model", maintain_order=True):
        layers = own.filter(pl.col("axis") == "layer").sort("layer")
        figure, axes = new_figure(f"{name}: error of the logits without a layer", "layer", "mean squared error")
        tried = layers.filter(pl.col("scores").list.len() > 0)
        for kind, colour in _COLOURS.items():
            one = tried.filter(pl.col("kind") == kind)
            axes.bar(one["layer"], one["scores"].list.first(), color=colour, label=kind)
        axes.set_yscale("log")
        axes.legend(fontsize=8, frameon=False)
        found[f"layers of {name}"] = png_markdown(figure, f"error without a layer of {name}")
        gone = layers.filter(pl.col("removed").is_not_null()).sort("removed")
        columns = ("removed", "layer", "kind", "logit_mse", "normalised_mse")
        found[f"layers of {name} that go"] = _table(columns, gone.select(columns).iter_rows())
        found[f"widths of {name}"] = _widths(name, own)
    return found


def _widths(name: str, own: pl.DataFrame) -> Any:
    """Sorted scores as shares of the largest: channels, neurons of each FFN, and heads of each Mamba-2 layer."""
    import polars as pl

    series = {}
    for axis, layer, scores in own.sort("layer").select("axis", "layer", "scores").iter_rows():
        if axis in ("channels", "neurons", "mamba"):
            ordered = pl.Series(scores).sort(descending=True)
            places = (pl.int_range(len(ordered), eager=True) / len(ordered)).to_list()
            title = axis if layer < 0 else f"{axis} of layer {layer}"
            series[title] = (places, (ordered / max(ordered[0], 1e-30)).to_list())
    few = dict(list(series.items())[:8])
    return lines(few, f"{name}: scores, the highest first", "share of the axis", "share of the highest", log_y=True)


def of_candidates(rows: pl.LazyFrame) -> dict[str, Any]:
    """The candidates that fit and the depths, as a table, and what was found out of those that were tried, as a plot:
    score over bytes, with the speed beside each."""
    import polars as pl

    found = rows.collect()
    shown = found.filter(pl.col("rank").is_not_null() | (pl.col("step") == "depth")).sort("step", "rank").head(40)
    columns = (
        "step", "rank", "pattern", "hidden", "ffn", "heads", "parameters", "total_bytes", "engine_bytes",
        "zero_shot_loss", "loss", "score", "tokens_per_second", "on_front", "chosen",
    )  # fmt: skip
    tried = found.filter(pl.col("tokens_per_second").is_not_null()).sort("total_bytes")
    figure, axes = new_figure("candidates that were tried: the front is filled", "bytes", "score")
    for row in tried.to_dicts():
        filled = _COLOURS["M"] if row["on_front"] else "none"
        place = row["total_bytes"], row["score"]
        axes.scatter(*place, s=90 if row["chosen"] else 40, facecolors=filled, edgecolors=_COLOURS["M"])
        named = f"{row['hidden']}/{row['ffn']}/{row['heads']}: {row['tokens_per_second']:,.0f} tokens/s"
        axes.annotate(named, place, textcoords="offset points", xytext=(6, 4), fontsize=7)
    axes.axvline(found["allowed_bytes"][0], color="grey", linestyle=":", linewidth=0.8)
    best = found.filter(pl.col("chosen")).select("pattern", "hidden", "ffn", "heads", "head_dim").to_dicts()
    return {
        "candidates": _table(columns, shown.select(columns).iter_rows()),
        "frontier": png_markdown(figure, "score and bytes of the candidates"),
        "chosen": str(best[0]) if best else "no candidate",
        "shapes": found.height,
        "fit": int(found["rank"].is_not_null().sum()),
    }


def _table(names: Any, rows: Any) -> Any:
    shown = [[f"{value:.4g}" if isinstance(value, float) else value for value in row] for row in rows]
    return markdown("\n".join([markdown_row(list(names)), f"|{'---|' * len(names)}", *map(markdown_row, shown)]))
