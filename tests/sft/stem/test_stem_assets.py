"""Science questions as Dagster runs them, with a local endpoint: accepted answers, and poisoned ones."""

from __future__ import annotations

import itertools
import re

import pytest

from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.sft.stem import expanding
from nemotron_assets.sft.stem.answering import Answering
from nemotron_assets.sft.stem.assets import ASSETS
from nemotron_assets.sft.stem.checks import CHECKS
from nemotron_assets.sft.stem.tables import STEM_EXPANSIONS, STEM_QUESTIONS
from nemotron_assets.sft.tallies import Tally
from tests.sft.bench import POISON, PROVEN, RECIPE, Bench, Canned, asked, home, poisoned, seed_rows

STEM = RECIPE.sft.stem
FACTS = {
    "similar": ("How many chambers does the heart of a mouse have?", "4"),
    "harder": ("Which gas do plants take up in order to make sugar from light?", "carbon dioxide"),
    "varied": ("At how many degrees Celsius does pure water boil at sea level?", "100"),
}


def _truths(bench: Bench) -> dict[str, str]:
    rows = bench.lake.read(SEEDS).scan().collect()
    return {row["question"]: row["answer"] for row in rows.iter_rows(named=True) if row["question"]}


def teacher(bench: Bench):
    """An endpoint that knows the answers of seeds and of its own questions, and disagrees with itself about one."""
    truths, calls = _truths(bench), {}

    def answer(body: dict) -> str:
        text = asked(body)
        if "Old question:" in text:
            for mode, how in (("similar", "about as hard"), ("harder", "clearly harder"), ("varied", "another kind")):
                if how in text.split("Old question:")[0]:
                    return f"Question: {FACTS[mode][0]}"
        question = text.split("Question:\n")[1]
        if text.startswith("Below are a question"):
            return "\n".join(f"- {n} {word}" for n, word in enumerate(("cats", "dogs", "mice", "owls", "carps"), 20))
        known = truths | dict(FACTS.values())
        right = next(known[one] for one in known if question.startswith(one))
        calls[question] = calls.get(question, 0) + 1
        if "boil" in question:
            right = str(calls[question])
        return f"<think>\nWhat the question asks for is known without any doubt.\n</think>\n\nAnswer: {right}"

    return answer


@pytest.fixture(scope="module")
def done(tmp_path_factory, embedded_tokenizer):
    folder = tmp_path_factory.mktemp("stem")
    with home(folder):
        bench = Bench(folder, embedded_tokenizer)
        endpoint = bench.run(ASSETS, CHECKS, teacher(bench))
        yield bench, endpoint


def test_new_questions_are_kept_once(done):
    bench, _ = done
    rows = bench.rows(STEM_EXPANSIONS)
    assert set(rows["question"]) == {question for question, _ in FACTS.values()}
    assert (
        set(rows["mode"]) == set(FACTS) and set(rows["round"]) == {1} and set(rows["generator"]) == {"model-generator"}
    )
    # Both seeds of the round gave the same three questions.
    assert bench.causes(STEM_EXPANSIONS) == {"duplicate": 3}
    assert bench.checks["new_questions_are_new"].passed


def test_seeds_are_verified_and_other_questions_have_a_majority_or_fail(done):
    bench, _ = done
    rows = bench.rows(STEM_QUESTIONS)
    assert bench.checks["stem_rows_are_sound"].passed, bench.checks["stem_rows_are_sound"].metadata
    status = {(row["mode"] == "seed", row["status"], row["verified_by"]) for row in rows.iter_rows(named=True)}
    assert status == {(True, "verified", "seed answer"), (False, "majority", "3 of 3 samples"), (False, "failed", None)}
    failed = rows.filter(rows["status"] == "failed")
    assert (
        failed["question"].to_list() == [FACTS["varied"][0]]
        and "no answer has a majority" in failed["status_detail"][0]
    )
    assert bench.made["stem_questions"]["verified"] + bench.made["stem_questions"]["majority"] + 1 == rows.height


def test_every_right_answer_is_recast_with_four_and_ten_options(done):
    bench, _ = done
    rows = bench.rows(STEM_QUESTIONS).filter(bench.rows(STEM_QUESTIONS)["status"] != "failed")
    for row in rows.iter_rows(named=True):
        wanted = {"stem_open": 0, "stem_choice_4": 4, "stem_choice_10": 10}[row["prompt"]]
        assert len(row["choices"]) == len({option.casefold() for option in row["choices"]}) == wanted
        assert row["text"].startswith("<extra_id_1>User\n") and row["subset"] == "General"
        if wanted:
            letter = re.fullmatch(r"Answer: ([A-J])\. (.*)", row["answer"])
            assert row["choices"]["ABCDEFGHIJ".index(letter[1])] == letter[2] == row["result"]
        assert "<think>\nWhat the question asks" in row["text"]
    forms = rows.group_by("mode", "prompt").len()
    assert dict(forms.filter(forms["mode"] == "seed")["prompt", "len"].iter_rows()) == {
        "stem_choice_4": 3, "stem_choice_10": 3
    }  # fmt: skip
    assert set(rows.filter(rows["mode"] == "similar")["prompt"]) == {"stem_open", "stem_choice_4", "stem_choice_10"}


def test_rows_name_where_they_come_from(done):
    bench, _ = done
    rows = bench.rows(STEM_QUESTIONS)
    assert set(rows["sources"].explode()) == {"sft.seeds", "sft.stem_expansions"}
    seeds = {row["id"]: row for row in bench.rows(STEM_EXPANSIONS).iter_rows(named=True)}
    for row in rows.filter(rows["mode"] != "seed").iter_rows(named=True):
        assert row["origin_hash"] == seeds[row["parents"][0]]["origin_hash"]
        assert len(row["generation_ids"]) >= 3


def test_a_seed_on_which_samples_agree_wrongly_fails(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer, **{"sft__stem__vote": STEM.vote.model_copy(update={"samples": 2})})
        truths = _truths(bench)

        def wrong(body: dict) -> str:
            text = asked(body)
            if "Old question:" in text:
                return "nothing"
            question, *options = text.split("Question:\n")[1].split("\n- ")
            right = truths[question.strip()]
            other = sorted(option for option in options if option.strip() != right)[0]
            return f"<think>\nIt must be so, as anybody can see.\n</think>\n\nAnswer: {other}"

        bench.run(ASSETS, CHECKS, wrong)
        rows = bench.rows(STEM_QUESTIONS)
        assert set(rows["status"]) == {"failed"} and set(rows["prompt"]) == {"stem_open"} and rows.height == 3
        assert all("the seed answer is" in detail for detail in rows["status_detail"])
        assert all(check.passed for check in bench.checks.values())


def test_a_model_that_always_takes_the_first_option_verifies_nothing(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer)

        def first(body: dict) -> str:
            text = asked(body)
            options = text.split("Question:\n")[-1].split("\n- ")[1:]
            return f"<think>\nThe first one looks right to me.\n</think>\n\nAnswer: {(options or ['x'])[0]}"

        bench.run(ASSETS, CHECKS, first)
        assert not set(bench.rows(STEM_QUESTIONS)["status"]) & set(PROVEN)


class _Several(Canned):
    """Two models, "small" and "large", that write different questions."""

    def each(self, names):
        for name in names:
            one = Canned(lambda body, name=name: self._answer(body, name))
            one.name = f"model-{name}"
            yield name, one


def test_several_models_write_and_each_answers_its_own_questions_and_all_seeds():
    recipe = STEM.model_copy(update={"generators": ("small", "large"),
                                     "expansion": STEM.expansion.model_copy(update={"rounds": 2})})  # fmt: skip
    subjects = itertools.count()

    def answer(body: dict, name: str) -> str:
        text = asked(body)
        if "Old question:" in text:
            subject = ("moons", "atoms", "whales", "tides", "genes", "prisms", "quakes", "acids")[next(subjects) % 8]
            number = next(subjects)
            return f"Question: According to {name} author number {number} * {number}, what do {subject} {number} weigh?"
        return "<think>\nThe number is known from the book.\n</think>\n\nAnswer: 7"

    seeds = [seed for seed in seed_rows() if seed["seed_set"] == "math_problems"][:2]
    writers, tally = _Several(answer), Tally()
    expansions = list(expanding.rows(seeds, recipe, writers, tally))
    assert {row["recipe_name"] for row in expansions} == {"small", "large"} and {
        row["round"] for row in expansions
    } == {1, 2}
    made = {row["id"]: row["round"] for row in expansions}
    for row in expansions:
        assert row["parents"][0] in {seed["id"] for seed in seeds} and row["generator"] == f"model-{row['recipe_name']}"
        assert row["made_from"] in ({seed["id"] for seed in seeds} if row["round"] == 1 else made)
    rows = list(Answering(recipe, writers, tally, seeds).rows(seeds, expansions))
    author = {row["id"]: row["generator"] for row in expansions}
    for row in rows:
        assert row["generator"] == author.get(row["parents"][0], row["generator"])
    about_seeds = {(row["parents"][0], row["generator"]) for row in rows if row["mode"] == "seed"}
    assert len(about_seeds) == 4, "both models answer both seeds"


@pytest.mark.parametrize("name", POISON)
def test_poisoned_answers_are_rejected(name):
    """All samples of a question give the same poisoned answer, so that a vote alone would accept it."""
    seeds, tally, writers = [s for s in seed_rows() if s["choices"]][:6], Tally(), Canned(poisoned(name))
    assert not list(expanding.rows(seeds, STEM, writers, tally))
    new = {"id": "n", "origin_hash": "h", "language": "en", "question": "How heavy is a litre of water?", "topic": "t",
           "mode": "harder", "round": 1, "recipe_name": "generator"}  # fmt: skip
    rows = list(Answering(STEM, writers, tally, seeds).rows(seeds, [new]))
    assert not {row["status"] for row in rows} & set(PROVEN) and tally.rejected


@pytest.mark.parametrize("name", POISON)
def test_poisoned_wrong_options_are_left_out(name):
    """The answers are good, and what the model gives as wrong options is poison."""
    seeds = [seed for seed in seed_rows() if seed["seed_set"] == "stem_questions"][:2]
    new = {"id": "n", "origin_hash": "h", "language": "en", "question": "How heavy is a litre of water?", "topic": "t",
           "mode": "harder", "round": 1, "recipe_name": "generator"}  # fmt: skip
    bad = poisoned(name)

    def answer(body: dict) -> object:
        text = asked(body)
        said = "<think>\nA litre is a cubic decimetre of water.\n</think>\n\nAnswer: 1 kg"
        return bad(body) if text.startswith("Below are a question") else said

    rows = list(Answering(STEM, Canned(answer), Tally(), seeds).rows([], [new]))
    assert [(row["prompt"], row["status"]) for row in rows] == [("stem_open", "majority")]


def test_a_poisoned_endpoint_leaves_sound_tables_that_say_why_they_are_empty(tmp_path, embedded_tokenizer):
    with home(tmp_path):
        bench = Bench(tmp_path, embedded_tokenizer)
        bench.run(ASSETS, CHECKS, poisoned("injection in form"))
        assert not set(bench.rows(STEM_QUESTIONS)["status"]) & set(PROVEN) and bench.rows(STEM_EXPANSIONS).is_empty()
        assert bench.causes(STEM_EXPANSIONS) == {"injected": 6} and bench.causes(STEM_QUESTIONS) == {"injected": 9}
        assert all(check.passed for check in bench.checks.values())
        assert "| stem\\_answer | 9 |" in bench.made["stem_questions"]["reject_reasons"]
