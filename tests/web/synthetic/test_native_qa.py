"""Diverse QA in the language of the page: which pages are taken, and which answers become rows."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.generation.translation.languages import LABELS, NAMES
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.ids import content_hash
from nemotron_assets.web.quality.tables import MULTILINGUAL
from nemotron_assets.web.synthetic.assets import native_qa
from nemotron_assets.web.synthetic.checks import native_pairs_are_whole
from nemotron_assets.web.synthetic.native_qa import choose, request
from nemotron_assets.web.synthetic.prompts import DIVERSE_QA
from nemotron_assets.web.synthetic.tables import NATIVE_QA
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.pages import hash_of
from tests.resources.endpoint import Endpoint
from tests.sql.lake import frame
from tests.web.synthetic.canned import SNAPSHOT
from tests.web.synthetic.translation.owls import TRANSLATIONS

TEXTS = {
    language: "\n".join(lines[number].replace("{A}", "2 kg").replace("{B}", "10").replace("{C}", "S. 7")
                        for number in (0, 1, 3, 0, 1))
    for language, lines in TRANSLATIONS.items()
}  # fmt: skip


def page(language: str, host: str = "{}.wikipedia.org") -> dict:
    text = TEXTS[language]
    return {
        "id": f"{language} {host}", "parents": ["u"], "snapshot": SNAPSHOT, "language": language, "text": text,
        "url": f"https://{host.format(language)}/wiki/Owl", "characters": len(text), "content_hash": content_hash(text),
    }  # fmt: skip


def recipe_with(**changes):
    recipe = load_recipe("laptop")
    own = recipe.web.native_qa.model_copy(update={"max_documents": None, **changes})
    limits = recipe.web.diverse_qa.model_copy(
        update={"max_input_tokens": 900, "max_output_tokens": 300, "max_questions": 1, "min_document_tokens": 5,
                "min_segment_tokens": 5, "min_tokens_after": 10, "max_segments": 1}
    )  # fmt: skip
    return recipe.with_sections({"web.native_qa": own, "web.diverse_qa": limits})


def answer(question: str, reply: str) -> str:
    return f"{DIVERSE_QA.marker}\n- Question: {question}\n  Answer: {reply}"


def good(body: dict) -> str:
    asked = body["messages"][-1]["content"]
    language = next(code for code, name in NAMES.items() if f"The passage is in {name}." in asked)
    return answer(TRANSLATIONS[language][2], TRANSLATIONS[language][3])


@pytest.fixture
def run(tmp_path, monkeypatch, embedded_tokenizer):
    """A function that writes pages, materialises the asset and gives (rows, causes of rejects, the check)."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    uri, sha256 = lake.put_weights(embedded_tokenizer, "generator")
    row = {"id": "w", "name": "teacher", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
    lake.write(GENERATOR, frame(GENERATOR, [row]))

    def materialised(pages: list[dict], say, **changes):
        lake.write(MULTILINGUAL, frame(MULTILINGUAL, pages), SNAPSHOT)
        endpoint = Endpoint(say)
        given = [dg.AssetSpec(MULTILINGUAL.asset_key, partitions_def=native_qa.partitions_def),
                 dg.AssetSpec(GENERATOR.asset_key)]  # fmt: skip
        with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("snapshot", [SNAPSHOT])
            result = dg.materialize(
                [native_qa, native_pairs_are_whole, *(spec.with_io_manager_key("io_manager") for spec in given)],
                instance=instance,
                partition_key=SNAPSHOT,
                selection=[native_qa],
                resources={"io_manager": lake, "lake": lake, "recipe": recipe_with(**changes),
                           "gpu": Gpu(backend="openai", base_url=url, max_model_len=8_192)},
            )  # fmt: skip
        (check,) = result.get_asset_check_evaluations()
        rejected = lake.read(QUARANTINE).scan().filter(pl.col("stage") == NATIVE_QA.full_name).collect()
        rows = lake.read(NATIVE_QA, SNAPSHOT).scan().collect().to_dicts()
        return rows, rejected["cause"].to_list(), check, endpoint.bodies

    return materialised


def test_questions_are_written_in_the_language_of_every_page(run):
    rows, causes, check, _ = run([page(language) for language in TEXTS], good)
    assert causes == [] and check.passed, (causes, check.metadata)
    assert {row["language"] for row in rows} == set(TEXTS) and len(rows) == len(TEXTS) == 15
    for row in rows:
        asked, replied = LABELS[row["language"]]
        pair = f"\n\n{asked}{TRANSLATIONS[row['language']][2]}\n{replied}{TRANSLATIONS[row['language']][3]}"
        assert row["text"].endswith(pair) and row["origin_hash"] == hash_of(page(row["language"])["url"])


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (answer("What does the owl do at night?", "It hunts mice and other small animals."), "wrong_language"),
        (answer(TRANSLATIONS["de"][2], "Es tut mir leid, dabei kann ich nicht helfen."), "refused"),
        ("I'm sorry, I cannot help with that.", "unparsable"),
        (answer(TRANSLATIONS["de"][2], "Mäuse und " * 10_000), "truncated"),
    ],
)
def test_poisoned_answers_never_become_rows(run, said, cause):
    rows, causes, check, _ = run([page("de")], lambda body: said)
    assert rows == [] and causes == [cause] and check.passed


def test_without_pages_no_model_is_asked(run):
    rows, causes, _, bodies = run([page("de", "news.example"), page("fr", "wikipedia.org.evil.example")], good)
    assert rows == [] and causes == [] and bodies == []
    rows, _, _, bodies = run([page("de")], good, max_documents=0)
    assert rows == [] and bodies == []


def test_only_pages_of_the_hosts_and_languages_are_chosen():
    pages = pl.DataFrame([page("de"), page("fr"), page("it", "m.{}.wikipedia.org"), page("es", "notwikipedia.org")])
    found = choose(pages.lazy(), recipe_with(languages=("de", "it", "es")).web.native_qa).collect()
    assert sorted(found["language"]) == ["de", "it"]


def test_the_prompt_names_the_language():
    asked = request(recipe_with().web.diverse_qa, "Eulen.", "de").messages[-1][1]
    assert "Write the questions and the answers in German, too" in asked and asked.endswith("Passage:\nEulen.")
