"""Shows the steps of a compressed model in the Dagster UI: a table, the curve of the divergence, and the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.compress.distilling.tables import COMPRESSION_STEPS, PREFERENCES, ROLLOUTS
from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.plots import markdown, new_figure, png_markdown
from nemotron_assets.table.asset import materialized
from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.training.metrics import stored

if TYPE_CHECKING:
    import dagster as dg

    from resources.lakehouse import Lakehouse

#: Steps whose loss is not a divergence from the teacher.
NOT_DISTILLED = ("dpo", "grpo", "rlhf")
_SHOWN = ("name", "version", "parameters", "tokens_seen", "steps", "final_loss")


def shown(
    context: dg.AssetExecutionContext, lake: Lakehouse, steps: Sequence[dict[str, Any]], model: dict[str, Any]
) -> None:
    """Add what is known of a compressed model and its steps to the asset, and tell Dagster what else was stored."""
    materialized(context, COMPRESSION_STEPS, lake, steps=len(steps))
    for table in (TRAINING_METRICS, TRAINING_EVENTS):
        materialized(context, table, lake)
    if any(step["step"] == "dpo" for step in steps):
        materialized(context, PREFERENCES, lake)
        materialized(context, ROLLOUTS, lake)
    context.add_output_metadata(facts(lake, steps, model))


def facts(lake: Lakehouse, steps: Sequence[dict[str, Any]], model: dict[str, Any]) -> dict[str, Any]:
    """The table of the steps, the divergence over the tokens of all distillations, and the sizes."""
    models = [*steps, model] if "final_loss" in model else list(steps)
    lines = [markdown_row(_SHOWN), f"|{'---|' * len(_SHOWN)}"]
    lines += [markdown_row([_number(row[name]) for name in _SHOWN]) for row in models]
    return {
        "steps": markdown("\n".join(lines)),
        "divergence": _curve(lake, [row for row in models if row.get("step") not in NOT_DISTILLED]),
        "parameters": model["parameters"],
        "share of the teacher's inner parameters": model["inner_parameters"] / model["teacher_inner_parameters"],
        "weights": model["uri"],
    }


def _curve(lake: Lakehouse, models: Sequence[dict[str, Any]]) -> dg.MarkdownMetadataValue:
    figure, axes = new_figure(x="tokens", y="divergence from the teacher, nats per token")
    before = 0
    for row in models:
        curve = stored(lake, row["id"])
        axes.plot(curve["tokens"] + before, curve["loss"], linewidth=1, label=row.get("step", "last"))
        before += row["tokens_seen"]
    axes.legend(fontsize="x-small")
    return png_markdown(figure, "divergence over tokens")


def _number(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value
