"""Compares the two sides of an ablation on the same items, over all seeds.

The models of one seed are a pair. The interval draws seeds and items anew, both with replacement (a crossed bootstrap):
an interval over items alone would take the luck of one training for an effect of the change. The test asks whether the
mean differences of the items are chance, given these models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.ablations.measuring import Measured
from nemotron_assets.grading.paired import paired
from nemotron_assets.recipe.ablation import Ablation
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    import numpy as np

_DRAWS = 4_000
#: Metrics of which a lower score is better.
LOWER_IS_BETTER = frozenset({"bits_per_byte"})


def ablation_rows(
    ablation: Ablation,
    unchanged: Mapping[int, Measured],
    changed: Mapping[int, Measured],
    made: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Rows of `evaluate.ablations`, one per task and metric. `unchanged` and `changed` are the scores by seed, `made`
    has the columns that say how the rows were made. Raises ValueError if the models have not the same items."""
    import numpy as np

    rows = []
    seeds = sorted(unchanged)
    for task, metric in unchanged[seeds[0]]:
        scores = [side[seed][task, metric] for side in (unchanged, changed) for seed in seeds]
        items = sorted(scores[0])
        if any(set(items) != set(own) for own in scores):
            raise ValueError(f"ablation {ablation.name}: the models were not measured on the same items of {task}")
        weights = np.array([scores[0][item][1] for item in items])
        table = np.array([[own[item][0] for item in items] for own in scores])
        before, after = table[: len(seeds)], table[len(seeds) :]
        low, high = crossed(after - before, weights)
        by_item = (after - before).mean(0) * weights / weights.mean()
        rows.append(
            {
                "id": row_id("evaluate.ablations", ablation.name, task, metric),
                "ablation": ablation.name,
                "question": ablation.question,
                "change": json.dumps(ablation.change, sort_keys=True),
                "model": ablation.model,
                "tokens": ablation.tokens,
                "seeds": seeds,
                "task": task,
                "metric": metric,
                "items": len(items),
                "unchanged": float((before * weights).sum() / (len(seeds) * weights.sum())),
                "changed": float((after * weights).sum() / (len(seeds) * weights.sum())),
                "difference": float(by_item.mean()),
                "low": low,
                "high": high,
                "p_value": paired(np.zeros(len(items)), by_item).p,
                "seed_differences": [float(d) for d in ((after - before) * weights).sum(1) / weights.sum()],
                "verdict": verdict(metric, low, high),
                **made,
            }
        )
    return rows


def crossed(differences: np.ndarray, weights: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95% interval of the weighted mean of differences [seed, item]; seeds and items are drawn."""
    import numpy as np

    numbers, means = np.random.default_rng(seed), []
    of_seeds, of_items = differences.shape
    for _ in range(_DRAWS):
        own = differences[numbers.integers(0, of_seeds, of_seeds)].mean(0)
        drawn = numbers.integers(0, of_items, of_items)
        means.append((own[drawn] * weights[drawn]).sum() / weights[drawn].sum())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def verdict(metric: str, low: float, high: float) -> str:
    """What an interval of changed - unchanged says: better, worse, or undecided."""
    if low <= 0 <= high:
        return "undecided"
    return "better" if (high < 0) == (metric in LOWER_IS_BETTER) else "worse"
