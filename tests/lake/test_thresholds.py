"""What each rule keeps at multiples of its threshold, and the corpus that thresholds belong to."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest
from pydantic import ValidationError

from nemotron_assets.lake.thresholds import tables as t
from nemotron_assets.lake.thresholds.curves import code_rules, curves, fingerprint, threshold_rows, web_rules
from nemotron_assets.lake.thresholds.report import metadata
from nemotron_assets.recipe import current_recipe
from nemotron_assets.recipe.lake import Thresholds
from nemotron_assets.snapshots.tables import PAGES

RECIPE = current_recipe()
FACTORS = (0.5, 1.0, 2.0)


class Lake:
    """The rows of some tables; the others have none. Columns that are not given are null."""

    def __init__(self, rows: dict, contents: dict | None = None) -> None:
        self.rows, self.contents = rows, contents or {}

    def read(self, table) -> SimpleNamespace:
        frame = pl.DataFrame(self.rows.get(table, []), schema=table.empty().schema)
        known = self.contents.get(table, {})
        return SimpleNamespace(
            scan=frame.lazy,
            snapshots=lambda: sorted(known),
            within=lambda snapshot: SimpleNamespace(content=lambda: known[snapshot]),
            content=lambda: str(known),
        )


def document(number: int, host: str, language: str, digits: float, level: str | None = None) -> tuple[dict, ...]:
    """Rows of measures, verdicts and unique documents."""
    name = f"{host}{number}"
    return (
        {"id": f"m{name}", "parents": [name], "snapshot": "S", "language": language, "digit_share": digits},
        {"id": f"v{name}", "parents": [name], "snapshot": "S", "language": language, "level": level},
        {"id": name, "snapshot": "S", "host": host, "language": language},
    )


def of(rows: pl.DataFrame, rule: str, by: str) -> dict[tuple[str, float], tuple[int, int]]:
    chosen = rows.filter(rule=rule, by=by)
    return {(row["name"], row["factor"]): (row["rows"], row["kept"]) for row in chosen.iter_rows(named=True)}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    web = [document(n, "a.example", "de", n / 100) for n in range(40)]
    web += [document(n, "b.example", "en", 0.9, "high") for n in range(20)]  # the rules do not apply to this level
    web += [document(n, "b.example", "en", 0.2, "low") for n in range(20, 30)]
    web += [document(n, "few.example", "de", 0.9) for n in range(3)]
    measures, verdicts, documents = map(list, zip(*web, strict=True))
    files = [
        {"id": f"f{n}", "repo": "o/r", "commit_id": "c", "language": language, "digit_share": 0.25}
        for n, language in enumerate(["SQL"] * 10 + ["C"] * 10)
    ]
    repositories = [{"id": "r", "repo": "o/r", "commit_id": "c", "source": "sample"}]
    lake = Lake(
        {t.MEASURES: measures, t.VERDICTS: verdicts, t.UNIQUE_DOCUMENTS: documents, t.ANNOTATIONS: files,
         t.REPOSITORIES: repositories}
    )  # fmt: skip
    recipe = RECIPE.with_sections({"thresholds": Thresholds(factors=FACTORS)})
    return pl.concat(threshold_rows(lake, recipe))


def test_what_a_rule_keeps_is_counted_at_each_multiple(rows):
    assert tuple(rows.columns) == t.THRESHOLDS.column_names and rows["id"].n_unique() == rows.height
    limit = RECIPE.web.heuristics.rules.digit_share.max
    expected = {("a.example", f): (40, sum(n / 100 <= limit * f for n in range(40))) for f in FACTORS}
    # Of b.example only the ten documents that the rules apply to are counted; few.example has too few rows.
    expected |= {("b.example", f): (10, 10 if limit * f >= 0.2 else 0) for f in FACTORS}
    assert of(rows, "digit_share", "host") == expected
    assert of(rows, "digit_share", "source")["S", 1.0] == (53, expected["a.example", 1.0][1])


def test_files_are_judged_by_the_bounds_of_their_language(rows):
    by_language = of(rows, "digit_share", "language")
    assert (by_language["SQL", 1.0], by_language["C", 1.0]) == ((10, 10), (10, 0))
    assert of(rows, "digit_share", "repository")["o/r", 1.0] == (20, 10)
    thresholds = rows.filter(measured="code.annotations", rule="digit_share", factor=1.0)
    by_name = {(by, name): limit for by, name, limit in thresholds.select("by", "name", "threshold").iter_rows()}
    assert by_name["language", "SQL"] == 0.3 and by_name["repository", "o/r"] is None  # two languages, two bounds


def test_rules_that_drop_nothing_have_no_rows(rows):
    assert set(rows["rule"]) == {"digit_share"}  # all other numbers are null: not measured, so kept


def test_every_bound_of_the_recipe_is_a_rule():
    names = {(rule.name, rule.bound) for rule in web_rules(RECIPE)}
    assert {("words", "min"), ("words", "max"), ("perplexity", "max"), ("unique_line_share", "min")} <= names
    assert len(web_rules(RECIPE)) >= 30
    names = {(rule.name, rule.bound) for rule in code_rules(RECIPE)}
    assert {("variables", "min"), ("visible_characters", "min"), ("duplicate_line_share", "max")} <= names


def test_only_the_most_frequent_names_are_kept():
    frame = pl.DataFrame({"host": ["a"] * 5 + ["b"] * 9 + ["c"] * 7, "language": "de", "digit_share": 0.9})
    rule = [rule for rule in web_rules(RECIPE) if rule.name == "digit_share"]
    found = curves("web.measures", frame.with_columns(level=None).lazy(), rule, "host", Thresholds(min_rows=2, names=2))
    assert set(found["name"]) == {"b", "c"}


def test_metadata_show_curves(rows):
    facts = metadata(rows, "f" * 16)
    assert facts["fingerprint"] == "f" * 16 and r"digit\_share" in facts["dropping_most"].value
    assert facts["web_curves"].value.startswith("![") and "code_curves" in facts
    assert "dropping_most" in metadata(t.THRESHOLDS.empty(), "")


def test_the_fingerprint_is_that_of_pages_and_files():
    one = fingerprint(Lake({}, {PAGES: {"S": "1"}, t.FILES: {"": "1"}}))
    assert one == fingerprint(Lake({}, {PAGES: {"S": "1"}, t.FILES: {"": "1"}})) and len(one) == 16
    others = ({PAGES: {"S": "2"}, t.FILES: {"": "1"}}, {PAGES: {"S": "1"}, t.FILES: {"": "2"}}, {PAGES: {"T": "1"}})
    assert one not in {fingerprint(Lake({}, contents)) for contents in others}
    Thresholds(approved_on=one)


@pytest.mark.parametrize("values", [{"factors": (0.5, 2.0)}, {"factors": (1.0, 0.0)}, {"approved_on": "sample"}])
def test_mistakes_in_the_recipe_are_named(values):
    with pytest.raises(ValidationError):
        Thresholds(**values)


@pytest.mark.parametrize(("approved", "passed"), [(None, True), ("here", True), ("0" * 16, False)])
def test_the_check_warns_on_another_corpus(approved, passed):
    from nemotron_assets.lake.thresholds.checks import approved_on_this_corpus

    lake = Lake({}, {PAGES: {"S": "1"}})
    chosen = Thresholds(approved_on=fingerprint(lake) if approved == "here" else approved)
    result = approved_on_this_corpus.node_def.compute_fn.decorated_fn(
        lake=lake, recipe=RECIPE.with_sections({"thresholds": chosen})
    )
    assert result.passed == passed and result.metadata["fingerprint"].value == fingerprint(lake)
    assert passed or f"set thresholds.approved_on to {fingerprint(lake)}" in result.description
