"""The numbers of the distillations are the published ones, and a shape says what it keeps."""

import dataclasses

import pytest
import torch
from pydantic import ValidationError

from nemotron_assets.compress.distilling.pruned import Chosen, renumbered
from nemotron_assets.model.pruning import Importance, Shape
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.distillation import DistillationStage


def stages(own):
    return [own.depth, *own.width.values()]


def test_tokens_and_lengths_of_the_published_recipe():
    own = load_recipe("nano2").compress
    aligned = [*stages(own.aligned), own.aligned.recovery]
    assert [stage.training.tokens / 1e9 for stage in aligned] == [60, 50, 25, 1, 0.4]
    assert [stage.sequence_length for stage in aligned] == [8_192, 8_192, 49_152, 262_144, 262_144]
    assert {stage.sft_share for stage in aligned} == {0.7}
    assert [stage.training.tokens / 1e9 for stage in stages(own.base)] == [120, 360, 2.5]
    assert [stage.sequence_length for stage in stages(own.base)] == [8_192, 8_192, 524_288]
    assert {stage.sft_share for stage in stages(own.base)} == {0.0} and own.aligned.alpha == 0.5


@pytest.mark.parametrize("name", ["laptop", "nano2"])
def test_every_stage_finds_sequences_of_its_length(name):
    recipe = load_recipe(name)
    own = recipe.compress
    texts = {recipe.blend.sequence_length, recipe.blend.long_context.sequence_length, *recipe.blend.further_lengths}
    for stage in [*stages(own.base), *stages(own.aligned), own.aligned.recovery]:
        assert stage.sequence_length in texts
        if stage.sft:
            packed = recipe.align.tuning.distilled_lengths.get(stage.sft, ())
            tuned = recipe.align.tuning.stages()[stage.sft].sequence_length
            assert stage.sequence_length in packed or tuned <= stage.sequence_length


def test_tokens_of_the_laptop_are_in_the_published_ratios():
    """But for the stages of one step, which have more."""
    own = load_recipe("laptop").compress
    depth, first, longer, _ = (stage.training.tokens for stage in stages(own.aligned))
    assert depth / 60 == pytest.approx(first / 50, rel=0.01) == pytest.approx(longer / 25, rel=0.01)
    base = stages(own.base)
    assert base[1].training.tokens == 3 * base[0].training.tokens
    for stage in (*list(own.aligned.width.values())[2:], own.aligned.recovery, base[2]):
        assert stage.training.tokens == stage.sequence_length * stage.training.batch_sequences


def test_a_share_of_conversations_needs_their_stage():
    stage = load_recipe("laptop").compress.aligned.depth
    with pytest.raises(ValidationError, match="give both, or neither"):
        DistillationStage.model_validate(stage.model_dump() | {"sft": None})


def chosen(layers, **widths):
    model = load_recipe("laptop").model
    whole = dataclasses.asdict(Shape.of(model))
    del whole["layers"]
    return Chosen(model, layers, whole | widths, lambda: None, "hash")


def test_what_stays_whole_is_not_pruned():
    everything = tuple(range(7))
    assert chosen(everything).depth() is None and chosen(everything).width() is None
    assert chosen((0, 2, 3, 4, 5, 6)).depth().described == {"layers": [0, 2, 3, 4, 5, 6]}
    described = chosen(everything, ffn=256).width().described
    assert described["ffn"] == 256 and described["importance"] != "hash"


def test_scores_follow_their_layers():
    scores = {layer: torch.full((2,), float(layer)) for layer in (1, 4, 6)}
    found = renumbered(Importance(torch.ones(3), scores, {}, {-1: torch.zeros(1), **scores}), (0, 2, 4, 6))
    assert {layer: value[0].item() for layer, value in found.neurons.items()} == {2: 4, 3: 6}
    assert sorted(found.shares) == [-1, 2, 3]
