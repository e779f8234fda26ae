"""Diverse QA: the grammar, the parser, the choice of pairs, and a whole pass against an endpoint with canned
answers."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.generation.asking import Tally, frames
from nemotron_assets.recipe import load_recipe
from nemotron_assets.web.synthetic import diverse_qa
from nemotron_assets.web.synthetic.diverse_qa import choose_pairs, output_format, parse
from nemotron_assets.web.synthetic.passages import Segment, passages, room
from nemotron_assets.web.synthetic.prompts import DIVERSE_QA as PROMPT
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from resources.generations import Completion, Ledger
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint, completion
from tests.web.synthetic.canned import animals, words

RECIPE = load_recipe("nano2").web.diverse_qa
SMALL = RECIPE.model_copy(
    update={"max_segments": 1, "max_questions": 3, "max_question_characters": 140, "max_answer_characters": 160}
)
TINY = RECIPE.model_copy(
    update={"max_questions": 2, "max_question_characters": 24, "max_answer_characters": 20}
)  # so that Hypothesis gets from one end of the grammar to the other


def test_published_limits():
    assert (RECIPE.max_input_tokens, RECIPE.max_output_tokens, RECIPE.min_tokens_after) == (1000, 600, 100)
    assert (RECIPE.min_document_tokens, RECIPE.min_segment_tokens, RECIPE.tokens_per_ten_pairs) == (30, 30, 150)
    assert (RECIPE.temperature, RECIPE.top_p, RECIPE.max_questions) == (0.5, 0.9, 8)
    assert set(RECIPE.documents) == {"high"}


def _answer(*pairs):
    return PROMPT.marker + "".join(f"\n- Question: {q}\n  Answer: {a}" for q, a in pairs)


# Without Markdown, because the parser removes it; the tests of generation/answers.py cover that.
sentence = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"], blacklist_characters="*_~`#[]"),
    min_size=1,
    max_size=60,
)


@given(st.lists(st.tuples(sentence, sentence), max_size=12))
def test_parser_finds_every_well_formed_pair(pairs):
    clean = {}
    for question, answer in pairs:
        question, answer = question.strip(), answer.strip()
        # A text that looks like a label would be parsed as one.
        if question and answer and not re.search(r"question|answer", question + answer, re.I):
            clean.setdefault(question.casefold(), (question, answer))
    found, cause = parse(_answer(*clean.values()), RECIPE)
    assert found == list(clean.values())[: RECIPE.max_questions]
    assert cause == ("" if clean else "unparsable")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.from_regex(output_format(TINY).spec, fullmatch=True))
def test_whatever_matches_the_grammar_parses(answer):
    """Any answer the grammar admits gives a pair, unless the grammar's own limits cut every one of them, or they echo
    the form or are loops."""
    found, cause = parse(answer, TINY)
    assert bool(found) != bool(cause) and cause in ("", "truncated", "degenerate")
    if cause == "truncated":
        lines = [re.split(r"(?:Question|Answer): ", line, maxsplit=1)[-1] for line in answer.split("\n")[1:]]
        assert any(len(line) >= 16 for line in lines)


@pytest.mark.parametrize(
    ("pairs", "cause"),
    [
        ([("The question:", 'The answer is "The answer is a document."')], "degenerate"),
        ([("The answer: The answer is a document.", "The answer is a document.")], "degenerate"),
        ([("What is ice?", "The answer to the question is the answer.")], "degenerate"),
        ([("What is ice?", "Ice is cold and ice is cold and ice is cold and ice is cold.")], "degenerate"),
        ([("What is ice?", "Use only what the passage says. Be concise, clear and complete.")], "degenerate"),
        ([("The question: the question", "The answer"), ("What is ice?", "It is water.")], ""),
    ],
)
def test_pairs_that_repeat_the_form_or_themselves_are_left_out(pairs, cause):
    found, why = parse(_answer(*pairs), RECIPE)
    assert why == cause and found == ([] if cause else pairs[1:])


@given(st.text())
def test_parser_survives_anything(text):
    for question, answer in parse(text, RECIPE)[0]:
        assert question.strip() == question and answer.strip() == answer and question and answer
        assert "\n" not in question + answer


def test_parser_takes_what_models_write():
    text = (
        "**Questions**\n\n1. **Question:** Is water wet?\n**Answer:** Yes.\n"
        "* Question: Which one is hot?\n  A) ice\n  B) steam\n  Answer: B) steam\n"
        "- Question: Is water wet?\n  Answer: Repeated.\n- Question: Nothing follows"
    )
    assert parse(text, RECIPE)[0] == [("Is water wet?", "Yes."), ("Which one is hot? A) ice B) steam", "B) steam")]


def test_pairs_cut_by_the_grammar_are_left_out():
    cut, whole = "x" * SMALL.max_answer_characters, "x" * (SMALL.max_answer_characters - 1) + "."
    assert parse(_answer(("Is it cut?", cut), ("Is it whole?", whole)), SMALL)[0] == [("Is it whole?", whole)]
    assert parse(_answer(("Is it cut?", cut)), SMALL) == ([], "truncated")


def test_grammar_admits_what_is_asked_for_and_bounds_it():
    pattern = re.compile(output_format(SMALL).spec)
    pair = ("What is water?", "Wet.")
    assert pattern.fullmatch(_answer(pair)) and pattern.fullmatch(_answer(*[pair] * SMALL.max_questions))
    assert pattern.fullmatch(_answer(("What does it cost?", "$5"), ("How cold is it?", "-40")))
    assert not pattern.fullmatch(_answer(*[pair] * (SMALL.max_questions + 1)))
    assert not pattern.fullmatch(_answer(("What is water?", "x" * (SMALL.max_answer_characters + 1))))
    assert not pattern.fullmatch(PROMPT.marker) and not pattern.fullmatch(_answer(("What is water?", "")))


@given(st.integers(1, 2_000), st.integers(0, 8), st.text(max_size=8))
def test_kept_pairs_are_a_reproducible_choice(tokens, number, document):
    pairs = [(f"q{i}", f"a{i}") for i in range(number)]
    segment = Segment(document, 0, "text", tokens)
    kept = choose_pairs(pairs, segment, RECIPE)
    assert kept == choose_pairs(pairs, segment, RECIPE)
    assert len(set(kept)) == len(kept) and set(kept) <= set(pairs)
    assert bool(kept) == bool(pairs) and len(kept) <= max(1, 10 * tokens // 150)


def test_choices_spread_over_the_published_range():
    pairs = [(f"q{i}", "a") for i in range(8)]
    counts = {len(choose_pairs(pairs, Segment(str(i), 0, "", 60), RECIPE)) for i in range(200)}
    assert counts == {1, 2, 3, 4}


def _completion(text, reason="stop", tokens=50):
    return Completion("g", None, text, 10, tokens, reason, True)


@pytest.mark.parametrize(
    ("text", "reason", "tokens", "cause"),
    [
        (_answer(("Q?", "A.")), "length", 50, "truncated"),
        (_answer(("Q?", "A.")), "stop", RECIPE.max_output_tokens - 1, "truncated"),
        ("I cannot do that.", "stop", 50, "unparsable"),
        (_answer(("Q?", "A.")), "stop", 50, "too_short"),
    ],
)
def test_rejects_say_why(text, reason, tokens, cause):
    made = diverse_qa.make_sample(Segment("doc", 3, "short", 40), _completion(text, reason, tokens), RECIPE, words)
    assert (made.row_id, made.cause) == ("g", cause) and "segment 3 of document doc" in made.detail


def test_samples_from_documents_through_an_endpoint(tmp_path, monkeypatch, embedded_tokenizer):
    """From documents to rows through the endpoint and the ledger. A second pass asks for nothing and gives the same
    rows."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    documents = pl.concat([animals("fox", "owl", "carp", lines=6), animals("hare", level="low")])
    ids = dict(zip(documents["url"].str.split("/").list.last(), documents["id"], strict=True))

    def answer(body):
        asked = body["messages"][-1]["content"]
        if "The owl of" in asked:
            return "I am sorry."
        if "The carp of" in asked:
            return 200, {}, completion(_answer(("Q?", "A.")), "length", SMALL.max_output_tokens)
        return _answer(("How many are in valley 1?", "Ten."), ("When was valley 2 counted?", "In 1992."))

    endpoint, lake = Endpoint(answer), Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)

    def run():
        rejects, tally = [], Tally()
        with endpoint.serve() as url:
            engine = Gpu(backend="openai", base_url=url).engine(embedded_tokenizer, "canned")
            rooms = {"diverse_qa": room("diverse_qa", SMALL, len(engine.prompt_ids(diverse_qa.request(SMALL, ""))))}
            rows = diverse_qa.rows(
                passages(documents.lazy(), {"diverse_qa": SMALL}, rooms, engine.count_tokens),
                SMALL,
                generator="canned",
                count=engine.count_tokens,
                generate=lambda requests: Ledger(lake).generate(engine, requests),
                reject=rejects.append,
                tally=tally,
            )
            return pl.concat(frames(rows, DIVERSE_QA)), rejects, tally

    rows, rejects, tally = run()
    assert sorted(reject.cause for reject in rejects) == ["truncated", "unparsable"]
    assert {ids["owl"], ids["carp"]} == {r.detail.split("document ")[1].split(":")[0] for r in rejects}
    (row,) = rows.to_dicts()
    assert row["parents"] == [ids["fox"]] and row["question_count"] == row["text"].count("\nAnswer: ") >= 1
    assert row["text"].startswith("The fox of valley 1") and "\n\nQuestion: " in row["text"]
    assert row["tokens"] >= SMALL.min_tokens_after and len(row["generation_id"]) == 32
    assert (tally.documents, tally.segments, tally.accepted, tally.new) == (3, 3, 1, 3)
    again, _, tally = run()
    assert again.equals(rows) and len(endpoint.bodies) == 3 and tally.new == 0
