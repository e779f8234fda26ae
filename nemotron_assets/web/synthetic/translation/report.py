"""Metadata of the translations (outcomes per language, examples), and what their checks count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from nemotron_assets.generation.asking import example_markdown
from nemotron_assets.generation.translation.judging import CAUSES, UNASKED, problems
from nemotron_assets.generation.translation.languages import NAMES
from nemotron_assets.generation.translation.lines import translated_words
from nemotron_assets.plots import new_figure, png_markdown
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.web.translation import Translation
from nemotron_assets.table.markdown import markdown_row
from nemotron_assets.text.language import detect
from nemotron_assets.web.synthetic.translation.outcomes import Tally
from nemotron_assets.web.synthetic.translation.samples import choose_samples

_COLOURS = (
    "#d1495b",
    "#edae49",
    "#00798c",
    "#8d6a9f",
    "#a8763e",
    "#5b8e7d",
    "#c44536",
    "#3d5a80",
    "#999999",
    "#555555",
)
_EXAMPLES = 2


def metadata(tallies: Mapping[str, Tally], snapshot: str) -> dict[str, Any]:
    """The metadata of `web.translated_diverse_qa`: counts over all languages, outcomes per language, and examples."""
    names = ("samples", "accepted", "lines", "generations", "output_tokens")
    facts = {name: sum(getattr(tally, name) for tally in tallies.values()) for name in names}
    facts["translations"] = facts.pop("samples")  # one per sample and language
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
    """A Markdown table with a row per language: samples, accepted and rejected samples by cause, lines, generations,
    tokens."""
    causes = [cause for cause in CAUSES if any(tally.rejected[cause] for tally in tallies.values())]
    titles = ["language", "samples", "accepted", *causes, "lines", "asked", "tokens written"]
    lines = ["| " + " | ".join(title.replace("_", " ") for title in titles) + " |", "|---" + "|--:" * (len(titles) - 1)]
    lines[1] += "|"
    for language, t in tallies.items():
        counts = [t.samples, t.accepted, *(t.rejected[c] for c in causes), t.lines, t.generations, t.output_tokens]
        lines.append(f"| {language} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(lines)


def failures_table(tallies: Mapping[str, Tally]) -> str:
    """The first failure in every language, as a Markdown table."""
    failed = {language: tally.failure for language, tally in tallies.items() if tally.failure}
    shown = [markdown_row(row) for row in failed.items()]
    return "\n".join(["| language | first failure |", "|---|---|", *shown]) if failed else "Nothing was rejected."


def outcomes_plot(tallies: Mapping[str, Tally], title: str) -> dg.MarkdownMetadataValue:
    """A bar per language: accepted samples at the bottom, rejected samples by cause above."""
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


def completeness(
    samples: pl.LazyFrame, outcomes: pl.LazyFrame, translated: pl.LazyFrame, recipe: Translation
) -> dict[str, int]:
    """The number of `samples` that had to be translated, and a count of each fault in the rows about them.

    Arguments: `web.diverse_qa`, `web.translation_outcomes` and `web.translated_diverse_qa` of a snapshot.
    """
    pair = [pl.col("parents").list.first().alias("sample"), "language"]
    wanted = (
        choose_samples(samples, recipe)
        .select(sample="id")
        .join(pl.LazyFrame({"language": recipe.languages}), how="cross")
    )
    stored, rows = outcomes.select(*pair, "outcome", "reason", "attempts"), translated.select("id", *pair)
    accepted = stored.filter(pl.col("outcome") == "accepted")
    never = (pl.col("attempts") == 0) & (pl.col("reason").is_null() | ~pl.col("reason").is_in(UNASKED))
    on = ["sample", "language"]
    counts = {
        "samples": wanted.select("sample").unique(),
        "outcomes_missing": wanted.join(stored, on=on, how="anti"),
        "outcomes_of_others": stored.join(wanted, on=on, how="anti"),
        "outcomes_doubled": stored.group_by(on).len().filter(pl.col("len") > 1),
        "never_asked": stored.filter(never),
        "rows_doubled": rows.group_by("id").len().filter(pl.col("len") > 1),
        "rows_without_outcome": rows.join(accepted, on=on, how="anti"),
        "outcomes_without_row": accepted.join(rows, on=on, how="anti"),
    }
    frames = pl.collect_all([frame.select(pl.len()) for frame in counts.values()], engine="streaming")
    return {name: frame.item() for name, frame in zip(counts, frames, strict=True)}


def wrong_rows(
    samples: pl.LazyFrame, translated: pl.LazyFrame, recipe: Recipe
) -> tuple[int, dict[str, str], dict[str, str]]:
    """(rows judged, {id: what is wrong}, {id: the language found instead}) of the rows with the lowest ids, which are
    hashes."""
    own, documents = recipe.web.translation, recipe.web.documents
    rows = (
        translated.select("id", "language", "text", sample=pl.col("parents").list.first())
        .bottom_k(own.checked_rows, by="id")
        .join(samples.select(sample="id", source="text"), on="sample", how="left")
        .select("id", "language", "text", "source")
    )
    judged, broken, other = 0, {}, {}
    for frame in rows.collect_batches(chunk_size=512, engine="streaming"):
        for row, language, text, source in frame.iter_rows():
            judged += 1
            if wrong := ["sample"] if source is None else problems(source, text, language, own):
                broken[row] = f"wrong: {', '.join(wrong)}"
            found, _ = detect(translated_words(text, language), documents.language_model, documents.language_characters)
            if found != language:
                other[row] = f"{found}, not {language}"
    return judged, broken, other
