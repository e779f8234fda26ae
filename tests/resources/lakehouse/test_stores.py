"""Where a lake lies: object stores, paths that need quoting, weights, secrets."""

import os
import urllib.request

import pytest

from resources.contract import LakeError
from resources.delta_log import DeltaLog
from resources.lakehouse import Lakehouse
from resources.store import store_at
from resources.weights import WeightsError
from tests.resources.lakehouse.rows import DOCS, docs, numbers, parts
from tests.s3 import s3_server


def test_secrets_are_refused_in_storage_options():
    with pytest.raises(Exception, match="AWS_SECRET_ACCESS_KEY") as error:
        Lakehouse(root="s3://bucket", storage_options={"aws_secret_access_key": "hunter2"})
    assert "environment variables" in str(error.value)


def test_weights_are_stored_once_and_verified(lake, tmp_path):
    folder = tmp_path / "weights"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"w" * 100)
    (folder / "sub" / "config.json").write_text("{}")
    uri, digest = lake.put_weights(folder, "base")
    assert lake.put_weights(folder, "base") == (uri, digest)
    assert (lake.get_weights(uri) / "sub" / "config.json").read_text() == "{}"
    (folder / "model.safetensors").write_bytes(b"v" * 100)
    assert lake.put_weights(folder, "base")[1] != digest
    with pytest.raises(
        WeightsError, match=r"there are no weights at .*: `nemotron run --force models/base` makes them again"
    ):
        lake.get_weights(f"{lake.root}/models/weights/base/none")
    with pytest.raises(WeightsError, match="no files"):
        lake.put_weights(tmp_path / "nothing", "base")


@pytest.fixture
def s3(monkeypatch, tmp_path):
    with s3_server() as endpoint:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "s3cret-value",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NEMOTRON_HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/lake", method="PUT"), timeout=5).close()
        yield "s3://lake/a+b=c@d~e/root"


def test_object_store(s3, tmp_path):
    """The same code works on S3, with credentials from the environment."""
    lake = Lakehouse(root=s3)
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    again = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert (calls, again.parts_skipped) == (["x", "y"], 2)
    assert numbers(lake, "A") == [1, 2]
    assert sum(b.num_rows for b in lake.read(DOCS, "A").batches()) == 2
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(os.urandom(1 << 20))
    uri, _ = lake.put_weights(folder, "base")
    copy = lake.get_weights(uri)
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert {problem for _, problem in DeltaLog(lake.path(DOCS)).files()} == {""}
    newest = lake.open(DOCS).version()
    assert DeltaLog(lake.path(DOCS)).head().version == newest
    assert "s3cret-value" not in str(lake.open(DOCS).history()) + repr(lake)


def test_a_damaged_or_missing_newest_commit_in_an_object_store_is_named(s3):
    lake = Lakehouse(root=s3)
    for n in range(2):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    store, newest = store_at(lake.path(DOCS)), f"_delta_log/{2:020}.json"
    with store.open_input_stream(newest) as file:
        content = file.read()
    with store.open_output_stream(newest) as file:
        file.write(content[: content.rindex(b"\n{")])
    with pytest.raises(LakeError, match=r"web\.docs: the file .*2\.json of its log has the xxh3-128 hash"):
        lake.read(DOCS)
    store.delete_file(newest)
    with pytest.raises(LakeError, match=r"web\.docs: its version 2 was committed"):
        lake.read(DOCS)
    assert [name for name, problem in DeltaLog(lake.path(DOCS)).files() if problem] == [newest]


@pytest.mark.parametrize("folder", ["a lake", "it's ours", "50%", "Zürich"])
def test_the_path_of_the_lake_may_need_quoting(tmp_path, folder):
    lake = Lakehouse(root=str(tmp_path / folder), free_disk_mb=0)
    lake.write(DOCS, docs("A", "f", [1]), "A")
    lake.write(DOCS, docs("A", "f", [2, 3]), "A")
    assert numbers(lake, "A") == [2, 3] and list(lake.read(DOCS, "A").parts()) == ["f"]
    assert sum(b.num_rows for b in lake.read(DOCS).batches()) == 2
