"""A lake in an object store that fails for a moment, again and again, and a writer of it that is killed."""

from __future__ import annotations

import io
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from resources import store as module
from resources.lakehouse import Lakehouse
from resources.store import ShortRead, StoreError, is_passing, steadily
from tests.faulty_proxy import FaultyProxy
from tests.resources.lakehouse.rows import DOCS, PLAIN, docs, numbers, parts
from tests.s3 import s3_server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.01)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OSError("When reading: AWS Error INTERNAL_FAILURE during GetObject operation"), True),
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 52"), True),
        (OSError("Kernel error -> Generic S3 error\n Error getting list response body\n HTTP error"), True),
        (ShortRead("3 of 9 bytes"), True),
        (OSError("AWS Error ACCESS_DENIED during GetObject operation"), False),
        (OSError("Generic S3 error: Client error with status 403 Forbidden"), False),
        (FileNotFoundError("AWS Error NO_SUCH_KEY"), False),
        (ValueError("7"), False),
    ],
)
def test_only_failures_of_the_store_are_tried_again(error, passing):
    calls = []

    def operation():
        calls.append(1)
        if len(calls) < 3:
            raise error
        return "done"

    assert is_passing(error) is passing
    if passing:
        assert steadily(operation, "reading x") == "done"
    else:
        with pytest.raises(type(error)):
            steadily(operation, "reading x")
    assert len(calls) == (3 if passing else 1)


def test_a_store_that_goes_on_failing_is_named_and_is_not_taken_for_damage(monkeypatch):
    from resources.lakehouse.errors import is_about_data

    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)

    def operation():
        raise OSError("AWS Error SLOW_DOWN during PutObject operation")

    with pytest.raises(StoreError, match="reading x: the object store failed 9 times in a row: AWS Error") as error:
        steadily(operation, "reading x")
    assert not is_about_data(error.value) and not is_passing(error.value)


class Falling:
    """A file system with one object, every second answer of which is empty or cut."""

    def __init__(self, data: bytes) -> None:
        self.data, self.answers = data, 0

    def open_input_file(self, path):
        self.answers += 1
        return self

    def size(self):
        return 0 if self.answers % 2 else len(self.data)

    def read_at(self, size, at):
        self.answers += 1
        found = self.data[at : at + size]
        return found if self.answers % 2 else found[: size // 2]

    def close(self):
        pass


def test_a_read_gives_all_bytes_although_answers_are_cut(monkeypatch):
    monkeypatch.setattr(module, "_READ_BYTES", 7)
    data = bytes(range(100))
    opened = module._Object(Falling(data), "bucket/x")
    assert opened.read() == data and opened.read() == b""
    assert (opened.seek(-5, io.SEEK_END), opened.read(3), opened.tell()) == (95, data[95:98], 98)
    assert io.BufferedReader(module._Object(Falling(data), "bucket/x")).read() == data


@pytest.mark.parametrize(("lost", "uploads"), [(True, 1), (False, 2)])
def test_an_upload_without_an_answer_is_believed_only_if_the_store_has_its_bytes(monkeypatch, tmp_path, lost, uploads):
    """An earlier object of the same size is not the new one."""
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0)
    (tmp_path / "x").write_bytes(b"step 1")
    inner, tries = LocalFileSystem(), []

    class Failing:
        def __getattr__(self, name):
            return getattr(inner, name)

        def open_output_stream(self, path, metadata=None):
            tries.append(path)
            if len(tries) > 1:
                return inner.open_output_stream(path)
            if lost:
                Path(path).write_bytes(b"step 2")
            raise OSError("AWS Error NETWORK_CONNECTION during CompleteMultipartUpload")

    with module._Upload(Failing(), str(tmp_path / "x"), None) as upload:
        upload.write(b"step 2")
    assert (tmp_path / "x").read_bytes() == b"step 2" and len(tries) == uploads


@pytest.fixture
def faulty(monkeypatch, tmp_path):
    with s3_server() as server:
        proxy = FaultyProxy(server, share=0.0, seed=1, silence_s=0.05)
        with proxy.serve() as address:
            for name, value in {
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "s3cret-value",
                "AWS_ENDPOINT_URL": address,
                "AWS_REGION": "us-east-1",
                "AWS_ALLOW_HTTP": "true",
                "AWS_EC2_METADATA_DISABLED": "true",
                "NEMOTRON_HOME": str(tmp_path),
            }.items():
                monkeypatch.setenv(name, value)
            urllib.request.urlopen(urllib.request.Request(f"{server}/lake", method="PUT"), timeout=5).close()
            yield proxy


@pytest.mark.faults
def test_tables_and_weights_are_right_although_requests_fail_and_a_writer_is_killed(faulty, tmp_path):
    import polars as pl

    from resources.lakehouse.verify import damaged_files

    lake, folder = Lakehouse(root="s3://lake/root"), tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 4_096)
    faulty.share = 0.15
    for number in range(2):
        lake.write(DOCS, docs("A", "f", [number, number + 1]), "A")
        assert numbers(lake, "A") == [number, number + 1]
        lake.append(PLAIN, pl.DataFrame({"id": [str(number)], "n": [number]}))
    assert lake.read(PLAIN).scan().collect().sort("n")["n"].to_list() == [0, 1]
    copy = lake.get_weights(lake.put_weights(folder, "base")[0])
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()

    killed = subprocess.run([sys.executable, "-m", "tests.resources.store_run", lake.root], timeout=300)
    assert killed.returncode == -9 and numbers(lake, "B") == [1]
    calls = []
    again = lake.write(DOCS, parts("B", calls, x=[1], y=[2]), "B")
    assert (calls, again.parts_skipped, numbers(lake, "B")) == (["y"], 1, [1, 2])
    faulty.share = 0.0
    assert not [found for table in (DOCS, PLAIN) for found in damaged_files(lake.read(table))]
    assert sum(faulty.made.values()) > 10, "the requests of this test did not fail"
