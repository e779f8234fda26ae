"""Diverse QA: segments, the grammar, the parser, the choice of pairs, and a whole pass against canned answers."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.web.synthetic import diverse_qa
from nemotron_assets.web.synthetic.diverse_qa import (
    HEADER,
    Segment,
    Tally,
    choose,
    keep,
    output_format,
    parse,
    segments,
)
from resources.generations import Completion, Ledger
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint, completion

RECIPE = load_recipe("nano2").diverse_qa
SMALL = RECIPE.model_copy(
    update={"max_segments": 1, "max_questions": 3, "max_question_characters": 140, "max_answer_characters": 160}
)


def words(texts):
    """A token is a word, for these tests."""
    return [len(text.split()) for text in texts]


lines = st.text(st.sampled_from("ab c\t"), max_size=40)


@given(st.lists(lines), st.integers(1, 30), st.integers(1, 10), st.integers(1, 10))
def test_segments_are_whole_lines_in_order_within_their_limits(given_lines, limit, document, least):
    parts = segments("d", "\n".join(given_lines), words, limit, document, least)
    assert [part.number for part in parts] == list(range(len(parts)))
    for part in parts:
        assert least <= part.tokens <= limit
        assert part.tokens == sum(words(part.text.split("\n"))) + part.text.count("\n")
    kept = iter(line.strip() for line in given_lines)
    assert all(line in kept for part in parts for line in part.text.split("\n"))  # a subsequence


def test_segments_drop_what_the_recipe_drops():
    text = "one two three\n\nfour five\n" + "long " * 11 + "\nsix\nseven eight nine ten"
    parts = segments("d", text, words, 10, 3, 2)
    assert [part.text for part in parts] == ["one two three\nfour five\nsix", "seven eight nine ten"]
    assert segments("d", text, words, 10, 100, 2) == []
    assert [part.text for part in segments("d", text, words, 10, 3, 5)] == ["one two three\nfour five\nsix"]


def _answer(*pairs):
    return HEADER + "".join(f"\n- Question: {q}\n  Answer: {a}" for q, a in pairs)


sentence = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=60)


@given(st.lists(st.tuples(sentence, sentence), max_size=12))
def test_parser_finds_every_well_formed_pair(pairs):
    clean = {}
    for question, answer in pairs:
        question, answer = (re.sub(r"[*_]", "", text).strip() for text in (question, answer))
        # A text that itself looks like a label reads as one.
        if question and answer and not re.search(r"question|answer", question + answer, re.I):
            clean.setdefault(question.casefold(), (question, answer))
    found = parse(_answer(*clean.values()), RECIPE)
    assert found == list(clean.values())[: RECIPE.max_questions]


@given(st.text())
def test_parser_survives_anything(text):
    for question, answer in parse(text, RECIPE):
        assert question.strip() == question and answer.strip() == answer and question and answer
        assert "\n" not in question + answer


def test_parser_takes_what_models_write():
    text = (
        "**Questions**\n\n1. **Question:** Is water wet?\n**Answer:** Yes.\n"
        "* Question: Which one is hot?\n  A) ice\n  B) steam\n  Answer: B) steam\n"
        "- Question: Is water wet?\n  Answer: Repeated.\n- Question: Nothing follows"
    )
    assert parse(text, RECIPE) == [("Is water wet?", "Yes."), ("Which one is hot? A) ice B) steam", "B) steam")]


def test_pairs_cut_by_the_grammar_are_left_out():
    cut, whole = "x" * SMALL.max_answer_characters, "x" * (SMALL.max_answer_characters - 1) + "."
    assert parse(_answer(("Is it cut?", cut), ("Is it whole?", whole)), SMALL) == [("Is it whole?", whole)]


def test_grammar_admits_what_is_asked_for_and_bounds_it():
    pattern = re.compile(output_format(SMALL).spec)
    pair = ("What is water?", "Wet.")
    assert pattern.fullmatch(_answer(pair)) and pattern.fullmatch(_answer(*[pair] * SMALL.max_questions))
    assert not pattern.fullmatch(_answer(*[pair] * (SMALL.max_questions + 1)))
    assert not pattern.fullmatch(_answer(("What is water?", "x" * (SMALL.max_answer_characters + 2))))
    assert not pattern.fullmatch(HEADER) and not pattern.fullmatch(_answer(("What is water?", "")))


@given(st.integers(1, 2_000), st.integers(0, 8), st.text(max_size=8))
def test_kept_pairs_are_a_reproducible_choice(tokens, number, document):
    pairs = [(f"q{i}", f"a{i}") for i in range(number)]
    segment = Segment(document, 0, "text", tokens)
    kept = keep(pairs, segment, RECIPE)
    assert kept == keep(pairs, segment, RECIPE)
    assert len(set(kept)) == len(kept) and set(kept) <= set(pairs)
    assert bool(kept) == bool(pairs) and len(kept) <= max(1, 10 * tokens // 150)


def test_keep_spreads_over_the_published_range():
    pairs = [(f"q{i}", "a") for i in range(8)]
    counts = {len(keep(pairs, Segment(str(i), 0, "", 60), RECIPE)) for i in range(200)}
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
    made = diverse_qa.sample(Segment("doc", 3, "short", 40), _completion(text, reason, tokens), RECIPE, words)
    assert (made.row_id, made.cause) == ("doc", cause) and "segment 3" in made.detail


def test_choice_of_documents_is_english_and_the_same_every_time():
    frame = pl.DataFrame(
        {"id": list("abcd"), "snapshot": "s", "language": ["en", "de", "en", "en"], "text": "t",
         "content_hash": ["3", "0", "2", "1"]}
    )  # fmt: skip
    two = SMALL.model_copy(update={"max_documents": 2})
    assert sorted(choose(frame.lazy(), two).collect()["id"]) == ["c", "d"]
    assert choose(frame.lazy(), RECIPE).collect()["id"].to_list() == ["a", "c", "d"]


def test_samples_from_documents_through_an_endpoint(tmp_path, monkeypatch, embedded_tokenizer):
    """Documents -> requests -> endpoint -> ledger -> rows; a second pass asks nothing and gives the same rows."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    text = "\n".join(f"Paragraph {i} says that item {i} weighs {i * 3} grams and costs {i} crowns." for i in range(12))
    frame = pl.DataFrame({"id": ["good", "bad", "cut", "tiny"], "snapshot": "s", "language": "en", "text": [
        text, text + "\nThis one cannot be answered.", text + "\nThis one runs on.", "too short"]})  # fmt: skip

    def answer(body):
        asked = body["messages"][-1]["content"]
        if "cannot be answered" in asked:
            return "I am sorry."
        if "runs on" in asked:
            return 200, {}, completion(_answer(("Q?", "A.")), "length", SMALL.max_output_tokens)
        return _answer(("What does item 3 weigh?", "Nine grams."), ("What does item 4 cost?", "Four crowns."))

    endpoint, lake = Endpoint(answer), Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)

    def run():
        rejects, tally = [], Tally()
        with endpoint.serve() as url:
            engine = Gpu(backend="openai", base_url=url).engine(embedded_tokenizer, "canned")
            room = diverse_qa.prompt_room(SMALL, lambda request: len(engine.prompt_ids(request)))
            frames = diverse_qa.samples(
                [frame], SMALL, generator="canned", count=engine.count_tokens, room=room,
                generate=lambda requests: Ledger(lake).generate(engine, requests), reject=rejects.append, tally=tally,
            )  # fmt: skip
            return pl.concat(frames), {reject.row_id: reject.cause for reject in rejects}, tally

    rows, rejects, tally = run()
    assert rejects == {"bad": "unparsable", "cut": "truncated"}
    (row,) = rows.to_dicts()
    assert row["parents"] == ["good"] and row["question_count"] == row["text"].count("\nAnswer: ") >= 1
    assert row["text"].startswith(text.split("\n")[0]) and "\n\nQuestion: What does item" in row["text"]
    assert row["tokens"] >= SMALL.min_tokens_after and len(row["generation_id"]) == 32
    assert (tally.documents, tally.segments, tally.accepted, tally.new_generations) == (3, 3, 1, 3)
    again, _, tally = run()
    assert again.equals(rows) and len(endpoint.bodies) == 3 and tally.new_generations == 0
