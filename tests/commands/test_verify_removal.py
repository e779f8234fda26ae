"""`nemotron forget --verify`: evidence is made from the lake before a removal, and searched for after it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pytest

from nemotron_assets.commands import verify_removal
from nemotron_assets.rights.tables import REMOVED
from nemotron_assets.rights.targets import Target
from nemotron_assets.rights.texts import evidence_of, remember, remembered
from nemotron_assets.rights.verify import NOT_PROVEN
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.schema import Table
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse

GONE = "A page that will be removed says something that nobody else has ever said before, at some length."
BOTH = "This notice about cookies stands on every page of the whole web, word by word and again and again."
GONE_PAGE, GONE_TEXT, KEPT_PAGE, KEPT_TEXT = (f"{k}" * 32 for k in "abcd")
HOST = Target("host", "gone.example")


def written(lake: Lakehouse, table: Table, *given: dict) -> None:
    values = {"string": "", "int64": 0, "float64": 0.0, "binary": b"", "list[string]": [], "int32": 0, "bool": False}
    values["timestamp"] = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    rows = [{c.name: row.get(c.name, values.get(c.dtype)) for c in table.columns} for row in given]
    lake.write(table, pa.Table.from_pylist(rows, table.arrow_schema()), "S")


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    monkeypatch.setattr(verify_removal, "lake", lake)
    link = '<p>Somebody links <a href="http://www.gone.example/">a page that is gone, and says why</a> once more</p>'
    pages = [
        {"id": GONE_PAGE, "snapshot": "S", "host": HOST.value, "html": f"<p>{GONE}</p><p>{BOTH}</p>".encode()},
        {"id": KEPT_PAGE, "snapshot": "S", "host": "kept.example", "html": f"<p>{BOTH}</p>{link}".encode()},
    ]
    texts = [
        {"id": GONE_TEXT, "snapshot": "S", "parents": [GONE_PAGE], "host": HOST.value, "text": f"{GONE} {BOTH}"},
        {"id": KEPT_TEXT, "snapshot": "S", "parents": [KEPT_PAGE], "host": "kept.example", "text": "Nothing to see."},
    ]
    written(lake, PAGES, *pages)
    written(lake, DOCUMENTS, *texts)
    evidence = evidence_of(lake, {PAGES.full_name: {GONE_PAGE}, DOCUMENTS.full_name: {GONE_TEXT}}, [HOST])
    remember(lake, "receipt", evidence)
    written(lake, PAGES, pages[1])
    written(lake, DOCUMENTS, texts[1])
    return lake


def vacuum(lake: Lakehouse, *tables: Table) -> None:
    """Delete the old versions, and the entries of the logs about them, whose statistics hold values."""
    for table in tables:
        lake.open(table).vacuum(0, dry_run=False, enforce_retention_duration=False)
        for path in sorted(Path(lake.path(table), "_delta_log").glob("*.json"))[:-2]:
            path.write_text("{}")


def test_old_versions_are_found_until_they_are_vacuumed(lake, capsys):
    assert not verify_removal.verify_command([str(HOST)])
    printed = capsys.readouterr().out
    assert {"snapshots.pages", "web.documents"} <= {line.partition(":")[0] for line in printed.splitlines()}
    assert max(map(len, (line for line in printed.splitlines() if not line.startswith("  ")))) <= 120
    assert GONE_TEXT in printed and "failed: " in printed
    vacuum(lake, PAGES)
    assert not verify_removal.verify_command([str(HOST)])
    printed = capsys.readouterr().out
    assert "\nsnapshots.pages: " not in printed and "\nweb.documents: " in printed
    vacuum(lake, DOCUMENTS)
    assert verify_removal.verify_command([str(HOST)])
    printed = capsys.readouterr().out
    assert "nothing was found" in printed and NOT_PROVEN[0] in printed


def test_all_removals_are_searched_for_without_a_name_and_as_json(lake, tmp_path, capsys):
    vacuum(lake, PAGES, DOCUMENTS)
    (tmp_path / "report.html").write_text(f"<li>{GONE}</li><li>{BOTH}</li>")
    assert not verify_removal.verify_command([], as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [(finding["store"], finding["what"]) for finding in found["findings"]] == [("files of the home", "text")]
    assert found["not_proven"] == list(NOT_PROVEN) and found["pieces"] == len(remembered(lake).pieces)


def test_a_removal_without_its_evidence_is_not_proven(lake, capsys):
    vacuum(lake, PAGES, DOCUMENTS)
    row = {c.name: {"string": "elsewhere", "int64": 0}.get(c.dtype) for c in REMOVED.columns}
    row["at"] = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    lake.append(REMOVED, pa.Table.from_pylist([row], REMOVED.arrow_schema()))
    assert not verify_removal.verify_command([str(HOST)])
    printed = capsys.readouterr().out
    assert "elsewhere.npz: it is missing" in printed and "failed: 1 file" in printed


def test_a_lake_without_removals_needs_a_name(tmp_path, monkeypatch):
    import click

    monkeypatch.setattr(verify_removal, "lake", Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0))
    with pytest.raises(click.UsageError, match="name what to search for"):
        verify_removal.verify_command([])


def test_json_is_refused_where_it_would_remove():
    from click.testing import CliRunner

    from nemotron_assets.commands.removing import forget

    result = CliRunner().invoke(forget, ["gone.example", "--json"])
    assert result.exit_code == 2 and "--verify" in result.output
