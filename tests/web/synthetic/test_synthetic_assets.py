"""models/generator, web/rephrased and web/diverse_qa as Dagster runs them: real vLLM on tiny input."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.models.assets import generator
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.parts import Batches, Reject, Rejects
from nemotron_assets.web.quality.tables import CURATED
from nemotron_assets.web.synthetic.assets import diverse_qa, rephrased
from nemotron_assets.web.synthetic.checks import CHECKS, pairs_are_whole, rephrasings_are_whole
from nemotron_assets.web.synthetic.prompts import PROMPTS
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.web.synthetic.canned import SNAPSHOT, animals

USABLE = [check for check in CHECKS if next(iter(check.check_keys)).name == "answers_are_usable"][:2]


def _run(lake, assets, partition: str | None = SNAPSHOT, **resources):
    """Materialise assets and run checks; returns metadata by asset, check results by table and name, and success."""
    inputs = [dg.AssetSpec(CURATED.asset_key, partitions_def=rephrased.partitions_def)]
    inputs += [] if generator in assets else [dg.AssetSpec(GENERATOR.asset_key)]
    inputs = [spec.with_io_manager_key("io_manager") for spec in inputs]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])
        result = dg.materialize(
            [*assets, *inputs],
            instance=instance,
            partition_key=partition,
            selection=list(assets),
            resources={"io_manager": lake, "lake": lake, **resources},
            raise_on_error=False,
        )
    events = result.all_events
    made = [e.step_materialization_data.materialization for e in events if e.is_step_materialization]
    checks = {(c.asset_key.path[-1], c.check_name): c for c in result.get_asset_check_evaluations()}
    return {m.asset_key: m.metadata for m in made}, checks, result.success


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_assets_write_with_the_embedded_model_and_repeat_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    recipe = load_recipe("laptop")
    lake, gpu = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), Gpu.from_recipe(recipe.llm)
    short = {"max_output_tokens": 96, "min_tokens_after": 5}
    prompts = {name: p.model_copy(update=short) for name, p in recipe.web.rephrased.prompts().items()}
    recipe = recipe.with_sections(
        {
            "web.rephrased": recipe.web.rephrased.model_copy(update=prompts),
            "web.diverse_qa": recipe.web.diverse_qa.model_copy(
                update={"max_questions": 1, **short, "min_tokens_after": 50}
            ),
        }
    )
    documents = pl.concat([animals("fox", "carp", lines=2), animals("toad", level="low", lines=2)])
    lake.write(CURATED, documents, SNAPSHOT)
    resources = {"gpu": gpu, "recipe": recipe}
    (made, _, success) = _run(lake, [generator], None, **resources)
    assert success and made[GENERATOR.asset_key]["parameters"].value == 134_515_008
    try:
        assets = [rephrased, diverse_qa, rephrasings_are_whole, pairs_are_whole, *USABLE]
        made, checks, success = _run(lake, assets, **resources)
        assert success and all(check.passed for check in checks.values()) and len(checks) == 4
        facts, qa = made[REPHRASED.asset_key], made[DIVERSE_QA.asset_key]
        assert facts["segments"].value == facts["new_generations"].value == 9  # two documents each, one low
        assert qa["segments"].value == qa["new_generations"].value == 2
        rows, pairs = (lake.read(table, SNAPSHOT).scan().collect() for table in (REPHRASED, DIVERSE_QA))
        generations = {row["id"]: row for row in lake.read(GENERATIONS).scan().collect().iter_rows(named=True)}
        rejects = lake.read(QUARANTINE).scan().collect() if lake.read(QUARANTINE).exists else pl.DataFrame()
        used = [*rows["generation_ids"].explode(), *pairs["generation_id"]]
        assert sorted([*used, *rejects.get_column("row_id", default=pl.Series([]))]) == sorted(generations)
        assert {g["prompt"] for g in generations.values()} == set(PROMPTS)
        # The grammar enforces the form of every answer that was not cut.
        for reject in rejects.iter_rows(named=True):
            assert reject["cause"] in ("truncated", "too_short"), reject
        assert used, "the embedded model manages some"
        assert "| wikipedia | 3 | 3 |" in facts["prompts"].value
        assert "data:image/png" in facts["tokens_per_prompt"].value
        # A second run asks for nothing and changes nothing.
        made, _, success = _run(lake, [rephrased, diverse_qa], **resources)
        assert success and made[REPHRASED.asset_key]["new_generations"].value == 0
        for table, before in ((REPHRASED, rows), (DIVERSE_QA, pairs)):
            assert lake.read(table, SNAPSHOT).scan().collect().equals(before)
        # Fetching the same model again leaves the row as it is.
        before = lake.read(GENERATOR).scan().drop("at").collect()
        _run(lake, [generator], None, **resources)
        assert lake.read(GENERATOR).scan().drop("at").collect().equals(before)
    finally:
        gpu.release()


def _rephrasing(document: str, **changes):
    text = {
        "id": f"r {document}",
        "parents": [document],
        "snapshot": SNAPSHOT,
        "prompt": "distill",
        "text": "A text.",
        "language": "en",
        "generator": "tiny",
        "generation_ids": ["g"],
        "tokens": 60,
    }
    return text | changes


def _check(lake, check, rows: list[dict], recipe, rejects: Rejects | None = None):
    """The result of a check of web.rephrased that holds these rows and has rejected these."""

    @dg.asset(key=REPHRASED.asset_key, partitions_def=rephrased.partitions_def)
    def given():
        frame = pl.DataFrame(rows, schema_overrides={"generation_ids": pl.List(pl.String)})
        return Batches([frame], rejects or Rejects())

    (result,) = _run(lake, [given, check], recipe=recipe)[1].values()
    return result


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None), ({"id": "r fox"}, "doubled"), ({"parents": ["nobody"]}, "orphans"), ({"tokens": 2}, "broken"),
        ({"text": " "}, "broken"), ({"generation_ids": []}, "broken"), ({"prompt": "poem"}, "broken"),
        ({"text": f"{PROMPTS['distill'].marker} A text."}, "broken"),
    ],
)  # fmt: skip
def test_checks_find_rows_that_are_not_whole(tmp_path, changes, fault):
    lake, recipe = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), load_recipe("laptop")
    lake.write(CURATED, animals("fox", "owl").with_columns(id=pl.Series(["fox", "owl"])), SNAPSHOT)
    check = _check(lake, rephrasings_are_whole, [_rephrasing("fox"), _rephrasing("owl", **changes)], recipe)
    assert check.passed == (fault is None)
    assert fault is None or check.metadata[fault].value == 1


def test_share_of_unusable_answers_is_judged_by_the_recipe(tmp_path):
    lake, recipe = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), load_recipe("nano2")
    rejects = Rejects()
    for n in range(2):
        rejects.add(Reject(f"bad{n}", "truncated", "distill"))
    rows = [_rephrasing("fox", generation_ids=["g1", "g2", "g3"]), _rephrasing("owl")]
    check = _check(lake, USABLE[0], rows, recipe, rejects)
    facts = {name: value.value for name, value in check.metadata.items()}
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert facts == {"accepted": 4, "rejected_share": pytest.approx(1 / 3), "allowed": 0.25, "truncated": 2}
