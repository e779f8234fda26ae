"""The assets models/generator and web/diverse_qa as Dagster runs them: real vLLM on the embedded model, tiny input."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.models import GENERATOR, generator
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table import content_hash, row_id
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.synthetic.assets import diverse_qa
from nemotron_assets.web.synthetic.checks import answers_are_usable, pairs_are_whole
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse

SNAPSHOT = "CC-MAIN-2024-51"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _documents() -> pl.DataFrame:
    rows = []
    for number, animal in enumerate(("fox", "owl", "carp")):
        text = "\n".join(
            f"The {animal} of valley {i} was counted by the rangers in {1990 + i}; they found {i * 7 + 3} animals "
            f"and wrote down where each one slept, what it ate, and how far it moved in a night."
            for i in range(1, 4)
        )
        rows.append(
            {
                "id": row_id(UNIQUE_DOCUMENTS.full_name, number), "parents": ["page"], "snapshot": SNAPSHOT,
                "url": f"http://example.org/{animal}", "host": "example.org",
                "fetched_at": datetime(2024, 12, 1, tzinfo=UTC),
                "language": "de" if animal == "owl" else "en", "text": text, "characters": len(text),
                "content_hash": content_hash(text),
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


def test_generator_and_diverse_qa_materialise_and_repeat_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    recipe = load_recipe("laptop")
    sizes = {"max_questions": 1, "max_output_tokens": 96, "max_question_characters": 60, "max_answer_characters": 60}
    recipe = recipe.model_copy(update={"diverse_qa": recipe.diverse_qa.model_copy(update=sizes)})
    lake, gpu = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), Gpu.from_recipe(recipe.llm)
    lake.write(UNIQUE_DOCUMENTS, _documents(), SNAPSHOT)
    resources = {"io_manager": lake, "lake": lake, "gpu": gpu, "recipe": recipe}
    documents = dg.AssetSpec(UNIQUE_DOCUMENTS.asset_key, partitions_def=diverse_qa.partitions_def).with_io_manager_key(
        "io_manager"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("snapshot", [SNAPSHOT])

        def run(*assets, partition: str | None = SNAPSHOT) -> dict:
            result = dg.materialize(
                [*assets, documents, *([generator] if generator not in assets else [])], instance=instance,
                resources=resources, partition_key=partition, selection=list(assets),
            )  # fmt: skip
            assert result.success
            made = [e.step_materialization_data.materialization for e in result.all_events if e.is_step_materialization]
            return {m.asset_key: m for m in made}

        first = run(generator, partition=None)[GENERATOR.asset_key]
        assert first.metadata["parameters"].value == 134_515_008
        try:
            facts = run(diverse_qa, pairs_are_whole, answers_are_usable)[DIVERSE_QA.asset_key].metadata
            rows = lake.read(DIVERSE_QA, SNAPSHOT).scan().collect()
            assert facts["segments"].value == facts["new_generations"].value == 2
            assert facts["accepted"].value == rows.height
            rejects = lake.read(QUARANTINE).scan().collect() if lake.read(QUARANTINE).exists else []
            assert rows.height + len(rejects) == 2
            assert lake.read(GENERATIONS).rows == 2
            again = run(diverse_qa)[DIVERSE_QA.asset_key].metadata
            assert again["new_generations"].value == 0
            assert lake.read(DIVERSE_QA, SNAPSHOT).scan().collect().equals(rows)
            # The same model again is the same row, and nothing downstream is stale.
            second = run(generator, partition=None)[GENERATOR.asset_key]
            assert second.tags["dagster/data_version"] == first.tags["dagster/data_version"]
        finally:
            gpu.release()
