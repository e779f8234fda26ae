"""Plans the phases of the training: which share of the tokens each category has, and how often its texts are read.

The recipe gives weights to categories. Two things change them, and the table shows both: a category without texts in
this lake gives its weight to the others, and a category whose texts would be read more often than the recipe allows
gets less. What every data set then gives is computed by the mixture that the training itself reads, not estimated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from nemotron_assets.blend.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.categories import CATEGORIES
from nemotron_assets.table.ids import row_id
from nemotron_assets.training.mixture import Entry, Mixture, Source
from nemotron_assets.training.schedule import total_steps

TABLE = "blend.phases"


@dataclass(frozen=True)
class Stretch:
    """One phase as it is planned: its first step and number of steps, the recipe's shares, and the shares it has.

    `basis` says where the recipe's share of a category is from. `reduced` are categories with a smaller share because
    of the limit of epochs.
    """

    name: str
    time_share: float | None
    first_step: int
    steps: int
    recipe_shares: Mapping[str, float]
    shares: Mapping[str, float]
    basis: Callable[[str], str]
    reduced: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Training:
    """A training: its phases, the length and number of its sequences per step, and the column of `blend.categories`
    with the number of sequences of this length."""

    stretches: tuple[Stretch, ...]
    length: int
    batch: int
    seed: int
    counted_in: str

    def mixture(self, data_sets: pl.DataFrame) -> Mixture:
        """The mixture that the training reads, for rows of `blend.categories`."""
        entries = [Entry(s.name, s.first_step, s.shares) for s in self.stretches if s.steps]
        return Mixture(self.seed, entries, sources_of(data_sets, self.counted_in), self.batch)


def sources_of(data_sets: pl.DataFrame, counted_in: str) -> list[Source]:
    """The data sets of rows of `blend.categories` as sources of a mixture."""
    rows = data_sets.drop_nulls("data_set").select("data_set", "category", counted_in).iter_rows()
    return [Source(name, category, (sequences,)) for name, category, sequences in rows]


def limited(
    phases: Sequence[tuple[float, Mapping[str, float]]], most: Mapping[str, float]
) -> tuple[list[dict[str, float]], set[str]]:
    """The shares of the categories in each phase, so that over all phases no category has more than it may have.

    `phases` are (share of the whole training, weights). `most` gives the largest share of the whole training of every
    category that has texts; other categories get nothing. A category over its limit is scaled down by the same factor
    in all phases, and the others share what is left by their weights. Also returns the categories that were scaled. If
    a phase has no other category to take what is left, its categories are scaled up again, over their limits.
    """
    weighted = [(time, _shares({c: w for c, w in weights.items() if c in most})) for time, weights in phases]
    alone = {c: sum(time * shares.get(c, 0.0) for time, shares in weighted) for c in most}
    factors: dict[str, float] = {}
    while True:
        fitted = [_fit(shares, factors) for _, shares in weighted]
        used = {c: sum(t * shares.get(c, 0.0) for (t, _), shares in zip(weighted, fitted, strict=True)) for c in most}
        over = {c for c, share in used.items() if c not in factors and share > most[c] * (1 + 1e-9)}
        if not over:
            return fitted, set(factors)
        factors |= {c: most[c] / alone[c] for c in over}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {c: weight / total for c, weight in weights.items() if weight} if total else {}


def _fit(shares: Mapping[str, float], factors: Mapping[str, float]) -> dict[str, float]:
    """The shares of one phase with some categories scaled by their factors, and the others filling it up."""
    scaled = {c: share * factors[c] for c, share in shares.items() if c in factors}
    rest = {c: share for c, share in shares.items() if c not in factors}
    left = 1 - math.fsum(scaled.values())
    if not rest or left <= 0:
        return _shares(scaled)
    return scaled | {c: share * left / math.fsum(rest.values()) for c, share in rest.items()}


def pretraining(recipe: Recipe, data_sets: pl.DataFrame) -> Training:
    """The phases of the pretraining for the texts of this lake, which are rows of `blend.categories`."""
    blend, run = recipe.blend, recipe.train.base
    steps = total_steps(run, blend.sequence_length)
    counts = dict(data_sets.group_by("category").agg(pl.col("sequences").sum()).iter_rows())
    total = steps * run.batch_sequences
    most = {name: blend.most_epochs(name) * count / total for name, count in counts.items() if count}
    phases = list(blend.phases.items())
    shares, reduced = limited([(phase.share, phase.weights) for _, phase in phases], most)
    ends = [round(math.fsum(p.share for _, p in phases[: k + 1]) * steps) for k in range(len(phases))]
    ends[-1] = steps
    starts = [0, *ends[:-1]]
    stretches = [
        Stretch(
            name,
            phase.share,
            start + 1,
            end - start,
            _shares(phase.weights),
            of_phase,
            lambda category, phase=phase: phase.basis,
            frozenset(reduced),
        )
        for (name, phase), of_phase, start, end in zip(phases, shares, starts, ends, strict=True)
    ]
    return Training(tuple(stretches), blend.sequence_length, run.batch_sequences, run.seed, "sequences")


def long_context(recipe: Recipe, data_sets: pl.DataFrame) -> Training:
    """The extension to long context, as one phase."""
    settings, last, run = recipe.blend.long_context, list(recipe.blend.phases)[-1], recipe.train.long_context
    weights = settings.weights(recipe.blend.phases[last])
    filled = set(data_sets.filter(pl.col("long_sequences") > 0)["category"])
    steps = total_steps(run, settings.sequence_length)

    def basis(category: str) -> str:
        if category not in recipe.blend.phases[last].weights:
            return settings.basis
        return f"{settings.basis}: {settings.last_phase_share:g} of {last} ({recipe.blend.phases[last].basis})"

    shares = _shares({name: weight for name, weight in weights.items() if name in filled})
    stretch = Stretch(LONG_CONTEXT, None, 1, steps, _shares(weights), shares, basis)
    return Training((stretch,), settings.sequence_length, run.batch_sequences, run.seed, "long_sequences")


def phase_rows(recipe: Recipe, data_sets: pl.DataFrame) -> pl.DataFrame:
    """Rows of `blend.phases` for rows of `blend.categories`."""
    rows: list[dict[str, Any]] = []
    epochs: dict[str, float] = {}
    for training in (pretraining(recipe, data_sets), long_context(recipe, data_sets)):
        mixture = training.mixture(data_sets)
        before = dict.fromkeys((source.name for source in mixture.sources), 0)
        for stretch in training.stretches:
            number = len({row["phase"] for row in rows}) + 1
            used = {u.source: u.sequences for u in mixture.used(stretch.first_step - 1 + stretch.steps)}
            for data_set in data_sets.iter_rows(named=True):
                if data_set["category"] in stretch.recipe_shares or data_set["data_set"]:
                    name, size = data_set["data_set"], data_set[training.counted_in]
                    read = used.get(name, 0) - before.get(name, 0)
                    epochs[name] = epochs.get(name, 0.0) + (read / size if size else 0.0)
                    facts = {"number": number, "read": read, "size": size, "epochs_until": epochs[name]}
                    rows.append(_row(training, stretch, data_set, **facts))
            before = used
    return pl.DataFrame(rows, schema_overrides={"number": pl.Int32}, infer_schema_length=None)


def _row(
    training: Training, stretch: Stretch, data_set: Mapping[str, Any], number: int, read: int, size: int, **more: float
) -> dict[str, Any]:
    category, name = data_set["category"], data_set["data_set"]
    return {
        "id": row_id(TABLE, stretch.name, category, name),
        "phase": stretch.name,
        "number": number,
        "phase_share": stretch.time_share,
        "first_step": stretch.first_step,
        "steps": stretch.steps,
        "sequence_length": training.length,
        "category": category,
        "basis": stretch.basis(category),
        "recipe_share": stretch.recipe_shares.get(category, 0.0),
        "share": stretch.shares.get(category, 0.0),
        "status": _status(stretch, category),
        "data_set": name,
        "synthetic": data_set["synthetic"],
        "sequences": read,
        "tokens": round(read * data_set["tokens"] / size) if size else 0,
        "epochs": read / size if size else 0.0,
        **more,
    }


def _status(stretch: Stretch, category: str) -> str:
    if not stretch.recipe_shares.get(category):
        return "not used"
    if not stretch.shares.get(category):
        return "missing"
    return "limited" if category in stretch.reduced else "used"


def off_share(phases: pl.DataFrame) -> tuple[dict[str, float], float]:
    """For rows of `blend.phases`: the sum of the shares of every phase, and by how many sequences a category is off its
    share of a phase at most."""
    each = phases.group_by("phase", "category").agg(pl.col("share").first(), pl.col("sequences").sum())
    totals = each.group_by("phase").agg(pl.col("share").sum(), pl.col("sequences").sum().alias("all"))
    off = each.join(totals.drop("share"), on="phase")
    furthest = off.select((pl.col("sequences") - pl.col("share") * pl.col("all")).abs().max()).item()
    return dict(totals.select("phase", "share").iter_rows()), furthest or 0.0


def over_limit(phases: pl.DataFrame, recipe: Blend) -> dict[str, float]:
    """{data set: its epochs in the pretraining} for those that are passed over more often than the recipe allows. A
    limit is kept to a sequence per phase."""
    pretrained = phases.filter(pl.col("phase") != LONG_CONTEXT, pl.col("epochs") > 0)
    used = pretrained.group_by("data_set", "category").agg(
        pl.col("epochs").sum(), size=(pl.col("sequences").sum() / pl.col("epochs").sum()), phases=pl.len()
    )
    return {
        name: epochs
        for name, category, epochs, size, count in used.sort("data_set").iter_rows()
        if epochs > recipe.most_epochs(category) + 2 * count / size
    }


def summary(phases: pl.DataFrame) -> dict[str, Any]:
    """What the UI shows of the phases: tokens and epochs by category as a table and a plot, the share of synthetic
    tokens, and the categories that are missing or limited."""
    from nemotron_assets.plots import markdown, new_figure, png_markdown

    names = phases.sort("number")["phase"].unique(maintain_order=True).to_list()
    by = phases.group_by("category", "phase").agg(pl.col("tokens").sum(), pl.col("share").first())
    shares = {(category, phase): share for category, phase, _, share in by.iter_rows()}
    pretrained = phases.filter(pl.col("phase") != LONG_CONTEXT)
    total = pretrained["tokens"].sum()
    figure, axes = new_figure(x="share of the phase, %")
    left = dict.fromkeys(names, 0.0)
    lines = [f"| category | {' | '.join(names)} | tokens | most epochs |", "|---" * (len(names) + 3) + "|"]
    for category in CATEGORIES:
        values = [100 * shares.get((category, name), 0.0) for name in names]
        if any(values):
            axes.barh(names, values, left=list(left.values()), label=category)
        left = {name: left[name] + value for name, value in zip(names, values, strict=True)}
        mine = pretrained.filter(category=category)
        cells = " | ".join(f"{value:.1f}%" for value in values)
        most = mine["epochs_until"].max() or 0.0
        lines.append(f"| {category} | {cells} | {mine['tokens'].sum():,} | {most:.2f} |")
    axes.invert_yaxis()
    axes.legend(fontsize=6, ncols=2, bbox_to_anchor=(1, 1), loc="upper left")
    unused = phases.filter(pl.col("status") == "missing")["category"].unique().sort()
    reduced = phases.filter(pl.col("status") == "limited")["category"].unique().sort()
    written = pretrained.filter(pl.col("synthetic"))["tokens"].sum()
    return {
        "shares": png_markdown(figure, "share of each category by phase"),
        "tokens_by_category": markdown("\n".join(lines)),
        "tokens": total,
        "synthetic_share": written / total if total else 0.0,
        "missing": ", ".join(unused) or "none",
        "limited_by_max_epochs": ", ".join(reduced) or "none",
    }
