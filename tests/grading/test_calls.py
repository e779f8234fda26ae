"""Calls against right calls, by structure: names, types, values that may differ in form, and what may be left out."""

from __future__ import annotations

import pytest

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.grading.calls import wrong_calls

TOOL = {
    "name": "book",
    "parameters": {
        "type": "dict", "required": ["city"],
        "properties": {
            "city": {"type": "string"}, "price": {"type": "float"}, "nights": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}}, "guest": {"type": "dict"},
            "late": {"type": "boolean"},
        },
    },
}  # fmt: skip
RIGHT = {
    "book": {
        "city": ["San Francisco, CA", "SF"], "price": ["", 100.0], "nights": ["", 2], "tags": ["", ["a-b", "c"]],
        "guest": ["", {"name": ["Ann"], "age": ["", 7], "home": [{"lat": [1, 2]}]}], "late": ["", True],
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"city": "san francisco ca"}, True),
        ({"city": "SF", "price": 100}, True),  # an integer is a float
        ({"city": "SF", "nights": 2.0}, False),  # but a float is not an integer
        ({"city": "SF", "nights": True}, False),
        ({"city": "SF", "late": 1}, False),
        ({"city": "SF", "late": True, "tags": ["AB", "c"]}, True),
        ({"city": "SF", "tags": ["c", "a-b"]}, False),
        ({"city": "SF", "tags": "a-b"}, False),
        ({"city": "SF", "guest": {"name": "ann", "home": {"lat": 2}}}, True),
        ({"city": "SF", "guest": {"name": "ann", "home": {"lat": 3}}}, False),
        ({"city": "SF", "guest": {"age": 7, "home": {"lat": 1}}}, False),
        ({"city": "SF", "guest": {"name": "Ann", "home": {"lat": 1}, "size": 1}}, False),
        ({"nights": 2}, False),
        ({"city": "SF", "country": "US"}, False),
        ({"city": ["SF"]}, False),
        ({"city": ""}, False),
    ],
)
def test_arguments(arguments, right):
    assert (wrong_calls([ToolCall("book", arguments)], [RIGHT], [TOOL]) is None) == right


def test_what_may_not_be_left_out():
    wanted = {"book": {"city": ["SF"], "nights": [2]}}
    assert (
        wrong_calls([ToolCall("book", {"city": "SF"})], [wanted], [TOOL])
        == "no call of book is right: nights is missing"
    )


def test_the_order_of_calls_does_not_matter_and_each_counts_once():
    wanted = [{"book": {"city": [city]}} for city in ("Bonn", "Kiel")]
    bonn, kiel = (ToolCall("book", {"city": city}) for city in ("Bonn", "Kiel"))
    assert wrong_calls([kiel, bonn], wanted, [TOOL]) is None
    assert wrong_calls([kiel, kiel], wanted, [TOOL]) and wrong_calls([kiel], wanted, [TOOL])
    assert wrong_calls([ToolCall("rent", {"city": "Bonn"}), kiel], wanted, [TOOL])
    assert wrong_calls([], [], [TOOL]) is None and wrong_calls([kiel], [], [TOOL])
    assert wrong_calls([kiel], None, [TOOL]) is None and wrong_calls([], None, [TOOL]) == "it calls nothing"
