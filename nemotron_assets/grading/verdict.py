"""The verdict of a grader about one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The outcome of an answer that a grader cannot decide within its limits: an error, because the answer may be right, or
#: wrong, so that a policy gains nothing by such answers.
Undecided = Literal["error", "wrong"]


@dataclass(frozen=True)
class Verdict:
    """What a grader says about an answer.

    `outcome` is right, wrong, or error. An error says nothing about the answer: the grader failed, took too long, died,
    or cannot read the known answer. `by` names the grader, `detail` is the reason in a sentence; null for a right
    answer.
    """

    outcome: Literal["right", "wrong", "error"]
    by: str
    detail: str | None = None

    @property
    def right(self) -> bool:
        return self.outcome == "right"
