"""The phases: missing categories and limits of epochs change the shares visibly, and the rows say what is read."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.blend.phases import limited, off_share, over_limit, phase_rows, summary
from nemotron_assets.blend.supply import category_rows, facts
from nemotron_assets.blend.tables import CATEGORIES, LONG_CONTEXT, PHASES, SEQUENCES, TOKEN_SHARDS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.categories import CATEGORIES as DECLARED
from nemotron_assets.recipe.categories import CATEGORY_OF, PUBLISHED_TOKENS, SOURCES, SYNTHETIC
from resources.contract import checked

#: The laptop's blend, with 64 steps of four sequences, and four long sequences.
RECIPE = load_recipe("laptop").with_sections(
    {
        "train.base.tokens": 64 * 4 * 512,
        "train.base.batch_sequences": 4,
        "blend.long_context.sequence_length": 32_768,
        "train.long_context.tokens": 4 * 32_768,
        "train.long_context.batch_sequences": 1,
    }
)
T = 10**12


def supply(sequences: dict[str, int], recipe=RECIPE, tables=SOURCES) -> pl.DataFrame:
    """Rows of blend.categories for data sets with so many sequences, of two documents of 200 tokens each."""
    shards = pl.DataFrame(
        [{"data_set": name, "length": 200} for name, count in sequences.items() for _ in range(2 * count)],
        {"data_set": pl.String, "length": pl.Int64},
    )
    lengths = (recipe.blend.sequence_length, recipe.blend.long_context.sequence_length)
    packed = pl.DataFrame(
        [
            {"data_set": name, "part": str(length)}
            for name, count in sequences.items()
            for length in lengths
            for _ in range(count if length == lengths[0] else -(-count // 8))
        ],
        {"data_set": pl.String, "part": pl.String},
    )
    return category_rows(shards.lazy(), packed.lazy(), recipe.blend, tables)


ALL = dict.fromkeys(CATEGORY_OF, 500)


def test_the_published_shares_in_time_and_the_successors_weights():
    nano2 = load_recipe("nano2")
    assert [phase.share for phase in nano2.blend.phases.values()] == [0.6, 0.3, 0.1]
    rows = phase_rows(nano2, supply(dict.fromkeys(CATEGORY_OF, 20), nano2))
    steps = {name: (first, count) for name, first, count in rows.select("phase", "first_step", "steps").iter_rows()}
    assert steps["phase-1"] == (1, 1_990_277) and steps["phase-2"][0] == 1_990_278
    assert sum(count for name, (_, count) in steps.items() if name != LONG_CONTEXT) == 3_317_128
    assert steps[LONG_CONTEXT] == (1, 3_004), "18.9B tokens in batches of 12 sequences of 524,288"
    shares = {(p, c): s for p, c, s in rows.select("phase", "category", "recipe_share").iter_rows()}
    assert shares["phase-1", "syn-crawl"] == pytest.approx(0.117 + 0.204)
    assert shares["phase-3", "stem-sft"] == pytest.approx(0.223 / 1.001)
    assert shares[LONG_CONTEXT, "long-document-qa"] == pytest.approx(0.2)
    assert shares[LONG_CONTEXT, "math"] == pytest.approx(0.8 * 0.125 / 1.001)
    for name, phase in nano2.blend.phases.items():
        assert sum(phase.weights.values()) == pytest.approx(100, abs=0.11), name
        assert set(phase.weights) == set(DECLARED) - {"long-document-qa"} and len(phase.weights) == 13
    basis = dict(rows.filter(category="math").select("phase", "basis").iter_rows())
    assert basis["phase-1"] == "Nemotron 3 analogue" and basis[LONG_CONTEXT].startswith("published: 0.8 of phase-3")
    for name, phase in load_recipe("laptop").blend.phases.items():
        published = nano2.blend.phases[name]
        assert phase.share == published.share and phase.basis == f"{published.basis}, with more of other languages"
        assert phase.weights == {**published.weights, "multilingual": 15}


def test_nvidias_table_has_its_published_total():
    assert sum(PUBLISHED_TOKENS.values()) == 10_648_823_153_919
    named = {kind for category in DECLARED.values() for kind in category.published}
    assert named == set(PUBLISHED_TOKENS)
    assert set(CATEGORY_OF) >= SYNTHETIC and len(CATEGORY_OF) == sum(len(c.data_sets) for c in DECLARED.values())


def test_a_missing_category_is_named_and_its_weight_shared_out():
    rows = phase_rows(RECIPE, supply({"web.nemotron_cc_v2/High-Quality": 4_000, "code.qa": 9_000}))
    shares = {
        (p, c): (s, status) for p, c, s, status in rows.select("phase", "category", "share", "status").iter_rows()
    }
    assert shares["phase-1", "code"] == (pytest.approx(15.3 / (15.3 + 6.5)), "used")
    assert shares["phase-3", "code"] == (pytest.approx(14 / (14 + 6.5)), "used")
    assert shares["phase-1", "wiki"] == (0, "missing") and shares["phase-3", "crawl-medium"] == (0, "not used")
    assert shares["phase-1", "math"] == (0, "missing"), "there is a table, but it is empty"
    found = summary(rows)
    assert {"wiki", "academic", "math"} <= set(found["missing"].split(", "))
    assert "code" not in found["missing"].split(", ")
    assert found["limited_by_max_epochs"] == "none"
    totals, furthest = off_share(rows)
    assert all(total == pytest.approx(1) for total in totals.values()) and furthest < 1


def test_epochs_are_limited_and_the_others_take_what_is_left():
    tokens = 10 * RECIPE.train.base.tokens
    limit = RECIPE.with_sections(
        {"blend.max_epochs": 2.0, "blend.max_epochs_of": {"math": 1.0}, "train.base.tokens": tokens}
    )
    many = dict.fromkeys(CATEGORY_OF, 1_000) | {"code.curated": 30, "code.qa": 10, "math.mind": 50}
    many |= {"math.nemotron_cc_math/3": 20, "math.nemotron_cc_math/4plus": 20}
    rows = phase_rows(limit, supply(many))
    epochs = {name: rows.filter(data_set=name, number=3)["epochs_until"].item() for name in many}
    assert [epochs[name] for name in ("code.curated", "code.qa")] == pytest.approx([2, 2], abs=0.11)
    assert epochs["math.mind"] == pytest.approx(1, abs=0.11) and epochs["web.multilingual"] < 1
    status = dict(rows.filter(number=1).select("category", "status").iter_rows())
    assert (status["code"], status["math"], status["multilingual"]) == ("limited", "limited", "used")
    assert off_share(rows)[0]["phase-1"] == pytest.approx(1)
    assert not over_limit(rows, limit.blend)
    alone = phase_rows(limit, supply({"code.qa": 1}))
    assert set(over_limit(alone, limit.blend)) == {"code.qa"}, "nothing else can take its place, and a check tells"


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), min_size=1), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 3), min_size=1),
)
@settings(max_examples=200)
def test_limits_hold_wherever_they_can(weights, most):
    phases = [(1 / len(weights), each) for each in weights]
    shares, reduced = limited(phases, most)
    for each, (_, given_weights) in zip(shares, phases, strict=True):
        assert sum(each.values()) == pytest.approx(1 if any(given_weights.get(c) for c in most) else 0)
        assert set(each) <= {c for c, weight in given_weights.items() if weight and c in most}
    used = {c: sum(each.get(c, 0) for each in shares) / len(shares) for c in most}
    stuck = any(each and set(each) <= reduced for each in shares)
    assert stuck or all(used[c] <= most[c] * (1 + 1e-6) for c in most)


def test_rows_say_what_the_mixture_reads():
    rows = phase_rows(RECIPE, supply(ALL))
    steps = 64
    pretrained = rows.filter(pl.col("phase") != LONG_CONTEXT)
    assert pretrained["sequences"].sum() == 4 * steps
    assert pretrained["tokens"].sum() == pretrained["sequences"].sum() * 400, "two documents of 200 tokens each"
    by_phase = dict(pretrained.group_by("number").agg(pl.col("sequences").sum()).iter_rows())
    assert by_phase == {1: 4 * 38, 2: 4 * 20, 3: 4 * 6}
    until = pretrained.sort("number").select("data_set", pl.col("epochs").cum_sum().over("data_set"), "epochs_until")
    assert until["epochs"].to_list() == pytest.approx(until["epochs_until"].to_list())
    long = rows.filter(phase=LONG_CONTEXT)
    assert long["sequences"].sum() == 4 and set(long["sequence_length"]) == {32_768}


def test_frames_have_the_declared_columns():
    categories = supply(ALL)
    for table, frame in ((CATEGORIES, categories), (PHASES, phase_rows(RECIPE, categories))):
        (batch,) = checked(table, frame, None)
        assert batch.num_rows == len(frame) and frame["id"].is_unique().all()
    assert TOKEN_SHARDS.version == 2 and SEQUENCES.version == 1


def test_a_data_set_that_the_recipe_leaves_out_is_not_read():
    left_out = "web.nemotron_cc_v2/Translated-Diverse-QA"
    recipe = RECIPE.with_sections({"blend.left_out": (left_out,)})
    rows = supply(ALL, recipe=recipe)
    assert rows.filter(data_set=left_out).select("status", "documents", "tokens", "sequences").row(0) == (
        "left out", 0, 0, 0
    )  # fmt: skip
    phases = phase_rows(recipe, rows)
    assert left_out in set(phase_rows(RECIPE, supply(ALL))["data_set"])
    assert not phases.filter(data_set=left_out)["sequences"].sum()
    assert phases.filter(data_set="web.multilingual")["sequences"].sum() > 0, "the rest of its category is read"


def test_categories_beside_the_published_table():
    rows = supply({"code.qa": 3}, tables=["code.qa", "code.curated", "web.multilingual"])
    assert rows.filter(category="wiki").select("data_set", "status", "tokens").row(0) == (None, "missing", 0)
    of_code = dict(rows.filter(category="code").select("data_set", "status").iter_rows())
    assert of_code == {"code.qa": "used", "code.curated": "empty"}
    assert set(rows.filter(category="code")["published_tokens"]) == {747_409_228_724 + 175_067_553_293}
    assert rows["category"].unique(maintain_order=True).to_list() == list(DECLARED)
    assert "wiki" in facts(rows)["missing"] and "code" not in facts(rows)["missing"].split(", ")
