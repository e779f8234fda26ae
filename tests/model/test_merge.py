"""Two models are merged weight by weight, in fp32, into files that every reader knows."""

import filecmp
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from nemotron_assets.model import export
from nemotron_assets.model.merge import MergeError, merge
from nemotron_assets.model.nemotron_h import load_report
from nemotron_assets.training.checkpoint import folder_tensors
from tests.model import exported


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models of one shape with different weights in BF16, in files of at most 1 MB."""
    root = tmp_path_factory.mktemp("models")
    for number, name in enumerate(("first", "second")):
        numbers = torch.Generator().manual_seed(number)
        moved = {
            name: value + 0.1 * torch.randn(value.shape, generator=numbers)
            for name, value in exported.weights().items()
        }
        export.save(root / name, exported.laptop_config(), moved, torch.bfloat16, shard_size="1MB")
        (root / name / "tokenizer.json").write_text("{}")
    assert len(list((root / "first").glob("*.safetensors"))) > 1
    return root / "first", root / "second"


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_values_are_those_of_the_formula(folders, tmp_path, alpha):
    first, second = folders
    parameters = merge(first, second, alpha, tmp_path / "merged")
    values, others = dict(folder_tensors(first)), dict(folder_tensors(second))
    merged = dict(folder_tensors(tmp_path / "merged"))
    assert merged.keys() == values.keys() and parameters == sum(value.numel() for value in values.values())
    for name, value in values.items():
        expected = ((1 - alpha) * value.double() + alpha * others[name].double()).float()
        assert torch.allclose(merged[name], expected.bfloat16().float(), rtol=2**-7, atol=1e-6), name
    assert load_report(tmp_path / "merged") == (parameters, [])


@pytest.mark.parametrize("alpha", [0.1, 1 / 3, 0.5, 0.9])
def test_a_model_merged_with_itself_is_the_same_to_the_last_byte(folders, tmp_path, alpha):
    merge(folders[0], folders[0], alpha, tmp_path / "merged")
    names = sorted(file.name for file in folders[0].iterdir())
    assert filecmp.cmpfiles(folders[0], tmp_path / "merged", names, shallow=False) == (names, [], [])


def test_memory_does_not_grow_with_the_model(tmp_path):
    """64 tensors of 4 MB each; of the second model, the file is mapped, and read a tensor at a time."""
    import tracemalloc

    weights = {f"layer.{number}": torch.full((1 << 20,), float(number)) for number in range(64)}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        save_file(weights, tmp_path / name / "model.safetensors")
    from unittest.mock import patch

    alive, most, real = [], [0], torch.lerp

    def watched(*arguments):
        made = real(*arguments)
        import weakref

        alive[:] = [reference for reference in alive if reference() is not None] + [weakref.ref(made)]
        most[0] = max(most[0], len(alive))
        return made

    tracemalloc.start()
    with patch("torch.lerp", watched):
        merge(tmp_path / "first", tmp_path / "second", 0.5, tmp_path / "merged")
    assert most[0] <= 2, "merged tensors are not collected"
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert torch.equal(load_file(tmp_path / "merged" / "model.safetensors")["layer.7"], weights["layer.7"])


def test_models_that_do_not_fit_are_refused(folders, tmp_path):
    first, second = folders
    other = tmp_path / "other"
    shutil.copytree(second, other)
    (other / "tokenizer.json").write_text('{"another": 1}')
    with pytest.raises(MergeError, match="different tokenizers"):
        merge(first, other, 0.5, tmp_path / "a")
    (other / "tokenizer.json").write_text("{}")
    path = next(iter(sorted(other.glob("*.safetensors"))))
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file({key: value for key, value in tensors.items() if key != name}, path, {"format": "pt"})
    with pytest.raises(MergeError, match=f"lacks the weight {name}"):
        merge(first, other, 0.5, tmp_path / "b")
    with pytest.raises(MergeError, match=f"has the weights {name}, which"):
        merge(other, first, 0.5, tmp_path / "c")
    save_file(tensors | {name: tensors[name].flatten()[:1].clone()}, path, {"format": "pt"})
    with pytest.raises(MergeError, match=f"{name} has the shapes"):
        merge(first, other, 0.5, tmp_path / "d")
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        merge(first, second, 1.5, tmp_path / "e")
