"""FP8: the layers that stay in BF16 are the published ones, gradients are those of BF16, and a model learns as well."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.train import Fp8
from nemotron_assets.training import precision, stream
from nemotron_assets.training.checkpoint import read_tensors
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import NextToken
from tests.training.test_loop import Memory, job

CPU = torch.device("cpu")
SCALINGS = ("tensorwise", "rowwise", "blockwise")


def test_the_12b_keeps_two_layers_at_each_end_in_bf16():
    """Two layers are a Mamba-2 layer and an FFN: in_proj, out_proj, up_proj and down_proj."""
    recipe = load_recipe("nano2")
    assert (recipe.train.base.precision, recipe.train.base.fp8.bf16_ends) == ("fp8", 4)
    kept = precision.kept_in_bf16(empty_model(model_config(recipe.model, 131_072, 8192)), recipe.train.base.fp8)
    pair = [("in_proj", "out_proj"), ("up_proj", "down_proj")]
    assert kept == [f"model.layers.{n}.mixer.{name}" for n in (0, 1, 60, 61) for name in pair[n % 2]]


def test_query_key_and_value_are_one_product_and_odd_sizes_stay_in_bf16(small):
    student = empty_model(model_config(small, 64, 48))
    of = precision.products(student)  # M-MM*-M-
    assert [len(names) for names in of] == [1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1]
    assert precision.kept_in_bf16(student, Fp8(bf16_ends=0)) == [
        f"model.layers.{n}.mixer.in_proj" for n in (0, 2, 3, 6)
    ], "in_proj has 164 outputs, which is not a multiple of 16"


def test_a_model_without_anything_in_fp8_is_refused(small):
    """Its row in the lake would say that it was trained in FP8."""
    student = empty_model(model_config(small.model_copy(update={"pattern": "M-M-"}), 64, 48))
    recipe = load_recipe("laptop").train.base.model_copy(update={"precision": "fp8"})
    with pytest.raises(ValueError, match=r"all 8 matrix products .* stay in BF16.*lower fp8.bf16_ends"):
        precision.use_fp8(student, recipe, 96, CPU)


@pytest.fixture(scope="module")
def wide(small):
    return wider(small)


def wider(small):
    """A shape whose products all fit FP8; the FFN is not a multiple of 128."""
    update = {"pattern": "M-M-M*-M-M-", "hidden_size": 64, "ffn_size": 144, "head_dim": 16, "mamba_heads": 16}
    return small.model_copy(update=update | {"mamba_head_dim": 8, "init_std": 0.05})


def gradients(wide, values) -> tuple[float, dict[str, torch.Tensor], list[str]]:
    """The loss and the gradients of a batch, and the layers that are in BF16."""
    config = model_config(wide, 64, 48)
    recipe = load_recipe("laptop").train.base.model_copy(update=values)
    model = empty_model(config)
    kept = precision.use_fp8(model, recipe, 96, CPU) if recipe.precision == "fp8" else []
    parameters = dict(model.to_empty(device="cpu").named_parameters())
    for name, value in fresh_weights(parameters, config, 1):
        parameters[name].data.copy_(value)
    memory = Memory(rows=6)
    batch = stream.as_batch([memory.read(0, 0, row) for row in range(4)], 48)
    with precision.autocast(recipe, CPU):
        loss = NextToken(model)(batch)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in parameters.items()}, kept


@pytest.mark.parametrize("scaling", SCALINGS)
def test_gradients_are_those_of_bf16(wide, scaling):
    loss, expected, _ = gradients(wide, {"precision": "bf16"})
    fp8, found, kept = gradients(wide, {"precision": "fp8", "fp8": Fp8(scaling=scaling)})
    assert fp8 == pytest.approx(loss, rel=0.01) and len(kept) == 8
    assert found.keys() == expected.keys(), "the weights keep their names"
    cosines = {
        name: torch.cosine_similarity(found[name].flatten(), expected[name].flatten(), dim=0).item() for name in found
    }
    layers = {name for name in cosines if "proj" in name and name.removesuffix(".weight") not in kept}
    assert len(layers) == 16 and all(cosines[name] >= 0.99 for name in layers), cosines
    assert any(not torch.equal(found[name], expected[name]) for name in layers), "FP8 was used"


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 20), st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=20)
def test_padded_blocks_give_the_products_of_the_whole_matrices(tokens, inner, outer, size):
    """15,680 = 122.5 x 128: padding with zeros changes neither sums nor scales. E4M3 rounds a factor by at most 1/16,
    BF16 by at most 1/256, and values far below the largest one of their block by a part of the largest."""
    generator = torch.Generator().manual_seed(tokens)
    x, weight, grad = (
        torch.randn(*shape, generator=generator) * by
        for shape, by in (((tokens, 16 * inner), size), ((16 * outer, 16 * inner), 0.1), ((tokens, 16 * outer), 1.0))
    )
    linear = torch.nn.Linear(16 * inner, 16 * outer, bias=False)
    linear.weight.data.copy_(weight)
    inputs = x.clone().requires_grad_()
    found = precision.BlockwiseLinear.of(linear, on_device=False)(inputs[None])[0]
    found.backward(grad.bfloat16())
    for product, a, b in ((found, x, weight.T), (inputs.grad, grad, weight), (linear.weight.grad, grad.T, x)):
        smallest = a.abs().max() * b.abs().max() * a.shape[1] * 2**-14
        assert product.shape == (a.shape[0], b.shape[1])
        assert ((product.float() - a @ b).abs() <= 0.16 * (a.abs() @ b.abs()) + smallest).all()
    if min(tokens, inner, outer) > 5:  # the roundings of many values cancel each other
        assert (found - x @ weight.T).norm() < 0.06 * (x @ weight.T).norm()


class Noisy(Memory):
    """Sequences that count upwards, with a third of the tokens random: no model learns them by heart in a short time,
    so the loss does not fall to zero."""

    @staticmethod
    def _document(rng, length):
        counted = Memory._document(rng, length)
        return np.where(rng.random(length) < 1 / 3, rng.integers(0, 64, length), counted).astype(np.int32)


@pytest.fixture(scope="module")
def learned(wide, tmp_path_factory):
    """A function that trains with some precision, and returns the losses and the result."""

    shallow = wide.model_copy(update={"pattern": "M-M*-M-"})

    def learn(**values):
        rows, folder = [], tmp_path_factory.mktemp("learned")
        trained = train(
            job(shallow, folder, tokens=80 * 4 * 48, micro_batch_sequences=4, **values),
            Noisy(rows=50),
            rows.extend,
        )
        return [row["loss"] for row in rows], trained

    return learn, learn(precision="bf16")


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_model_learns_in_fp8_as_in_bf16(learned, scaling):
    """After a training in which the loss really fell, the last losses differ by less than 2%."""
    learn, (bf16, plain) = learned
    fp8, trained = learn(precision="fp8", fp8=Fp8(scaling=scaling))
    assert np.mean(bf16[-20:]) < bf16[0] - 1.2
    assert np.mean(fp8[-20:]) == pytest.approx(np.mean(bf16[-20:]), rel=0.02)
    assert fp8 != bf16
    assert trained.precision == "fp8" and len(trained.bf16_layers) == 8 and plain.bf16_layers is None
    names = [load_file(run.weights / "model.safetensors").keys() for run in (plain, trained)]
    assert names[0] == names[1], "an exported model has the names of a plain one"


def test_checkpoints_of_fp8_have_the_names_of_plain_weights(wide, tmp_path):
    class Stop(Exception):
        pass

    def emit(rows):
        if rows[-1]["step"] == 3:
            raise Stop

    names = {}
    for kind in ("bf16", "fp8"):
        with pytest.raises(Stop):
            train(job(wide, tmp_path / kind, precision=kind, checkpoint_every=2), Memory(), emit)
        (folder,) = (tmp_path / kind).glob("step-*")
        names[kind] = {name for name, _ in read_tensors(folder)}
    assert names["fp8"] == names["bf16"]
