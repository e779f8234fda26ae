"""The blend's assets through Dagster: tables, checks, and a second run that changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.blend import ASSETS, CHECKS
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table import content_hash, row_id, snapshot_partitions
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from resources.lakehouse import Lakehouse


@pytest.fixture(scope="module")
def recipe():
    laptop = load_recipe("laptop")
    return laptop.model_copy(
        update={
            "tokenizer": laptop.tokenizer.model_copy(update={"vocabulary": 1_024}),
            "blend": laptop.blend.model_copy(update={"held_out_share": 0.2, "sort_memory_mb": 128}),
        }
    )


@pytest.fixture(scope="module")
def lake(sample_texts, tmp_path_factory) -> Lakehouse:
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")), free_disk_mb=0)
    at = pl.lit(datetime(2024, 12, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    texts = sample_texts[:80]
    documents = pl.DataFrame({"text": texts}).select(
        pl.Series("id", [row_id("web.unique_documents", k) for k in range(len(texts))]),
        pl.Series("parents", [[row_id("web.documents", k)] for k in range(len(texts))]),
        pl.Series("snapshot", [f"s{k % 2}" for k in range(len(texts))]),
        pl.lit("https://host/page").alias("url"),
        pl.lit("host").alias("host"),
        at.alias("fetched_at"),
        pl.lit("en").alias("language"),
        "text",
        pl.col("text").str.len_chars().cast(pl.Int64).alias("characters"),
        pl.Series("content_hash", [content_hash(text) for text in texts]),
    )
    qa = documents.head(20).select(
        pl.concat_str("id", pl.lit("-qa")).alias("id"),
        pl.concat_list("id").alias("parents"),
        "snapshot",
        pl.concat_str(pl.col("text").str.head(300), pl.lit("\n\nQuestion: Why? Answer: Because.")).alias("text"),
        pl.lit(1, pl.Int32).alias("question_count"),
        pl.lit("diverse_qa").alias("prompt"),
        pl.lit("model").alias("generator"),
        pl.lit("generation").alias("generation_id"),
        "language",
        pl.lit(90, pl.Int64).alias("tokens"),
    )
    for snapshot in ("s0", "s1"):
        lake.write(UNIQUE_DOCUMENTS, documents.filter(snapshot=snapshot), snapshot)
        lake.write(DIVERSE_QA, qa.filter(snapshot=snapshot), snapshot)
    return lake


def materialize(recipe, lake) -> dg.ExecuteInProcessResult:
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("snapshot", ["s0", "s1"])
    upstream = [dg.AssetSpec(t.asset_key, partitions_def=snapshot_partitions) for t in (UNIQUE_DOCUMENTS, DIVERSE_QA)]
    return dg.materialize(
        [*ASSETS, *CHECKS, *upstream],
        selection=dg.AssetSelection.groups("blend") | dg.AssetSelection.checks(*CHECKS),
        resources={"io_manager": lake, "lake": lake, "recipe": recipe},
        instance=instance,
    )


def test_blend(recipe, lake):
    result = materialize(recipe, lake)
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    assert set(checks) == {
        "tokenizer_round_trip", "sequences_are_whole", "only_known_training_documents", "text_comes_back",
    }  # fmt: skip
    assert all(check.passed for check in checks.values())
    assert checks["text_comes_back"].metadata["documents_compared"].value > 10
    tokenizer = lake.read(TOKENIZER).scan().collect().row(0, named=True)
    assert tokenizer["vocabulary"] == 1_024
    shards = lake.read(TOKEN_SHARDS).scan().collect()
    assert {source for sources in shards["sources"] for source in sources} == set(recipe.blend.weights)
    assert len(lake.read(UNIQUE_DOCUMENTS).scan().collect()) > shards["parents"].explode().n_unique() - 20

    again = materialize(recipe, lake)
    (written,) = again.asset_materializations_for_node("blend__token_shards")
    assert written.metadata["parts_written"].value == 0
    assert lake.read(TOKENIZER).scan().collect().equals(pl.DataFrame([tokenizer]))


def test_a_held_out_document_in_the_shards_fails_the_check(recipe, lake):
    materialize(recipe, lake)
    unfair = recipe.model_copy(update={"blend": recipe.blend.model_copy(update={"held_out_share": 0.4})})
    check = next(c for c in CHECKS if "only_known_training_documents" in str(c.check_keys))
    result = check(lake=lake, recipe=unfair)
    assert not result.passed
    assert result.metadata["held_out_parents"].value > 0
    assert result.metadata["unknown_parents"].value == 0
