"""The asset web/translated_diverse_qa as Dagster runs it, against an endpoint that translates well or badly."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.table.asset import table_asset
from nemotron_assets.web.synthetic.assets import translated_diverse_qa
from nemotron_assets.web.synthetic.checks import (
    every_language_attempted,
    translations_are_usable,
    translations_are_whole,
)
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.resources.endpoint import Endpoint, completion
from tests.web.synthetic.translation.owls import LINES, asked, good_answer
from tests.web.synthetic.translation.translation_run import SNAPSHOT, fill, recipe

ROOT = Path(__file__).resolve().parents[4]
CHECKS = [every_language_attempted, translations_are_whole, translations_are_usable]


@pytest.fixture
def lake(tmp_path, monkeypatch, embedded_tokenizer):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    fill(lake, embedded_tokenizer)
    return lake


def _good(body):
    return good_answer(*asked(body["messages"]))


class _Run:
    """Materialisations and check results of a run."""

    def __init__(self, result: dg.ExecuteInProcessResult) -> None:
        self.success = result.success
        made = [e.step_materialization_data.materialization for e in result.all_events if e.is_step_materialization]
        self.made = {m.asset_key: m for m in made}
        self.checks = {check.check_name: check for check in result.get_asset_check_evaluations()}

    @property
    def facts(self):
        return self.made[TRANSLATED_DIVERSE_QA.asset_key].metadata

    @property
    def data_version(self):
        return self.made[TRANSLATED_DIVERSE_QA.asset_key].tags["dagster/data_version"]


def _materialise(lake, endpoint, numbers=None, *, assets=(translated_diverse_qa, *CHECKS)) -> _Run:
    with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])
        given = [
            dg.AssetSpec(DIVERSE_QA.asset_key, partitions_def=translated_diverse_qa.partitions_def),
            dg.AssetSpec(GENERATOR.asset_key),
        ]
        result = dg.materialize(
            [*assets, *(spec.with_io_manager_key("io_manager") for spec in given)],
            instance=instance,
            partition_key=SNAPSHOT,
            selection=list(assets),
            raise_on_error=False,
            resources={
                "io_manager": lake,
                "lake": lake,
                "recipe": numbers or recipe(),
                "gpu": Gpu(backend="openai", base_url=url, concurrency=4, retries=0),
            },
        )
        return _Run(result)


def _rows(lake, table) -> pl.DataFrame:
    return lake.read(table, SNAPSHOT if table.partition_by else None).scan().collect()


def test_all_languages_are_translated_once(lake):
    endpoint = Endpoint(_good)
    run = _materialise(lake, endpoint)
    assert run.success and all(check.passed for check in run.checks.values())
    rows, outcomes = _rows(lake, TRANSLATED_DIVERSE_QA), _rows(lake, TRANSLATION_OUTCOMES)
    assert rows.height == outcomes.height == 15 and set(outcomes["outcome"]) == {"accepted"}
    texts = dict(rows.select("language", "text").iter_rows())
    assert texts["zh"] == (
        "猫头鹰在夜间捕猎，白天睡觉。\n它重2 kg，能活大约10年，详情请见https://owls.example/life?age=10。\n\n"
        "问题：猫头鹰晚上做什么？\n答案：它捕食老鼠和其他小动物。"
    )
    assert "\n\nالسؤال: ماذا تفعل البومة في الليل؟\nالجواب: " in texts["ar"]
    assert "มันหนัก 2 kg และมีชีวิตอยู่ประมาณ 10 ปี" in texts["th"]
    generations = _rows(lake, GENERATIONS)
    assert generations.height == len(endpoint.bodies) == 60 and set(generations["prompt"]) == {"translation"}
    assert set(rows["generation_ids"].explode()) == set(generations["id"])
    assert (run.facts["accepted"].value, run.facts["new_generations"].value) == (15, 60)
    assert "| zh | 1 | 1 |" in run.facts["outcomes"].value and "data:image/png" in run.facts["outcomes_plot"].value
    assert run.made[TRANSLATION_OUTCOMES.asset_key].metadata["dagster/partition_row_count"].value == 15
    # A second run asks for nothing and changes nothing.
    again = _materialise(lake, endpoint)
    assert len(endpoint.bodies) == 60 and again.facts["new_generations"].value == 0
    assert again.data_version == run.data_version
    assert _rows(lake, TRANSLATED_DIVERSE_QA).equals(rows) and _rows(lake, TRANSLATION_OUTCOMES).equals(outcomes)


def test_failures_are_asked_again_then_quarantined_with_their_cause(lake):
    tried = Counter()

    def answer(body):
        language, line = asked(body["messages"])
        good = good_answer(language, line)
        tried[language, line] += 1
        if language == "fr":
            return f"<t>{line}</t>"
        if language == "sv":
            return good_answer("da", line)
        if language == "ko":
            return good.replace("{C}", "https://owls.example")
        if language == "pl":
            return 200, {}, completion(good, "length", 80)
        if language == "it":
            return "I cannot translate this."
        if language == "th":
            return good.replace("{B}", "{B}๗")
        if language == "ja":
            return "<t>" + good[3:-4] * 9 + "</t>" if "{A}" not in line else good
        if language == "es" and tried[language, line] == 1:
            return good.replace("{A}", "")
        return good

    endpoint = Endpoint(answer)
    run = _materialise(lake, endpoint)
    assert run.success and all(check.passed for check in run.checks.values())  # the laptop's recipe allows it
    outcomes = {row["language"]: row for row in _rows(lake, TRANSLATION_OUTCOMES).iter_rows(named=True)}
    reasons = {language: row["reason"] for language, row in outcomes.items() if row["outcome"] == "rejected"}
    assert reasons == {
        "fr": "copied",
        "sv": "wrong_language",
        "ko": "pieces_differ",
        "pl": "truncated",
        "it": "unparsable",
        "th": "numbers_differ",
        "ja": "wrong_length",
    }
    assert outcomes["sv"]["detected"] == "da" and outcomes["fr"]["copied_lines"] == 4
    assert {row["attempts"] for row in outcomes.values() if row["outcome"] == "rejected"} == {2}
    assert outcomes["es"]["outcome"] == "accepted" and outcomes["es"]["attempts"] == 2
    assert len(outcomes["es"]["generation_ids"]) == 5 and len(outcomes["de"]["generation_ids"]) == 4
    translated = _rows(lake, TRANSLATED_DIVERSE_QA)
    assert set(translated["language"]) == set(outcomes) - set(reasons)
    quarantine = _rows(lake, QUARANTINE).filter(stage=TRANSLATED_DIVERSE_QA.full_name)
    assert {row["row_id"]: row["cause"] for row in quarantine.iter_rows(named=True)} == {
        outcomes[language]["id"]: reason for language, reason in reasons.items()
    }
    assert all(detail[:2] in reasons for detail in quarantine["detail"])
    assert "pieces_differ" in run.facts["failures"].value.replace("\\", "")  # signs of Markdown are escaped
    asked_before = len(endpoint.bodies)
    _materialise(lake, endpoint)
    assert len(endpoint.bodies) == asked_before  # failures are in the ledger as well
    strict = _materialise(lake, endpoint, recipe(max_reject_share=0.25))
    assert not strict.checks["translations_are_usable"].passed
    assert strict.checks["translations_are_usable"].metadata["above"].value == ", ".join(sorted(reasons))


def test_checks_notice_rows_that_are_wrong(lake):
    endpoint = Endpoint(_good)
    assert _materialise(lake, endpoint).success
    rows, outcomes = _rows(lake, TRANSLATED_DIVERSE_QA), _rows(lake, TRANSLATION_OUTCOMES)

    def judge(rows, outcomes):
        @table_asset(TRANSLATED_DIVERSE_QA, recipe="web.translation")
        def given():
            lake.write(TRANSLATION_OUTCOMES, outcomes, SNAPSHOT)
            return rows

        return _materialise(lake, endpoint, assets=[given, *CHECKS]).checks

    german = pl.col("language") == "de"
    swedish = rows.filter(language="sv")["text"].item()
    lost = pl.when(german).then(pl.col("text").str.replace("2 kg", "zwei Kilo")).otherwise("text").alias("text")
    found = judge(rows.with_columns(lost), outcomes)["translations_are_whole"]
    assert not found.passed and found.metadata["broken"].value == 1
    foreign = pl.when(pl.col("language") == "nl").then(pl.lit(swedish)).otherwise("text").alias("text")
    found = judge(rows.with_columns(foreign), outcomes)["translations_are_whole"]
    assert not found.passed and found.metadata["in_another_language"].value == 1
    attempted = "every_language_attempted"
    assert judge(rows, outcomes.filter(~german))[attempted].metadata["outcomes_missing"].value == 1
    assert judge(rows.filter(~german), outcomes)[attempted].metadata["outcomes_without_row"].value == 1
    assert judge(pl.concat([rows, rows.filter(german)]), outcomes)[attempted].metadata["rows_doubled"].value == 1
    found = judge(rows.filter(~german), outcomes.filter(~german))[attempted]
    assert not found.passed and found.metadata["rows_without_outcome"].value == 0
    assert all(check.passed for check in judge(rows, outcomes).values())


def test_an_empty_snapshot_is_empty_tables(lake):
    lake.write(DIVERSE_QA, _rows(lake, DIVERSE_QA).clear(), SNAPSHOT)
    run = _materialise(lake, Endpoint(_good))
    assert run.success and all(check.passed for check in run.checks.values())
    assert _rows(lake, TRANSLATED_DIVERSE_QA).height == _rows(lake, TRANSLATION_OUTCOMES).height == 0


@pytest.mark.faults
def test_killed_translation_goes_on_where_it_was(lake, tmp_path, embedded_tokenizer):
    fill(lake, embedded_tokenizer, samples=3)

    def slow(body):
        time.sleep(0.02)
        language, line = asked(body["messages"])
        if language == "fr":
            return "never wrapped"
        return good_answer(language, line)

    endpoint = Endpoint(slow)
    with endpoint.serve() as url:
        run = subprocess.Popen(
            [sys.executable, "-m", "tests.web.synthetic.translation.translation_run", lake.root, url],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 120
            while len(endpoint.bodies) < 40:
                assert time.monotonic() < end and run.poll() is None
                time.sleep(0.01)
        finally:
            run.kill()
            run.wait()
    assert not lake.read(TRANSLATED_DIVERSE_QA, SNAPSHOT).exists
    assert _materialise(lake, endpoint).success
    questions = Counter(str((body["messages"], body["seed"])) for body in endpoint.bodies)
    # Only requests that were unanswered when the process died are asked for again. It had two requests at a time.
    assert len(questions) == len(endpoint.bodies) - sum(count - 1 for count in questions.values())
    assert sum(count - 1 for count in questions.values()) <= 3
    rows = _rows(lake, TRANSLATED_DIVERSE_QA)
    assert rows.height == 3 * 14 and _rows(lake, TRANSLATION_OUTCOMES).height == 3 * 15
    # The samples differ in a protected number only, so the requests for them are the same.
    assert len(questions) == 15 * len(LINES) + 4  # French fails: its four lines are asked for twice
