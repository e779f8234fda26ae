"""What annotators are asked, and how their answers are read. A stand-in answers instead of a language model."""

from __future__ import annotations

import re
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.generation.asking import frames
from nemotron_assets.recipe import load_recipe
from nemotron_assets.web.quality import annotate
from nemotron_assets.web.quality.report import agreement, facts_table
from nemotron_assets.web.quality.tables import ANNOTATIONS
from resources.contract import checked

RECIPE = load_recipe("laptop").web.quality
SETTINGS = RECIPE.annotations.model_copy(update={"documents": 10, "controls": 3, "text_tokens": 20})
PASSAGES = [f"Passage {n} explains how rain forms from vapour that cools and gathers around dust." for n in range(9)]


def words(texts) -> list[int]:
    return [len(text.split()) for text in texts]


def documents() -> pl.DataFrame:
    rows = [
        {
            "id": f"{n:02x}",
            "snapshot": "S",
            "language": "de" if n == 3 else "en",
            "text": f"Document {n}. " * 30,
            "content_hash": f"{255 - n:02x}",
        }
        for n in range(30)
    ]
    return pl.DataFrame(rows)


def run(answer, annotators=("edu_a", "edu_b")):
    """(rows, requests, rejects) with `answer(request)` as the model's text."""
    asked, rejects = [], []

    def generate(requests):
        for number, request in enumerate(requests):
            asked.append(request)
            yield SimpleNamespace(id=f"g{number}", text=answer(request))

    made = annotate.annotation_rows(
        [annotate.choose_documents(documents().lazy(), SETTINGS).collect()],
        PASSAGES,
        SETTINGS,
        annotators,
        generator="tiny",
        request="r",
        count=words,
        generate=generate,
        reject=rejects.append,
    )
    batches = list(checked(ANNOTATIONS, frames(made, ANNOTATIONS), None))
    return pl.concat([pl.from_arrow(batch) for batch in batches]), asked, rejects


def test_every_text_is_judged_by_both_and_says_where_it_comes_from():
    rows, asked, rejects = run(lambda request: "4" if "points" in request.messages[0][1] else " 2\n")
    assert not rejects and len(asked) == rows.height == 2 * (10 + 2 * 3)
    assert rows["id"].is_unique().all()
    assert dict(rows.group_by("annotator").agg(pl.col("score").unique().first()).iter_rows()) == {
        "edu_a": 4,
        "edu_b": 2,
    }
    crawl = rows.filter(source="crawl")
    # The ten English documents with the lowest content hashes.
    assert set(crawl["parents"].list.first()) == {f"{n:02x}" for n in range(20, 30)}
    assert crawl["snapshot"].unique().to_list() == ["S"]
    assert rows.filter(pl.col("source") != "crawl")["parents"].list.len().max() == 0
    assert max(words(rows["text"])) <= 20
    for request in asked:
        assert request.output_format == annotate.DIGIT and request.messages[1][1].startswith("Extract:\n")
    assert {request.prompt for request in asked} == {"quality_points", "quality_teacher"}


def test_the_two_annotators_are_asked_differently():
    (name_a, text_a), (name_b, text_b) = annotate.ANNOTATORS.values()
    assert name_a != name_b and text_a != text_b
    assert all("0" in text and "5" in text for text in (text_a, text_b))


def test_answers_that_are_no_digit_are_rejected_alone():
    answers = iter(["3", "", "six", "33", "7", "5"] + ["1"] * 100)
    rows, asked, rejects = run(lambda request: next(answers))
    assert rows.height + len(rejects) == len(asked) and len(rejects) == 4
    assert {reject.cause for reject in rejects} == {"no_digit"}
    assert len({reject.row_id for reject in rejects} | set(rows["id"])) == len(asked)


@given(st.text(max_size=20))
def test_any_answer_is_a_row_or_a_reject(answer):
    rows, asked, rejects = run(lambda request: answer, annotators=("edu_a",))
    good = answer.strip() in set("012345")
    assert (rows.height, len(rejects)) == ((len(asked), 0) if good else (0, len(asked)))


def test_the_grammar_allows_the_marks_and_nothing_else():
    assert all(re.fullmatch(annotate.DIGIT.spec, str(mark)) for mark in range(6))
    assert not any(re.fullmatch(annotate.DIGIT.spec, text) for text in ("6", "-1", "10", "", "a", "1.5"))


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 20))
def test_crop_keeps_a_start_within_the_limit(text, tokens):
    kept = annotate.crop(text, tokens, words)
    assert text.startswith(kept) and words([kept])[0] <= tokens
    if words([text])[0] > tokens and len(text) <= 16 * tokens:
        assert words([kept])[0] == tokens  # no more is cut than needed


def test_shuffled_passages_have_the_same_words():
    pairs = list(annotate.controls(PASSAGES, SETTINGS))
    assert [source for source, _ in pairs] == ["passage", "shuffled"] * 3
    for (_, good), (_, bad) in zip(pairs[::2], pairs[1::2], strict=True):
        assert sorted(good.split()) == sorted(bad.split()) and good != bad
    assert pairs == list(annotate.controls(PASSAGES, SETTINGS))


def test_the_request_depends_on_what_decides_the_answers():
    base = annotate.request_hash(SETTINGS, ["edu_a", "edu_b"], "m")
    others = {
        annotate.request_hash(SETTINGS.model_copy(update={"version": 2}), ["edu_a", "edu_b"], "m"),
        annotate.request_hash(SETTINGS, ["edu_a"], "m"), annotate.request_hash(SETTINGS, ["edu_a", "edu_b"], "n"),
    }  # fmt: skip
    assert len(others | {base}) == 4
    assert annotate.request_hash(SETTINGS, ["edu_a", "edu_b"], "m") == base


def test_only_scorers_trained_here_need_annotations():
    assert annotate.annotators_to_ask(RECIPE.scorers) == ["edu_a", "edu_b"]
    assert annotate.annotators_to_ask(load_recipe("nano2").web.quality.scorers) == []


def test_agreement_says_whether_an_annotator_knows_good_text():
    def knows(request):
        good = request.messages[1][1].startswith("Extract:\nPassage") and not request.parents
        return "5" if good else "1" if request.parents else "0"

    facts = agreement(run(knows)[0])
    assert facts["edu_a"]["over_shuffled"] == facts["edu_a"]["over_crawl"] == 1.0
    assert facts["edu_b"]["mean_passage"] == 5 and facts["edu_b"]["mean_shuffled"] == 0
    blind = agreement(run(lambda request: "3")[0])
    assert blind["edu_a"]["over_shuffled"] == blind["edu_a"]["over_crawl"] == 0.5
    same = agreement(run(lambda request: str(int(request.parents[0], 16) % 6) if request.parents else "0")[0])
    assert same["edu_a"]["agreement"] == pytest.approx(1.0)
    assert agreement(run(lambda request: "3", annotators=())[0]) == {}
    assert "| over_crawl | 0.5 | 0.5 |" in facts_table(blind)
