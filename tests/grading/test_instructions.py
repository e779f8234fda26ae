"""IFEval's checkers: each works offline, arguments are complete, junk earns nothing, and hostile answers end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nemotron_assets.grading import instructions
from nemotron_assets.recipe.grading import Grading
from tests.imports import PROJECT

#: {instruction: (arguments, an answer that follows it, an answer that does not)}
CASES = {
    "keywords:existence": ({"keywords": ["tea", "cup"]}, "A cup of tea.", "A cup."),
    "keywords:frequency": ({"keyword": "tea", "frequency": 2, "relation": "at least"}, "tea, tea", "tea"),
    "keywords:forbidden_words": ({"forbidden_words": ["tea"]}, "Coffee.", "Tea."),
    "keywords:letter_frequency": ({"letter": "e", "let_frequency": 2, "let_relation": "at least"}, "eel", "el"),
    "language:response_language": (
        {"language": "de"}, "Das Wetter ist heute schön und wir gehen spazieren.", "The weather is nice today, I think."
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 2, "relation": "at least"}, "Dr. Who is here. He waits!", "Mr. A. Smith waits."
    ),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "One.\n***\nTwo.", "One."),
    "length_constraints:number_words": ({"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "two"}, "One.\n\nTwo.", "Two.\n\nOne."
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 1}, "[name]", "name"),
    "detectable_content:postscript": ({"postscript_marker": "P.S."}, "Hi.\nP.S. bye", "Hi."),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "* a\n* b", "* a"),
    "detectable_format:constrained_response": ({}, "My answer is yes.", "Yes."),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 1}, "*here*", "here"),
    "detectable_format:multiple_sections": (
        {"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1\na\nSECTION 2\nb", "a"
    ),
    "detectable_format:json_format": ({}, '{"a": 1}', "a: 1"),
    "detectable_format:title": ({}, "<<Tea>>\nIt is hot.", "Tea"),
    "combination:two_responses": ({}, "Yes.******No.", "Yes."),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Say hi."}, "Say hi. Hi.", "Hi."),
    "startend:end_checker": ({"end_phrase": "That is all."}, "Hi. That is all.", "Hi."),
    "startend:quotation": ({}, '"Hi."', "Hi."),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"}, "THIS is IT", "THIS is it"
    ),
    "change_case:english_capital": ({}, "THE WEATHER IS NICE TODAY, I THINK.", "The weather is nice."),
    "change_case:english_lowercase": ({}, "the weather is nice today, i think.", "The weather is nice."),
    "punctuation:no_comma": ({}, "Yes and no.", "Yes, no."),
}  # fmt: skip


@pytest.fixture(scope="module")
def grader():
    with instructions.grader(Grading(answer_s=5)) as made:
        yield made


def test_every_instruction_of_the_registry_works_without_a_network(grader):
    pairs = [
        (answer, [{"id": name, "arguments": arguments}])
        for name, (arguments, *answers) in CASES.items()
        for answer in answers
    ]
    verdicts = list(grader.grade(pairs))
    wrong = {
        pair[1][0]["id"]: verdict
        for place, (pair, verdict) in enumerate(zip(pairs, verdicts, strict=True))
        if verdict.outcome != ("right", "wrong")[place % 2]
    }
    assert not wrong
    code = "from nemotron_assets.grading.instructions import registry; print(len(registry().INSTRUCTION_DICT))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [str(len(CASES))], "the import prints nothing, and there is a case for each checker"
    assert "own splitter" in verdicts[11].detail


def test_the_harness_can_be_imported_after_its_checkers():
    code = "from nemotron_assets.grading.instructions import load; load(); import lm_eval.tasks, sklearn, scipy.stats; "
    code += "lm_eval.tasks.TaskManager"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=120)


def test_answers_without_words_follow_no_instruction_about_their_language(grader):
    languages = ("language:response_language", "change_case:english_capital", "change_case:english_lowercase")
    pairs = [
        (junk, [{"id": name, "arguments": CASES[name][0]}]) for name in languages for junk in ("1 2 3", "...", " ")
    ]
    assert {verdict.outcome for verdict in grader.grade(pairs)} == {"wrong"}
    assert next(grader.grade([("", [{"id": "punctuation:no_comma", "arguments": {}}])])).outcome == "wrong"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "has no list of instructions"),
        ([{"id": "keywords:exists", "arguments": {}}], "IFEval has no instruction 'keywords:exists'"),
        ([{"id": "length_constraints:number_words", "arguments": {"num_words": 3}}], "needs the arguments num_words"),
        ([{"id": "punctuation:no_comma", "arguments": {"x": 1}}], r"needs the arguments (none)"),
    ],
)
def test_instructions_that_cannot_be_checked_are_errors(grader, asked, said):
    verdict = next(grader.grade([("one two three", asked)]))
    assert verdict.outcome == "error" and said in verdict.detail


def test_all_instructions_must_be_followed(grader):
    both = [{"id": "punctuation:no_comma", "arguments": {}}, {"id": "detectable_format:title", "arguments": {}}]
    verdicts = list(grader.grade([("<<Tea>> hot", both), ("<<Tea>>, hot", both)]))
    assert [verdict.outcome for verdict in verdicts] == ["right", "wrong"]
    assert verdicts[1].detail == "not followed: punctuation:no_comma"


def test_hostile_answers_end(grader):
    answers = ["\n" * 19_999, "*" * 19_999, " *" * 9_999, "a" * 19_999, "<<" * 9_999, "." * 19_999, "\x00\ud800 x"]
    asked = [{"id": name, "arguments": arguments} for name, (arguments, *_) in CASES.items()]
    verdicts = list(grader.grade([(answer, asked) for answer in answers]))
    assert all(verdict.outcome in ("wrong", "error") for verdict in verdicts)
    assert next(grader.grade([("A cup of tea.", asked[:1])])).right


def test_sentences_and_words():
    said = 'Dr. Who (e.g. J. Smith) is here. Is he? Yes!! "Good." It costs 3.5 euros'
    assert len(instructions.sentences(said)) == 5
    assert instructions.sentences("...") == [] and instructions.sentences("\u4f60\u597d\u3002\u518d\u89c1\u3002") != []
    assert instructions.words("don't stop well-known X") == ["don't", "stop", "well-known", "X"]
