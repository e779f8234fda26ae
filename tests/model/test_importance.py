"""Scores are those of the formulas, layers go in the right order, and a pass that was stopped ends with the same."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nemotron_assets.model import importance
from nemotron_assets.model.importance import Calibration, Removal, check_targets, kept_layers, layers, removable, widths
from nemotron_assets.model.memory import layer_alignments
from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
from nemotron_assets.model.packing import Packing
from nemotron_assets.recipe import load_recipe


def calibration(seed: int, lengths=((20, 12), (25,)), size=32) -> Calibration:
    tokens = torch.randint(0, 64, (len(lengths), size), generator=torch.Generator().manual_seed(seed))
    real = torch.zeros(len(lengths), size, dtype=torch.bool)
    for row, own in enumerate(lengths):
        real[row, : sum(own)] = True
    return Calibration(tokens, Packing.of(lengths, size), real)


def batches(count: int):
    return [lambda seed=seed: calibration(seed) for seed in range(count)]


def activations(model, batch) -> dict[str, torch.Tensor]:
    """What the modules of the model read and write, by the plain formulas of the layers."""
    found, hidden = {}, model.model.embeddings(batch.tokens)
    for number, layer in enumerate(model.model.layers):
        normed = hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-5) * layer.norm.weight
        found[f"norm/{number}"] = normed
        found[f"share/{number}"] = hidden.square() / hidden.square().mean(-1, keepdim=True)
        if layer.block_type == "mlp":
            found[f"neurons/{number}"] = normed @ layer.mixer.up_proj.weight.T
        if layer.block_type == "linear_attention":
            inner = layer.mixer.intermediate_size
            found[f"mamba/{number}"] = normed @ layer.mixer.in_proj.weight[inner : 2 * inner].T
        hidden = layer(hidden, packing=batch.packing)
    found["norm/-1"] = hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-5) * model.model.norm_f.weight
    return found


def test_scores_are_means_over_sequences_and_norms_over_the_batch(student):
    """Padding counts for nothing; a batch of two sequences gives what two batches of one give."""
    found = widths(student, batches(2))
    squares: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for number in range(2):
            batch = calibration(number)
            for name, value in activations(student, batch).items():
                for row in range(2):
                    mean = value[row][batch.real[row]].abs().mean(0)
                    squares[name] = squares.get(name, 0) + mean.double().square()
    for layer, kind in enumerate("M-MM*-M-"):
        if kind == "-":
            assert torch.allclose(found.neurons[layer], squares[f"neurons/{layer}"].sqrt(), rtol=1e-4)
        if kind == "M":
            expected = squares[f"mamba/{layer}"].sqrt().view(4, 16)
            assert torch.allclose(found.mamba[layer], expected, rtol=1e-4)
    channels = sum(squares[f"norm/{layer}"].sqrt() for layer in range(-1, 8))
    assert torch.allclose(found.channels, channels, rtol=1e-4)
    assert sorted(found.neurons) == [1, 5, 7] and sorted(found.mamba) == [0, 2, 3, 6] == sorted(found.gated_shares)


def test_shares_of_a_norm_are_those_of_the_mean_square(student):
    """Of every norm the shares sum up to the number of positions times the channels, and follow the squares."""
    found, batch = widths(student, batches(1)), calibration(0)
    with torch.no_grad():
        share = activations(student, batch)["share/4"][batch.real].double().sum(0)
    assert torch.allclose(found.shares[4], share, rtol=1e-3)
    assert sorted(found.shares) == list(range(-1, 8))
    for shares in found.gated_shares.values():  # every group of a gated norm divides by its own mean square
        of_group = shares.view(2, -1).sum(1) / (2 * 16 * int(batch.real.sum()))
        assert torch.allclose(of_group, torch.ones(2, dtype=torch.float64), rtol=1e-2)


def plain_errors(model, batch, gone, tried):
    """The mean squared difference of the logits, from the logits themselves."""

    def logits(without):
        hidden = model.model.embeddings(batch.tokens)
        for number, layer in enumerate(model.model.layers):
            hidden = hidden if number in without else layer(hidden, packing=batch.packing)
        return model.lm_head(model.model.norm_f(hidden))[batch.real]

    with torch.no_grad():
        whole = logits(set())
        return {n: float((logits({*gone, n}) - whole).double().square().mean()) for n in tried}, float(
            whole.double().square().mean()
        )


def test_layers_go_by_the_error_of_the_logits(student):
    """The errors are those of whole logits, and each step takes the layer with the smallest."""
    student.model.layers[2].mixer.out_proj.weight.data *= 0.01  # a layer that hardly adds anything
    removals = layers(student, batches(2), [6], 1)
    assert removals[0].layer == 2 and removals[0].errors.keys() == {1, 2, 3, 6}
    for step, removal in enumerate(removals):
        gone = {other.layer for other in removals[:step]}
        found = [plain_errors(student, calibration(number), gone, removal.errors) for number in range(2)]
        for layer, error in removal.errors.items():
            assert error == pytest.approx(sum(errors[layer] for errors, _ in found) / 2, rel=1e-3)
        square = sum(own for _, own in found) / 2
        assert removal.mse == removal.errors[removal.layer] == min(removal.errors.values())
        assert removal.normalised == pytest.approx(removal.mse / square, rel=1e-3)
    assert kept_layers("M-MM*-M-", removals, 7) == (0, 1, 3, 4, 5, 6, 7)


def test_a_pass_goes_on_where_it_was_stopped(student, tmp_path, monkeypatch):
    """Killed in the middle of the widths and of a step of the removal, both end with the same bits."""
    monkeypatch.setattr(importance, "_EVERY", 2)
    whole, removals = widths(student, batches(5)), layers(student, batches(5), [6], 1)

    def stopped(at):
        def stop():
            raise KeyboardInterrupt

        return [*batches(5)[:at], *[stop] * (5 - at)]

    for at in (3, 1, 5):
        if at < 5:
            with pytest.raises(KeyboardInterrupt):
                widths(student, stopped(at), tmp_path / "widths")
            with pytest.raises(KeyboardInterrupt):
                layers(student, stopped(at), [6], 1, tmp_path / "layers")
    read = []
    counted = [lambda make=make, number=number: read.append(number) or make() for number, make in enumerate(batches(5))]
    again = widths(student, counted, tmp_path / "widths")
    assert read == [2, 3, 4], "what was saved is not read again"
    assert torch.equal(again.channels, whole.channels)
    assert all(torch.equal(again.mamba[layer], value) for layer, value in whole.mamba.items())
    assert layers(student, batches(5), [6], 1, tmp_path / "layers") == removals
    assert layers(student, stopped(0), [6], 1, tmp_path / "layers") == removals, "finished steps are not made again"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 61), max_size=20), st.integers(50, 60), st.integers(1, 6))
def test_every_step_keeps_the_grammar_and_the_attention_arrives(draws, target, attention):
    """Whatever layers the errors pick: the pattern stays one, and at the target it has its attention layers."""
    pattern = load_recipe("nano2").model.pattern
    if 6 - attention > 62 - target:
        with pytest.raises(ValueError, match="cannot become"):
            check_targets(pattern, [target], attention)
        return
    check_targets(pattern, [target], attention)
    gone: set[int] = set()
    for step in range(62 - target):
        choices = removable(pattern, gone, 62 - target - step, attention)
        gone.add(choices[(draws or [0])[step % max(len(draws), 1)] % len(choices)])
    after = "".join(kind for layer, kind in enumerate(pattern) if layer not in gone)
    assert len(after) == target and after.count("*") == attention == after.count("*-")
    assert after[0] == "M" and after[-1] == "-"


def test_the_published_removal_is_a_possible_one():
    """Attention 7 and 52, FFNs 8 and 48, and a pair: in some order, every step may take its layer."""
    pattern = load_recipe("nano2").model.pattern
    after = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
    for alignment in layer_alignments(pattern, after):
        gone: set[int] = set()
        for step, layer in enumerate(sorted(alignment, key=lambda layer: "*M-".index(pattern[layer]))):
            assert layer in removable(pattern, gone, 6 - step, 4), (alignment, layer)
            gone.add(layer)
        removals = [Removal(layer, 0.0, 0.0, {}) for layer in alignment]
        kept = kept_layers(pattern, removals, 56)
        assert "".join(pattern[layer] for layer in kept) == after


def test_memory_of_a_batch_is_not_kept(small):
    """Calibration batches are made when they are read, and forgotten after."""
    import weakref

    config = model_config(small, 64, 128)
    model = empty_model(config).to_empty(device="cpu")
    model.load_state_dict(dict(fresh_weights(dict(model.named_parameters()), config, seed=2)))
    alive, made = [], []

    def make(seed):
        assert sum(reference() is not None for reference in alive) <= 1
        batch = calibration(seed)
        alive.append(weakref.ref(batch))
        made.append(seed)
        return batch

    widths(model, [lambda seed=seed: make(seed) for seed in range(6)])
    assert made == list(range(6))
