"""The Delta log of a table as files, with hashes by which a changed, cut or missing file is found.

A damaged log may still be valid: with "bdd" in the place of "add" rows vanish without an error, and without its newest
commits a table is merely an older version of itself. So there are three kinds of xxh3-128 hashes:

- `actions_hash`, in the notes of a commit, is a hash of the notes and of the data files and marks that the commit adds
  and ends. delta-rs writes the file itself, so its bytes cannot be hashed before it is written.
- `log_hashes`, in the notes of a commit, are hashes of the files of the version that the commit builds on: its commit
  file and, if there is one, its checkpoint. They cover every byte.
- The head of the log is written after a commit, in the folder `_committed` beside the log: an empty file whose name has
  the version and the hashes that the next commit will note. A crash may come between a commit and its head. The head
  is then older than the log, which is not damage, and the next commit writes a new one. A log that is older than its
  head has lost commits.

So a newer commit or the head covers every byte of nearly every file. Without such a hash, as after a crash or where two
writers met, a commit is compared with its own `actions_hash`. A commit of an earlier version of the program, or of
another program, has no hash at all; only the form of its lines is checked.

Only the standard library is imported, and for an object store pyarrow: `nemotron sql` looks at every log.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nemotron_assets.table.ids import content_hash
from resources.contract import shortened
from resources.files import replaced
from resources.store import store_at

if TYPE_CHECKING:
    from deltalake import CommitProperties
    from deltalake.transaction import AddAction, RemoveAction

LOG, HEADS = "_delta_log", "_committed"
_LAST = "_last_checkpoint"
_LOG_FILE = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_HEAD = re.compile(r"(\d{20})-([0-9a-f]{32})(?:-([0-9a-f]{32}))?")

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


@dataclass(frozen=True)
class Head:
    """The newest version that was committed to a table, as far as is known, and the hashes of its files in the log.
    -1 if nothing is known: the table is new, or an earlier version of the program wrote it."""

    version: int = -1
    hashes: Mapping[str, str] | None = None


class DeltaLog:
    """The log of the table at a local path or an object-store URL."""

    def __init__(self, folder: str) -> None:
        self.folder, self.is_local = folder, "://" not in folder

    # -- files --------------------------------------------------------------------------------------------------

    @cached_property
    def _store(self) -> Any:
        return store_at(self.folder)

    def read(self, name: str) -> bytes:
        """The content of a file of the log. Raises `FileNotFoundError`."""
        if self.is_local:
            return Path(self.folder, LOG, name).read_bytes()
        with self._store.open_input_stream(f"{LOG}/{name}") as file:
            return file.read()

    def names(self, folder: str = LOG) -> list[str]:
        """The names of the files in the log, or in another folder of the table."""
        if self.is_local:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.listdir(f"{self.folder}/{folder}")
            return []
        from pyarrow.fs import FileSelector

        return [info.base_name for info in self._store.get_file_info(FileSelector(folder, allow_not_found=True))]

    def state(self) -> str:
        """A hash of the names, sizes and times of the files in the log, and of the head, which change with every file
        that is added, mended or put back."""
        if self.is_local:
            files = []
            with contextlib.suppress(FileNotFoundError), os.scandir(f"{self.folder}/{LOG}") as entries:
                files = [(entry.name, (status := entry.stat()).st_size, status.st_mtime_ns) for entry in entries]
        else:
            from pyarrow.fs import FileSelector

            found = self._store.get_file_info(FileSelector(LOG, allow_not_found=True))
            files = [(info.base_name, info.size, info.mtime_ns) for info in found]
        return content_hash(str((sorted(files), sorted(self.names(HEADS)))))

    def commit_with(self, actions_hash: str, after: int) -> int | None:
        """The first version after a version whose commit has this hash in its notes; None if none has it."""
        version = after + 1
        with contextlib.suppress(FileNotFoundError):
            while _notes_of(self.read(_commit(version))).get("actions_hash") != actions_hash:
                version += 1
            return version
        return None

    def _exists(self, name: str) -> bool:
        if self.is_local:
            return os.path.exists(f"{self.folder}/{LOG}/{name}")
        return self._store.get_file_info(f"{LOG}/{name}").size is not None

    def hashes(self, version: int) -> dict[str, str]:
        """The hashes of the files of a version, by name."""
        found = {}
        for name in (_commit(version), _checkpoint(version)):
            with contextlib.suppress(
                FileNotFoundError
            ):  # most versions have no checkpoint, and old commits are deleted
                found[name] = content_hash(self.read(name))
        return found

    # -- the head -----------------------------------------------------------------------------------------------

    def head(self) -> Head:
        """The head. Read it before the log: other writers go on."""
        found = [match for name in self.names(HEADS) if (match := _HEAD.fullmatch(name))]
        if not found:
            return Head()
        version = max(int(match[1]) for match in found)
        hashes = {}
        for match in found:
            if int(match[1]) == version:
                hashes[_commit(version)] = match[2]
                if match[3]:
                    hashes[_checkpoint(version)] = match[3]
        return Head(version, hashes)

    def record(self, built_on: int | None) -> None:
        """Write the head after a commit. `built_on` is the version that the commit builds on, None for a new table."""
        version = -1 if built_on is None else built_on
        while self._exists(_commit(version + 1)):
            version += 1
        hashes = self.hashes(version)
        if _commit(version) not in hashes:
            return  # nothing was committed, or the table is gone
        self._write_head("-".join((f"{version:020}", *hashes.values())))
        for name in self.names(HEADS):  # of this writer or another one: the greatest version stays
            if (match := _HEAD.fullmatch(name)) and int(match[1]) < version:
                self._delete(HEADS, name)

    def _write_head(self, name: str) -> None:
        if self.is_local:
            Path(self.folder, HEADS).mkdir(exist_ok=True)
            Path(self.folder, HEADS, name).touch()
        else:
            self._store.open_output_stream(f"{HEADS}/{name}").close()

    def _delete(self, folder: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.is_local:
                os.unlink(f"{self.folder}/{folder}/{name}")
            else:
                self._store.delete_file(f"{folder}/{name}")

    # -- forgetting ---------------------------------------------------------------------------------------------

    def cut(self, keep: Callable[[str], bool]) -> None:
        """Delete what only earlier versions say. The newest version must have a checkpoint: it stays, without the marks
        (names of application transactions) that `keep` refuses, and so does the newest commit.

        Nobody may write to the table meanwhile. A kill leaves a log that can be read, and cut again after a commit.
        """
        version = self.head().version
        own = {_commit(version), _checkpoint(version), _LAST}
        whole = self.read(_checkpoint(version))
        kept, actions = _without_marks(whole, keep)
        if len(kept) != len(whole):
            last = json.loads(self.read(_LAST))
            self._delete(LOG, _LAST)  # it says how large the checkpoint is; without it readers list the log
            self._put(_checkpoint(version), kept)
            sizes = {"size": actions, "sizeInBytes": len(kept)}
            stays = {name: value for name, value in last.items() if name not in ("checksum", *sizes)}
            self._put(_LAST, json.dumps(stays | sizes).encode())
        self.record(version)
        for name in self.names():
            if name not in own and re.fullmatch(r"\d{20}\..+|.*\.tmp", name):
                self._delete(LOG, name)

    def _put(self, name: str, content: bytes) -> None:
        if self.is_local:
            with replaced(Path(self.folder, LOG, name)) as new:
                new.write_bytes(content)
        else:
            with self._store.open_output_stream(f"{LOG}/{name}") as file:
                file.write(content)

    # -- what is wrong ------------------------------------------------------------------------------------------

    def damage(self, head: Head | None = None, newest: int | None = None) -> str:
        """What is wrong with the files that the newest version is read from, a sentence; "" if nothing is.

        `newest` is this version, and `head` the head that was read before it, if the caller knows them. In an object
        store only the newest commit is read, because each file takes a request.
        """
        head = head or self.head()
        names = self.names() if self.is_local or newest is None else []
        found = [match for name in names if (match := _LOG_FILE.fullmatch(name))]
        if newest is None:
            newest = max((int(match[1]) for match in found), default=-1)
        if head.version > newest:
            last = head.version
            which = f"version {last} was" if last == newest + 1 else f"versions {newest + 1} to {last} were"
            place, way_out = f"{self.folder}/{LOG}", self.way_out(_commit(last))
            return f"its {which} committed, and its log {place} does not hold the commit any more. {way_out}"
        checkpoint = max((int(m[1]) for m in found if m[2] != "json" and int(m[1]) <= newest), default=-1)
        oldest = checkpoint + 1 if self.is_local else newest
        files = [_commit(version) for version in range(newest, oldest - 1, -1)]
        files += [_checkpoint(checkpoint)] if checkpoint >= 0 else []
        recorded = dict(head.hashes or {})
        for name in files:
            try:
                problem, notes = _checked(name, self.read(name), recorded)
            except FileNotFoundError:  # log clean-up deletes old files; Delta itself notices gaps
                continue
            if problem:
                return f"the file {self.folder}/{LOG}/{name} of its log {problem}. {self.way_out(name)}"
            recorded.update(notes.get("log_hashes", {}))
        return ""

    def files(self) -> Iterator[tuple[str, str | None]]:
        """The commit files and checkpoints, newest first, each with what is wrong with it: "" for nothing, None if no
        hash of it was recorded. The newest commits that are missing come first."""
        head = self.head()
        names = sorted((name for name in self.names() if _LOG_FILE.fullmatch(name)), reverse=True)
        newest = max((int(name[:20]) for name in names), default=-1)
        for version in range(head.version, newest, -1):
            yield f"{LOG}/{_commit(version)}", "is missing, and its version was committed"
        recorded = dict(head.hashes or {})
        for name in names:  # only what newer, whole commits recorded is believed
            try:
                content = self.read(name)
            except FileNotFoundError:  # log clean-up has deleted it meanwhile
                continue
            problem, notes = _checked(name, content, recorded, closely=True)
            if not problem:
                recorded.update(notes.get("log_hashes", {}))
            yield f"{LOG}/{name}", problem

    def way_out(self, name: str) -> str:
        """What to do about a file of the log that is damaged or missing."""
        table = ".".join(self.folder.split("/")[-2:])
        newest = max((other for other in self.names() if re.fullmatch(r"\d{20}\.json", other)), default="")
        if name < newest or not name.endswith(".json"):
            return set_aside_log(table)
        delete = f"{self.folder}/{LOG}/{name} and " if name == newest else ""
        return (
            f"Put the file back from a copy of the lake. Without a copy, its changes are lost: delete {delete}"
            f"{self.folder}/{HEADS}, and write the table again: `nemotron run --force {table.replace('.', '/')}`."
        )


def set_aside_log(table: str) -> str:
    """What to do about a Delta log that cannot be read; `table` is the full name of its table."""
    return (
        f"Put the log back from a copy of the lake. Without a copy, run `nemotron maintain --set-aside {table}`, which "
        f"keeps the table's folder under another name, and then `nemotron run --force {table.replace('.', '/')}`."
    )


def hash_notes(
    properties: CommitProperties,
    folder: str,
    version: int | None,
    added: Iterable[AddAction] = (),
    removed: Iterable[RemoveAction] = (),
) -> CommitProperties:
    """Add the hashes to the notes of a commit that adds and ends these data files; returns the notes.

    `folder` is that of the table, `version` the version that the commit builds on, None for a new table.
    """
    notes = properties.custom_metadata
    notes["log_hashes"] = {} if version is None else DeltaLog(folder).hashes(version)
    actions = [
        _form("add", (a.path, a.partition_values, a.size, a.modification_time, a.data_change, a.stats)) for a in added
    ]
    actions += [_form("remove", (r.path, r.partition_values, r.size, r.data_change)) for r in removed]
    actions += [_form("txn", (mark.app_id, mark.version)) for mark in properties.app_transactions or ()]
    notes["actions_hash"] = _hash_of_actions(actions, notes)
    return properties


def _commit(version: int) -> str:
    return f"{version:020}.json"


def _checkpoint(version: int) -> str:
    return f"{version:020}.checkpoint.parquet"


def _without_marks(checkpoint: bytes, keep: Callable[[str], bool]) -> tuple[bytes, int]:
    """A checkpoint without the marks that are not to be kept, and its number of actions. The same bytes if all stay."""
    import io

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    actions = pq.read_table(io.BytesIO(checkpoint))
    if "txn" not in actions.column_names:
        return checkpoint, actions.num_rows
    marks = pc.struct_field(actions["txn"], "appId").to_pylist()
    stays = pa.array([mark is None or keep(mark) for mark in marks], pa.bool_())
    kept = actions.filter(stays)
    if kept.num_rows == actions.num_rows:
        return checkpoint, actions.num_rows
    written = io.BytesIO()
    pq.write_table(kept, written)
    return written.getvalue(), kept.num_rows


def _checked(
    name: str, content: bytes, recorded: Mapping[str, str], closely: bool = False
) -> tuple[str | None, Mapping[str, Any]]:
    """What is wrong with a file of the log ("" for nothing, None if it has no hash), and the notes of a commit. A
    commit whose recorded hash is right is looked into only `closely`: the damage may be older than the hash."""
    if not content:
        return "is empty, so its rows would be missing; perhaps the machine lost power", {}
    problem, notes = None, {}
    if name.endswith(".json"):
        is_recorded = not closely and name in recorded
        problem, notes = (None, _notes_of(content)) if is_recorded else _read_commit(content)
    if not problem and name in recorded:
        hash_ = content_hash(content)
        same = hash_ == recorded[name]
        problem = "" if same else f"has the xxh3-128 hash {hash_}; when it was committed it had {recorded[name]}"
    return problem, notes


def _notes_of(content: bytes) -> Mapping[str, Any]:
    """The notes of a commit; {} if no line holds them."""
    for line in content.splitlines():
        if line.startswith(b'{"commitInfo"'):
            with contextlib.suppress(ValueError):
                return json.loads(line)["commitInfo"]
    return {}


def _read_commit(content: bytes) -> tuple[str | None, Mapping[str, Any]]:
    """What the lines of a commit file say is wrong with it ("" for nothing, None if it has no hash), and its notes."""
    actions: list[str] = []
    notes: Mapping[str, Any] | None = None
    try:
        for line in content.splitlines():
            ((kind, action),) = json.loads(line).items()
            if kind not in _KINDS:
                return f"has the action {shortened(repr(kind))}, which Delta does not know", notes or {}
            if kind == "commitInfo":
                notes = action
            elif kind in _FIELDS:
                values = {field: action.get(field) for field in _FIELDS[kind]}
                if "path" in values:
                    values["path"] = unquote(values["path"])  # the log quotes paths
                actions.append(_form(kind, values.values()))
    except (ValueError, AttributeError, TypeError):
        return "has a line that is not a Delta action", notes or {}
    if notes is None:
        return "has no notes about the commit (commitInfo), which every program writes", {}
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
