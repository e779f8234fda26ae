"""What tests of several packages share. Nothing here or in any test touches a lake of the user's."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.internal.conjecture import engine

import nemotron_assets  # noqa: F401 - says how threads wait, before a test imports PyTorch
from tests import ending

# Hypothesis searches this many seconds for a smaller example of a failure; the example being tried then still ends.
# Its default of 300 s is the time-out of a whole test. Hypothesis documents this constant as one that users may change.
engine.MAX_SHRINKING_SECONDS = 30

# Property tests try the same examples in every run, so that a run fails only because of what changed. They have no
# limits of time, because a test machine may be busy, and they stop at the first failure.
# `make fuzz` tries new examples (tests/fuzzing.py).
hypothesis_settings.register_profile(
    "repeatable",
    hypothesis_settings.get_profile("default"),
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("repeatable")

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"


def pytest_configure(config: pytest.Config) -> None:
    """Every test process has a home of its own, before anything can read the environment."""
    for name in ("NEMOTRON_LAKE", "NEMOTRON_RECIPE", "DAGSTER_HOME"):
        os.environ.pop(name, None)
    config.stash[_HOME] = os.environ["NEMOTRON_HOME"] = tempfile.mkdtemp(prefix="nemotron-test-")
    config.pluginmanager.register(ending, "ending")
    # A script that starts the tests in the background makes them ignore SIGINT. After a run in the test process Dagster
    # does with SIGTERM what is done with SIGINT, and the processes of later tests would ignore SIGTERM.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of the whole graph come first. They take minutes each, and the others then keep all processes busy."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """PyTorch draws the same numbers in a test whichever tests its process ran before, in its fixtures as well."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _dagster_home():
    """A test that opens a Dagster instance names its home in the environment, where the next tests must not find it."""
    yield
    os.environ.pop("DAGSTER_HOME", None)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes by their length: gzip puts the time into them, and both test processes must give a test the same name."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_HOME], ignore_errors=True)


_HOME = pytest.StashKey[str]()


@pytest.fixture(autouse=True, scope="session")
def _no_instance_of_another_test():
    """Dagster's state storage for components, which we have none of, is that of the instance entered last, even when
    that one is gone: contexts of other tests end whenever the garbage collector finds them. This fixture is of the
    whole session, because fixtures of a module, which load definitions too, come before those of a test."""
    from dagster._core.storage.defs_state.base import DefsStateStorage

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefsStateStorage, "get", staticmethod(lambda: None))
        yield


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


@pytest.fixture(scope="session")
def sample_texts() -> list[str]:
    """The plain texts of the pages in one WARC file of the sample."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    file = sorted(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz"))[0]
    texts = []
    with file.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            if record.http_headers and record.http_headers.status_code == 200:
                tree = HTMLTree.parse_from_bytes(record.reader.read(), "utf-8")
                texts.append(extract_plain_text(tree, main_content=True))
    return [text for text in dict.fromkeys(texts) if len(text) > 50]


@pytest.fixture(scope="session")
def vocabulary_folder(sample_texts, tmp_path_factory) -> Path:
    """A saved tokenizer with 2,048 entries, trained on the sample."""
    from nemotron_assets.text import tokenizer as bpe

    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    bpe.save(bpe.train([sample_texts[:60]], vocabulary=2_048, specials=32, min_frequency=2), folder, 512)
    return folder


@pytest.fixture(scope="session")
def vocabulary(vocabulary_folder):
    """The tokenizer in `vocabulary_folder`."""
    from nemotron_assets.text import tokenizer as bpe

    return bpe.load(vocabulary_folder)
