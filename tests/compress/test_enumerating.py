"""The grid of the published recipe gives the published candidates, and the best on the front is chosen."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nemotron_assets.compress.budget import A10G, NANO_12B, NANO_DEPTH, PUBLISHED
from nemotron_assets.compress.search import SearchError, enumerated, judge
from nemotron_assets.model.memory import layer_alignments
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.compress import Budget

VOCABULARY = 131_072


def published(reserve: float):
    """The candidates of recipe nano2 with 56 layers, and another reserve."""
    own = load_recipe("nano2").compress
    own = own.model_copy(update={"budget": own.budget.model_copy(update={"reserve_gib": reserve})})
    gone = layer_alignments(NANO_12B.pattern, NANO_DEPTH.pattern)[0]
    layers = [layer for layer in range(len(NANO_12B.pattern)) if layer not in gone]
    return enumerated(own, NANO_12B, VOCABULARY, layers)


def shapes(rows):
    return [(row["hidden"], row["ffn"], row["heads"]) for row in rows]


def test_the_published_budget_leaves_13_shapes():
    rows = published(1.3)
    assert len(rows) == 27 and sum(row["fits"] for row in rows) == 13
    assert [row["rank"] for row in rows] == [*range(1, 14), *[None] * 14]
    assert (4480, 15_680, 128) in shapes(rows[:13]) and (4480, 15_680, 128) not in shapes(rows[:3])


def test_a_larger_reserve_gives_the_published_candidates():
    """A cap between 18.83 and 19.18 GiB: a reserve of 1.9 GiB. The engine's pages change nothing about it."""
    assert load_recipe("nano2").compress.budget.device_gib == A10G.device_gib == 22.06
    cap = 22.06 * 0.95 - 1.9
    assert 18.83 < cap < 19.18
    rows = published(1.9)
    assert shapes(rows[:3]) == [(4800, 14_400, 120), (4480, 17_920, 112), (4480, 15_680, 128)]
    assert all(row["pattern"] == NANO_DEPTH.pattern for row in rows)


def test_the_recipe_and_the_published_sizes_agree():
    assert load_recipe("nano2").model == NANO_12B
    assert load_recipe("nano2").compress.budget.allowed_bytes == A10G.allowed_bytes
    assert [model.parameters(VOCABULARY) for model in PUBLISHED.values()] == [
        12_310_001_152, 11_386_496_128, 8_888_227_328,
    ]  # fmt: skip


@pytest.mark.parametrize("gone", range(1, 6))
def test_every_shape_that_fits_on_a_laptop_keeps_few_parameters(gone):
    """Whichever layer goes: some shapes fit, and the largest uses at least 95% of the budget or of the parameters."""
    recipe = load_recipe("laptop")
    layers = [layer for layer in range(7) if layer != gone]
    pattern = "".join(recipe.model.pattern[layer] for layer in layers)
    if pattern.count("*") != 1 or "*-" not in pattern:
        return
    rows = enumerated(recipe.compress, recipe.model, recipe.tokenizer.vocabulary, layers)
    fitting = [row for row in rows if row["fits"]]
    allowed = recipe.compress.budget.allowed_bytes
    assert len(rows) == 18 and fitting
    assert all(max(row["total_bytes"], row["engine_bytes"]) <= allowed for row in fitting)
    assert all(row["non_embedding_share"] <= 0.75 for row in fitting)
    first = fitting[0]
    assert max(first["engine_bytes"] / allowed, first["non_embedding_share"] / 0.75) > 0.95


def test_a_budget_that_nothing_fits_is_an_error():
    with pytest.raises(SearchError, match=r"the smallest of 27 needs 18,123,.* bytes in the engine"):
        published(10.0)
    with pytest.raises(ValueError, match="leave nothing"):
        Budget(device_gib=1, reserve_gib=2, context=16)


tried = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=6
)


@given(tried)
def test_the_front_has_what_nothing_beats_and_the_chosen_one(values):
    rows = [
        {"score": score / 4, "total_bytes": size, "tokens_per_second": float(speed), "loss": float(loss)}
        | {"on_front": False, "chosen": False}
        for score, size, speed, loss in values
    ]
    judge(rows)
    (best,) = [row for row in rows if row["chosen"]]
    assert best["score"] == max(row["score"] for row in rows)
    assert best["loss"] == min(row["loss"] for row in rows if row["score"] == best["score"])
    front = [row for row in rows if row["on_front"]]
    assert front
    for row in rows:
        beaten = [
            other
            for other in rows
            if other["score"] >= row["score"]
            and other["total_bytes"] <= row["total_bytes"]
            and other["tokens_per_second"] >= row["tokens_per_second"]
            and (other["score"], other["total_bytes"], other["tokens_per_second"])
            != (row["score"], row["total_bytes"], row["tokens_per_second"])
        ]
        assert row["on_front"] == (not beaten)
