"""Decides whether the tool calls of an answer are right, by their structure: the AST check of the Berkeley Function
Calling Leaderboard (BFCL v3). Nothing is run.

The right calls of an item are a list of {name: {argument: [values that are right]}}; "" among the values means that the
argument may be left out. Calls may come in any order. Strings are compared without upper case, blanks and the signs
",./-_*^", as BFCL compares them: "San Francisco, CA" equals "san francisco ca". An item for which no tool fits has no
right call, and every attempt to call is wrong; an item whose right calls are not known (BFCL's "relevance") wants any
call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nemotron_assets.chat.conversation import ToolCall

#: The types of BFCL's arguments in JSON; a list has the type of its items beside it.
_TYPES: dict[str, type] = {
    "string": str, "integer": int, "float": float, "number": float, "boolean": bool, "array": list, "tuple": list,
    "dict": dict, "object": dict, "any": str,
}  # fmt: skip
_IGNORED = re.compile(r"[ ,./\-_*^]")

Wanted = Mapping[str, Mapping[str, Sequence[Any]]]


def wrong_calls(
    calls: Sequence[ToolCall], wanted: Sequence[Wanted] | None, tools: Sequence[Mapping[str, Any]]
) -> str | None:
    """Why calls are not the wanted ones, a reason in words; None if they are. `wanted` is None where any call is right.
    `tools` are the tools of the prompt, whose parameters have the types of BFCL or of JSON schemas."""
    if wanted is None:
        return None if calls else "it calls nothing"
    if len(calls) != len(wanted):
        return f"it has {len(calls)} calls, {len(wanted)} are right"
    by_name, open_ = {tool["name"]: tool for tool in tools}, list(calls)
    for one in wanted:
        ((name, arguments),) = one.items()
        reasons = [_wrong(call, name, arguments, by_name[name]) for call in open_]
        if None not in reasons:
            return f"no call of {name} is right: {reasons[0]}"
        del open_[reasons.index(None)]
    return None


def _wrong(call: ToolCall, name: str, right: Mapping[str, Sequence[Any]], tool: Mapping[str, Any]) -> str | None:
    if call.name != name:
        return f"it calls {call.name:.60}"
    known = tool["parameters"].get("properties", {})
    if missing := [one for one in tool["parameters"].get("required", ()) if one not in call.arguments]:
        return f"{missing[0]} is missing"
    for argument, value in call.arguments.items():
        if argument not in known or argument not in right:
            return f"{argument:.60} is no argument that is right"
        if not _is_right(value, right[argument], known[argument]):
            return f"{argument} is {value!r:.60}"
    omitted = [one for one, values in right.items() if one not in call.arguments and "" not in values]
    return f"{omitted[0]} is missing" if omitted else None


def _is_right(value: Any, right: Sequence[Any], described: Mapping[str, Any]) -> bool:
    kind = _TYPES.get(str(described.get("type")), str)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        # A right value of another type is the name of a variable, which is compared as it stands.
        return any(type(value) is type(one) and value == one for one in right if one != "")
    return any(_equal(value, one) for one in right if one != "" or kind is str)


def _equal(value: Any, right: Any) -> bool:
    """Whether a value is a right one. The values of an object that is right are lists of right values again."""
    if isinstance(right, dict) and isinstance(value, dict):
        lists = {key: values if isinstance(values, list) else [values] for key, values in right.items()}
        return all(key in value or "" in values for key, values in lists.items()) and all(
            key in lists and any(_equal(one, r) for r in lists[key]) for key, one in value.items()
        )
    if isinstance(right, list) and isinstance(value, list):
        return len(right) == len(value) and all(_equal(a, b) for a, b in zip(value, right, strict=True))
    if isinstance(right, str) and isinstance(value, str):
        return _plain(value) == _plain(right)
    return isinstance(value, bool) == isinstance(right, bool) and value == right


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')
