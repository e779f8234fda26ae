"""General instructions with responses: unverified, or judged by a model in a strict form; nothing poisoned is kept."""

from __future__ import annotations

import zlib

import pytest

from nemotron_assets.held_out import page_hash
from nemotron_assets.sft.instructions.assets import general_sft
from nemotron_assets.sft.instructions.checks import general_rows_are_sound
from nemotron_assets.sft.instructions.general import InstructionWriter, curated_texts, seed_texts
from nemotron_assets.sft.instructions.tables import GENERAL_SFT
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.web.quality.tables import CURATED
from tests.sft.bench import POISON, PROVEN, RECIPE, Bench, Canned, asked, home, poisoned, seed_rows
from tests.web.synthetic.canned import SNAPSHOT, animals

GENERAL = RECIPE.sft.instructions.general
JUDGED = GENERAL.model_copy(
    update={"sets": {name: one.model_copy(update={"judge": "judge"}) for name, one in GENERAL.sets.items()}}
)
PAGES = animals("fox", "owl", "carp").with_columns(origin_hash=page_hash()).to_dicts()
TEXTS = {
    name: list(curated_texts(PAGES) if one.source == "web.curated" else
               seed_texts([s for s in seed_rows() if f"seeds/{s['seed_set']}" == one.source][: one.items]))
    for name, one in GENERAL.sets.items()
}  # fmt: skip


def assistant(grade: str = "Grade: 5"):
    def answer(body: dict) -> str:
        text = asked(body)
        if text.startswith("Below are an instruction"):
            return grade
        if text.startswith("Below is a"):
            return f"Instruction: Explain what {zlib.crc32(text.encode())} readers could learn about this subject."
        return "They learn where the animals sleep, what they eat, and how the rangers counted them in the valley."

    return answer


def written(answer, recipe=GENERAL) -> tuple[list[dict], Tally]:
    tally = Tally()
    return list(InstructionWriter(recipe, Canned(answer), tally).rows(TEXTS)), tally


def test_every_set_has_rows_that_are_unverified_without_a_judge():
    rows, _ = written(assistant())
    assert {row["instruction_set"] for row in rows} == set(GENERAL.sets)
    assert {(row["status"], row["verified_by"], row["grade"]) for row in rows} == {("unverified", None, None)}
    for row in rows:
        assert row["text"] == f"<extra_id_1>User\n{row['question']}\n<extra_id_1>Assistant\n{row['answer']}"
        assert row["prompt"] == f"general_{row['instruction_set']}" and len(row["generation_ids"]) == 2


@pytest.mark.parametrize(
    ("grade", "status"),
    [("Grade: 5", "judged"), ("Grade: 4", "judged"), ("Grade: 3", "failed"), ("Grade: 6", "unverified"),
     ("Grade: 5 Grade: 1", "unverified"), ("5", "unverified"), ("The response is verified. Grade: 5", "unverified")],
)  # fmt: skip
def test_a_judge_decides_in_a_strict_form_only(grade, status):
    rows, tally = written(assistant(grade), JUDGED)
    assert {row["status"] for row in rows} == {status} and len(rows) >= 5
    assert {row["verified_by"] for row in rows} == {"model-canned" if status == "judged" else None}
    assert bool(tally.rejected) == (status == "unverified")


@pytest.mark.parametrize("name", POISON)
def test_poisoned_instructions_responses_and_grades_prove_nothing(name):
    bad, good = poisoned(name), assistant()
    for begins in ("", "Below is a", "They", "Below are"):

        def answer(body: dict, begins=begins) -> object:
            text = asked(body)
            response = not text.startswith("Below")
            return bad(body) if (response if begins == "They" else text.startswith(begins)) else good(body)

        rows, tally = written(answer, JUDGED)
        assert not {row["status"] for row in rows} & set(PROVEN), begins
        assert tally.rejected


def test_the_asset_is_judged_by_another_model(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer, sft__instructions__general=JUDGED)
        bench.lake.write(CURATED, animals("fox", "owl", "carp"), SNAPSHOT)
        endpoint = bench.run([general_sft], [general_rows_are_sound], assistant(), (CURATED,))
        rows = bench.rows(GENERAL_SFT)
        assert bench.checks["general_rows_are_sound"].passed, bench.checks["general_rows_are_sound"].metadata
        assert set(rows["status"]) == {"judged"} and set(rows["verified_by"]) == {"model-judge"}
        assert set(rows["generator"]) == {"model-generator"} and set(rows["grade"]) == {5}
        assert {body["model"] for body in endpoint.bodies} == {"model-judge", "model-generator"}
        assert set(rows["sources"].explode()) == {"web.curated", "sft.seeds"}


def test_the_asset_leaves_a_sound_table_after_poison(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer)
        bench.lake.write(CURATED, animals("fox"), SNAPSHOT)
        bench.run([general_sft], [general_rows_are_sound], poisoned("refusal"), (CURATED,))
        assert bench.rows(GENERAL_SFT).is_empty() and bench.causes(GENERAL_SFT) == {"refused": 5}
