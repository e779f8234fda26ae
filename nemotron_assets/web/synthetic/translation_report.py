"""What people want to see of the translations: outcomes per language as a table and a plot, and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from nemotron_assets.plots import new_figure, png_markdown
from nemotron_assets.web.synthetic.asking import example_markdown
from nemotron_assets.web.synthetic.translate import CAUSES, NAMES, Tally

_COLOURS = ("#d1495b", "#edae49", "#00798c", "#8d6a9f", "#a8763e", "#5b8e7d", "#c44536", "#999999", "#555555")
_EXAMPLES = 2


def metadata(tallies: Mapping[str, Tally], snapshot: str) -> dict[str, Any]:
    """The counts of all languages, the table and the plot of what became of them, and examples."""
    names = ("samples", "accepted", "lines", "generations", "output_tokens")
    facts = {name: sum(getattr(tally, name) for tally in tallies.values()) for name in names}
    facts["translations"] = facts.pop("samples")  # sample x language
    facts["new_generations"] = sum(tally.new for tally in tallies.values())
    accepted = [f"{NAMES[k]}\n\n{example_markdown(t.example)}" for k, t in tallies.items() if t.example]
    return {
        **facts,
        "outcomes": dg.MetadataValue.md(outcomes_table(tallies)),
        "outcomes_plot": outcomes_plot(tallies, f"Translations per language, {snapshot}"),
        "examples": dg.MetadataValue.md("\n\n".join(accepted[:_EXAMPLES]) or "No translation was accepted."),
        "failures": dg.MetadataValue.md(failures_table(tallies)),
    }


def outcomes_table(tallies: Mapping[str, Tally]) -> str:
    """Per language: how many samples were accepted or rejected for which cause, and what was asked, in Markdown."""
    causes = [cause for cause in CAUSES if any(tally.rejected[cause] for tally in tallies.values())]
    titles = ["language", "samples", "accepted", *causes, "lines", "asked", "tokens written"]
    lines = ["| " + " | ".join(title.replace("_", " ") for title in titles) + " |", "|---" + "|--:" * (len(titles) - 1)]
    lines[1] += "|"
    for language, t in tallies.items():
        counts = [t.samples, t.accepted, *(t.rejected[c] for c in causes), t.lines, t.generations, t.output_tokens]
        lines.append(f"| {language} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(lines)


def failures_table(tallies: Mapping[str, Tally]) -> str:
    """The first failure of every language, in Markdown."""
    failed = {language: tally.failure for language, tally in tallies.items() if tally.failure}
    shown = [f"| {k} | {v.replace('|', '¦').replace('`', chr(39)).replace('<', '&lt;')} |" for k, v in failed.items()]
    return "\n".join(["| language | first failure |", "|---|---|", *shown]) if failed else "Nothing was rejected."


def outcomes_plot(tallies: Mapping[str, Tally], title: str) -> dg.MarkdownMetadataValue:
    """A bar per language: accepted at the bottom, the causes of the rejects above it."""
    figure, axes = new_figure(title, y="samples")
    places, bottom = range(len(tallies)), [0] * len(tallies)
    layers = [("accepted", [tally.accepted for tally in tallies.values()], "#3d7a00")]
    for cause, colour in zip(CAUSES, _COLOURS, strict=True):
        layers.append((cause.replace("_", " "), [tally.rejected[cause] for tally in tallies.values()], colour))
    for label, heights, colour in layers:
        if any(heights):
            axes.bar(places, heights, bottom=bottom, label=label, color=colour)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_xticks(places, list(tallies), fontsize=8)
    if any(bottom):
        axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return png_markdown(figure, title)
