"""Hashes of the Delta log, by which `nemotron maintain --verify` finds a commit file that was changed.

A damaged commit file may still be valid JSON: with "bdd" in the place of "add" its rows vanish without an error. So the
notes of every commit hold two kinds of xxh3-128 hashes:

- `actions_hash` is a hash of the commit's own notes and of the data files and marks that it adds and ends. delta-rs
  writes the file itself, so its bytes cannot be hashed before it is written.
- `log_hashes` are hashes of the files of the version that the commit builds on: its commit file and, if there is one,
  its checkpoint. They cover every byte.

So the newest commit is covered by the first kind and every other one by both. A commit of an earlier version of the
program, or of another program, has neither; only the form of its lines is checked then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nemotron_assets.table.ids import content_hash
from resources.contract import shortened

if TYPE_CHECKING:
    from deltalake import CommitProperties
    from deltalake.transaction import AddAction, RemoveAction

_FOLDER = "_delta_log"
_LOG_FILE = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")

#: What a line of a commit file may hold, by the Delta protocol.
_KINDS = frozenset(("add", "remove", "cdc", "txn", "metaData", "protocol", "domainMetadata", "commitInfo"))

#: The fields that are hashed, by kind of action. Other fields have no influence on the rows. `metaData` is not hashed:
#: the stored schema is compared with the declared one whenever a table is opened.
_FIELDS = {
    "add": ("path", "partitionValues", "size", "modificationTime", "dataChange", "stats"),
    "remove": ("path", "partitionValues", "size", "dataChange"),
    "txn": ("appId", "version"),
}
_NOTES = ("dagster_run_id", "code_version", "log_hashes")


def hash_notes(
    properties: CommitProperties,
    store: Any,
    version: int | None,
    added: Iterable[AddAction] = (),
    removed: Iterable[RemoveAction] = (),
) -> CommitProperties:
    """Add the hashes to the notes of a commit that adds and ends these data files; returns the notes.

    `store` is the folder of the table, `version` the version that the commit builds on, None for a new table.
    """
    notes = properties.custom_metadata
    notes["log_hashes"] = {} if version is None else _hashes_of(store, version)
    actions = [
        _form("add", (a.path, a.partition_values, a.size, a.modification_time, a.data_change, a.stats)) for a in added
    ]
    actions += [_form("remove", (r.path, r.partition_values, r.size, r.data_change)) for r in removed]
    actions += [_form("txn", (mark.app_id, mark.version)) for mark in properties.app_transactions or ()]
    notes["actions_hash"] = _hash_of_actions(actions, notes)
    return properties


def log_files(store: Any) -> Iterator[tuple[str, str | None]]:
    """The commit files and checkpoints in the log of a table, each with what is wrong with it: "" for nothing, None if
    no hash of it was recorded."""
    from pyarrow.fs import FileSelector

    found = store.get_file_info(FileSelector(_FOLDER, allow_not_found=True))
    names = [info.base_name for info in found if _LOG_FILE.fullmatch(info.base_name)]
    recorded: dict[str, str] = {}
    for name in sorted(names, reverse=True):  # only what newer, whole commits recorded is believed
        try:
            content = _read(store, name)
        except FileNotFoundError:  # log clean-up has deleted it meanwhile
            continue
        problem, notes = _commit(content) if name.endswith(".json") else (None, {})
        if not problem and name in recorded:
            hash_ = content_hash(content)
            same = hash_ == recorded[name]
            problem = "" if same else f"has the xxh3-128 hash {hash_}; a later commit recorded {recorded[name]}"
        if not problem:
            recorded.update(notes.get("log_hashes", {}))
        yield f"{_FOLDER}/{name}", problem


def _commit(content: bytes) -> tuple[str | None, Mapping[str, Any]]:
    """What the lines of a commit file say is wrong with it ("" for nothing, None if it has no hash), and its notes."""
    actions: list[str] = []
    notes: Mapping[str, Any] = {}
    if not content:
        return "is empty", notes
    try:
        for line in content.splitlines():
            ((kind, action),) = json.loads(line).items()
            if kind not in _KINDS:
                return f"has the action {shortened(repr(kind))}, which Delta does not know", notes
            if kind == "commitInfo":
                notes = action
            elif kind in _FIELDS:
                values = {field: action.get(field) for field in _FIELDS[kind]}
                if "path" in values:
                    values["path"] = unquote(values["path"])  # the log quotes paths
                actions.append(_form(kind, values.values()))
    except (ValueError, AttributeError, TypeError):
        return "has a line that is not a Delta action", notes
    if not {"actions_hash", "log_hashes"} & notes.keys():
        return None, notes
    if notes.get("actions_hash") != _hash_of_actions(actions, notes):
        return "does not hold the actions whose hash it recorded", notes
    return "", notes


def _form(kind: str, values: Iterable[Any]) -> str:
    """The text of an action that is hashed."""
    return json.dumps([kind, *values], sort_keys=True)


def _hash_of_actions(actions: Iterable[str], notes: Mapping[str, Any]) -> str:
    noted = json.dumps({name: notes.get(name) for name in _NOTES}, sort_keys=True)
    return content_hash("\n".join([noted, *sorted(actions)]))


def _hashes_of(store: Any, version: int) -> dict[str, str]:
    """The hashes of the log's files of a version."""
    hashes = {}
    for name in (f"{version:020}.json", f"{version:020}.checkpoint.parquet"):
        try:
            hashes[name] = content_hash(_read(store, name))
        except FileNotFoundError:  # most versions have no checkpoint, and log clean-up deletes commits
            continue
    return hashes


def _read(store: Any, name: str) -> bytes:
    with store.open_input_stream(f"{_FOLDER}/{name}") as file:
        return file.read()
