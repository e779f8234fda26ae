"""Judges tool calls by the state of the office that they lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.office.state import digest, new_office
from nemotron_assets.office.tools import call, called

#: Calls of one answer that are carried out.
MOST_CALLS = 32


def arguments_of(seed: int, done: Sequence[ToolCall], reference: Sequence[ToolCall]) -> dict[str, Any]:
    """The arguments of the verifier `tools`: the office's seed, the calls made before, and the state that is wanted."""
    office = new_office(seed)
    called(office, (*done, *reference))
    before = [{"name": one.name, "arguments": one.arguments} for one in done]
    return {"seed": seed, "done": before, "wanted": digest(office)}


def judge(
    arguments: Mapping[str, Any], calls: Sequence[ToolCall], problems: Sequence[str] = ()
) -> tuple[str, str | None]:
    """right, wrong or error, and the reason. `calls` are those of the answer, `problems` why a part of it is malformed.

    Calls that only look something up, and calls that the API refuses, change nothing. A task that wants no change wants
    no call that changes something, either.
    """
    try:
        office = new_office(int(arguments["seed"]))
        called(office, (ToolCall(one["name"], one["arguments"]) for one in arguments["done"]))
        wanted, before = str(arguments["wanted"]), digest(office)
    except (KeyError, TypeError, ValueError) as error:
        return "error", f"the task cannot be set up: {error!r:.200}"
    if len(calls) > MOST_CALLS:
        return "wrong", f"{len(calls):,} calls, {MOST_CALLS} allowed"
    answers = [call(office, one) for one in calls]
    if digest(office) == wanted and not (problems and wanted != before):
        return "right", None
    refused = [f"{one.name}: {said[:120]}" for one, said in zip(calls, answers, strict=True) if '"error"' in said[:10]]
    reason = refused[0] if refused else "; ".join(problems)[:200] if problems else "no call" if not calls else ""
    return "wrong", "the office is in another state" + (f" ({reason})" if reason else "")
