"""The table and the claims of the scale benchmark, from what its stages took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

GB = 1_000_000_000
Took = Mapping[str, Mapping[str, Any]]


def lines(
    first: Mapping[int, Took], alone: Took, second: Took, added: int, stages: Sequence[str], substring: Sequence[str]
) -> tuple[list[str], list[list[Any]], list[tuple[Any, ...]]]:
    """(header, rows, claims as (what, value, unit, bounds))."""
    least, most = min(first), max(first)
    named = {f"{size:,}": (took, size) for size, took in first.items()}
    named |= {f"{added:,} alone": (alone, added), f"{added:,} onto {most:,}": (second, added)}
    header = ["documents", *(f"{name}, µs" for name in stages), "CPU, µs each", "memory, GB", "disk, of the text"]
    header += ["wall, s", "recall", "precision"]
    rows = []
    for name, (took, count) in named.items():
        each = [took[stage]["cpu"] / count * 1e6 for stage in stages]
        peak = max(took[stage]["peak"] for stage in stages) / GB
        seconds = sum(took[stage]["seconds"] for stage in stages)
        judged = took["truth"]
        rows.append([name, *each, sum(each), peak, _disk(took, stages), seconds, judged["recall"], judged["precision"]])
    rest = [stage for stage in stages if stage not in substring]
    grown = _each(first[most], stages, most) / _each(first[least], stages, least)
    more = _each(second, rest, added) / _each(alone, rest, added)
    everything = [*first.values(), alone, second]
    claims = [
        (f"CPU per document of {most:,}, over that of {least:,}", grown, "times", {"at_most": 1.15}),
        (f"{added:,} onto {most:,}, over {added:,} alone, the substring group apart", more, "times", {"at_most": 1.5}),
        ("peak memory", max(took[s]["peak"] for took in everything for s in stages) / GB, "GB", {"at_most": 4.0}),
        ("disk, of the text", max(_disk(took, stages) for took in first.values()), "times", {"at_most": 2.5}),
        ("recall", min(took["truth"]["recall"] for took in everything), "", {"at_least": 0.99}),
        ("precision", min(took["truth"]["precision"] for took in everything), "", {"at_least": 0.99}),
    ]
    return header, rows, claims


def _each(took: Took, stages: Sequence[str], count: int) -> float:
    return sum(took[stage]["cpu"] for stage in stages) / count


def _disk(took: Took, stages: Sequence[str]) -> float:
    """The most disk that a stage needed, with its temporary files, over the bytes of the text."""
    return max(took[stage]["lake"] + took[stage]["temporary"] for stage in stages) / took["truth"]["text"]
