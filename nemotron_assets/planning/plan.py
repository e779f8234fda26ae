"""The plan of a recipe: an estimate for every asset, made by the estimator that its stage has registered.

An estimator is a function of the plan that returns an `Estimate`. It asks the plan for the estimates of the assets it
is made from, for inputs, rates and values of the recipe, and never for a published total.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, Literal

from nemotron_assets.planning import sources
from nemotron_assets.planning.figures import Figure, Unknown, Value, known, total
from nemotron_assets.planning.sources import Profile
from nemotron_assets.recipe import Recipe

#: The modules with estimators, one per stage.
STAGES = (
    "snapshots",
    "models",
    "web",
    "math",
    "code",
    "sft",
    "sft_questions",
    "sft_academic",
    "sft_multilingual",
    "blend",
    "sample",
    "pretrain",
    "align_data",
    "align_tuning",
    "align_reinforcement",
    "trainings",
    "align_preference",
    "compress",
    "compress_distilling",
    "evaluate",
    "evaluate_suite",
    "lake",
)

#: An asset without partitions is made in one step.
ONE = known("one step", 1, "an asset without partitions")

#: What an asset is divided into; every part is a step of its own.
Parts = Literal["snapshot", "language", None]


@dataclass(frozen=True)
class Estimate:
    """What an asset is expected to hold and to take, over all its partitions. None: does not apply.

    `llm_in` and `llm_out` are tokens of requests to language models and of their answers. `core_seconds` and
    `gpu_seconds` are the time of one CPU core and of one GPU, `fees` is money for requests to an endpoint.
    """

    rows: Value | None = None
    tokens: Value | None = None
    bytes: Value | None = None
    llm_in: Value | None = None
    llm_out: Value | None = None
    core_seconds: Value | None = None
    gpu_seconds: Value | None = None
    fees: Value | None = None
    flops: Value | None = None
    by_part: Mapping[str, Value] = field(default_factory=dict)

    @property
    def money(self) -> Value:
        """US dollars: hours of cores and GPUs at the assumed prices, and fees of an endpoint."""
        hours = ((self.core_seconds, "core_hour"), (self.gpu_seconds, "gpu_hour"))
        paid = [spent * (sources.price(name) / 3_600) for spent, name in hours if spent is not None]
        return total([*paid, self.fees])

    def values(self) -> dict[str, Value]:
        """The figures that apply, by name."""
        names = [f.name for f in fields(self) if f.name != "by_part"]
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def unknown(reason: str) -> Estimate:
    """An estimate in which nothing is known, for one reason."""
    nothing = Unknown(reason)
    return Estimate(rows=nothing, tokens=nothing, bytes=nothing, core_seconds=nothing)


@dataclass(frozen=True)
class _Estimator:
    function: Callable[[Plan], Estimate]
    parts: Parts
    asks: tuple[str, ...]


_ESTIMATORS: dict[str, _Estimator] = {}


def estimates(asset: str, *, by: Parts = None, asks: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Register the function as the estimator of an asset ("web.documents").

    `by` is what the asset is divided into. For an asset that asks a language model, `asks` names the values of the
    recipe that are part of every request: when one of them changes, no stored answer can be used again.
    """

    def register(function: Callable[[Plan], Estimate]) -> Callable[[Plan], Estimate]:
        if asset in _ESTIMATORS:
            raise ValueError(f"{asset} has two estimators: {_ESTIMATORS[asset].function.__module__} has one already")
        _ESTIMATORS[asset] = _Estimator(function, by, asks)
        return function

    return register


@functools.cache
def estimators() -> Mapping[str, _Estimator]:
    """All estimators by asset."""
    for stage in STAGES:
        import_module(f"nemotron_assets.planning.{stage}")
    return _ESTIMATORS


class Plan:
    """The estimates of a recipe. Each is computed when it is asked for first."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._made: dict[str, Estimate] = {}

    def of(self, asset: str) -> Estimate:
        """The estimate of an asset."""
        if asset not in self._made:
            self._made[asset] = self._estimate(asset)
        return self._made[asset]

    def _estimate(self, asset: str) -> Estimate:
        estimator = estimators().get(asset)
        if estimator is None:
            return unknown(f"no estimate: {asset} has no estimator in nemotron_assets/planning")
        made = estimator.function(self)
        named = {name: value.named(f"{name} of {asset}") for name, value in made.values().items()}
        parts = {part: value.named(f"{part} of {asset}") for part, value in made.by_part.items()}
        return Estimate(**named, by_part=parts)

    def steps(self, asset: str) -> Value:
        """Number of steps that make an asset: one per partition."""
        parts = estimators()[asset].parts if asset in estimators() else None
        if parts == "snapshot":
            return self.of("snapshots.catalog").rows
        if parts == "language":
            return self.value("code.qa.languages", len(self.recipe.code.qa.languages))
        return ONE

    def value(self, dotted: str, number: float | None = None) -> Figure:
        """A value of the recipe; `number` is what to count it as, if it is not a number itself."""
        number = self.recipe.section(dotted) if number is None else number
        return known(dotted, number, f"{number:g}: recipe {self.recipe.name}")

    def size(self, key: str, profile: Profile | Unknown | None = None) -> Value:
        """A size or a yield, as the crawl's source has it unless `profile` says otherwise."""
        profile = self.crawl if profile is None else profile
        return profile if isinstance(profile, Unknown) else sources.size(key, profile)

    def rate(self, key: str) -> Value:
        return sources.rate(key)

    @property
    def crawl(self) -> Profile | Unknown:
        """Whose sizes the crawl has."""
        source = self.recipe.snapshots.crawl.source
        if source == "sample":
            return "sample"
        if "commoncrawl" in source:
            return "published"
        return Unknown("how much snapshots.crawl.source holds, which is neither the sample nor Common Crawl")

    @property
    def code(self) -> Profile | Unknown:
        """Whose sizes the code repositories have."""
        named = self.recipe.code.sources.sources
        if any(source.path == "sample" for source in named):
            return "sample"
        if all(source.kind == "github" for source in named):
            return "published"
        return Unknown("how much code.sources.sources holds, which is neither the sample nor GitHub")

    def stored(self, asset: str, rows: Value) -> Value:
        """Bytes in the lake of so many rows of a table."""
        return rows * sources.bytes_per_row(asset)

    def text_bytes(self, tokens: Value) -> Value:
        """Bytes in the lake of a table of texts with so many tokens."""
        return tokens * self.size("text.bytes_per_token", "sample")

    def taking(self, asset: str, rows: Value | None = None) -> Value:
        """Seconds of a core for a step per partition and for `rows`, at the measured rate of the asset."""
        started = self.steps(asset) * self.rate(f"{asset}.start")
        return started if rows is None else started + rows / self.rate(f"{asset}.rows")


def table_of(asset: str, *, of: str, by: Parts = None, tokens: bool = False) -> None:
    """Register the estimator of an asset that makes rows from the rows of one other asset: its share of them, its bytes
    per row and its rate are inputs. With `tokens`, its rows have as many tokens as those they are made from."""

    @estimates(asset, by=by)
    def estimate(plan: Plan) -> Estimate:
        above = plan.of(of)
        rows = above.rows * plan.size(f"{asset}.share", _profile(plan, asset))
        read = above.tokens / above.rows * rows if tokens and above.tokens is not None else None
        stored = plan.stored(asset, rows) if read is None else plan.text_bytes(read)
        return Estimate(rows=rows, tokens=read, bytes=stored, core_seconds=plan.taking(asset, above.rows))


def beside(asset: str, *, writer: str, by: Parts = None) -> None:
    """Register the estimator of a table that another asset writes in the same pass."""

    @estimates(asset, by=by)
    def estimate(plan: Plan) -> Estimate:
        rows = plan.of(writer).rows * plan.size(f"{asset}.share", _profile(plan, asset))
        return Estimate(rows=rows, bytes=plan.stored(asset, rows))


def _profile(plan: Plan, asset: str) -> Profile | Unknown:
    return plan.code if asset.startswith("code.") else plan.crawl
