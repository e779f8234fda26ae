"""`nemotron forget` cleans every store, and verification notices each one that it would leave out."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.code.licences.tables import SCANS
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.dedup import sorted_bands
from nemotron_assets.lake.thresholds.tables import THRESHOLDS
from nemotron_assets.rights import forgetting, removal, texts
from nemotron_assets.rights.targets import targets
from nemotron_assets.rights.verify import Verified, verify
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from nemotron_assets.web.tables import DOCUMENTS
from resources.generations import GENERATIONS, journals
from resources.lakehouse import Lakehouse
from resources.lakehouse.quarantine import QUARANTINE
from tests.rights.rows import ids, in_parts, rows_of, written
from tests.rights.test_verify import TEXT

WANTED = targets(["gone.example", "me/gone"])
PAGE, DOCUMENT, FILE, REPOSITORY, SHARED, OWN, QA = (f"{k}" * 32 for k in "0123456")
KEPT = {"PAGE": "a" * 32, "DOCUMENT": "b" * 32, "FILE": "c" * 32, "REPOSITORY": "d" * 32, "QA": "e" * 32}
CODE = "# Written by a person who does not want to be in a training set any longer, and says so here\nprint(1)\n"
NAMES = ("web.documents", "code.files")


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """A home in which every store has something of a page and a repository whose removal has begun."""
    home = tmp_path_factory.mktemp("planted")
    patch = pytest.MonkeyPatch()
    patch.setenv("NEMOTRON_HOME", str(home))
    lake = Lakehouse(root=str(home / "lake"), free_disk_mb=0)
    host = {"url": "https://gone.example/x", "host": "gone.example", "snapshot": "S"}
    kept = {"url": "https://kept.example/", "host": "kept.example", "snapshot": "S"}
    html = f"<p>{TEXT.replace('&', '&amp;').replace('<', '&lt;')}</p>".encode()
    pages = [{"id": PAGE, **host, "html": html}, {"id": KEPT["PAGE"], **kept, "html": b"<p>Kept</p>"}]
    written(lake, PAGES, *({"warc_file": "f", **page} for page in pages))
    documents = [
        {"id": DOCUMENT, "parents": [PAGE], **host, "text": TEXT},
        {"id": KEPT["DOCUMENT"], "parents": [KEPT["PAGE"]], **kept, "text": "Kept"},
    ]
    written(lake, DOCUMENTS, *documents)
    repositories = [{"id": REPOSITORY, "repo": "me/gone"}, {"id": KEPT["REPOSITORY"], "repo": "me/kept"}]
    written(lake, REPOSITORIES, *repositories)
    files = [
        {"id": FILE, "parents": [REPOSITORY], "repo": "me/gone", "content": CODE},
        {"id": KEPT["FILE"], "parents": [KEPT["REPOSITORY"]], "repo": "me/kept", "content": "print(2)\n"},
    ]
    in_parts(lake, FILES, *files)
    beside = json.dumps({"detections": [], "beside": {"1": CODE.splitlines()[0]}})
    written(lake, SCANS, {"id": "7" * 32, "text": "f" * 32, "findings": beside})
    answers = [
        {"id": SHARED, "parents": [DOCUMENT], "text": "An answer that two documents with the same words have."},
        {"id": OWN, "parents": [DOCUMENT], "text": f"The page says: {TEXT}"},
    ]
    lake.append(GENERATIONS, rows_of(GENERATIONS, *answers))
    questions = [
        {"id": QA, "parents": [DOCUMENT], "generation_id": SHARED, "snapshot": "S"},
        {"id": KEPT["QA"], "parents": [KEPT["DOCUMENT"]], "generation_id": SHARED, "snapshot": "S"},
    ]
    written(lake, DIVERSE_QA, *questions)
    lake.append(
        QUARANTINE, rows_of(QUARANTINE, {"id": "8" * 32, "row_id": "x", "detail": "https://gone.example/y: 404"})
    )
    written(lake, THRESHOLDS, {"id": "9" * 32, "by": "host", "name": "gone.example"})
    in_dagster(home / "dagster")
    for name in ("cache/reports/examples.html", "cache/training/m/notes.txt", "ablations/a/run.log", "report.html"):
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TEXT)
    bands = home / "lake" / "_sorted_bands" / "S" / "1" / "texts.parquet"
    bands.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": [DOCUMENT]}), bands)
    import duckdb

    with duckdb.connect(str(home / "cache/lake.duckdb")) as connection:
        connection.execute("create table notes as select ? as note", [TEXT])
    begun = removal.begin(lake, WANTED, "a test")
    evidence = texts.evidence_of(lake, {name: found.rows for name, found in begun.found.items()}, WANTED)
    texts.remember(lake, begun.receipt, evidence)
    (journals(lake) / "old.refused").write_text(json.dumps({"id": "f" * 32, "parents": [DOCUMENT], "text": TEXT}))
    patch.undo()
    return home


def in_dagster(folder: Path) -> None:
    """A preview in the event log, and an address in the output of a step."""
    entry = {"entry_data": {"__class__": "MarkdownMetadataEntryData", "md_str": TEXT}}
    (folder / "history" / "runs").mkdir(parents=True)
    connection = sqlite3.connect(folder / "history" / "runs" / "index.db")
    connection.execute("create table event_logs (id integer primary key, event text)")
    event = json.dumps({"asset_key": {"path": ["web", "documents"]}, "metadata_entries": [entry]})
    connection.execute("insert into event_logs (event) values (?)", (event,))
    connection.commit()
    connection.close()
    log = folder / "storage" / "run" / "compute_logs" / "step.err"
    log.parent.mkdir(parents=True)
    log.write_text(f"part 1 is stored: kept\nhttps://gone.example/x is odd\nbad: {TEXT!r}\n{CODE}the end\n")


INSTANCE = SimpleNamespace(
    is_ephemeral=False, fetch_materializations=lambda *_, **__: SimpleNamespace(records=[]), storage=None
)


def forgotten(home: Path, monkeypatch) -> tuple[Lakehouse, Verified]:
    """The lake of the home after a removal, and what verification finds."""
    monkeypatch.setenv("NEMOTRON_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("NEMOTRON_LAKE", raising=False)
    lake = Lakehouse(root=str(home / "lake"), free_disk_mb=0)
    begun, evidence = removal.begun(lake, WANTED), texts.remembered(lake)
    unused = {SCANS: lambda: set(ids(lake, SCANS))}
    forgetting.carry_out(
        lake, begun, lambda tables: None, INSTANCE, wanted=WANTED, evidence=evidence, unused=unused, vacuum=True
    )
    return lake, verify(WANTED, evidence, threads=1)


@pytest.fixture
def home(planted, tmp_path) -> Path:
    return Path(shutil.copytree(planted, tmp_path / "home"))


def test_nothing_is_left_of_it(home, monkeypatch):
    lake, verified = forgotten(home, monkeypatch)
    assert verified.is_clean, (verified.findings, verified.unread)
    assert ids(lake, DOCUMENTS) == [KEPT["DOCUMENT"]] and ids(lake, FILES) == [KEPT["FILE"]]
    assert ids(lake, SCANS) == []
    answers = lake.read(GENERATIONS).scan().select("id", "parents").collect().rows()
    assert answers == [(SHARED, [KEPT["DOCUMENT"]])] and ids(lake, DIVERSE_QA) == [KEPT["QA"]]
    log = (home / "dagster/storage/run/compute_logs/step.err").read_text().splitlines()
    assert log[0] == "part 1 is stored: kept" and log[-2:] == ["print(1)", "the end"]
    assert lake.marker(lake.open(FILES), "made", None, "me/kept") is not None


def nothing(*_, **__):
    return {}


def without_counts(lake, wanted, begun=removal.begun):
    found = begun(lake, wanted)
    del found.found[THRESHOLDS.full_name]
    return found


SKIPPED = {
    "rows": (forgetting, "_erase", lambda *_: None),
    "what was made from them": (forgetting, "erase_rows", nothing),
    "counts by host": (removal, "begun", without_counts),
    "parents of shared answers": (forgetting, "pass_on", nothing),
    "answers in journals": (forgetting, "erase_refused", nothing),
    "answers of the licence library": (forgetting, "erase_unused", nothing),
    "rejected rows": (forgetting, "erase_rejects", nothing),
    "events": (forgetting, "scrub", lambda *_: (0, "")),
    "output of steps": (forgetting, "scrub_logs", lambda *_: 0),
    "caches": (forgetting, "empty_caches", list),
    "catalog": (forgetting, "_refresh_catalog", nothing),
    "sorted bands": (sorted_bands, "forget_all", nothing),
    "old versions": (forgetting, "vacuum_tables", nothing),
    "logs of Delta": (forgetting, "cut_log", nothing),
}


@pytest.mark.parametrize("store", SKIPPED)
def test_verification_finds_what_a_skipped_store_keeps(store, home, monkeypatch):
    if store != "catalog":  # a new one takes longer than everything else
        monkeypatch.setattr(forgetting, "_refresh_catalog", lambda _: (home / "cache/lake.duckdb").unlink())
    monkeypatch.setattr(*SKIPPED[store])
    assert forgotten(home, monkeypatch)[1].findings
