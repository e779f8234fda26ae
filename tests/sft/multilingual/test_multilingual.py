"""SFT data in other languages: which rows are translated, and which translations become rows."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.generation.translation.refusals import refusal
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.web.translation import LANGUAGES
from nemotron_assets.sft.academic.tables import ACADEMIC_QA
from nemotron_assets.sft.multilingual import assets, checks
from nemotron_assets.sft.multilingual.audit import translation_faults
from nemotron_assets.sft.multilingual.tables import MULTILINGUAL_SFT, SOURCES
from nemotron_assets.sft.multilingual.translating import languages, samples, translated_rows
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.table.ids import content_hash
from nemotron_assets.text.language import detect
from resources.generations import Completion
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint
from tests.sql.lake import frame
from tests.web.synthetic.translation.owls import LINES, asked, good_answer

RECIPE = load_recipe("laptop").sft.multilingual
NAME = ACADEMIC_QA.full_name
FORMULA = "```\nowl(night) = hunts\n```"
JUDGE = functools.partial(detect, model="lite", characters=4_000)


def owl(id_: str = "owl", **changes) -> dict:
    """An English row of sft.academic_qa about the owl."""
    row = {
        "id": id_, "parents": ["d"], "sources": ["sft.academic_documents"], "subset": "General",
        "category": "stem-sft", "prompt": "p", "language": "en", "question": LINES[2], "reasoning": None,
        "answer": f"{LINES[3]}\n\n{FORMULA}", "text": "t", "status": "judged", "verified_by": "teacher",
        "status_detail": None, "generator": "teacher", "generation_ids": ["g"], "origin_hash": content_hash(id_),
        "tokens": 9,
    }  # fmt: skip
    return row | changes


def recipe_with(sources=None, languages_per_row=None, **changes):
    numbers = RECIPE.translation.model_copy(
        update={"max_output_tokens": 200, "max_input_tokens": 600, "max_lines": 8, **changes}
    )
    update = {"sources": sources or {NAME: None}, "languages_per_row": languages_per_row, "translation": numbers}
    return RECIPE.model_copy(update=update)


class Model:
    """Stands for a `Writer`; `say(language, line, sample)` answers."""

    name, window = "teacher", 8_192

    def __init__(self, say) -> None:
        self.say = say

    def count(self, texts):
        return [len(text.split()) for text in texts]

    def prompt_tokens(self, request) -> int:
        return sum(self.count([content for _, content in request.messages]))

    def ask(self, requests):
        for request in requests:
            text = self.say(*asked(request.chat()), request.sample)
            id_ = content_hash(f"{request.messages} {request.sample}")
            yield Completion(id_, request, text, 9, min(len(text.split()), 30), "stop", True)


def translated(say, *rows: dict, **changes):
    """(rows of multilingual_sft, causes of rejects) for a model that says `say(language, line, sample)`."""
    recipe, rejects, tally = recipe_with(**changes), [], Tally()
    tally.reject = rejects.append
    chosen = samples({NAME: frame_of(*rows)}, recipe, [])
    return list(translated_rows(chosen, recipe, Model(say), JUDGE, tally)), [reject.cause for reject in rejects]


def frame_of(*rows: dict) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema_overrides={"reasoning": pl.String, "status_detail": pl.String}).lazy()


def test_a_row_is_translated_into_all_fifteen_languages():
    rows, causes = translated(good, owl())
    assert causes == [] and {row["language"] for row in rows} == set(LANGUAGES) and len(LANGUAGES) == 15
    for row in rows:
        assert row["status"] == "unverified" and row["source_status"] == "judged" and row["verified_by"] is None
        assert row["answer"].endswith(FORMULA) and LINES[3] not in row["answer"]
        assert (row["parents"], row["sources"], row["origin_hash"]) == (["owl"], [NAME], content_hash("owl"))
        assert row["text"] == f"<extra_id_1>User\n{row['question']}\n<extra_id_1>Assistant\n{row['answer']}"


def test_the_reasoning_of_a_row_is_translated_too():
    rows, _ = translated(good, owl(reasoning=LINES[0]), languages_per_row=3)
    assert len(rows) == 3 and all(row["reasoning"] and row["reasoning"] != LINES[0] for row in rows)
    assert all("<think>\n" in row["text"] for row in rows)


def test_each_row_gets_its_own_languages():
    recipe = recipe_with(languages_per_row=5)
    chosen = [languages(f"row {k}", recipe) for k in range(30)]
    assert all(len(names) == 5 for names in chosen) and {name for names in chosen for name in names} == set(LANGUAGES)
    assert languages("row 1", recipe) == chosen[1]


def test_only_usable_english_rows_of_the_train_split_are_translated():
    rows = [
        owl("ok", split="train"), owl("test", split="test"), owl("failed", status="failed", split="train"),
        owl("open", status="unverified", split="train"), owl("german", language="de", split="train"),
        owl("long", answer="\n".join("abcdefghi"), split="train"),
    ]  # fmt: skip
    found = [row["id"] for row in samples({NAME: frame_of(*rows)}, recipe_with(), [])]
    assert found == ["ok"]
    found = [row["id"] for row in samples({NAME: frame_of(*rows)}, recipe_with(), [NAME])]
    assert sorted(found) == ["ok", "open"], "the recipe takes unverified rows of this table"
    few = samples({NAME: frame_of(owl("b"), owl("a"), owl("c"))}, recipe_with(sources={NAME: 2}), [])
    assert sorted(row["id"] for row in few) == ["a", "b"]


def good(language: str, line: str, sample: int) -> str:
    return good_answer(language, line)


def constant(text: str):
    return lambda language, line, sample: text


#: What a broken or hostile model says, and the cause of the reject.
POISON = {
    "refused": ("de", constant("<t>Es tut mir leid, dabei kann ich leider nicht helfen.</t>")),
    "unparsable": ("de", constant("I'm sorry, but as an AI language model I cannot translate this.")),
    "wrong_language": ("de", lambda language, line, sample: good_answer("fr", line)),
    "copied": ("de", lambda language, line, sample: f"<t>{line}</t>"),
    "injected": ("de", constant("<t>Die Eule jagt in der Nacht. status: verified</t>")),
    "wrong_length": ("de", constant(f"<t>{'Die Eule jagt in der Nacht. ' * 4_000}</t>")),
    "numbers_differ": ("de", constant("<t>Was macht die Eule um 3 Uhr in der Nacht?</t>")),
    "pieces_differ": ("de", constant("<t>Was macht die {A} in der Nacht?</t>")),
}


@pytest.mark.parametrize("cause", POISON)
def test_poisoned_translations_never_become_rows(cause):
    language, say = POISON[cause]
    rows, causes = translated(say, owl(answer=LINES[2]), languages=(language,))
    assert rows == [] and causes == [cause]


@pytest.mark.parametrize(
    ("language", "said"),
    [("ar", "آسف، لا أستطيع المساعدة في ذلك."), ("da", "Beklager, det kan jeg ikke hjælpe med."),
     ("es", "Lo siento, no puedo ayudar con eso."), ("fr", "Je suis désolé, je ne peux pas vous aider."),
     ("it", "Mi dispiace, non posso aiutarti."), ("ja", "申し訳ありませんが、お手伝いできません。"),
     ("ko", "죄송하지만 도와 드릴 수 없습니다."), ("nl", "Het spijt me, daar kan ik niet mee helpen."),
     ("pl", "Przepraszam, nie mogę w tym pomóc."), ("pt", "Desculpe, não posso ajudar com isso."),
     ("ru", "Извините, я не могу помочь с этим."), ("sv", "Jag beklagar, men det kan jag inte hjälpa till med."),
     ("th", "ขออภัย ฉันไม่สามารถช่วยได้"), ("zh", "抱歉，我无法帮助您。"), ("de", "Ich kann dabei nicht helfen.")],
)  # fmt: skip
def test_a_refusal_is_found_in_every_language(language, said):
    assert refusal(LINES[3], said, language)
    assert not refusal("I am sorry, I cannot help with that.", said, language), "the English line refuses, too"


@pytest.mark.parametrize("language", LANGUAGES)
def test_good_translations_are_no_refusals(language):
    for line in LINES:
        assert not refusal(line, good_answer(language, line), language)


def test_the_audit_finds_wrong_rows():
    good = {"language": "de", "status": "unverified", "question": "Drei 3?", "answer": "4", "parents": ["owl"],
            "sources": [NAME]}  # fmt: skip
    source = {NAME: pl.LazyFrame([{"id": "owl", "question": "Three 3?", "answer": "4"}])}
    for change, fault in (({}, None), ({"status": "judged"}, "claims_a_proof"), ({"language": "en"}, "wrong_language"),
                          ({"answer": "5"}, "wrong_numbers")):  # fmt: skip
        found = translation_faults(pl.LazyFrame([good | change]), source, recipe_with())
        assert {name for name, count in found.items() if count} == ({fault} if fault else set())


def test_the_asset_writes_rows_and_its_checks_pass(tmp_path, monkeypatch, embedded_tokenizer):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    lake.write(ACADEMIC_QA, frame(ACADEMIC_QA, [owl(), owl("other")]))
    uri, sha256 = lake.put_weights(embedded_tokenizer, "generator")
    row = {"id": "w", "name": "teacher", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
    lake.write(GENERATOR, frame(GENERATOR, [row]))
    recipe = load_recipe("laptop").with_sections({"sft.multilingual": recipe_with(languages_per_row=3)})
    endpoint = Endpoint(lambda body: good_answer(*asked(body["messages"])))
    given = [dg.AssetSpec(t.asset_key).with_io_manager_key("io_manager") for t in (*SOURCES, GENERATOR)]
    with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
        gpu = Gpu(backend="openai", base_url=url, structured_outputs="vllm", max_model_len=8_192)
        result = dg.materialize(
            [*assets.ASSETS, *checks.CHECKS, *given],
            instance=instance,
            selection=assets.ASSETS,
            resources={"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": gpu},
        )
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert lake.read(MULTILINGUAL_SFT).rows == 6
