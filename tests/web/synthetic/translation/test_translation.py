"""Translation line by line: parsing samples, the grammar, judging answers, attempts, and nonsense from a model."""

from __future__ import annotations

import functools
import itertools
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.generation.translation.drafts import Draft, translate
from nemotron_assets.generation.translation.judging import CAUSES, judge_line, problems
from nemotron_assets.generation.translation.languages import LABELS, NAMES
from nemotron_assets.generation.translation.lines import excerpt, parse, translated_words
from nemotron_assets.generation.translation.prompt import output_format, prompt_room, request
from nemotron_assets.generation.translation.protect import protect
from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.recipe.web.translation import LANGUAGES, Translation
from nemotron_assets.text import language
from nemotron_assets.web.synthetic.tables import TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from nemotron_assets.web.synthetic.translation.outcomes import reject_of, rows
from nemotron_assets.web.synthetic.translation.samples import choose_samples
from resources.generations import Completion
from tests.web.synthetic.translation.owls import LINES, SAMPLE, TRANSLATIONS, asked, good_answer

RECIPE = load_recipe("nano2").web.translation
detect = functools.partial(language.detect, model="lite", characters=4_000)
ROW = {"id": "owl", "snapshot": "S", "text": SAMPLE}
URL = "https://owls.example/life?age=10"


def count(texts):
    """Count words as tokens."""
    return [len(text.split()) for text in texts]


class Model:
    """Stands for ledger and model: answers with `answer(language, line, sample)` and keeps the requests."""

    def __init__(self, answer) -> None:
        self.answer, self.requests, self.calls = answer, [], 0

    def __call__(self, requests):
        self.calls += 1
        for one in requests:
            self.requests.append(one)
            text = self.answer(*asked(one.chat()), one.sample)
            yield Completion(f"g{len(self.requests)}", one, text, 9, len(text.split()), "stop", True)


def _translate(model, recipe=RECIPE, samples=(ROW,)) -> dict[str, Draft]:
    drafts = translate(samples, recipe, count=count, room=100, generate=model, detect=detect)
    return {draft.language: draft for draft in drafts}


def _recipe(**update) -> Translation:
    return Translation.model_validate(RECIPE.model_dump() | update)


def test_every_language_has_a_name_labels_and_bounds():
    assert set(LANGUAGES) == set(NAMES) == set(LABELS) - {"en"} == set(RECIPE.length_ratios)
    assert all(question != answer and question.strip() and answer.strip() for question, answer in LABELS.values())
    assert RECIPE.languages == LANGUAGES and len(LANGUAGES) == 15


def test_good_translations_are_accepted_in_all_languages():
    model = Model(lambda language, line, sample: good_answer(language, line))
    drafts = _translate(model)
    assert [draft.language for draft in drafts.values() if not draft.accepted] == []
    for name, draft in drafts.items():
        first, second, question, answer = TRANSLATIONS[name]
        second = second.format(A="2 kg", B="10", C=URL)
        ask, reply = LABELS[name]
        assert draft.text() == f"{first}\n{second}\n\n{ask}{question}\n{reply}{answer}"
        assert (
            problems(SAMPLE, draft.text(), name, RECIPE) == []
            and detect(translated_words(draft.text(), name))[0] == name
        )
    assert model.calls == RECIPE.attempts  # one call per attempt, for all languages together
    assert len(model.requests) == 15 * 4
    assert {one.parents for one in model.requests} == {("owl",)}


def test_rows_say_what_became_of_every_language():
    def answer(name, line, sample):
        return good_answer(name, line) if name in ("zh", "de") else "No."

    drafts = list(_translate(Model(answer)).values())
    frames = list(rows(drafts, "canned", count))
    outcomes = pl.concat(frame for table, frame in frames if table is TRANSLATION_OUTCOMES)
    translated = pl.concat(frame for table, frame in frames if table is TRANSLATED_DIVERSE_QA)
    assert outcomes.columns == list(TRANSLATION_OUTCOMES.column_names)
    assert translated.columns == list(TRANSLATED_DIVERSE_QA.column_names)
    assert sorted(outcomes["language"]) == list(LANGUAGES) and outcomes["id"].n_unique() == 15
    assert outcomes.filter(outcome="accepted")["language"].sort().to_list() == ["de", "zh"]
    assert translated["language"].sort().to_list() == ["de", "zh"]
    assert set(translated["parents"].list.first()) == {"owl"}
    assert translated["generation_ids"].list.len().to_list() == [4, 4]
    failed = outcomes.filter(language="fr").row(0, named=True)
    assert (failed["reason"], failed["attempts"], failed["failed_lines"], failed["lines"]) == ("unparsable", 3, 4, 5)
    assert len(failed["generation_ids"]) == 4 * RECIPE.attempts and failed["detected"] is None
    rejects = [reject_of(draft) for draft in drafts if not draft.accepted]
    assert {reject.row_id for reject in rejects} == set(outcomes.filter(outcome="rejected")["id"])
    assert any(reject.detail.startswith("fr, sample owl, 3 attempts") for reject in rejects)


def test_frames_have_their_columns_without_any_sample():
    frames = {table.full_name: frame for table, frame in rows([], "canned", count)}
    assert {name: frame.height for name, frame in frames.items()} == {
        TRANSLATION_OUTCOMES.full_name: 0,
        TRANSLATED_DIVERSE_QA.full_name: 0,
    }
    assert frames[TRANSLATED_DIVERSE_QA.full_name].columns == list(TRANSLATED_DIVERSE_QA.column_names)


def test_only_what_failed_is_asked_again_as_another_sample():
    def answer(name, line, sample):
        if "{A}" in line and sample < 2:
            return good_answer(name, line).replace("{B}", "" if sample == 0 else "{D}")
        return good_answer(name, line)

    model = Model(answer)
    draft = _translate(model, _recipe(languages=["de"]))["de"]
    assert draft.accepted and draft.attempts == 3 and len(draft.generations) == 6
    assert [one.sample for one in model.requests] == [0, 0, 0, 0, 1, 2]
    assert [draft.used_generations[number] for number in sorted(draft.used_generations)] == ["g1", "g6", "g3", "g4"]
    draft = _translate(Model(answer), _recipe(languages=["de"], attempts=2))["de"]
    assert draft.fault.cause == "pieces_differ" and "invented 'D'" in draft.fault.detail


def test_a_sample_in_another_language_is_rejected_and_its_lines_asked_again():
    def answer(name, line, sample):
        return good_answer("nl" if sample < 1 else name, line)

    draft = _translate(Model(answer), _recipe(languages=["de"]))["de"]
    assert draft.accepted and draft.attempts == 2 and draft.detected[0] == "de"
    draft = _translate(Model(answer), _recipe(languages=["de"], attempts=1))["de"]
    assert draft.fault.cause == "wrong_language" and draft.detected[0] == "nl"
    assert draft.fault.detail.startswith("nl 0.") and len(draft.pending) >= 3


def test_danish_is_not_taken_for_its_neighbours():
    norwegian = (
        "Uglen jakter om natten og sover om dagen, slik de fleste ugler gjør.",
        "Den veier {A} og blir omtrent {B} år gammel, se {C} for flere opplysninger.",
        "Hva gjør uglen om natten når ingen ser på den?",
        "Den jakter på mus og andre små dyr som lever i skogen.",
    )
    answers = dict(zip((line.source.text for line in parse(SAMPLE) if line.has_words), norwegian, strict=True))
    draft = _translate(Model(lambda name, line, sample: f"<t>{answers[line]}</t>"), _recipe(languages=["da"]))["da"]
    assert (draft.fault.cause, draft.detected[0], draft.attempts) == ("wrong_language", "no", 3)


def test_copies_are_rejected_but_a_name_may_stay():
    drafts = _translate(Model(lambda name, line, sample: f"<t>{line}</t>"), _recipe(languages=["de", "fr", "sv"]))
    assert {draft.fault.cause for draft in drafts.values()} == {"copied"}
    assert {draft.copied for draft in drafts.values()} == {4}
    sample = {**ROW, "text": SAMPLE.replace("It hunts mice and other small animals.", "Athene noctua")}

    def answer(name, line, sample):
        return f"<t>{line}</t>" if line == "Athene noctua" else good_answer(name, line)

    draft = _translate(Model(answer), _recipe(languages=["de"]), [sample])["de"]
    assert draft.accepted and draft.copied == 1 and draft.text().endswith("Antwort: Athene noctua")


def test_a_line_that_stays_english_counts_as_a_copy():
    def answer(name, line, sample):
        reworded = "<t>They hunt the mice and many other of the small animals that live there.</t>"
        return reworded if line == LINES[3] and sample < 1 else good_answer(name, line)

    # The text as a whole looks Portuguese, although one line is English.
    draft = _translate(Model(answer), _recipe(languages=["pt"], attempts=1))["pt"]
    assert (draft.fault.cause, draft.copied, draft.detected[0]) == ("copied", 1, "pt") and draft.pending == [4]
    assert _translate(Model(answer), _recipe(languages=["pt"]))["pt"].accepted


@pytest.mark.parametrize(
    ("text", "reason", "tokens", "cause"),
    [
        ("<t>Sie wiegt {A} und lebt {B} Jahre, siehe {C}.</t>", "stop", 20, None),
        (" <t> Sie wiegt {A} und lebt {B} Jahre, siehe {C}. </t>\n", "stop", 20, None),
        ("<t>Sie wiegt {A} und lebt {B} Jahre, siehe {C}.</t>", "length", 20, "truncated"),
        ("<t>Sie wiegt {A} und lebt {B} Jahre, siehe {C}.</t>", "stop", 4_095, "truncated"),
        ("Sie wiegt {A} und lebt {B} Jahre, siehe {C}.", "stop", 20, "unparsable"),
        ("<t>Sie wiegt {A}\nund lebt {B} Jahre, siehe {C}.</t>", "stop", 20, "unparsable"),
        ("<t>Sie wiegt {A} und lebt {B} Jahre, siehe {C}.</t></t>", "stop", 20, "unparsable"),
        ("<t> </t>", "stop", 20, "unparsable"),
        ("", "stop", 0, "unparsable"),
        ("<t>Sie wiegt {A} und lebt {A} Jahre, siehe {C}.</t>", "stop", 20, "pieces_differ"),
        ("<t>Sie wiegt 2 kg und lebt {B} Jahre, siehe {C}.</t>", "stop", 20, "pieces_differ"),
        ("<t>Sie wiegt {A} und lebt {B}0 Jahre, siehe {C}.</t>", "stop", 20, "numbers_differ"),
        ("<t>Sie wiegt {A} und lebt {B} Jahre, siehe {C} (٣).</t>", "stop", 20, "numbers_differ"),
        ("<t>Sie wiegt {B}{A} und lebt so viele Jahre, siehe {C}.</t>", "stop", 20, "numbers_differ"),
        ("<t>{A} {B} {C}</t>", "stop", 20, "wrong_length"),
        ("<t>" + "Sie wiegt viel. " * 12 + "{A} {B} {C}</t>", "stop", 99, "wrong_length"),
        ("<t>" + "Sie wiegt viel" + " und viel" * 6 + " {A} {B} {C}</t>", "stop", 40, "degenerate"),
    ],
)
def test_judging_a_line(text, reason, tokens, cause):
    line = parse(SAMPLE)[1]
    completion = Completion("g", None, text, 10, tokens, reason, True)
    recipe = _recipe(length_slack=8)
    translation, fault = judge_line(line, completion, "de", recipe)
    assert (fault and fault.cause) == cause
    assert translation == ("" if cause else "Sie wiegt {A} und lebt {B} Jahre, siehe {C}.")


_BITS = ["<t>", "</t>", "{A}", "{B}", "{C}", "{D}", "{", "}", "10", "٣", "Eule jagt nachts ", "\n", " "]
_OUTPUT = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(_BITS)).map("".join)).map(lambda t: f"<t>{t}</t>")


@settings(max_examples=200, deadline=None)
@given(st.lists(_OUTPUT, min_size=1, max_size=8), st.sampled_from(LANGUAGES), st.booleans())
def test_any_output_is_survived_and_nothing_incomplete_is_accepted(outputs, name, good):
    answers = itertools.cycle(outputs)

    def answer(language, line, sample):
        return good_answer(language, line) if good and line in LINES and "{A}" not in line else next(answers)

    sample = {**ROW, "text": SAMPLE + "\n\nQuestion: `x`?\nAnswer: 5"}
    draft = _translate(Model(answer), _recipe(languages=[name]), [sample])[name]
    assert draft.attempts <= RECIPE.attempts
    if draft.accepted:
        assert problems(sample["text"], draft.text(), name, RECIPE) == []
        assert draft.detected[0] == name
    else:
        assert draft.fault.cause in CAUSES and reject_of(draft).cause == draft.fault.cause


blocks = st.lists(
    st.sampled_from(["a line.", " lead", "tail ", "\\(x\\)", "Question: q?", "Answer: a.", "Answer:", "", "`a`"])
)


@given(blocks)
def test_parsing_and_writing_in_english_is_identity(found):
    text = "\n".join(found)
    assert "\n".join(line.render("en", line.text) for line in parse(text)) == text


@given(blocks, st.integers(3, 12))
def test_an_excerpt_is_the_end_of_a_sample(found, most):
    pairs = ["\n\nQuestion: q?\nAnswer: a."] * (len(found) % 4 + 1)
    text = "\n".join([*found, "end."]) + "".join(pairs)
    some = excerpt(text, most)
    assert text.endswith(some) and some.endswith("Question: q?\nAnswer: a.")
    filled = [line for line in some.split("\n") if line.strip()]
    assert len(filled) <= most and (some == text or some[0] != "\n")
    assert excerpt(some, most) == some
    if len([line for line in text.split("\n") if line.strip()]) <= most:
        assert some == text


def test_excerpts_keep_pairs_whole():
    text = "one.\ntwo.\n\nQuestion: a?\nAnswer: b.\n\nQuestion: c?\nAnswer: d."
    expected = {6: text, 5: text[5:], 4: text[11:], 3: "Question: c?\nAnswer: d.", None: text}
    assert {most: excerpt(text, most) for most in expected} == expected


def test_grammar_admits_good_answers_and_bounds_others():
    for name, translations in TRANSLATIONS.items():
        for line, translation in zip((line for line in parse(SAMPLE) if line.has_words), translations, strict=True):
            pattern = re.compile(output_format(RECIPE, name, line.source).spec)
            assert pattern.fullmatch(f"<t>{translation}</t>")
            assert not pattern.fullmatch(f"<t>{translation}{'x' * 400}</t>")
            assert not pattern.fullmatch(f"<t>{translation}\n</t>") and not pattern.fullmatch("<t></t>")
            assert not pattern.fullmatch(f"<t>{translation}{{X}}</t>") and not pattern.fullmatch(translation)
    grammars = {output_format(RECIPE, "de", protect("x" * length)).spec for length in range(1, 200)}
    assert len(grammars) < 10


def test_lines_without_words_are_not_asked_for():
    text = "`only code`\n12 + 3 = 15\n\nQuestion: Is it?\nAnswer: 42"
    assert [line.has_words for line in parse(text)] == [False, False, False, True, False]
    model = Model(lambda name, line, sample: "<t>Ist es wirklich so, wie man es überall sagt?</t>")
    draft = _translate(model, _recipe(languages=["de"], length_slack=60), [{**ROW, "text": text}])["de"]
    assert draft.accepted and len(model.requests) == 1
    assert draft.text() == (
        "`only code`\n12 + 3 = 15\n\nFrage: Ist es wirklich so, wie man es überall sagt?\nAntwort: 42"
    )


@pytest.mark.parametrize(
    ("text", "cause"), [("12\n\nAnswer: 3", "nothing_to_translate"), ("w " * 200, "line_too_long")]
)
def test_what_cannot_be_asked_is_an_outcome_of_every_language(text, cause):
    model = Model(good_answer)
    drafts = _translate(model, samples=[{**ROW, "text": text}])
    assert {draft.fault.cause for draft in drafts.values()} == {cause} and len(drafts) == 15
    assert model.requests == []


def test_batches_of_samples_keep_their_order():
    samples = [{**ROW, "id": f"owl{number}"} for number in range(5)]
    model = Model(lambda name, line, sample: good_answer(name, line))
    recipe = _recipe(languages=["de", "th"], batch_samples=2, attempts=1)
    drafts = list(translate(samples, recipe, count=count, room=100, generate=model, detect=detect))
    assert [(draft.sample["id"], draft.language) for draft in drafts] == [
        (f"owl{number}", name) for number in range(5) for name in ("de", "th")
    ]
    assert all(draft.accepted for draft in drafts) and model.calls == 3


def test_choice_of_samples_is_the_same_every_time():
    frame = pl.LazyFrame({"id": list("dbca"), "snapshot": "s", "text": "t", "language": ["en", "en", "de", "en"]})
    assert choose_samples(frame, _recipe(max_samples=2)).collect()["id"].sort().to_list() == ["a", "b"]
    assert choose_samples(frame, RECIPE).collect()["id"].sort().to_list() == ["a", "b", "d"]


def test_problems_find_what_a_stored_text_lacks():
    good = SAMPLE.replace("Question: ", "Frage: ").replace("Answer: ", "Antwort: ")
    assert problems(SAMPLE, good, "de", RECIPE) == []
    assert problems(SAMPLE, good.replace("\n\n", "\n"), "de", RECIPE) == ["lines"]
    assert problems(SAMPLE, good.replace(URL, "https://owls.example"), "de", RECIPE) == ["pieces", "numbers"]
    assert problems(SAMPLE, good.replace("Frage: ", ""), "de", RECIPE) == ["pieces"]
    assert problems(SAMPLE, good + " 7", "de", RECIPE) == ["numbers"]


def test_prompt_says_language_and_line_and_leaves_room():
    line = parse(SAMPLE)[1]
    one = request(RECIPE, "pt", line.source, 1, ("owl",))
    _, user = one.chat()
    assert "Portuguese" in user["content"] and user["content"].endswith(f"Line:\n{line.source.text}")
    assert "{A}" in user["content"] and one.sample == 1 and one.parents == ("owl",)
    assert one.sampling.temperature == RECIPE.temperature and one.sampling.max_tokens == RECIPE.max_output_tokens
    lengths = [len(request(RECIPE, name, protect("")).messages[1][1]) for name in LANGUAGES]
    room = prompt_room(_recipe(max_input_tokens=1_000), lambda request: len(request.messages[1][1]))
    assert room == 1_000 - max(lengths) - 2
    with pytest.raises(RecipeError, match="max_input_tokens = 128 leaves no room"):
        prompt_room(_recipe(max_input_tokens=128), lambda request: 200)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"languages": ["de", "de"]}, "named twice"),
        ({"languages": ["fi"]}, "languages"),
        ({"length_ratios": {"de": (0.5, 2)}}, "no bounds for ar, da"),
        ({"length_ratios": {**RECIPE.length_ratios, "de": (2, 0.5)}}, "de"),
    ],
)
def test_recipe_refuses_what_cannot_be(update, message):
    with pytest.raises(ValueError, match=message):
        _recipe(**update)
