"""The blend's assets through Dagster: tables, checks, and a second run that changes nothing."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.blend.assets import ASSETS
from nemotron_assets.blend.checks import CHECKS
from nemotron_assets.blend.sources import DUPLICATES, made_from
from nemotron_assets.blend.tables import CATEGORIES, PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.code.qa.tables import QA
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.recipe import load_recipe
from nemotron_assets.stages import all_tables, partitions_of
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.quality.tables import MULTILINGUAL
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame


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
    texts = sample_texts[:80]
    pages = pl.DataFrame({"text": texts}).select(
        pl.Series("id", [row_id(NEMOTRON_CC_V2.full_name, k) for k in range(len(texts))]),
        pl.Series("parents", [[row_id("web.curated", k)] for k in range(len(texts))]),
        pl.lit("web.curated").alias("source"),
        pl.Series("snapshot", [f"s{k % 2}" for k in range(len(texts))]),
        pl.Series("subset", [("High-Quality", "Medium-Quality")[k % 2] for k in range(len(texts))]),
        pl.lit("en").alias("language"),
        "text",
        pl.Series("origin_hash", [content_hash(text) for text in texts]),
    )
    qa = pages.head(20).with_columns(
        pl.concat_str("id", pl.lit("-qa")).alias("id"),
        pl.concat_str(pl.col("text").str.head(300), pl.lit("\n\nQuestion: Why?\nAnswer: Because.")).alias("text"),
        subset=pl.lit("Diverse-QA"),
        source=pl.lit("web.diverse_qa"),
    )
    release = pl.concat([pages, qa]).with_columns(
        sources=pl.concat_list("source"), characters=pl.col("text").str.len_chars().cast(pl.Int64)
    )
    foreign = frame(
        MULTILINGUAL,
        [
            {
                "id": row_id(MULTILINGUAL.full_name, k),
                "snapshot": f"s{k % 2}",
                "language": "de",
                "text": text,
                "characters": len(text),
                "url": f"https://de.example/{k}",
            }
            for k, text in enumerate(sample_texts[80:110])
        ],
    )
    files = [
        {
            "id": row_id(CURATED.full_name, k),
            "repo": "o/one",
            "language": ("Python", "Go")[k % 2],
            "content": text,
            "content_hash": content_hash(text),
        }
        for k, text in enumerate(f"def f{k}(x):\r\n\treturn x + {k}\x0c\n" * 40 for k in range(20))
    ]
    lake.write(CURATED, frame(CURATED, files))
    for language in ("Python", "Go"):
        pairs = [
            {
                "id": row_id(QA.full_name, k),
                "language": language,
                "text": f"Write f{k}.\n\n{file['content'][:40]}",
                "origin_hash": file["content_hash"],
            }
            for k, file in enumerate(files)
            if file["language"] == language
        ]
        lake.write(QA, frame(QA, pairs), language)
    for snapshot in ("s0", "s1"):
        mine = release.filter(snapshot=snapshot).select(NEMOTRON_CC_V2.column_names)
        parts = [Part(subset[0], subset[0], lambda f=f: f) for subset, f in mine.group_by("subset")]
        lake.write(NEMOTRON_CC_V2, Parts(parts), snapshot)
        lake.write(MULTILINGUAL, pl.from_arrow(foreign).filter(snapshot=snapshot), snapshot)
    return lake


def materialize(recipe, lake) -> dg.ExecuteInProcessResult:
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("snapshot", ["s0", "s1"])
    names = ("sft.contaminated", *made_from(), *DUPLICATES.values())
    tables = [all_tables()[name] for name in dict.fromkeys(names)]
    upstream = [dg.AssetSpec(table.asset_key, partitions_def=partitions_of(table)) for table in tables]
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
        "tokenizer_round_trip",
        "documents_are_whole",
        "only_known_training_documents",
        "no_held_out_page_is_trained_on",
        "sequences_are_whole",
        "text_comes_back",
        "shares_add_up",
        "epochs_within_the_limit",
    }
    assert {name for name, check in checks.items() if not check.passed} <= {"epochs_within_the_limit"}
    assert checks["text_comes_back"].metadata["documents_compared"].value > 10
    tokenizer = lake.read(TOKENIZER).scan().collect().row(0, named=True)
    assert tokenizer["vocabulary"] == 1_024
    shards = lake.read(TOKEN_SHARDS).scan().collect()
    assert {source for sources in shards["sources"] for source in sources} == {
        NEMOTRON_CC_V2.full_name,
        MULTILINGUAL.full_name,
        CURATED.full_name,
        QA.full_name,
    }
    for table, origin in ((NEMOTRON_CC_V2, "origin_hash"), (CURATED, "content_hash"), (QA, "origin_hash")):
        origins = lake.read(table).scan().select("id", origin=origin).collect()
        used = origins.filter(pl.col("id").is_in(shards["parents"].explode().implode()))["origin"]
        held_out = [h for h in origins["origin"].unique() if hash_is_held_out(h, 0.2)]
        assert held_out and not set(held_out) & set(used), "what bits per byte are measured on is not trained on"

    tables = (NEMOTRON_CC_V2, MULTILINGUAL, CURATED, QA)
    assert shards["read_versions"].explode().unique().sort().to_list() == sorted(
        lake.read(table).input_version for table in tables
    )

    assert shards["parents"].explode().is_unique().all(), "every document once"
    assert set(lake.read(SEQUENCES).scan().collect()["part"]) == {"512", "1024", "2048", "8192"}
    categories, phases = (lake.read(table).scan().collect() for table in (CATEGORIES, PHASES))
    assert categories["tokens"].sum() == shards["length"].sum()
    assert set(categories.filter(status="used")["data_set"]) == set(shards["data_set"])
    assert set(phases.filter(status="missing")["category"]) >= {"wiki", "academic", "crawl++", "math"}
    assert phases.filter(pl.col("sequences") > 0)["data_set"].is_in(list(shards["data_set"].unique())).all()
    (shown,) = result.asset_materializations_for_node("blend__phases")
    assert "wiki" in shown.metadata["missing"].value and "data:image/png" in shown.metadata["shares"].value

    again = materialize(recipe, lake)
    for name in ("blend__token_shards", "blend__sequences"):
        (written,) = again.asset_materializations_for_node(name)
        assert written.metadata["parts_written"].value == 0, name
    assert lake.read(TOKENIZER).scan().collect().equals(pl.DataFrame([tokenizer]))


def test_a_held_out_document_in_the_shards_fails_the_check(recipe, lake):
    materialize(recipe, lake)
    unfair = recipe.model_copy(update={"blend": recipe.blend.model_copy(update={"held_out_share": 0.4})})
    check = next(c for c in CHECKS if "only_known_training_documents" in str(c.check_keys))
    result = check(lake=lake, recipe=unfair)
    assert not result.passed
    assert result.metadata["held_out_parents"].value > 0
    assert result.metadata["unknown_parents"].value == 0
