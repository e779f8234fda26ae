"""`nemotron export` as a user calls it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from nemotron_assets.commands.cli import cli
from nemotron_assets.export import ExportError
from resources.lakehouse import Lakehouse
from tests.export.dataset import COUNTS, fill


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("NEMOTRON_LAKE", raising=False)
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    monkeypatch.setattr("nemotron_assets.commands.export.lake", lake)
    fill(lake, COUNTS)
    run = CliRunner()
    arguments = ["export", "web/nemotron_cc_v2", str(tmp_path / "out")]
    result = run.invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Translated-Diverse-QA" in result.output and "written in" in result.output
    assert "up to date, nothing to do" in run.invoke(cli, arguments, catch_exceptions=False).output
    with pytest.raises(ExportError, match="the published tables are"):
        run.invoke(cli, ["export", "web/documents", str(tmp_path / "two")], catch_exceptions=False)
