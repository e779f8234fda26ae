"""What Dagster remembers of tables: the data versions of their partitions, and texts in the metadata of its events.

Dagster's storage has no way to change an event, so its SQLite files are changed here. A storage elsewhere, such as
Postgres, is left alone, and the receipt says so.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.counting import counted
from resources.home import dagster_home

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: What stands in the place of a text that was removed.
REMOVED_TEXT = "removed by nemotron forget"
#: What stands in the place of a name or an id.
FORGOTTEN = "(forgotten)"
_ID = re.compile(r"\b[0-9a-f]{32}\b", re.ASCII)
#: Metadata of these classes hold texts: {class: the field with the text}.
_TEXTS = {
    "MarkdownMetadataEntryData": "md_str", "TextMetadataEntryData": "text", "JsonMetadataEntryData": "data",
}  # fmt: skip
#: Shorter texts are names and numbers, and stay.
_SHORTEST = 40
_TIMEOUT_S = 120


def announce(
    instance: dg.DagsterInstance, lake: Lakehouse, table: Table, partition: str | None, parts: Iterable[str]
) -> None:
    """Tell Dagster the data version of a partition after rows were removed, if it differs from the one that Dagster
    knows. So exactly what was made from the partition becomes stale. `parts` are the parts of the partition."""
    import dagster as dg

    wanted = dg.AssetRecordsFilter(asset_key=table.asset_key, asset_partitions=[partition] if partition else None)
    records = instance.fetch_materializations(wanted, limit=1).records
    if not records:
        return
    delta = lake.open(table)
    contents = {part: lake.marker(delta, "data", partition, part) for part in parts}
    contents = {part: content for part, content in contents.items() if content is not None}
    result, tags = lake.stored(table, partition, contents), records[0].asset_materialization.tags or {}
    if tags.get("dagster/data_version") == result.data_version:
        return
    rows = "dagster/partition_row_count" if partition else "dagster/row_count"
    event = dg.AssetMaterialization(
        table.asset_key,
        description="Rows were removed by `nemotron forget`.",
        partition=partition,
        metadata={rows: result.rows, "delta_version": result.version},
        tags={**tags, "dagster/data_version": result.data_version},
    )
    instance.report_runless_asset_event(event)


def scrub(
    instance: dg.DagsterInstance, tables: Iterable[str], names: Iterable[str] = (), ids: Collection[str] = ()
) -> tuple[int, str]:
    """Remove texts of 40 characters or more, such as previews, from the metadata of all events about these tables, and
    the names (hosts, addresses, repositories) and ids of rows from all events, except hosts without a dot. Returns the
    number of events, and a sentence about what could not be done ("" if all was)."""
    # Steps are named web__documents, and keys of assets are written ["web", "documents"].
    words = [word for name in tables for word in (name.replace(".", "__"), json.dumps(name.split(".")))]
    folder, names = dagster_home() / "history" / "runs", Names(names, ids)
    if not (words or names.words or names.plain or ids) or instance.is_ephemeral:
        return 0, ""
    if not (folder / "index.db").is_file():
        return 0, f"{dagster_home()} holds no SQLite event log; its events stay"
    changed = sum(_scrub_database(file, words, names) for file in sorted(folder.glob("*.db")))
    note = (
        f"events may still hold {counted(len(names.plain), 'name')} without a dot, as words of Dagster can be the same"
    )
    return changed, note if names.plain else ""


class Names:
    """Hosts, addresses, repositories and ids of rows, and how they are found in a text: in any case, and not as a part
    of a longer name. Of `plain` names, which have neither a dot nor a slash, a text does not say that they are names:
    the host "web" would take the name of every asset of the web. So they are not looked for."""

    def __init__(self, names: Iterable[str], ids: Collection[str] = ()) -> None:
        self._ids = ids
        lower = {name.lower() for name in names}
        self.plain = {name for name in lower if not {".", "/"} & set(name)}
        self.words = sorted(lower - self.plain, key=len, reverse=True)

    def removed_from(self, text: str) -> str:
        """The text without the names and ids."""
        if self._ids:
            text = _ID.sub(lambda found: FORGOTTEN if found[0] in self._ids else found[0], text)
        lower = text.lower()
        inside = [word for word in self.words if word in lower]  # a pattern of all names would be tried at every place
        if not inside:
            return text

        def replaced(found: re.Match) -> str:
            before, after = text[: found.start()][-1:], text[found.end() :][:1]
            is_part = any(c.isalnum() or c in "-_" for c in (before, after) if c)
            return found[0] if is_part else FORGOTTEN

        return re.sub("|".join(map(re.escape, inside)), replaced, text, flags=re.IGNORECASE)


def _scrub_database(file: Path, words: list[str], names: Names) -> int:
    """Remove the long texts from the events of one database that hold one of the words, and the names from all;
    returns the number of events."""
    changed = 0
    with contextlib.closing(sqlite3.connect(file, timeout=_TIMEOUT_S)) as connection:
        connection.execute("pragma secure_delete = on")
        known = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        for table, column in (
            ("event_logs", "event"), ("asset_keys", "last_materialization"),
            ("asset_check_executions", "evaluation_event"),
        ):  # fmt: skip
            if table not in known:
                continue
            for (id_,) in connection.execute(f"select id from {table} where {column} is not null").fetchall():
                ((text,),) = connection.execute(f"select {column} from {table} where id = ?", (id_,))
                is_about = any(word in text for word in words)
                new = names.removed_from((_without_texts(text) if is_about else None) or text)
                if new != text:
                    connection.execute(f"update {table} set {column} = ? where id = ?", (new, id_))
                    changed += 1
        connection.commit()
        if changed:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
    return changed


def _without_texts(text: str) -> str | None:
    """An event without its long texts, None if it has none."""
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return json.dumps(event) if _blank(event) else None


def _blank(value: Any) -> bool:
    """Replace the long texts in metadata, in place; whether there was one."""
    if isinstance(value, list):
        return sum(map(_blank, value)) > 0  # all of them, and not until the first one
    if not isinstance(value, dict):
        return False
    name = _TEXTS.get(value.get("__class__"))
    if name and _is_long(value.get(name)):
        value[name] = {"note": REMOVED_TEXT} if name == "data" else REMOVED_TEXT
        return True
    return sum(map(_blank, value.values())) > 0


def _is_long(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_long(item) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(map(_is_long, value))
    return isinstance(value, str) and len(value) >= _SHORTEST and not value.startswith("![")
