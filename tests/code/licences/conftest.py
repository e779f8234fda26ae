"""The licence library, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nemotron_assets.code.licences.library import Library


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Iterator[Library]:
    with Library(tmp_path_factory.mktemp("scancode"), seconds=100, memory_mb=4_096) as library:
        yield library
