"""Derived totals beside the published ones, with an explanation of every large difference.

A published total is read here alone. No estimator can: it asks the plan for sizes, and these are another section of
inputs.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.planning.figures import Figure, Unknown, Value
from nemotron_assets.planning.plan import Plan
from nemotron_assets.planning.sources import inputs

#: A derived total may differ from the published one by this factor before the difference needs an explanation.
FACTOR = 2.0


@dataclass(frozen=True)
class Comparison:
    """A published total, what the plan derives for it, and why they differ by more than a factor of two, if they do."""

    name: str
    asset: str
    derived: Value
    published: float
    source: str
    why: str

    @property
    def ratio(self) -> float | None:
        return self.derived.expected / self.published if isinstance(self.derived, Figure) else None

    @property
    def is_close(self) -> bool:
        return self.ratio is not None and 1 / FACTOR <= self.ratio <= FACTOR


def compare(plan: Plan) -> list[Comparison]:
    """Every published total with the plan's figure for it."""
    return [
        Comparison(
            name, entry["asset"], _derived(plan, entry), float(entry["published"]), entry["source"],
            " ".join(entry.get("why", "").split()),
        )
        for name, entry in inputs()["totals"].items()
    ]  # fmt: skip


def _derived(plan: Plan, entry: dict[str, str]) -> Value:
    made = plan.of(entry["asset"])
    value = made.by_part.get(entry["part"]) if "part" in entry else getattr(made, entry["figure"])
    return value if value is not None else Unknown(f"{entry['asset']} has no such figure in this recipe")
