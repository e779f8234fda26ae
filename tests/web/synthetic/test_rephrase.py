"""Rephrasing: the grammars, the parser of answers, and whole passes against an endpoint with canned answers."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.generation.asking import Tally, frames
from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.table.ids import row_id
from nemotron_assets.web.synthetic import rephrase
from nemotron_assets.web.synthetic.passages import passages, room
from nemotron_assets.web.synthetic.prompts import PROMPTS
from nemotron_assets.web.synthetic.tables import REPHRASED
from resources.generations import Ledger
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint, completion
from tests.web.synthetic.canned import animals

NANO2, LAPTOP = load_recipe("nano2").web.rephrased, load_recipe("laptop").web.rephrased
NAMES = list(NANO2.prompts())
# Short lines, so that Hypothesis gets from one end of the grammar to the other.
TINY = {
    name: limits.model_copy(update={"max_lines": 3, "max_line_characters": 48})
    for name, limits in NANO2.prompts().items()
}
MARKED = {name: f"{PROMPTS[name].marker}\n" if PROMPTS[name].marker else "" for name in NAMES}


def _written(name: str, text: str) -> str:
    """An answer as the prompt asks for it."""
    return "\n".join(f"- {line}" for line in text.split("\n")) if name == "knowledge_list" else MARKED[name] + text


def test_published_limits():
    """Input, output, least document, segment and text, in tokens (NeMo Curator, Nemotron recipes)."""
    columns = ("max_input_tokens", "max_output_tokens", "min_document_tokens", "min_segment_tokens", "min_tokens_after")
    published = {name: tuple(getattr(p, column) for column in columns) for name, p in NANO2.prompts().items()}
    assert published == {
        "wikipedia": (512, 512, 5, 5, 50),
        "distill": (2000, 1600, 30, 10, 50),
        "extract_knowledge": (1400, 1400, 30, 30, 50),
        "knowledge_list": (1000, 600, 30, 30, 50),
    }
    assert (NANO2.temperature, NANO2.top_p) == (0.5, 0.9)
    for recipe in (NANO2, LAPTOP):
        levels = {name: set(p.documents) for name, p in recipe.prompts().items()}
        assert levels == {name: {"high", "low"} if name == "wikipedia" else {"high"} for name in NAMES}


def test_prompts_that_do_not_fit_into_the_model_are_refused(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("extends: nano2\nllm: {max_model_len: 3000}")
    with pytest.raises(RecipeError, match=r"distill: max_input_tokens 2000 \+ max_output_tokens 1600 is more than"):
        load_recipe(str(own))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_matches_the_grammar_parses(name, data):
    """Any answer the grammar admits gives a text, unless the grammar's own limit cut one of its lines, or it is a
    loop."""
    pattern = rephrase.output_format(name, TINY[name]).spec
    answer = data.draw(st.from_regex(pattern, fullmatch=True))
    text, cause = rephrase.parse(name, answer, TINY[name])
    if cause == "truncated":
        assert not text and max(map(len, answer.split("\n"))) >= 40
    elif cause == "degenerate":
        assert not text
    else:
        assert cause == "" and text.strip()
        assert not PROMPTS[name].marker or not text.startswith(PROMPTS[name].marker)


@pytest.mark.parametrize("name", NAMES)
def test_grammar_admits_what_is_asked_for_and_bounds_it(name):
    limits = TINY[name]
    pattern = re.compile(rephrase.output_format(name, limits).spec)
    line = "Water is wet, and ice floats."
    assert pattern.fullmatch(_written(name, line)) and pattern.fullmatch(_written(name, "\n".join([line] * 3)))
    assert not pattern.fullmatch(_written(name, "\n".join([line] * 4)))
    assert not pattern.fullmatch(_written(name, "x" * 49))
    assert not pattern.fullmatch(MARKED[name])
    if MARKED[name] or name == "knowledge_list":
        assert not pattern.fullmatch(line)


@pytest.mark.parametrize(
    ("name", "answer", "text"),
    [
        ("wikipedia", f'**{PROMPTS["wikipedia"].marker}**\n\n"Water is *wet*."', "Water is wet."),
        ("distill", f"{PROMPTS['distill'].marker} “Water is wet.”", "Water is wet."),
        ("extract_knowledge", "Passage 1:\nWater is wet.\n\nPassage 2:\nIce floats.", "Water is wet.\n\nIce floats."),
        ("knowledge_list", "Facts:\n- Water is **wet**.\n  - Ice floats.", "Water is wet.\nIce floats."),
    ],
)
def test_answers_lose_what_is_not_text(name, answer, text):
    assert rephrase.parse(name, answer, NANO2.prompts()[name]) == (text, "")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("wikipedia", "Water is wet."), ("distill", "I cannot do that."), ("distill", PROMPTS["distill"].marker),
        ("extract_knowledge", "Passage:"), ("extract_knowledge", " \n"), ("knowledge_list", "There are no facts."),
    ],
)  # fmt: skip
def test_answers_in_another_form_are_unparsable(name, answer):
    assert rephrase.parse(name, answer, NANO2.prompts()[name]) == ("", "unparsable")


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(max_size=200))
def test_parser_survives_anything(name, text):
    found, cause = rephrase.parse(name, text, NANO2.prompts()[name])
    assert bool(found) != bool(cause) and found == found.strip()


def test_an_answer_that_repeats_the_prompt_or_itself_is_degenerate():
    limits, passage = NANO2.prompts()["extract_knowledge"], "The lake is deep. It is deep and deep."
    loops = "The lake is very deep. " * 4
    echo = "Leave out whatever teaches nothing: advertising, navigation, greetings, opinions without reasons."
    for answer in (loops, echo):
        assert rephrase.parse("extract_knowledge", answer, limits, passage) == ("", "degenerate")
    assert rephrase.parse("extract_knowledge", loops, limits, loops) == (loops.strip(), "")


def test_prompts_are_told_apart_and_end_with_the_passage():
    asked = {name: rephrase.request(name, NANO2, "the {passage}", ("d",)) for name in NAMES}
    assert all(r.messages[-1][1].endswith("\n\nPassage:\nthe {passage}") for r in asked.values())
    assert all(PROMPTS[name].marker in r.messages[-1][1] for name, r in asked.items())
    systems = {name: r.messages[0][1] for name, r in asked.items()}
    assert systems["distill"] != systems["wikipedia"] == systems["extract_knowledge"] == systems["knowledge_list"]
    assert {r.sampling.max_tokens for r in asked.values()} == {512, 1600, 1400, 600}


@pytest.fixture
def run(tmp_path, monkeypatch, embedded_tokenizer):
    """A function that rephrases documents with the answers of an endpoint. All calls share one lake and its ledger."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)

    def run(documents, recipe, endpoint):
        rejects, tallies, prompts = [], {name: Tally() for name in recipe.prompts()}, recipe.prompts()
        with endpoint.serve() as url:
            engine = Gpu(backend="openai", base_url=url).engine(embedded_tokenizer, "canned")
            rooms = {n: room(n, p, len(engine.prompt_ids(rephrase.request(n, recipe, "")))) for n, p in prompts.items()}
            rows = rephrase.rows(
                passages(documents.lazy(), prompts, rooms, engine.count_tokens),
                recipe,
                generator="canned",
                count=engine.count_tokens,
                generate=lambda asked: Ledger(lake).generate(engine, asked),
                reject=rejects.append,
                tallies=tallies,
            )
            return pl.concat(frames(rows, REPHRASED)), rejects, tallies

    return run


FACTS = "\n".join(f"Fact {i}: the animal of valley {i} was counted, and {i * 7} of them were found." for i in range(5))


def _prompt_of(body) -> str:
    """The name of the prompt in a request; the tasks differ in their first words."""
    text = body["messages"][-1]["content"]
    return next(name for name in NAMES if text.startswith(PROMPTS[name].task.split(" ")[0]))


def test_every_prompt_rewrites_the_documents_it_is_for(run):
    """From documents to rows through the endpoint and the ledger. A second pass asks for nothing and gives the same
    rows."""
    endpoint = Endpoint(lambda body: _written(_prompt_of(body), FACTS))
    documents = pl.concat([animals("fox", "owl"), animals("hare", level="low"), animals("crow", level="medium")])
    rows, rejects, tallies = run(documents, NANO2, endpoint)
    levels = dict(documents.select("id", "level").iter_rows())
    found = sorted((row["prompt"], levels[row["parents"][0]]) for row in rows.to_dicts())
    assert found == sorted([("wikipedia", "low"), *((name, "high") for name in NAMES for _ in range(2))])
    assert not rejects and set(rows["text"]) == {FACTS} and set(rows["tokens"]) == {rows["tokens"][0]}
    assert rows["id"].to_list() == [row_id("web.rephrased", r["parents"][0], r["prompt"]) for r in rows.to_dicts()]
    assert {len(ids) for ids in rows["generation_ids"]} == {1}
    assert {name: t.rows for name, t in tallies.items()} == {n: 3 if n == "wikipedia" else 2 for n in NAMES}
    again, _, tallies = run(documents, NANO2, endpoint)
    assert again.equals(rows) and len(endpoint.bodies) == 9 and not sum(t.new for t in tallies.values())


def test_segments_are_joined_in_order_without_those_that_failed(run):
    """A document has several segments. The answer to the second is cut, the third is refused: the row has the
    others."""
    documents = animals("fox", lines=20)
    lines = documents["text"][0].split("\n")
    recipe = NANO2.model_copy(
        update={
            name: p.model_copy(
                update={"documents": {"high": 1} if name == "wikipedia" else {}, "max_input_tokens": 240}
            )
            for name, p in NANO2.prompts().items()
        }
    )
    asked = []

    def answer(body):
        passage = body["messages"][-1]["content"].split("Passage:\n")[1]
        asked.append(passage)
        if lines[3] in passage:
            return 200, {}, completion(_written("wikipedia", passage), "length", 512)
        if lines[7] in passage:
            return "I would rather not."
        return _written("wikipedia", passage)

    rows, rejects, tallies = run(documents, recipe, Endpoint(answer))
    (row,) = rows.to_dicts()
    kept = [p for p in sorted(asked, key=lambda p: lines.index(p.split("\n")[0])) if lines[3] not in p]
    kept = [p for p in kept if lines[7] not in p]
    assert len(asked) > 4 and row["text"] == rephrase.SEPARATOR.join(kept)
    assert len(row["generation_ids"]) == len(kept) == len(asked) - 2
    assert sorted(reject.cause for reject in rejects) == ["truncated", "unparsable"]
    assert not {reject.row_id for reject in rejects} & set(row["generation_ids"])
    tally = tallies["wikipedia"]
    assert (tally.segments, tally.accepted, tally.rows, tally.tokens) == (len(asked), len(kept), 1, row["tokens"])


def test_short_texts_reject_every_generation_in_them(run):
    endpoint = Endpoint(lambda body: _written(_prompt_of(body), "Foxes were counted in valleys."))
    rows, rejects, tallies = run(animals("fox", "owl"), NANO2, endpoint)
    assert rows.is_empty() and {reject.cause for reject in rejects} == {"too_short"}
    assert len({reject.row_id for reject in rejects}) == len(rejects) == 8
    assert all(t.rejected["too_short"] == t.segments == 2 for t in tallies.values())
