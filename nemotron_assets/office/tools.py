"""The tools of the office: their JSON schemas, and the functions behind them.

A call from a model is hostile: its arguments are checked against the schema, which bounds every text and number, before
the function sees them, and the result of a wrong call is an error in words, never an exception.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.office.state import STATUSES, Office, add

#: Longest arguments of a call, as JSON, and most rows in the result of a search.
MOST_CHARACTERS, MOST_FOUND = 4_000, 5

_DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$", "maxLength": 10, "description": "YYYY-MM-DD"}
_TIME = {"type": "string", "pattern": r"^\d{2}:\d{2}$", "maxLength": 5, "description": "HH:MM"}
_ID = {"type": "string", "maxLength": 40}
_SHORT = {"type": "string", "minLength": 1, "maxLength": 120}
_LONG = {"type": "string", "maxLength": 2_000}
_STATUS = {"type": "string", "enum": list(STATUSES)}
_MINUTES = {"type": "integer", "minimum": 5, "maximum": 480}


_SHOWN = ("type", "description", "enum")


@dataclass(frozen=True)
class Tool:
    """A function of the office and its arguments. It returns what the API answers, and raises ValueError in words."""

    name: str
    description: str
    properties: dict[str, dict[str, Any]]
    run: Callable[..., Any]
    optional: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        required = [name for name in self.properties if name not in self.optional]
        return {"type": "object", "properties": self.properties, "required": required, "additionalProperties": False}

    def as_dict(self) -> dict[str, Any]:
        """The tool as a conversation stores it: what a model must know. The API's limits are not shown."""
        shown = {
            name: {key: value for key, value in given.items() if key in _SHOWN}
            for name, given in self.properties.items()
        }
        parameters = {"type": "object", "properties": shown, "required": self.parameters["required"]}
        return {"name": self.name, "description": self.description, "parameters": parameters}


def _found(rows: Mapping[str, Mapping[str, Any]], **wanted: str) -> list[dict[str, Any]]:
    """Rows in which every given text is part of the column of its name, without regard to case."""
    texts = {column: text.casefold() for column, text in wanted.items() if text}
    return [
        {"id": key, **row}
        for key, row in rows.items()
        if all(text in str(row[column]).casefold() for column, text in texts.items())
    ][:MOST_FOUND]


def _row(rows: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    if key not in rows:
        raise ValueError(f"there is no {key!r}")
    return rows[key]


def _delete(table: str, office: Office, id: str) -> dict[str, str]:
    _row(office[table], id)
    del office[table][id]
    return {"deleted": id}


def _search(table: str, office: Office, **wanted: str) -> list[dict[str, Any]]:
    return _found(office[table], **wanted)


def _create_event(office: Office, title: str, day: str, time: str, minutes: int) -> dict[str, str]:
    return {"id": add(office, "events", title=title, day=day, time=time, minutes=minutes)}


def _move_event(office: Office, id: str, day: str, time: str) -> dict[str, str]:
    _row(office["events"], id).update(day=day, time=time)
    return {"moved": id}


def _send(office: Office, to: str, subject: str, text: str) -> dict[str, str]:
    if "@" not in to:
        raise ValueError(f"{to!r} is not a mail address")
    return {"id": add(office, "mails", to=to, subject=subject, text=text)}


def _search_mails(office: Office, subject: str = "", sender: str = "") -> list[dict[str, Any]]:
    received = {key: row for key, row in office["mails"].items() if "sender" in row}
    return _found(received, subject=subject, sender=sender)


def _write_file(office: Office, path: str, text: str) -> dict[str, str]:
    for row in office["files"].values():
        if row["path"] == path:
            row["text"] = text
            return {"written": path}
    add(office, "files", path=path, text=text)
    return {"written": path}


def _file(office: Office, path: str) -> str:
    """The id of the file with a path, which is a name in the office and no path of the machine."""
    for key, row in office["files"].items():
        if row["path"] == path:
            return key
    raise ValueError(f"there is no file {path!r}")


def _read_file(office: Office, path: str) -> dict[str, str]:
    return {"text": office["files"][_file(office, path)]["text"]}


def _delete_file(office: Office, path: str) -> dict[str, str]:
    del office["files"][_file(office, path)]
    return {"deleted": path}


def _add_customer(office: Office, name: str, mail: str) -> dict[str, str]:
    return {"id": add(office, "customers", name=name, mail=mail, status="lead")}


def _set_status(office: Office, id: str, status: str) -> dict[str, str]:
    _row(office["customers"], id)["status"] = status
    return {"id": id, "status": status}


_OF = functools.partial
_WHEN = {"day": _DAY, "time": _TIME}
_ALL = (
    Tool("find_events", "Find events", {"title": _SHORT, "day": _DAY}, _OF(_search, "events"), ("title", "day")),
    Tool("create_event", "Create an event", {"title": _SHORT, **_WHEN, "minutes": _MINUTES}, _create_event),
    Tool("move_event", "Move an event", {"id": _ID, **_WHEN}, _move_event),
    Tool("delete_event", "Delete an event", {"id": _ID}, _OF(_delete, "events")),
    Tool("find_mails", "Find mails", {"subject": _SHORT, "sender": _SHORT}, _search_mails, ("subject", "sender")),
    Tool("send_mail", "Send a mail", {"to": _SHORT, "subject": _SHORT, "text": _LONG}, _send),
    Tool("delete_mail", "Delete a mail", {"id": _ID}, _OF(_delete, "mails")),
    Tool("read_file", "Read a file", {"path": _SHORT}, _read_file),
    Tool("write_file", "Write a file", {"path": _SHORT, "text": _LONG}, _write_file),
    Tool("delete_file", "Delete a file", {"path": _SHORT}, _delete_file),
    Tool("find_customers", "Find customers", {"name": _SHORT}, _OF(_search, "customers")),
    Tool("add_customer", "Add a customer", {"name": _SHORT, "mail": _SHORT}, _add_customer),
    Tool("set_status", "Set a customer's status", {"id": _ID, "status": _STATUS}, _set_status),
)
TOOLS = {tool.name: tool for tool in _ALL}


@functools.cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(TOOLS[name].parameters)


def call(office: Office, asked: ToolCall) -> str:
    """Call a tool: it may change the office. Returns the API's answer as JSON: the result, or {"error": "..."}."""
    try:
        return json.dumps(_called(office, asked), ensure_ascii=False)
    except ValueError as error:
        return json.dumps({"error": str(error)[:300]}, ensure_ascii=False)


def _called(office: Office, asked: ToolCall) -> Any:
    if asked.name not in TOOLS:
        raise ValueError(f"there is no tool {asked.name!r:.60}")
    try:
        said = json.dumps(asked.arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("the arguments are not JSON") from error
    if len(said) > MOST_CHARACTERS:
        raise ValueError(f"the arguments have {len(said):,} characters, {MOST_CHARACTERS:,} allowed")
    for fault in _validator(asked.name).iter_errors(asked.arguments):
        raise ValueError(f"{'.'.join(map(str, fault.path)) or 'arguments'}: {fault.message:.200}")
    return TOOLS[asked.name].run(office, **_whole(TOOLS[asked.name], asked.arguments))


def _whole(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with integers where the schema wants them: for JSON Schema 30.0 is an integer, too."""
    return {
        name: int(value) if tool.properties[name]["type"] == "integer" else value for name, value in arguments.items()
    }


def called(office: Office, calls: Iterable[ToolCall]) -> list[str]:
    """The API's answers to calls, one after the other."""
    return [call(office, one) for one in calls]
