"""What a change of the recipe costs: which assets become stale, and what making them again takes.

An asset is stale when a section of the recipe that it depends on has other values, and so is everything made from it.
Whether the content of a stale asset really changes is known only when it has been made: an asset whose inputs turn out
the same is not made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nemotron_assets.planning.figures import Figure, Unknown, Value, known
from nemotron_assets.planning.plan import Plan, estimators
from nemotron_assets.recipe import Recipe, Section

#: Values that every request to a language model depends on.
_OF_ALL_REQUESTS = ("llm.engine", "llm.model", "llm.tokenizer")
#: Names of values that say how many requests there are: with a larger value the earlier ones stay and others are added.
_AMOUNTS = frozenset(
    (
        "documents", "max_documents", "max_pages", "max_chunks", "max_segments", "max_problems", "max_samples",
        "max_seeds", "max_questions", "passages_per_document", "per_file", "per_language", "rounds", "samples", "votes",
    )
)  # fmt: skip
#: Names of values that no request depends on: how work is cut, and what is checked or kept afterwards.
_AFTERWARDS = frozenset(
    (
        "batch_questions", "batch_rows", "batch_samples", "batch_snippets", "checked_rows", "max_reject_share",
        "min_grade", "min_pairs", "min_vote_share",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """What decides whether an asset is stale: its sections of the recipe, and the assets it is made from."""

    sections: tuple[str, ...]
    made_from: tuple[str, ...]


@dataclass(frozen=True)
class Stale:
    """An asset that a change makes stale: `because` names the changed sections, or the stale assets it is made from.

    `paid_again` says which answers of language models have to be paid for again; "" if the asset asks none. `again` is
    the most and `certain` the fewest tokens that models write for it.
    """

    asset: str
    because: str
    by_recipe: bool
    paid_again: str = ""
    certain: Value | None = None
    again: Value | None = None


def changed_values(before: Recipe, after: Recipe) -> dict[str, tuple[Any, Any]]:
    """The values that differ between two recipes, by their dotted names, before and after. Names do not count."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return {key: (old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)}


def _leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _leaves(value, f"{prefix}{name}.")
        elif prefix or name != "name":
            yield f"{prefix}{name}", value


def stale(graph: Mapping[str, Node], before: Recipe, after: Recipe) -> list[Stale]:
    """The assets that become stale, in the order of `graph`, which must be topological."""
    changed, plans, found = set(changed_values(before, after)), (Plan(before), Plan(after)), []
    for asset, (sections, above) in made_again(graph, before, after).items():
        because = f"recipe: {', '.join(sections)}" if sections else f"made from {', '.join(above)}"
        own = {name for name in changed if _within(name, graph[asset].sections)}
        answers = _answers(asset, plans, changed, own, bool(above))
        found.append(Stale(asset, because, bool(sections), *answers))
    return found


def made_again(
    graph: Mapping[str, Node], before: Recipe, after: Recipe, keep: Collection[str] = ()
) -> dict[str, tuple[list[str], list[str]]]:
    """The assets that a change concerns, in the order of `graph`, which must be topological: of each the sections of
    the recipe that change for it, and the assets in this result that it is made from. The assets in `keep` stay as they
    are, and so does what only they lead to."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for asset, node in graph.items():
        sections = [s for s in node.sections if before.section_hash(s) != after.section_hash(s)]
        above = [name for name in node.made_from if name in found]
        if (sections or above) and asset not in keep:
            found[asset] = (sections, above)
    return found


def above(graph: Mapping[str, Node], asset: str, keep: Collection[str] = ()) -> set[str]:
    """An asset and everything that it is made from, directly or through others, but not the assets in `keep`, nor what
    only they are made from."""
    found, waiting = set(), [asset]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in keep:
            found.add(name)
            waiting += graph[name].made_from if name in graph else ()
    return found


def _within(name: str, sections: Iterable[str]) -> bool:
    return any(name == section or name.startswith(f"{section}.") for section in sections)


def _answers(
    asset: str, plans: tuple[Plan, Plan], changed: Iterable[str], own: Iterable[str], other_inputs: bool
) -> tuple[str, Value | None, Value | None]:
    """Which answers of language models a stale asset has to pay for again: in words, and the fewest and most tokens.

    The ledger knows an answer by its whole request. So a changed setting of requests makes all of them new, and more
    requests than before are new. Whether a changed input changes prompts, or another value that the asset depends on
    (`own`), such as a seed or a list of languages, is known only when the asset has been made.
    """
    earlier, later = (plan.of(asset).llm_out for plan in plans)
    if later is None:
        return "", None, None
    keys = (*estimators()[asset].asks, *_OF_ALL_REQUESTS)
    nothing = known("answers that are stored", 0, "the ledger has an answer for every request that was made before")
    settings = [name for name in changed if _within(name, keys)]
    if settings:
        return f"all: {', '.join(sorted(settings))} is part of every request", later, later
    more = (later - earlier).at_least(0.0) if isinstance(later, Figure) and isinstance(earlier, Figure) else later
    if other_inputs:
        return "not known: only prompts whose texts change, which shows when the inputs are made", nothing, later
    if isinstance(more, Unknown):
        return str(more), nothing, later
    harmless = _AMOUNTS | _AFTERWARDS
    if unclear := sorted(n for n in own if n.rpartition(".")[2] not in harmless and not _within(n, ["grading"])):
        return f"not known: {', '.join(unclear)} may change requests, which shows when they are made", nothing, later
    if more.expected <= 0:
        return "none: no request is new", nothing, nothing
    return "only the requests that are new", more, more
