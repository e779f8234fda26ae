"""An empty lake for every test."""

import pytest

from resources.lakehouse import Lakehouse


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
