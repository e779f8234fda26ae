"""What `nemotron forget` removes from Dagster's events: long texts about the tables concerned, and names everywhere."""

import json
import sqlite3
from types import SimpleNamespace

import pytest

from nemotron_assets.rights.events import scrub

LONG = "a line of a page that somebody wants to be forgotten, and more of it"


def event(table: str, preview: str, message: str = "") -> str:
    shown = {"__class__": "EventMetadataEntry", "label": "preview"}
    shown["entry_data"] = {"__class__": "MarkdownMetadataEntryData", "md_str": preview}
    plot = {"entry_data": {"__class__": "MarkdownMetadataEntryData", "md_str": "![plot](data:image/png;base64,AAAA)"}}
    key = {"path": table.split(".")}
    return json.dumps({"asset_key": key, "metadata_entries": [shown, plot], "user_message": message})


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    folder = tmp_path / "history" / "runs"
    folder.mkdir(parents=True)
    file = folder / "index.db"
    connection = sqlite3.connect(file)
    connection.execute("create table event_logs (id integer primary key, event text)")
    connection.execute("create table asset_keys (id integer primary key, last_materialization text)")
    events = [
        event("web.documents", LONG),
        event("web.documents", "short"),
        event("web.bands", LONG),
        event("web.bands", "short", "part 4 is stored: Gone/Lib, not gone/library or x-gone/lib"),
    ]
    connection.executemany("insert into event_logs (event) values (?)", [(e,) for e in events])
    connection.execute("insert into asset_keys (last_materialization) values (?)", (events[0],))
    connection.commit()
    connection.close()
    return file, events


def test_long_texts_and_names_go_and_all_else_stays(log):
    file, events = log
    instance = SimpleNamespace(is_ephemeral=False)
    assert scrub(instance, ["web.documents"], ["gone/lib"]) == (3, "")
    connection = sqlite3.connect(file)
    stored = [text for (text,) in connection.execute("select event from event_logs order by id")]
    assert stored[1:3] == events[1:3]
    assert LONG not in stored[0] and "data:image/png" in stored[0] and json.loads(stored[0])["asset_key"]
    assert "part 4 is stored: (forgotten), not gone/library or x-gone/lib" in stored[3]
    assert LONG not in connection.execute("select last_materialization from asset_keys").fetchone()[0]
    assert scrub(instance, ["web.documents"], ["gone/lib"]) == (0, ""), "a second time there is nothing left"


def test_a_host_that_could_be_a_word_of_dagster_stays_and_is_not_proven(log):
    file, events = log
    changed, note = scrub(SimpleNamespace(is_ephemeral=False), [], ["web", "gone/lib"])
    assert changed == 1 and "1 name without a dot" in note
    stored = [text for (text,) in sqlite3.connect(file).execute("select event from event_logs order by id")]
    assert stored[:3] == events[:3] and "(forgotten)" in stored[3]
    assert json.loads(stored[3])["asset_key"] == {"path": ["web", "bands"]}


def test_the_file_has_no_copy_in_its_free_pages(log):
    file, _ = log
    scrub(SimpleNamespace(is_ephemeral=False), ["web.documents", "web.bands"], ["gone/lib"])
    assert LONG.encode() not in file.read_bytes()


def test_a_log_elsewhere_is_not_proven(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    events, note = scrub(SimpleNamespace(is_ephemeral=False), ["web.documents"])
    assert events == 0 and "no SQLite event log" in note
