"""An empty lake for every test."""

from __future__ import annotations

import pytest

from resources.lakehouse import Lakehouse


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
