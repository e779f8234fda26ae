"""The status of an answer from several samples: what most of them say, and whether a known answer confirms it.

Samples that could not be used (None) count against every answer. One sample alone is never a majority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_SHOWN = 60  # characters of an answer in a detail


@dataclass(frozen=True)
class Outcome:
    """The columns `status`, `verified_by` and `status_detail` of a row."""

    status: str
    by: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Vote:
    """The result of a vote: the winning key (None without a winner), and the numbers of the samples that gave it."""

    winner: Hashable | None
    members: tuple[int, ...]
    outcome: Outcome


def majority(keys: Sequence[Hashable | None], min_share: float) -> Vote:
    """The key that more than `min_share` of all samples and at least two gave. Without such a key the outcome is
    failed, and the members are those of the most frequent key, the earliest of equally frequent ones."""
    counts = Counter(key for key in keys if key is not None)
    if not counts:
        return Vote(None, (), Outcome("failed", None, f"none of {len(keys)} samples can be used"))
    top, votes = counts.most_common(1)[0]  # of equal counts, Counter gives the key that was met first
    members = tuple(number for number, key in enumerate(keys) if key == top)
    if votes >= 2 and votes > min_share * len(keys):
        return Vote(top, members, Outcome("majority", f"{votes} of {len(keys)} samples"))
    said = ", ".join(f"{str(key)[:_SHOWN]} ({n})" for key, n in counts.most_common(5))
    return Vote(None, members, Outcome("failed", None, f"no answer has a majority of {len(keys)} samples: {said}"))


def against(truth: Hashable, keys: Sequence[Hashable | None], min_share: float, by: str) -> Vote:
    """The vote on a question whose answer is known: verified by `by` if the samples agree on the known answer, failed
    if they agree on another one or on none. `by` names what knows the answer: "seed answer"."""
    vote = majority(keys, min_share)
    if vote.winner is None:
        return vote
    if vote.winner == truth:
        return Vote(vote.winner, vote.members, Outcome("verified", by))
    said = f"{vote.outcome.by} say {str(vote.winner)[:_SHOWN]}, the {by} is {str(truth)[:_SHOWN]}"
    return Vote(None, vote.members, Outcome("failed", None, said))
