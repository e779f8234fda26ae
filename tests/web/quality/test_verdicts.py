"""Which rules apply to which documents, and that every document gets a verdict."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.web.heuristics import Bounds, Heuristics, Rules
from nemotron_assets.recipe.web.quality import LEVELS
from nemotron_assets.text.heuristics import NUMBERS, WHOLE
from nemotron_assets.web.quality.report import failed_rules, funnel, funnel_table
from nemotron_assets.web.quality.verdicts import kept_rows, verdicts

RECIPE = Heuristics()
# Well within all bounds.
GOOD = {
    **dict.fromkeys(NUMBERS, 0.05),
    **{name: 1.0 for name in NUMBERS if name.startswith("unique_")},
    "alphabetic_word_share": 0.95,
    "words": 200,
    "common_words": 9,
    "mean_word_characters": 5.0,
    "longest_word_characters": 12,
    "perplexity": 300.0,
    "characters": 1_001,
}


def measures(*changes: dict) -> pl.LazyFrame:
    rows = [
        {"id": f"m{n}", "parents": [f"d{n}"], "snapshot": "S", "language": "en", **GOOD, **change}
        for n, change in enumerate(changes)
    ]
    types = {name: pl.Int64 if name in WHOLE else pl.Float64 for name in NUMBERS}
    return pl.DataFrame(rows, schema_overrides={**types, "perplexity": pl.Float64}).lazy()


def quality(**levels: str) -> pl.LazyFrame:
    return pl.DataFrame(
        {"parents": [[d] for d in levels], "level": list(levels.values()), "bucket": [5] * len(levels)},
        schema={"parents": pl.List(pl.String), "level": pl.String, "bucket": pl.Int32},
    ).lazy()


def failed(changes: list[dict], recipe: Heuristics = RECIPE, **levels: str) -> list[list[str]]:
    levels = levels or {f"d{n}": "low" for n in range(len(changes))}
    return verdicts(measures(*changes), quality(**levels), recipe).collect().sort("document")["failed"].to_list()


@pytest.mark.parametrize("name", NUMBERS)
def test_each_rule_drops_what_is_beyond_its_bounds_and_keeps_the_bounds(name):
    bounds = getattr(RECIPE.rules, name)
    step = 1 if name in WHOLE else 1e-9
    for bound, sign in ((bounds.min, -1), (bounds.max, 1)):
        if bound is not None:
            number = int(bound) if name in WHOLE else bound
            assert failed([{name: number}, {name: number + sign * step}]) == [[], [name]]


def test_perplexity():
    numbers = [100_000.0, 100_000.1, None]
    rows = [{"perplexity": number} for number in numbers]
    assert failed(rows) == [[], ["perplexity"], []]
    assert failed(rows, Heuristics(max_perplexity=None)) == [[], [], []]
    assert failed([{"perplexity": 1e9, "language": "de"}]) == [[]]


def test_the_best_levels_are_kept_as_they_are():
    bad = {"words": 3, "perplexity": 1e9}
    levels = dict(
        zip(("d0", "d1", "d2", "d3", "d4"), ("high", "medium_high", "medium", "medium_low", "low"), strict=True)
    )
    assert failed([bad] * 5, **levels) == [[], [], *[["words", "perplexity"]] * 3]
    everywhere = Heuristics(levels=LEVELS)
    assert failed([bad] * 5, everywhere, **levels) == [["words", "perplexity"]] * 5
    assert failed([bad] * 5, Heuristics(levels=()), **levels) == [[]] * 5


def test_an_english_document_without_a_level_is_not_lost_and_not_kept():
    assert failed([{}, {"words": 3}, {"language": "de"}], other="high") == [["unscored"], ["words", "unscored"], []]


@pytest.mark.parametrize("language", RECIPE.languages)
def test_rules_of_a_language(language):
    everything = {name: -1 if getattr(RECIPE.rules, name).min is not None else 1e6 for name in NUMBERS}
    everything |= {name: int(value) for name, value in everything.items() if name in WHOLE}
    (names,) = failed([{"language": language, **everything}])
    assert set(NUMBERS) - set(names) == set(RECIPE.switched_off[language])
    # Chinese, Japanese and Thai text has no words between blanks.
    clauses = {"words": 4, "mean_word_characters": 40.0, "longest_word_characters": 1_200, "top_2gram_share": 0.5}
    assert bool(failed([{"language": language, **clauses}])[0]) == (language not in ("zh", "ja", "th"))


def test_every_rule_switched_off_is_explained_by_the_recipe():
    off = load_recipe("nano2").web.heuristics.switched_off
    assert set(off) == set(RECIPE.languages)
    for names in off.values():
        assert set(names) <= set(Rules.model_fields)
        assert {"non_alphanumeric_share", "alphabetic_word_share", "common_words"} <= set(names)
    assert "en" not in off


def test_a_changed_bound_changes_the_verdict():
    rules = Rules(words=Bounds(min=10))
    assert failed([{"words": 20}]) == [["words"]]
    assert failed([{"words": 20}], Heuristics(rules=rules)) == [[]]


def test_summaries_and_kept_documents():
    changes = [
        {},
        {"words": 1},
        {"words": 1, "digit_share": 1.0},
        {"language": "de"},
        {"language": "de", "words": 1},
        {},
    ]
    levels = {"d0": "high", "d1": "low", "d2": "low"}
    judged = verdicts(measures(*changes), quality(**levels), RECIPE).collect()
    judged = judged.with_columns(parents=pl.concat_list("document")).lazy()
    assert failed_rules(judged) == {"words": 3, "digit_share": 1, "unscored": 1}
    counts = funnel(judged)
    assert counts.rows() == [
        ("low", 2, 0, 500, 0),
        ("high", 1, 1, 250, 250),
        ("unscored", 1, 0, 250, 0),
        ("de", 2, 1, 500, 250),
    ]
    assert "| de | 2 | 1 | 500 | 250 |" in funnel_table(counts)
    documents = pl.DataFrame({"id": [f"d{n}" for n in range(6)], "text": [f"text {n}" for n in range(6)]}).lazy()
    columns = ("id", "parents", "text", "level", "bucket")
    english = pl.concat(kept_rows(documents, judged, True, "web.curated", columns, 64))
    other = pl.concat(kept_rows(documents, judged, False, "web.multilingual", columns, 64))
    assert english.select("parents", "text", "level", "bucket").rows() == [(["d0"], "text 0", "high", 5)]
    assert other.select("parents", "text", "level").rows() == [(["d3"], "text 3", None)]
    assert english["id"].is_in(other["id"].to_list()).sum() == 0
