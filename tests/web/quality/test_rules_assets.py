"""Measures, verdicts and kept documents through the real assets, checks and lake."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text.heuristics import NUMBERS
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.assets import curated, measures, multilingual, perplexity, verdicts
from nemotron_assets.web.quality.checks import CHECKS
from nemotron_assets.web.quality.tables import CURATED, MEASURES, MULTILINGUAL, PERPLEXITY, QUALITY, VERDICTS
from resources.compute import Compute
from resources.crawl import SAMPLE
from resources.lakehouse import Lakehouse
from tests.text.reference import numbers

SNAPSHOT = "CC-MAIN-2024-51"
TABLES = (MEASURES, VERDICTS, CURATED, MULTILINGUAL)
ASSETS = [perplexity, measures, verdicts, curated, multilingual]
RULE_CHECKS = {
    key: check for check in CHECKS for key in check.check_keys if key.asset_key in {table.asset_key for table in TABLES}
}
GIVEN = [dg.AssetSpec(table.asset_key, partitions_def=snapshot_partitions) for table in (UNIQUE_DOCUMENTS, QUALITY)]
PASSAGES = [json.loads(line)["text"] for line in (SAMPLE / "seeds" / "passages.jsonl").read_text().splitlines()]
GERMAN = (
    "Die Bibliothek wurde im Jahr 1901 gegründet und gehört heute zu den größten des Landes. Sie steht allen offen, "
    "die in der Stadt wohnen oder arbeiten. Bücher können vier Wochen lang ausgeliehen werden, Zeitschriften eine "
    "Woche. Wer etwas nicht findet, fragt am besten eine der Mitarbeiterinnen, denn vieles steht in den Magazinen im "
    "Keller und wird auf Wunsch innerhalb eines Tages gebracht. Am Wochenende ist der Lesesaal bis abends geöffnet."
)
CHINESE = (
    "图书馆成立于一九零一年，如今是全国最大的图书馆之一。所有在本市居住或工作的人都可以使用。图书可以借阅四个星期，"
    "杂志可以借阅一个星期。如果找不到需要的书，最好询问工作人员，因为很多书都放在地下室的书库里。"
)
# name: (language, text, level, rules it must fail)
DOCUMENTS = {
    "good": ("en", PASSAGES[0], "low", []),
    "great": ("en", PASSAGES[1], "high", []),
    "middle": ("en", PASSAGES[2], "medium", []),
    "short but great": ("en", "Click here now", "high", []),
    "short": ("en", "This text is only one line and the end of it.", "low", ["words"]),
    "list": (
        "en",
        "• the\n• and\n" + "\n".join(f"• entry of number {n}" for n in range(60)),
        "medium",
        ["bullet_line_share", "unended_line_share"],
    ),
    "noise": (
        "en",
        " ".join(f"the and qxz{chr(97 + n % 26)}{chr(97 + n % 7)}wkj qjx." for n in range(80)),
        "low",
        ["perplexity"],
    ),
    "not scored": ("en", PASSAGES[3], None, ["unscored"]),
    "german": ("de", GERMAN, None, []),
    "german short": ("de", "Nur ein Satz.", None, ["words"]),
    "chinese": ("zh", CHINESE, None, []),
    "welsh": ("cy", PASSAGES[4], None, None),  # not a language of the recipe
}


def document_frame() -> pl.DataFrame:
    rows = [
        {
            "id": name,
            "parents": [f"of {name}"],
            "snapshot": SNAPSHOT,
            "url": f"https://a.example/{n}",
            "host": "a.example",
            "fetched_at": datetime(2025, 1, 1, tzinfo=UTC),
            "language": language,
            "text": text,
            "characters": len(text),
            "content_hash": content_hash(text),
        }
        for n, (name, (language, text, *_)) in enumerate(DOCUMENTS.items())
    ]
    return pl.DataFrame(rows)


def quality_frame() -> pl.DataFrame:
    levels = {name: level for name, (_, _, level, _) in DOCUMENTS.items() if level}
    buckets = {"high": 19, "medium": 15, "low": 2}
    plain = {"float64": 0.5, "int32": 1, "int64": 1, "string": "x"}
    rows = [
        {
            **{c.name: plain.get(c.dtype) for c in QUALITY.columns},
            "id": row_id(QUALITY.full_name, name),
            "parents": [name],
            "snapshot": SNAPSHOT,
            "level": level,
            "bucket": buckets[level],
        }
        for name, level in levels.items()
    ]
    schema = QUALITY.empty().schema
    return pl.DataFrame(rows, schema=schema)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    recipe = current_recipe()
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    lake.write(UNIQUE_DOCUMENTS, document_frame(), SNAPSHOT)
    lake.write(QUALITY, quality_frame(), SNAPSHOT)
    compute = Compute(workers=1)
    resources = {"lake": lake, "io_manager": lake, "recipe": recipe, "compute": compute}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])

        def run() -> dict[str, dg.ExecuteInProcessResult]:
            results = {"": dg.materialize([perplexity], instance=instance, resources=resources)}
            for asset, table in zip(ASSETS[1:], TABLES, strict=True):
                mine = [check for key, check in RULE_CHECKS.items() if key.asset_key == table.asset_key]
                results[table.name] = dg.materialize(
                    [*GIVEN, *ASSETS, *mine],
                    instance=instance,
                    resources=resources,
                    partition_key=SNAPSHOT,
                    selection=dg.AssetSelection.assets(asset.key),
                )
            return results

        yield lake, run, run()
        compute.close()


def rows_of(lake, table) -> pl.DataFrame:
    frame = lake.read(table, SNAPSHOT).scan().collect()
    return frame.with_columns(document=pl.col("parents").list.first())


def test_measures_are_those_of_the_text(house):
    lake, *_ = house
    rows = {row["document"]: row for row in rows_of(lake, MEASURES).iter_rows(named=True)}
    assert set(rows) == set(DOCUMENTS) - {"welsh"}
    strings = current_recipe().web.measures
    for name, row in rows.items():
        language, text, *_ = DOCUMENTS[name]
        assert {number: row[number] for number in NUMBERS} == numbers(text, strings)
        assert (row["perplexity"] is None) == (language != "en")
        assert row["characters"] == len(text)
    assert rows["noise"]["perplexity"] > 100_000 > 5_000 > rows["good"]["perplexity"]


def test_verdicts_name_the_rules(house):
    lake, *_ = house
    rows = {row["document"]: row for row in rows_of(lake, VERDICTS).iter_rows(named=True)}
    expected = {name: failed for name, (_, _, _, failed) in DOCUMENTS.items() if failed is not None}
    assert set(rows) == set(expected)
    for name, failed in expected.items():
        assert set(failed) <= set(rows[name]["failed"]), name
        assert bool(failed) == bool(rows[name]["failed"]), (name, rows[name]["failed"])
        assert rows[name]["kept"] == (not failed)
        assert rows[name]["level"] == DOCUMENTS[name][2]


def test_curated_and_multilingual_are_what_is_kept(house):
    lake, *_ = house
    english, others = rows_of(lake, CURATED), rows_of(lake, MULTILINGUAL)
    assert set(english["document"]) == {"good", "great", "middle", "short but great"}
    assert set(others["document"]) == {"german", "chinese"}
    assert dict(english.select("document", "bucket").iter_rows()) == {
        "good": 2,
        "great": 19,
        "middle": 15,
        "short but great": 19,
    }
    for row in pl.concat([english, others], how="diagonal").iter_rows(named=True):
        language, text, *_ = DOCUMENTS[row["document"]]
        assert (row["language"], row["text"], row["characters"]) == (language, text, len(text))
        assert row["content_hash"] == content_hash(text)


def test_checks_pass_and_show_what_was_dropped(house):
    _, _, results = house
    found = {}
    for result in results.values():
        for evaluation in result.get_asset_check_evaluations():
            assert evaluation.passed, (evaluation.check_name, evaluation.metadata)
            found[evaluation.asset_key.path[-1], evaluation.check_name] = evaluation.metadata
    assert set(found) == {
        ("measures", "numbers_are_possible"),
        ("verdicts", "every_document_has_a_verdict"),
        ("curated", "kept_as_judged"),
        ("multilingual", "kept_as_judged"),
        ("curated", "language_purity"),
        ("multilingual", "language_purity"),
    }
    shown = found["verdicts", "every_document_has_a_verdict"]
    assert shown["failed"].value["words"] == 2
    assert "data:image/png;base64," in shown["rules"].value
    assert "| low | 3 | 1 |" in shown["funnel"].value
    assert found["multilingual", "kept_as_judged"]["documents"].value == 2


def test_running_again_changes_nothing(house):
    lake, run, results = house
    again = run()
    for name in results:
        versions = [
            next(
                e for e in r[name].all_events if e.is_step_materialization
            ).step_materialization_data.materialization.tags["dagster/data_version"]
            for r in (results, again)
        ]
        assert versions[0] == versions[1], name
    assert lake.read(PERPLEXITY).rows == 1


def broken(lake: Lakehouse, table, change: pl.Expr | None, drop: str | None = None):
    frame = rows_of(lake, table)
    if drop:
        frame = frame.filter(pl.col("document") != drop)
    frame = frame.drop("document")
    lake.write(table, frame.with_columns(change) if change is not None else frame, SNAPSHOT)


@pytest.mark.parametrize(
    ("table", "name", "change", "drop"),
    [
        (MEASURES, "numbers_are_possible", pl.lit(1.5).alias("digit_share"), None),
        (MEASURES, "numbers_are_possible", pl.lit(float("nan")).alias("url_share"), None),
        (MEASURES, "numbers_are_possible", pl.lit(0.5).alias("perplexity"), None),
        (MEASURES, "numbers_are_possible", None, "german"),
        (VERDICTS, "every_document_has_a_verdict", None, "short"),
        (VERDICTS, "every_document_has_a_verdict", pl.lit(True).alias("kept"), None),
        (VERDICTS, "every_document_has_a_verdict", pl.lit("same").alias("id"), None),
        (CURATED, "kept_as_judged", None, "good"),
        (CURATED, "kept_as_judged", pl.lit("same").alias("content_hash"), None),
        (MULTILINGUAL, "language_purity", pl.lit("pl").alias("language"), None),
        (CURATED, "language_purity", pl.lit("Das ist ganz gewiss kein englischer Text.").alias("text"), None),
    ],
)
def test_checks_fail_on_what_is_wrong(house, table, name, change, drop):
    lake, *_ = house
    before = lake.read(table, SNAPSHOT).scan().collect()
    broken(lake, table, change, drop)
    try:
        key = dg.AssetCheckKey(table.asset_key, name)
        check = RULE_CHECKS[key].node_def.compute_fn.decorated_fn
        context = SimpleNamespace(partition_key=SNAPSHOT)
        wanted = {"lake": lake, "recipe": current_recipe()}
        result = check(context, **{n: v for n, v in wanted.items() if n in inspect.signature(check).parameters})
        assert not result.passed
    finally:
        lake.write(table, before, SNAPSHOT)


def test_a_changed_bound_reads_no_text():
    """The numbers in web.measures do not depend on the bounds, only on the recipe's strings and languages."""
    sections = {a.key.path[-1]: a.metadata_by_key[a.key]["recipe_sections"].split(", ") for a in ASSETS}
    assert sections["verdicts"] == ["web.heuristics"]
    assert "web.heuristics.languages" in sections["measures"]
    assert not {"web.heuristics", "web.heuristics.rules", "web.heuristics.levels"} & set(sections["measures"])
