"""The FLOPs of a training are those that were published, and every kind of layer has its term."""

import pytest
import torch

from nemotron_assets.model.nemotron_h import model_config
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training import flops


def test_the_published_compute_of_the_12b():
    """1.45e24 FLOPs for 20T tokens, in sequences of 8,192."""
    recipe = load_recipe("nano2")
    config = model_config(recipe.model, 131_072, 8_192)
    found = recipe.train.base.tokens / 8_192 * flops.of_training(config, [8_192])
    assert found == pytest.approx(1.45e24, rel=0.01)


def test_every_term_by_hand(small):
    """M-MM*-M-: four Mamba-2 layers with 4 heads of 16 and two groups of states of 8, an attention layer with 4 query
    and 2 key/value heads of 8, and three FFNs of 64; the width is 32, the vocabulary 64."""
    config = model_config(small, 64, 48)
    assert (config.num_attention_heads, config.num_key_value_heads) == (4, 2)
    mamba = 2 * 32 * (64 + 96 + 4) + 2 * 64 * 32 + 2 * config.conv_kernel * 96 + 7 * 64 * 8
    attention, ffn, head = 2 * 32 * 8 * (4 + 2 + 2 + 4), 2 * 2 * 32 * 64, 2 * 32 * 64
    assert flops.per_token(config) == 4 * mamba + attention + 3 * ffn + head
    assert flops.per_pair(config) == 4 * 4 * 8
    assert flops.pairs([1, 2, 3]) == 1 + 3 + 6
    together, apart = flops.of_training(config, [48]), flops.of_training(config, [24, 24])
    assert together - apart == 3 * flops.per_pair(config) * 24 * 24, "documents do not see each other"


def test_a_cpu_has_no_known_peak():
    assert flops.peak(torch.device("cpu")) is None
    assert flops.peak_memory(torch.device("cpu")) > 50e6
    assert flops.PEAKS["H200"] == flops.PEAKS["H100"] == 989.4e12
    names = list(flops.PEAKS)
    hidden = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if a in b]
    assert not hidden, "a longer name must come before the name that it contains"


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A40", 149.7e12),
        ("NVIDIA RTX A4000", None),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA A10G", None),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA GB200", 2.5e15),
        ("NVIDIA GH200 480GB", 989.4e12),
        ("NVIDIA L40S", 362e12),
    ],
)
def test_a_device_is_not_another_with_a_similar_name(name, peak):
    assert flops.peak_of(name) == peak
