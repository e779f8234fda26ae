"""Rewards of rollouts: from the verifiers that a prompt names, or from a reward model."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nemotron_assets.chat.template import asks_for_thought
from nemotron_assets.recipe.grading import Grading
from nemotron_assets.rollouts.policy import Rollout
from nemotron_assets.training.reinforcement.asking import Prompt


class GradingFailed(RuntimeError):
    """Too many rollouts of a step could not be graded. The message names the share and the first reason."""


@dataclass(frozen=True)
class Graded:
    """The reward of a rollout. `value` is None if its grading failed, with the reason in `error`. `said` is what each
    verifier or model said, as JSON."""

    value: float | None
    said: str
    error: str | None = None


class Grader(Protocol):
    """Gives rewards."""

    def grade(self, pairs: Sequence[tuple[Prompt, Rollout]]) -> list[Graded]:
        """The rewards of these rollouts, in their order. Does not raise because of a completion."""


class ByVerifiers:
    """The rewards of the verifiers (see nemotron_assets/grading/rewards.py)."""

    def __init__(self, rewards: Any) -> None:
        self._rewards = rewards

    def grade(self, pairs: Sequence[tuple[Prompt, Rollout]]) -> list[Graded]:
        asked = (
            (prompt.row | {"thinking": asks_for_thought(prompt.text), "finished": rollout.finished}, rollout.text)
            for prompt, rollout in pairs
        )
        found = self._rewards.grade(asked)
        return [Graded(reward.value, reward.as_json(), reward.error) for reward in found]


class ByModel:
    """The rewards of a reward model, for the tokens of prompt and answer. `id` is the id of the model."""

    def __init__(self, folder: Path, id_: str, device: str, batch: int) -> None:
        from nemotron_assets.training.reinforcement.reward import load

        self._model, self._id, self._batch = load(folder).to(device).eval(), id_, batch

    def grade(self, pairs: Sequence[tuple[Prompt, Rollout]]) -> list[Graded]:
        from nemotron_assets.training.reinforcement.reward import scores

        rows = [[*prompt.ids, *rollout.tokens] for prompt, rollout in pairs]
        found = scores(self._model, rows, self._batch)
        return [self._graded(value) for value in found]

    def _graded(self, value: float) -> Graded:
        known = value if math.isfinite(value) else None
        error = (
            None if known is not None else f"the reward model {self._id} gave {value}, which is not a number to learn"
        )
        return Graded(known, json.dumps({"reward_model": {"value": known, "id": self._id}}), error)


@contextlib.contextmanager
def grader(config: Mapping[str, Any], device: str, batch: int) -> Iterator[Grader]:
    """The grader that `config` describes: {"grading": recipe section} or {"reward_model": {"folder", "id"}}."""
    if model := config.get("reward_model"):
        yield ByModel(Path(model["folder"]), model["id"], device, batch)
        return
    from nemotron_assets.grading.rewards import Rewards

    with Rewards(Grading.model_validate(config["grading"])) as rewards:
        yield ByVerifiers(rewards)


def check_errors(graded: Sequence[Graded], most: float, stage: str, step: int) -> None:
    """Raise `GradingFailed` if more than the share `most` of these rollouts could not be graded."""
    errors = [one.error or "no reason was given" for one in graded if one.value is None]
    if graded and len(errors) / len(graded) > most:
        raise GradingFailed(
            f"{stage}, step {step}: the grading of {len(errors)} of {len(graded)} rollouts failed, more than "
            f"align.reinforcement.{stage}.most_errors = {most} allows. The first reason: {errors[0]}. The "
            "rollouts are in align.rollouts with their errors. Mend the verifier or the prompts, then run again: no "
            "rollout is sampled twice"
        )
