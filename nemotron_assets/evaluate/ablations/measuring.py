"""Measures a model of an ablation, item by item, on the items and the held-out texts of the lake.

Both sides are measured on the same items. A held-out page is left out if another page was dropped as its duplicate: the
side without deduplication may have been trained on that other page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe.ablation import Ablation

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe import Recipe
    from resources.generations import Ledger
    from resources.gpu import Gpu
    from resources.lakehouse import Reader

#: {(task, metric): {item: (score, weight)}}
Measured = dict[tuple[str, str], dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class Measures:
    """Measures models as an ablation says. `texts` are the tables with held-out texts, `items` are the items of the
    suite."""

    ablation: Ablation
    recipe: Recipe
    texts: Mapping[str, Reader]
    items: pl.DataFrame
    gpu: Gpu
    ledger: Ledger

    def of(self, model: Mapping[str, Any], folder: Path) -> Measured:
        """The scores of the model of a row, with its weights in a folder."""
        found: Measured = {}
        for measure in self.ablation.measures:
            found |= getattr(self, f"_{measure}")(model, folder)
        return found

    def _texts(self, model: Mapping[str, Any], folder: Path) -> Measured:
        import polars as pl
        from transformers import AutoModelForCausalLM

        from nemotron_assets.evaluate.results.items import texts
        from nemotron_assets.evaluate.texts import identified, texts_by_domain

        tables = {reader.table.full_name: reader.scan() for reader in self.texts.values()}
        limit, languages = self.recipe.evaluate.max_held_out_documents, self.recipe.web.heuristics.languages
        by_task = texts_by_domain(tables, languages, self.recipe.blend.held_out_share, limit, identified)
        with self.gpu.lock() as devices:
            network = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(devices[0].label)
            rows = texts(network, folder, by_task, self.recipe.evaluate)
        own = pl.LazyFrame({"duplicate_of": [row.item for row in rows]}, schema={"duplicate_of": pl.String})
        repeated = tables["web.duplicates"].select("duplicate_of").join(own, on="duplicate_of", how="semi")
        repeated = set(repeated.collect(engine="streaming").to_series())
        kept = ((row.task, row.metric, row.item, row.score, row.weight) for row in rows if row.item not in repeated)
        return _gathered(kept)

    def _suite(self, model: Mapping[str, Any], folder: Path) -> Measured:
        from nemotron_assets.evaluate.suite.answering import chosen, suite_rows

        own = self.recipe.evaluate.suite
        rows = suite_rows(self._asked(model, folder), chosen(self.items, own.max_items), own.max_output_tokens, "")
        return _gathered(("suite", "right", row["item"], float(row["right"]), 1.0) for row in rows)

    def _budgets(self, model: Mapping[str, Any], folder: Path) -> Measured:
        from nemotron_assets.evaluate.suite.answering import chosen
        from nemotron_assets.evaluate.suite.budgets import Budgets

        own = self.recipe.evaluate.budget_control
        rows = Budgets(self._asked(model, folder), chosen(self.items, own.max_items), own).rows()
        return _gathered(
            (f"budget {row['budget']}, {row['mode']}", metric, row["item"], float(row[metric]), 1.0)
            for row in rows
            for metric in ("right", "well_formed")
        )

    def _asked(self, model: Mapping[str, Any], folder: Path) -> Any:
        from nemotron_assets.evaluate.suite.answering import Answering

        return Answering.of(model, folder, self.recipe.align.rollouts, self.gpu, self.ledger, "ablations")


def _gathered(rows: Iterable[tuple[str, str, str, float, float]]) -> Measured:
    found: Measured = {}
    for task, metric, item, score, weight in rows:
        found.setdefault((task, metric), {})[item] = (score, weight)
    return found
