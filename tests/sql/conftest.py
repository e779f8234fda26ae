"""Lakes for the SQL tests: one in which the tables have rows, and an empty one."""

from __future__ import annotations

import pytest

from resources.lakehouse import Lakehouse
from tests.sql.lake import Opened, fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """(rows by table, opened warehouse) of a filled lake; read only."""
    root = tmp_path_factory.mktemp("it's a lake")
    rows = fill(Lakehouse(root=str(root / "lake")))
    opened = Opened(root)
    yield rows, opened
    opened.connection.close()


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """The opened warehouse of an empty lake."""
    opened = Opened(tmp_path_factory.mktemp("empty"))
    yield opened
    opened.connection.close()
