"""The office's tools: what they change, and that hostile arguments change nothing and cost little."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.office.state import MOST_ROWS, STATUSES, digest, new_office
from nemotron_assets.office.tools import MOST_CHARACTERS, TOOLS, call, called
from nemotron_assets.office.verifying import arguments_of, judge


def test_an_office_follows_from_its_seed():
    assert new_office(3) == new_office(3)
    assert digest(new_office(3)) == digest(new_office(3)) != digest(new_office(4))
    for table in new_office(3).values():
        assert len(table) == 4


def test_every_tool_can_be_called():
    office = new_office(1)
    event, mail, customer = (next(iter(office[name])) for name in ("events", "mails", "customers"))
    path = office["files"]["file-1"]["path"]
    given = {
        "find_events": {"day": office["events"][event]["day"]},
        "create_event": {"title": "x", "day": "2026-03-04", "time": "10:00", "minutes": 30},
        "move_event": {"id": event, "day": "2026-03-05", "time": "11:00"},
        "delete_event": {"id": event},
        "find_mails": {"subject": office["mails"][mail]["subject"].upper()},
        "send_mail": {"to": "a@example.org", "subject": "s", "text": "t"},
        "delete_mail": {"id": mail},
        "read_file": {"path": path},
        "write_file": {"path": "notes/new.txt", "text": "t"},
        "delete_file": {"path": path},
        "find_customers": {"name": office["customers"][customer]["name"]},
        "add_customer": {"name": "A B", "mail": "a.b@example.org"},
        "set_status": {"id": customer, "status": STATUSES[0]},
    }
    assert set(given) == set(TOOLS)
    for name, arguments in given.items():
        before, said = digest(office), json.loads(call(office, ToolCall(name, arguments)))
        assert "error" not in said, (name, said)
        assert (digest(office) == before) == name.startswith(("find_", "read_")) or name == "set_status", name
    assert json.loads(call(office, ToolCall("find_mails", {"sender": "@example.org"})))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("nothing", {}, "there is no tool 'nothing'"),
        ("delete_event", {"id": "event-99"}, "there is no 'event-99'"),
        ("delete_event", {"id": 3}, "id: 3 is not of type 'string'"),
        ("delete_event", {}, "'id' is a required property"),
        ("delete_event", {"id": "event-1", "all": True}, "Additional properties are not allowed"),
        ("create_event", {"title": "x", "day": "tomorrow", "time": "10:00", "minutes": 30}, "does not match"),
        ("create_event", {"title": "x", "day": "2026-01-01", "time": "10:00", "minutes": 10**30}, "greater than"),
        ("send_mail", {"to": "a@b", "subject": "s", "text": "x" * 100_000}, "characters"),
        ("send_mail", {"to": "a@b", "subject": "s", "text": {"$ref": "file:///etc/passwd"}}, "not of type 'string'"),
        ("read_file", {"path": "/etc/passwd"}, "there is no file"),
        ("read_file", {"path": "__import__('os').system('true')"}, "there is no file"),
        ("set_status", {"id": "customer-1", "status": "owner"}, "is not one of"),
    ],
)
def test_a_wrong_call_is_an_error_in_words_and_changes_nothing(name, arguments, said):
    office = new_office(1)
    answer = json.loads(call(office, ToolCall(name, arguments)))
    assert said in answer["error"]
    assert office == new_office(1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(sorted({p for t in TOOLS.values() for p in t.properties})) | st.text(), JSON
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*TOOLS, "x"]), ARGUMENTS), max_size=6))
def test_any_arguments_are_answered_in_json(asked):
    office = new_office(2)
    for answer in called(office, [ToolCall(name, arguments) for name, arguments in asked]):
        json.loads(answer)


def test_floods_end_within_their_limits():
    nested: dict = {}
    for _ in range(2_000):
        nested = {"a": nested}
    begun = time.monotonic()
    office = new_office(1)
    assert "error" in call(office, ToolCall("send_mail", nested))
    for _ in range(2 * MOST_ROWS):
        call(office, ToolCall("create_event", {"title": "x", "day": "2026-01-01", "time": "10:00", "minutes": 30}))
    assert len(office["events"]) == MOST_ROWS
    many = [ToolCall("create_event", {"title": "x"})] * 100_000
    assert judge(arguments_of(1, (), ()), many) == ("wrong", "100,000 calls, 32 allowed")
    assert len(json.dumps({"text": "x" * MOST_CHARACTERS})) > MOST_CHARACTERS
    assert time.monotonic() - begun < 20


def test_a_task_is_solved_by_the_state_and_not_by_the_words_of_the_calls():
    found = ToolCall("find_events", {"title": "x"})
    wanted = ToolCall("create_event", {"title": "x", "day": "2026-03-04", "time": "10:00", "minutes": 30})
    other = ToolCall("create_event", {"title": "y", "day": "2026-03-04", "time": "10:00", "minutes": 30})
    arguments = json.loads(json.dumps(arguments_of(5, (found,), (wanted,))))
    assert judge(arguments, (wanted,)) == ("right", None)
    assert judge(arguments, (found, wanted)) == ("right", None)
    assert judge(arguments, (ToolCall("nothing", {}), wanted)) == ("right", None)
    assert judge(arguments, (wanted, wanted))[0] == "wrong"
    assert judge(arguments, (other,))[0] == "wrong"
    assert judge(arguments, ()) == ("wrong", "the office is in another state (no call)")
    assert judge(arguments, (), ("the list of calls has no </TOOLCALL>",))[1].endswith("no </TOOLCALL>)")
    refused = judge(arguments, (ToolCall("create_event", {"title": "x"}),))
    assert refused[0] == "wrong" and "required property" in refused[1]
    assert judge({"seed": "x"}, ())[0] == "error"
    nothing = arguments_of(5, (), ())
    assert judge(nothing, ()) == ("right", None) and judge(nothing, (found,)) == ("right", None)
    assert judge(nothing, (wanted,))[0] == "wrong"


def test_a_deleted_id_does_not_come_back():
    office = new_office(1)
    made = {"title": "x", "day": "2026-03-04", "time": "10:00", "minutes": 30}
    first = json.loads(call(office, ToolCall("create_event", made)))["id"]
    call(office, ToolCall("delete_event", {"id": first}))
    assert json.loads(call(office, ToolCall("create_event", made)))["id"] != first


def test_a_whole_number_with_a_point_leads_to_the_same_state():
    made = {"title": "x", "day": "2026-03-04", "time": "10:00"}
    arguments = arguments_of(1, [], [ToolCall("create_event", made | {"minutes": 30})])
    assert judge(arguments, [ToolCall("create_event", made | {"minutes": 30.0})])[0] == "right"
    assert judge(arguments, [ToolCall("create_event", made | {"minutes": 30.5})])[0] == "wrong"
