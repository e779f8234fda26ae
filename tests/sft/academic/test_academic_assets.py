"""Academic documents, their questions and long documents as Dagster runs them, with a local endpoint."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.sft.academic import assets, checks
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS, ACADEMIC_QA, LONGDOC_QA
from nemotron_assets.web.quality.tables import CURATED
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.pages import page_is_held_out
from tests.resources.endpoint import Endpoint
from tests.sft.academic.metals import METALS, document, good, recipe_with
from tests.sql.lake import frame


class House:
    """A lake with documents about metals, and the room's assets with an endpoint that says what `answer` returns."""

    def __init__(self, folder, tokenizer) -> None:
        self.lake = Lakehouse(root=str(folder / "lake"), free_disk_mb=0)
        self.lake.write(CURATED, frame(CURATED, [document(metal) for metal in METALS]), "S1")
        uri, sha256 = self.lake.put_weights(tokenizer, "generator")
        row = {"id": "w", "name": "teacher", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
        self.lake.write(GENERATOR, frame(GENERATOR, [row]))

    def run(self, answer):
        """(metadata by table, checks by name, number of requests) of a run of all three assets."""
        recipe, endpoint = recipe_with(), Endpoint(answer)
        given = [
            dg.AssetSpec(t.asset_key).with_io_manager_key("io_manager") for t in (CURATED, NEMOTRON_CC_MATH, GENERATOR)
        ]
        with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
            gpu = Gpu(backend="openai", base_url=url, structured_outputs="vllm", max_model_len=8_192)
            result = dg.materialize(
                [*assets.ASSETS, *checks.CHECKS, *given],
                instance=instance,
                selection=assets.ASSETS,
                resources={"io_manager": self.lake, "lake": self.lake, "recipe": recipe, "gpu": gpu},
            )
        made = [e.step_materialization_data.materialization for e in result.all_events if e.is_step_materialization]
        found = {c.check_name: c for c in result.get_asset_check_evaluations() if c.check_name != "answers_are_usable"}
        return {m.asset_key.path[-1]: m.metadata for m in made}, found, len(endpoint.bodies)

    def rows(self, table) -> list[dict]:
        return self.lake.read(table).scan().sort("id").collect().to_dicts()

    def causes(self, table) -> dict[str, int]:
        rejected = self.lake.read(QUARANTINE).scan().filter(pl.col("stage") == table.full_name)
        return dict(rejected.group_by("cause").len().collect().iter_rows())


@pytest.fixture(scope="module")
def made(tmp_path_factory, embedded_tokenizer):
    """The house after a run with good answers, and what the run gave."""
    folder = tmp_path_factory.mktemp("academic")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(folder))
        house = House(folder, embedded_tokenizer)
        yield house, *house.run(good), house.run(good)[2]


def test_documents_of_other_subjects_and_held_out_ones_are_left_out(made):
    house, metadata, _, *_ = made
    share = load_recipe("laptop").blend.held_out_share
    wanted = {f"page {m}" for m in METALS if m != "lead" and not page_is_held_out(document(m)["url"], share)}
    rows = house.rows(ACADEMIC_DOCUMENTS)
    assert {row["parents"][0] for row in rows} == wanted and metadata["academic_documents"]["kept"].value == len(wanted)
    assert all((r["subject"], r["quality"], r["quality_by"]) == ("physics", 4.0, "teacher") for r in rows)
    assert all(row["sources"] == ["web.curated"] for row in rows)


def test_all_checks_pass_and_a_second_run_asks_for_nothing(made):
    _, _, found, asked, asked_again = made
    assert len(found) == 3 and all(check.passed for check in found.values()), found
    assert asked > 20 and asked_again == 0


def test_the_majority_confirms_choices_and_the_judge_free_answers(made):
    house, *_ = made
    rows = house.rows(ACADEMIC_QA)
    status = {(row["kind"], row["status"], row["verified_by"]) for row in rows if "zinc" not in row["question"]}
    assert status == {("multiple_choice", "majority", "4 of 4 samples"), ("free_response", "judged", "teacher")}
    zinc = {row["kind"]: row["status"] for row in rows if "zinc" in row["question"]}
    assert zinc == {"multiple_choice": "majority", "free_response": "failed"}, "the judge says No about zinc"
    choice = next(row for row in rows if row["kind"] == "multiple_choice")
    assert choice["options"].index("its thermal conductivity") >= 0 and len(set(choice["options"])) == 4
    letter = "ABCD"[choice["options"].index("its thermal conductivity")]
    assert choice["answer"].endswith(f"\n\nAnswer: {letter}. its thermal conductivity")
    assert choice["text"].startswith("<extra_id_1>User\nWhich property")
    assert len({tuple(row["options"]) for row in rows if row["options"]}) > 1, "the right option has no fixed place"


def test_a_prompt_shows_the_nearest_snippets_of_other_documents(made):
    house, *_ = made
    for row in house.rows(ACADEMIC_QA):
        first, *others = row["parents"]
        assert row["snippets"] and {name.split(":")[0] for name in row["snippets"]} == set(others) - {first}
        assert row["similarities"] == sorted(row["similarities"], reverse=True)


def test_a_long_document_is_followed_by_its_pairs(made):
    house, *_ = made
    rows = house.rows(LONGDOC_QA)
    assert rows and all(row["status"] == "judged" for row in rows) and all("zinc" not in row["text"] for row in rows)
    documents = {row["id"]: row["text"] for row in house.rows(ACADEMIC_DOCUMENTS)}
    for row in rows:
        whole = documents[row["parents"][0]]
        body, pairs = row["text"].split("\n\nQuestion: ", 1)
        assert whole.startswith(body) and len(body) < len(whole), "it is cut at the recipe's limit"
        assert pairs.count("Answer: ") == len(row["pieces"]) >= 2 and row["document_tokens"] <= 400
    assert house.causes(LONGDOC_QA)["too_few_pairs"] == 1, "zinc"
