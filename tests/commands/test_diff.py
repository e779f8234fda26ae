"""`nemotron diff`: rows that differ between two versions of a table, and documents that a recipe's value decides."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from nemotron_assets.commands import diff as command
from nemotron_assets.commands.cli import cli
from nemotron_assets.commands.recipe_diff import TOGETHER, recipe_diff
from nemotron_assets.commands.table_diff import table_diff
from nemotron_assets.planning.changes import Node
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.load import changed_recipe
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import CURATED, MEASURES, QUALITY, VERDICTS
from resources.contract import LakeError
from resources.lakehouse import Lakehouse

VALUES = {"string": "", "int32": 0, "int64": 0, "float64": 0.0, "bool": False, "list[string]": [], "binary": b""}


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def rows(table: Table, *given: dict) -> pa.Table:
    """Rows of a table; columns that are not given have a value without meaning."""
    import datetime

    values = VALUES | {"timestamp": datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)}
    whole = [{c.name: row.get(c.name, values[c.dtype]) for c in table.columns} for row in given]
    return pa.Table.from_pylist(whole, table.arrow_schema())


def curated(name: str, **more) -> dict:
    return {
        "id": f"c-{name}",
        "parents": [name],
        "snapshot": "S",
        "url": f"https://x.example/{name}",
        "level": "high",
    } | more


def verdict(name: str, *failed: str) -> dict:
    return {"id": f"v-{name}", "parents": [name], "snapshot": "S", "failed": list(failed), "kept": not failed}


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_versions(lake) -> Lakehouse:
    before = [curated("same"), curated("other", text="a"), curated("short"), curated("gone")]
    after = [curated("same"), curated("other", text="b", bucket=3), curated("new")]
    lake.write(UNIQUE_DOCUMENTS, rows(UNIQUE_DOCUMENTS, *({"id": n, "snapshot": "S"} for n in ("same", "short"))), "S")
    lake.write(VERDICTS, rows(VERDICTS, verdict("same"), verdict("new", "url_share")), "S")
    lake.write(CURATED, rows(CURATED, *before), "S")
    lake.write(VERDICTS, rows(VERDICTS, verdict("same"), verdict("short", "words", "digit_share")), "S")
    lake.write(CURATED, rows(CURATED, *after), "S")
    return lake


def numbers(lake: Lakehouse) -> tuple[str, str]:
    newest = lake.read(CURATED).version
    return str(newest - 1), str(newest)


def test_rows_are_told_apart_with_the_reasons_that_other_tables_know(two_versions):
    with table_diff(two_versions, CURATED, numbers(two_versions)) as found:
        assert found.rows == (4, 3)
        assert found.counts() == [
            ("added", "S", "high", 1),
            ("changed", "S", "bucket, text", 1),
            ("removed", "S", "high", 2),
        ]
        assert ("changed", "bucket, text", "c-other", "https://x.example/other") in found.examples(1)
        assert len(found.examples(1)) == 3


def test_a_table_that_gives_no_reason_itself_asks_the_table_of_verdicts(two_versions, monkeypatch):
    from nemotron_assets.commands import table_diff as module

    monkeypatch.setattr(module, "_OWN_REASONS", {})
    with table_diff(two_versions, CURATED, numbers(two_versions)) as found:
        reasons = {(change, key): reason for change, reason, key, _ in found.examples(9)}
    assert reasons == {
        ("added", "c-new"): "before: url_share",
        ("changed", "c-other"): "bucket, text",
        ("removed", "c-gone"): "its row of web.unique_documents is gone",
        ("removed", "c-short"): "words, digit_share",
    }


def test_equal_versions_and_rewritten_files_differ_in_nothing(two_versions):
    two_versions.write(CURATED, two_versions.read(CURATED).scan().collect(), "S", force=True)
    newest = two_versions.read(CURATED).version
    with table_diff(two_versions, CURATED, (str(newest - 1), "newest")) as found:
        assert found.files == (1, 1)
        assert found.counts() == []


@pytest.mark.parametrize(("version", "problem"), [("99", "give a number"), ("-1", "give a number"), ("x", "or newest")])
def test_an_unknown_version_is_refused(two_versions, version, problem):
    with pytest.raises(LakeError, match=problem), table_diff(two_versions, CURATED, (version, "newest")):
        pass


def test_deleted_files_of_an_old_version_are_explained(two_versions):
    before, after = numbers(two_versions)
    two_versions.open(CURATED).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(LakeError, match="choose a newer version"), table_diff(two_versions, CURATED, (before, after)):
        pass


# -- recipes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(lake) -> Lakehouse:
    """Documents of the lowest level, whose rules are applied, with different numbers of words; and one of the best."""
    fine = {
        "alphabetic_word_share": 1.0, "unique_line_share": 1.0, "unique_paragraph_share": 1.0, "common_words": 9,
        "unique_line_character_share": 1.0, "unique_paragraph_character_share": 1.0, "mean_word_characters": 5.0,
        "perplexity": 10.0, "language": "en", "characters": 1_000, "snapshot": "S",
    }  # fmt: skip
    words = {"tiny": 20, "short": 60, "long": 500, "best": 10}
    documents = [{"id": name, "snapshot": "S", "url": f"https://x.example/{name}"} for name in words]
    measures = [fine | {"id": f"m-{name}", "parents": [name], "words": count} for name, count in words.items()]
    quality = [
        {"id": f"q-{name}", "parents": [name], "snapshot": "S", "bucket": 19 if name == "best" else 8} for name in words
    ]
    for table, given in ((UNIQUE_DOCUMENTS, documents), (MEASURES, measures), (QUALITY, quality)):
        lake.write(table, rows(table, *given), "S")
    return lake


GRAPH = {
    "web.signatures": Node(("web.dedup",), ()),
    "web.duplicates": Node(("web.dedup",), ("web.signatures",)),
    "web.measures": Node(("web.measures",), ("web.duplicates",)),
}


def compared(lake: Lakehouse, **changes):
    before = load_recipe("laptop")
    values = {key.replace("__", "."): value for key, value in changes.items()}
    return recipe_diff(lake, GRAPH, before, changed_recipe(before, values))


def test_documents_enter_and_leave_because_of_a_bound(measured):
    with compared(measured, web__heuristics__rules__words={"min": 100, "max": None}) as found:
        assert found.counts() == [
            ("web.curated, web.multilingual", "web.heuristics.rules.words.min", "leaves", 1, 1_000),
            ("web.curated, web.multilingual", TOGETHER, "leaves", 1, 1_000),
        ]
        key = "web.heuristics.rules.words.min"
        assert found.examples(3) == [(key, "leaves", "words", 60.0, "short", "https://x.example/short")]
        assert not found.unevaluated
    with compared(measured, web__heuristics__rules__words={"min": 5, "max": 100_000}) as found:
        (row,) = [row for row in found.counts() if row[1] != TOGETHER]
        assert row[2:4] == ("enters", 1)


def test_each_value_is_judged_alone_and_all_together(measured):
    levels = {"high": 19, "medium_high": 18, "medium": 9, "medium_low": 8, "low": 0}
    changes = {"web__heuristics__rules__words__min": 100, "web__heuristics__levels": ("low",)}
    with compared(measured, web__quality__lowest_bucket=levels, **changes) as found:
        counts = {(change, effect): number for _, change, effect, number, _ in found.counts()}
    # The rules are applied to the lowest level only, and no document has it: the levels alone let the tiny text in.
    assert counts["web.heuristics.levels", "enters"] == 1
    assert counts["web.heuristics.rules.words.min", "leaves"] == 1
    assert (TOGETHER, "leaves") not in counts
    assert counts[TOGETHER, "enters"] == 1


def test_a_changed_level_moves_documents(measured):
    levels = {"high": 19, "medium_high": 18, "medium": 8, "medium_low": 7, "low": 0}
    with compared(measured, web__quality__lowest_bucket=levels) as found:
        assert {row[2:4] for row in found.counts()} == {("from medium_low to medium", 2)}


def test_a_value_that_needs_a_new_run_is_named_with_its_assets(measured):
    with compared(measured, web__dedup__min_similarity=0.99) as found:
        assert found.counts() == []
        assert found.unevaluated == {"web.dedup.min_similarity": (["web.signatures", "web.duplicates"], 3)}


def test_a_corpus_that_is_not_in_the_lake_is_named(lake):
    with compared(lake, web__heuristics__rules__words__min=100) as found:
        assert found.missing == ["web.curated, web.multilingual"]


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: str):
    done = CliRunner().invoke(cli, ["diff", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_output_fits_120_columns_and_has_other_forms(two_versions, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "lake", two_versions)
    before, after = numbers(two_versions)
    printed = run("web.curated", before, after)
    assert max(map(len, printed.splitlines())) <= 120
    assert "c-other" in printed and "4 rows" in printed
    assert len(json.loads(run("web/curated", before, after, "--json"))["examples"]) == 4
    run("web.curated", before, after, "--csv", str(tmp_path / "d.csv"))
    assert sorted(line.split(",")[0] for line in Path(tmp_path / "d.csv").read_text().splitlines()[1:]) == [
        "c-gone", "c-new", "c-other", "c-short",
    ]  # fmt: skip


def test_recipes_are_compared_by_name_and_by_change(measured, monkeypatch):
    monkeypatch.setattr(command, "lake", measured)
    monkeypatch.setattr(command, "asset_nodes", lambda: GRAPH)
    changes = ("--change", "web.heuristics.rules.words.min=100", "--change", "web.dedup.min_similarity=0.99")
    printed = run("laptop", *changes)
    assert max(map(len, printed.splitlines())) <= 120
    assert "https://x.example/short" in printed and "web.signatures, web.duplicates and 1 more" in printed
    found = json.loads(run("--recipe", "laptop", *changes, "--json"))
    assert found["values"]["web.heuristics.rules.words.min"] == {"before": 50, "after": 100}
    assert json.loads(run("laptop", "laptop", "--json"))["values"] == {}


@pytest.mark.parametrize("arguments", [[], ["laptop"], ["web.curated", "1"], ["a", "b", "c", "d"]])
def test_other_arguments_are_refused(arguments):
    done = CliRunner().invoke(cli, ["diff", *arguments])
    assert done.exit_code != 0
