"""Pruned models keep what they should: everything to the last bit, the outputs where only zeros go, heads by group."""

import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, load_report, model_config
from nemotron_assets.model.pruning import (
    Importance,
    PruningError,
    Shape,
    architecture,
    heads_and_channels,
    prune,
    read_config,
)
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training.checkpoint import folder_tensors

VOCABULARY = 64


def written(folder, model, seed=1, zeros=None, dtype=torch.float32, **options):
    """A model with random weights in which the norms, D and biases differ from channel to channel."""
    config = model_config(model, VOCABULARY, 128)
    weights = dict(fresh_weights(dict(empty_model(config).named_parameters()), config, seed))
    numbers = torch.Generator().manual_seed(seed)
    for name, value in weights.items():
        if "norm" in name or name.endswith((".D", "conv1d.bias")):
            value += torch.empty_like(value).uniform_(-0.5, 0.5, generator=numbers)
    for zero in zeros or ():
        zero(weights)
    export.save(folder, config, weights, dtype, **options)
    return folder


def logits(folder, tokens):
    from transformers import AutoModelForCausalLM

    from nemotron_assets.model.nemotron_h import attach
    from nemotron_assets.model.packing import Packing

    model = attach(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())
    with torch.no_grad():
        states = model.model(tokens, use_cache=False, packing=Packing.of([[tokens.shape[1]]], tokens.shape[1]))
        return model.lm_head(states.last_hidden_state)


def scores(model, seed=0):
    """Random scores, and shares of the norms that are all alike, so that weights are only sliced."""
    numbers = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(shape, generator=numbers)

    layers = {kind: [i for i, own in enumerate(model.pattern) if own == kind] for kind in "M*-"}
    return Importance(
        draw(model.hidden_size),
        {layer: draw(model.ffn_size) for layer in layers["-"]},
        {layer: draw(model.mamba_heads, model.mamba_head_dim) for layer in layers["M"]},
    )


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, VOCABULARY, (1, 40), generator=torch.Generator().manual_seed(3))


def test_keeping_everything_changes_no_bit(small, tmp_path, tokens):
    source = written(tmp_path / "model", small, dtype=torch.bfloat16, shard_size="20KB")
    assert len(list(source.glob("*.safetensors"))) > 1
    importance = scores(small)
    shares = Importance(importance.channels, importance.neurons, importance.mamba, {-1: importance.channels})
    parameters = prune(source, tmp_path / "pruned", Shape.of(small), shares)
    before, after = dict(folder_tensors(source)), dict(folder_tensors(tmp_path / "pruned"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert parameters == small.parameters(VOCABULARY)
    assert torch.equal(logits(source, tokens), logits(tmp_path / "pruned", tokens))
    assert read_config(source) == read_config(tmp_path / "pruned")


def zero_channels(channels):
    """Nothing writes these channels of the residual stream, so they stay zero from the first layer to the last."""

    def zero(weights):
        weights["model.embeddings.weight"][:, channels] = 0
        for name, value in weights.items():
            if name.endswith(("out_proj.weight", "o_proj.weight", "down_proj.weight")):
                value[channels] = 0

    return zero


def zero_neurons(layer, neurons):
    def zero(weights):
        weights[f"model.layers.{layer}.mixer.up_proj.weight"][neurons] = 0

    return zero


def zero_inner(model, layer, rows):
    """The rows of x in in_proj and in the convolution: squared into nothing by the scan, D and the gate."""
    inner = model.mamba_heads * model.mamba_head_dim

    def zero(weights):
        weights[f"model.layers.{layer}.mixer.in_proj.weight"][inner + rows] = 0
        weights[f"model.layers.{layer}.mixer.conv1d.bias"][rows] = 0

    return zero


@settings(max_examples=6)
@given(data=st.data())
def test_pruning_what_is_zero_leaves_the_outputs(small, tokens, data, tmp_path_factory):
    """Channels, neurons, heads and their channels whose values are always zero. The scores say so, and the shares of
    the norms are measured ones: zero for what is zero, anything for the rest. The epsilon of the norms is small beside
    all values, because it weighs more or less beside a mean over fewer channels."""
    small = small.model_copy(update={"norm_eps": 1e-12})
    folder = tmp_path_factory.mktemp("zeros")
    numbers = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    importance = scores(small, data.draw(st.integers(0, 1000)))
    hidden = data.draw(st.integers(small.hidden_size // 2, small.hidden_size))
    ffn = data.draw(st.integers(small.ffn_size // 2, small.ffn_size))
    heads = data.draw(st.sampled_from([2, 4]))
    head_dim = data.draw(st.integers(small.mamba_head_dim // 2, small.mamba_head_dim))

    channels = torch.randperm(small.hidden_size, generator=numbers)[hidden:]
    zeros = [zero_channels(channels)]
    importance.channels[channels] = 0
    shares, gated = {-1: importance.channels}, {}
    for layer, kind in enumerate(small.pattern):
        shares[layer] = importance.channels
        if kind == "-":
            neurons = torch.randperm(small.ffn_size, generator=numbers)[ffn:]
            importance.neurons[layer][neurons] = 0
            zeros.append(zero_neurons(layer, neurons))
        if kind == "M":
            own = importance.mamba[layer]
            own[:, torch.randperm(small.mamba_head_dim, generator=numbers)[head_dim:]] = 0
            for group in own.view(small.mamba_groups, -1, small.mamba_head_dim):
                group[torch.randperm(len(group), generator=numbers)[heads // small.mamba_groups :]] = 0
            gated[layer] = own
            zeros.append(zero_inner(small, layer, (own.flatten() == 0).nonzero().flatten()))
    measured = Importance(importance.channels, importance.neurons, importance.mamba, shares, gated)
    source = written(folder / "model", small, zeros=zeros)
    shape = Shape(tuple(range(len(small.pattern))), hidden, ffn, heads, head_dim)
    parameters = prune(source, folder / "pruned", shape, measured)
    assert parameters == shape.apply(small).parameters(VOCABULARY) == load_report(folder / "pruned")[0]
    before, after = logits(source, tokens), logits(folder / "pruned", tokens)
    assert torch.allclose(before, after, rtol=0, atol=1e-4 * float(before.abs().max()))


def test_taking_out_a_layer_that_adds_nothing_leaves_the_outputs(small, tmp_path, tokens):
    """Every layer in turn that the pattern can spare. With its last projection zero, a layer adds nothing."""
    ends = {"M": "out_proj", "*": "o_proj", "-": "down_proj"}
    for layer in (1, 2, 4, 6):
        name = f"model.layers.{layer}.mixer.{ends[small.pattern[layer]]}.weight"
        source = written(tmp_path / f"model-{layer}", small, zeros=[lambda weights, name=name: weights[name].zero_()])
        kept = tuple(other for other in range(len(small.pattern)) if other != layer)
        shape = Shape(kept, small.hidden_size, small.ffn_size, small.mamba_heads, small.mamba_head_dim)
        prune(source, tmp_path / f"pruned-{layer}", shape, scores(small))
        before, after = logits(source, tokens), logits(tmp_path / f"pruned-{layer}", tokens)
        assert torch.allclose(before, after, rtol=1e-5, atol=1e-6), layer


@settings(max_examples=200)
@given(data=st.data())
def test_heads_stay_in_their_groups(data):
    """Every group keeps the same number of its own heads, the best ones, in their order."""
    groups = data.draw(st.integers(1, 4))
    of_group = data.draw(st.integers(1, 6))
    width = data.draw(st.integers(1, 8))
    kept, kept_width = data.draw(st.integers(1, of_group)), data.draw(st.integers(1, width))
    numbers = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    own = torch.rand(groups * of_group, width, generator=numbers)
    heads, channels = heads_and_channels(own, groups, groups * kept, kept_width)
    assert (heads // of_group).tolist() == [group for group in range(groups) for _ in range(kept)]
    assert heads.tolist() == sorted(set(heads.tolist())) and channels.tolist() == sorted(set(channels.tolist()))
    judged = own[:, channels].norm(dim=1).view(groups, -1)
    for group in range(groups):
        chosen = set((heads[heads // of_group == group] - group * of_group).tolist())
        left = [float(judged[group, head]) for head in range(of_group) if head not in chosen]
        assert min(float(judged[group, head]) for head in chosen) >= max(left, default=0.0)


def test_a_pruned_model_is_one_that_transformers_loads(small, tmp_path, tokens):
    """The published shape of a cut: layers, channels, neurons and heads at once, in BF16."""
    source = written(tmp_path / "model", small, dtype=torch.bfloat16)
    (source / "tokenizer.json").write_text("{}")
    shape = Shape((0, 1, 2, 4, 5, 6, 7), 24, 48, 2, 8)
    with pytest.raises(PruningError, match="pattern"):  # the FFN after the attention layer that went may stay
        Shape((0, 1, 2, 3, 4, 6), 24, 48, 2, 8).apply(small)
    parameters = prune(source, tmp_path / "pruned", shape, scores(small))
    assert load_report(tmp_path / "pruned") == (parameters, [])
    config = read_config(tmp_path / "pruned")
    assert config["hybrid_override_pattern"] == "M-M*-M-" and config["dtype"] == "bfloat16"
    assert architecture(config) == shape.apply(small)
    assert (tmp_path / "pruned" / "tokenizer.json").exists()
    assert not list(tmp_path.glob("partial-*"))
    assert logits(tmp_path / "pruned", tokens).isfinite().all()


def test_published_parameter_counts():
    """12,310,001,152 and 8,888,227,328 parameters, from the published sizes alone."""
    nano = load_recipe("nano2").model
    assert nano.parameters(131_072) == 12_310_001_152
    pruned = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
    smaller = nano.model_copy(update={"pattern": pruned, "hidden_size": 4480, "ffn_size": 15_680})
    assert smaller.parameters(131_072) == 8_888_227_328


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 33}, "hidden is 33, but the model has 32"),
        ({"layers": (0, 0, 1)}, "name each once"),
        ({"layers": (1, 2, 4)}, "pattern"),
        ({"heads": 3}, "mamba_groups 2 does not divide mamba_heads 3"),
        ({"heads": 0}, "heads is 0"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(small, tmp_path, change, message):
    source = written(tmp_path / "model", small)
    wrong = Shape(**(Shape.of(small).__dict__ | change))
    with pytest.raises(PruningError, match=message):
        prune(source, tmp_path / "pruned", wrong, scores(small))
    assert not (tmp_path / "pruned").exists()


def test_scores_that_do_not_fit_and_unknown_weights_are_refused(small, tmp_path):
    source = written(tmp_path / "model", small)
    good = scores(small)
    narrower = Shape(tuple(range(len(small.pattern))), 32, 32, 4, 16)
    for wrong, message in (
        (
            Importance(good.channels[:-1], good.neurons, good.mamba),
            r"channels must be finite and have the shape \(32,\)",
        ),
        (Importance(good.channels * torch.nan, good.neurons, good.mamba), "must be finite"),
        (Importance(good.channels, {}, good.mamba), "layer 1 has no scores of its neurons"),
    ):
        with pytest.raises(PruningError, match=message):
            prune(source, tmp_path / "pruned", narrower, wrong)
    config = read_config(source)
    (source / "config.json").write_text(json.dumps(config | {"mlp_bias": True}))
    with pytest.raises(PruningError, match="mlp_bias"):
        prune(source, tmp_path / "pruned", narrower, good)
