"""What a step is expected to make and take, for its log and for the UI, before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.planning.figures import Figure, Unknown, Value
from nemotron_assets.planning.plan import Plan, estimators
from nemotron_assets.planning.shown import amount, duration, money, size, with_range
from nemotron_assets.recipe import Recipe

#: A step that is expected to take so many seconds is long: its figures stand in the UI before it begins.
LONG_S = 10.0

_SHOWN = (
    ("rows", amount, "rows"),
    ("tokens", amount, "tokens"),
    ("bytes", size, "stored"),
    ("llm_in", amount, "LLM tokens in"),
    ("llm_out", amount, "LLM tokens out"),
    ("core_seconds", duration, "CPU time"),
    ("gpu_seconds", duration, "GPU time"),
    ("money", money, "USD"),
)


@dataclass(frozen=True)
class Expected:
    """The figures of a step by name, as texts with ranges, and whether the step is long."""

    figures: dict[str, str]
    is_long: bool

    def __str__(self) -> str:
        return "; ".join(f"{name} {value}" for name, value in self.figures.items())


def expected(recipe: Recipe, asset: str) -> Expected:
    """What one step of an asset is expected to make and take: the estimate of the asset, divided by its partitions."""
    plan = _plan(recipe)
    if asset not in estimators():
        return Expected({"estimate": f"not known: {asset} has no estimator"}, False)
    made, steps = plan.of(asset), plan.steps(asset)
    figures, seconds = {}, 0.0
    for name, form, title in _SHOWN:
        value: Value | None = getattr(made, name)
        if value is None or (name == "money" and made.core_seconds is None):
            continue
        share = value / steps
        if name == "money" and isinstance(share, Figure) and share.high < 0.005:
            continue
        figures[title] = str(share) if isinstance(share, Unknown) else with_range(share, form)
        if name in ("core_seconds", "gpu_seconds") and isinstance(share, Figure):
            seconds += share.expected
    return Expected(figures, seconds >= LONG_S)


_last: dict[str, Plan] = {}


def _plan(recipe: Recipe) -> Plan:
    """The plan of a recipe. The last one is kept, because a run asks for many steps of one recipe."""
    key = recipe.hash()
    if key not in _last:
        _last.clear()
        _last[key] = Plan(recipe)
    return _last[key]
