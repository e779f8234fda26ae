"""The published arithmetic of memory: totals, candidates, layers that went; and the engine's own figures."""

import math

import pytest

from nemotron_assets.model.memory import (
    GIB,
    Candidate,
    Serving,
    candidates,
    engine_cache,
    footprint,
    layer_alignments,
)
from nemotron_assets.model.nemotron_h import empty_model, model_config
from nemotron_assets.recipe import load_recipe

VOCABULARY = 131_072
PRUNED = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
A10G = Serving(context=131_072)


@pytest.fixture(scope="module")
def nano():
    return load_recipe("nano2").model


@pytest.fixture(scope="module")
def grid(nano) -> list[Candidate]:
    """The published grid: 27 shapes with 56 layers, 4 of them attention."""
    gone = layer_alignments(nano.pattern, PRUNED)[0]
    kept = [layer for layer in range(len(nano.pattern)) if layer not in gone]
    widths = {"hidden": [4480, 4800, 5120], "ffn": [3, 3.5, 4], "heads": [112, 120, 128], "head_dim": [80]}
    return list(candidates(nano, [kept], widths, VOCABULARY, A10G))


def largest(grid, cap, count=3):
    fitting = sorted((one for one in grid if one.memory.total <= cap * GIB), key=lambda one: -one.memory.total)
    return [(one.shape.hidden, one.shape.ffn, one.shape.heads) for one in fitting[:count]]


@pytest.mark.parametrize(
    ("changes", "parameters", "total", "parts"),
    [
        ({}, 12_310_001_152, 26.07, (22.93, 3.00, 0.137, 0.003)),
        ({"pattern": PRUNED}, 11_386_496_128, 23.34, (21.21, 2.00, 0.132, 0.002)),
        (
            {"pattern": PRUNED, "hidden_size": 4480, "ffn_size": 15_680},
            8_888_227_328, 18.69, (16.56, 2.00, 0.132, 0.002),
        ),
    ],
)  # fmt: skip
def test_published_memory(nano, changes, parameters, total, parts):
    model = nano.model_copy(update=changes)
    found = footprint(model, VOCABULARY, A10G)
    assert model.parameters(VOCABULARY) == parameters
    assert round(found.total / GIB, 2) == total
    exact = (found.weights, found.kv, found.ssm, found.conv)
    assert tuple(round(own / GIB, d) for own, d in zip(exact, (2, 2, 3, 3), strict=True)) == parts
    assert found.total == found.weights + found.cache == sum(exact)


def test_parameters_are_those_of_the_model(nano, small):
    """The formula and transformers' model on the meta device, which takes no memory."""
    for model, vocabulary in ((nano, VOCABULARY), (small, 64), (small.model_copy(update={"mamba_head_dim": 12}), 64)):
        made = empty_model(model_config(model, vocabulary, 128))
        assert sum(value.numel() for value in made.parameters()) == model.parameters(vocabulary)


def test_published_candidates(grid):
    """13 of 27 shapes fit the published budget. It alone does not select the three published candidates: a cap between
    18.83 and 19.18 GiB does."""
    published = [(4800, 14_400, 120), (4480, 17_920, 112), (4480, 15_680, 128)]
    assert len(grid) == 27
    assert sum(one.memory.total <= 19.66 * GIB for one in grid) == 13
    assert largest(grid, 19.66) != published
    for cap in (18.83, 19.0, 19.18):
        assert largest(grid, cap) == published, cap
    assert largest(grid, 18.82) != published != largest(grid, 19.19)
    counts = {(one.shape.hidden, one.shape.ffn, one.shape.heads): one.model.parameters(VOCABULARY) for one in grid}
    assert [f"{counts[shape] / 1e9:.2f}" for shape in published] == ["8.97", "8.92", "8.89"]


def test_equal_shapes_are_given_once_and_widths_end_at_the_parents(small):
    widths = {"hidden": [16, 32], "ffn": [2, 4, 8], "heads": [4], "head_dim": [16]}
    found = list(candidates(small, [range(8)], widths, 64, Serving(128)))
    shapes = [(one.shape.hidden, one.shape.ffn) for one in found]
    assert shapes == [(16, 32), (16, 64), (32, 64)]


def test_layers_of_the_published_patterns(nano):
    """Seven ways to align the published patterns: the first and the last attention layer go, two FFNs, and a pair of
    a Mamba-2 layer and an FFN."""
    found = layer_alignments(nano.pattern, PRUNED)
    assert len(found) == 7
    assert set.intersection(*map(set, found)) == {7, 8, 48, 52}
    pairs = sorted(tuple(sorted(set(gone) - {7, 8, 48, 52})) for gone in found)
    assert pairs == [(first, first + 1) for first in range(17, 24)]
    for gone in found:
        assert "".join(kind for at, kind in enumerate(nano.pattern) if at not in gone) == PRUNED
    assert layer_alignments("M-M-", "M-") == [(2, 3), (1, 2), (0, 1)] and layer_alignments("M-", "M*-") == []


def test_pages_of_the_engine(nano):
    """A page of the KV cache is at least as large as the state of a Mamba-2 layer, and both kinds have the same. Beside
    padding and the last page, the engine keeps what the arithmetic says."""
    nine = nano.model_copy(update={"pattern": PRUNED, "hidden_size": 4480, "ffn_size": 15_680})
    pages = engine_cache(nine, A10G)
    assert pages.block_tokens == 1_312 and pages.page == 1_312 * 4_096 == 5_316_608 + pages.padding
    assert pages.total == (7 + math.ceil(131_072 / 1_312)) * 4 * pages.page
    exact = footprint(nine, VOCABULARY, A10G).cache
    unused = (
        28 * pages.padding + 4 * pages.page + pages.page
    )  # of states, of the last blocks, a layer that fills a group
    assert exact < pages.total <= exact + unused
    without = nine.model_copy(update={"pattern": "M-M-"})
    assert engine_cache(without, A10G).total == 2 * 5_316_608
    twice = engine_cache(nine, Serving(131_072, sequences=2))
    assert twice.total == 2 * pages.total
