"""Copies of checkpoints in an object store: a training goes on from them on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemotron_assets.training.checkpoint_store import CheckpointStore, forget


def checkpoint(folder: Path, step: int) -> Path:
    made = folder / f"step-{step:010}"
    made.mkdir(parents=True)
    for rank in range(2):
        (made / f"rank-0000{rank}-of-00002.safetensors").write_bytes(bytes([step, rank]) * 1_000)
    (made / "state.json").write_text(f'{{"step": {step}}}')
    return made


@pytest.fixture
def uri(tmp_path) -> str:
    return f"file://{tmp_path}/lake/models/checkpoints/m1"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_newest_checkpoint_is_on_another_machine_what_it_was(tmp_path, uri):
    store, one, other = CheckpointStore(uri), tmp_path / "one", tmp_path / "other"
    assert store.fetch(other) is None
    for step in (50, 100):
        store.put(checkpoint(one, step))
    assert CheckpointStore(uri).fetch(other) == other / "step-0000000100"
    assert content(other / "step-0000000100") == content(one / "step-0000000100")
    assert [path.name for path in other.iterdir()] == ["step-0000000100"]
    assert store.fetch(other) is None  # it is there
    assert store.fetch(one) is None


def test_a_copy_that_was_interrupted_is_not_used(tmp_path, uri):
    store, one = CheckpointStore(uri), tmp_path / "one"
    store.put(checkpoint(one, 50))
    newer = checkpoint(tmp_path / "lake/models/checkpoints/m1", 100)
    (newer / "state.json").unlink()
    assert store.fetch(tmp_path / "other").name == "step-0000000050"
    store.put(checkpoint(one, 150))  # takes the half copy away too
    assert [path.name for path in newer.parent.iterdir()] == ["step-0000000150"]
    half = newer.parent / "step-0000000200"  # by a run with more processes
    half.mkdir()
    (half / "rank-00000-of-00004.safetensors").write_bytes(b"")
    store.put(again := checkpoint(one, 200))
    assert content(half) == content(again)


def test_checkpoints_of_finished_trainings_are_removed(tmp_path, uri):
    CheckpointStore(uri).put(checkpoint(tmp_path / "one", 50))
    folder = tmp_path / "lake/models/checkpoints"
    forget(f"file://{folder}", {"m2"})
    assert (folder / "m1").exists()
    forget(f"file://{folder}", {"m1", "m2"})
    assert not (folder / "m1").exists()
    forget(f"file://{tmp_path}/nothing", {"m1"})
