"""Judges every batch before the optimizer uses it, so that a bad one does not harm the model.

A batch is bad if its loss or gradient is not a finite number, or is a spike: far above the losses or gradients of
earlier steps. All ranks come to the same verdict. A batch that is left out becomes an event that names its sequences.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import Guard
    from nemotron_assets.training.mixture import Mixture
    from nemotron_assets.training.ranks import Ranks
    from nemotron_assets.training.stream import Shards

#: The recipe limits how many batches are left out within so many steps.
_STEPS = 1_000


@dataclass(frozen=True)
class Verdict:
    """What the guard says of a step. `kind` is None for a good batch, "nan", or "spike". The limits are those that the
    loss and the norm of the gradient were compared with; None while too few steps are known."""

    kind: str | None
    loss: float
    norm: float
    loss_limit: float | None
    norm_limit: float | None


class Watch:
    """Compares steps with those before. `state` is kept up to date. It goes into the checkpoint, so a resumed training
    judges as an unbroken one."""

    def __init__(self, settings: Guard, state: dict[str, Any]) -> None:
        self._settings, self._state = settings, state
        for name in ("losses", "norms", "left_out"):
            state.setdefault(name, [])

    def judge(self, loss: float, norm: float, ranks: Ranks) -> Verdict:
        """The verdict on a step with this loss and gradient norm. Every rank must call this: a batch that is bad for
        one rank is bad for all ranks."""
        limits = self._limit("losses"), self._limit("norms")
        values = loss, norm
        if not all(map(math.isfinite, values)):
            grade = 2
        else:
            grade = int(any(limit is not None and value > limit for value, limit in zip(values, limits, strict=True)))
        kind = (None, "spike", "nan")[ranks.largest(grade)]
        return Verdict(kind, loss, norm, *limits)

    def accept(self, verdict: Verdict) -> None:
        """Remember a good step, to compare later steps with."""
        for name, value in (("losses", verdict.loss), ("norms", verdict.norm)):
            self._state[name] = [*self._state[name], value][-self._settings.window :]

    def leave_out(self, step: int) -> bool:
        """Remember that the batch of `step` is left out. False if the recipe allows fewer within 1,000 steps."""
        recent = [old for old in self._state["left_out"] if old > step - _STEPS]
        self._state["left_out"] = [*recent, step]
        return len(recent) < self._settings.most_per_1000_steps

    def remember(self, state: dict[str, Any]) -> None:
        """Compare later steps with the steps in the state of a checkpoint, because the weights went back to this
        checkpoint."""
        for name in ("losses", "norms"):
            self._state[name] = list(state.get(name, ()))

    @property
    def left_out(self) -> int:
        """How many batches were left out within the last thousand steps."""
        return len(self._state["left_out"])

    def _limit(self, name: str) -> float | None:
        values = self._state[name]
        if len(values) < max(2, self._settings.window // 2):
            return None
        mean = statistics.fmean(values)
        spread = self._settings.sigmas * statistics.pstdev(values, mean)
        return max(mean + spread, mean * self._settings.least_rise)


def event(
    step: int, verdict: Verdict, action: str, mixture: Mixture, shards: Shards, losses: Sequence[float]
) -> dict[str, Any]:
    """The event of a batch that is left out, with its sequences and the loss of each in nats per predicted token. A
    number that is not finite becomes None."""
    rows = mixture.rows(step)
    places = list(zip(rows.sources.tolist(), rows.shards.tolist(), strict=True))
    loss, norm, *limits = map(_finite, (verdict.loss, verdict.norm, verdict.loss_limit, verdict.norm_limit))
    of = {
        "nan": "the loss or the gradient norm is not a finite number",
        "spike": "the loss or the gradient norm is far above those of earlier steps",
    }[verdict.kind]
    worst = f"; the worst loss is that of {_worst(losses, places, rows.rows.tolist(), shards)}" if losses else ""
    return {
        "step": step,
        "kind": verdict.kind,
        "action": action,
        "loss": loss,
        "grad_norm": norm,
        "loss_limit": limits[0],
        "grad_norm_limit": limits[1],
        "data_sets": [mixture.sources[source].name for source, _ in places],
        "shards": [shards.shard_name(*place) for place in places],
        "positions": rows.rows.tolist(),
        "sequence_losses": [_finite(value) for value in losses],
        "message": f"the batch of step {step} was left out: {of} (loss {verdict.loss:.4g}, limit {_shown(limits[0])}; "
        f"gradient norm {verdict.norm:.4g}, limit {_shown(limits[1])}){worst}",
        "at": datetime.now(UTC).isoformat(),
    }


def _worst(losses: Sequence[float], places: list[tuple[int, int]], rows: list[int], shards: Shards) -> str:
    """The sequence with the highest loss, or the first one whose loss is not a number."""
    number = max(range(len(losses)), key=lambda k: (not math.isfinite(losses[k]), losses[k], -k))
    return f"sequence {rows[number]} of shard {shards.shard_name(*places[number])}"


def _shown(limit: float | None) -> str:
    return "none yet" if limit is None else f"{limit:.4g}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
