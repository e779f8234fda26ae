"""Items in the manner of RULER: answers are in the prompt, prompts fill their length, answers are graded by recall."""

from __future__ import annotations

import random
from string import ascii_uppercase

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.evaluate.ruler import tasks
from nemotron_assets.evaluate.ruler.answers import answered, answering, made_with, recall, rows_of, summary
from nemotron_assets.evaluate.ruler.tasks import RulerError, answer_tokens, haystack, make_items
from nemotron_assets.evaluate.tables import RULER_ITEMS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text import tokenizer as bpe
from nemotron_assets.text.tokenizer import encode

BUDGET = 192  # the vocabulary of the tests is smaller than a recipe's, so a word takes more tokens


@pytest.fixture(scope="module")
def documents(items) -> list[tuple[str, str]]:
    questions = items.filter(benchmark="mmlu")["question"].to_list()
    return [(f"document {k}", "\n".join(questions[k::20])) for k in range(20)]


@pytest.fixture(scope="module")
def made(documents, vocabulary) -> pl.DataFrame:
    rows = [vars(item) for item in make_items(documents, vocabulary, (768, 2_048), 3, BUDGET, 7)]
    return pl.DataFrame(rows, RULER_ITEMS.empty().schema)


def test_every_task_has_its_items_at_every_length(made, vocabulary):
    counts = made.group_by("task", "length").len()
    assert set(counts["task"]) == set(tasks.TASKS) and len(counts) == 14 and set(counts["len"]) == {3}
    assert made["id"].is_unique().all() and made["seed"].is_unique().all()
    for item in made.iter_rows(named=True):
        assert len(encode(vocabulary, item["prompt"])) == item["tokens"]
        room = item["length"] - BUDGET
        assert 0.8 * room < item["tokens"] <= room, f"{item['task']} fills its length, and leaves room for the answer"
        assert all(answer in item["prompt"] for answer in item["answers"])
        assert answer_tokens(vocabulary, item["answers"]) <= BUDGET


def test_sentences_of_the_named_parents_are_in_the_prompt(made, documents):
    texts = dict(documents)
    for item in made.filter(task="needle_single", length=2_048).iter_rows(named=True):
        shown = [line for line in item["prompt"].splitlines() if "magic number" not in line]
        assert len(shown) > 10 and all(any(line in texts[parent] for parent in item["parents"]) for line in shown)
        assert all(any(line in texts[parent] for line in shown) for parent in item["parents"]), "no parent too many"


def test_answers_follow_from_the_prompts(made):
    """What the prompts ask for is counted again, from the prompt alone."""
    import re
    from collections import Counter

    for item in made.iter_rows(named=True):
        _, *lines, last_but_one, last = item["prompt"].splitlines()
        question = f"{last_but_one}\n{last}"
        match item["task"].split("_")[0]:
            case "needle":
                pairs = re.findall(r"magic numbers for (\w+) is: (\d{7})\.", item["prompt"])
                asked = re.search(r"for ([\w ]+) mentioned", question)[1].split(" and ")
                assert sorted(item["answers"]) == sorted(number for word, number in pairs if word in asked)
                hidden = {"single": 1, "key": 5, "value": 4, "query": 4}[item["task"].split("_")[-1]]
                assert len(pairs) == hidden
            case "variable":
                value = re.search(r"value (\d{5})", question)[1]
                found: dict[str, str] = {}
                for name, given_value in re.findall(r"VAR ([A-Z]{3}) = (?:VAR )?(\w+)", "\n".join(lines)):
                    found[name] = found.get(given_value, given_value)
                assert sorted(name for name, known in found.items() if known == value) == sorted(item["answers"])
                assert len(item["answers"]) == 5 and len(found) == 10
            case _:
                counts = Counter(lines[0].split()).most_common()
                asked = len(item["answers"])
                assert {word for word, _ in counts[:asked]} == set(item["answers"])
                assert counts[asked - 1][1] > counts[asked][1], "no other word is as frequent"


def each(answer):
    """Answers every prompt by itself."""
    return lambda prompts, budget: [answer(prompt, budget) for prompt in prompts]


SILENT = each(lambda prompt, budget: "")


def test_items_depend_on_seed_and_documents_alone(documents, vocabulary, made):
    again = [vars(item) for item in make_items(documents, vocabulary, (768, 2_048), 3, BUDGET, 7)]
    assert pl.DataFrame(again, RULER_ITEMS.empty().schema).equals(made)
    other = [item.prompt for item in make_items(documents, vocabulary, (768,), 1, BUDGET, 8)]
    assert not set(other) & set(made["prompt"])


def test_an_answer_that_would_be_cut_is_an_error(documents, vocabulary, made):
    with pytest.raises(
        RulerError, match=r"has \d+ tokens, but evaluate.ruler.max_output_tokens is 16, so the answer would be cut"
    ):
        list(make_items(documents, vocabulary, (768,), 1, 16, 7))
    with pytest.raises(RulerError, match=r"has \d+ tokens without any text, but a length of 260 tokens leaves 68"):
        list(make_items(documents, vocabulary, (260,), 1, BUDGET, 7))
    with pytest.raises(RulerError, match=r"does not fit its length of 768 tokens: .* may have 400 tokens"):
        list(answered(made, SILENT, vocabulary, 4_096, 400, 4_096))
    with pytest.raises(RulerError, match=r"too few for RULER items"):
        list(make_items([("one", "a short text of a few words")], vocabulary, (768,), 1, BUDGET, 7))


def test_scripted_models_are_graded_right(made, vocabulary):
    """One knows all answers, one the first half of them, one writes nothing to the point."""
    known = dict(made.select("prompt", "answers").iter_rows())

    def graded(answer) -> list:
        return list(answered(made, each(answer), vocabulary, 2_048, BUDGET, 4_096))

    right = graded(lambda prompt, _: f" {', '.join(known[prompt])}. That is all.")
    assert len(right) == 42 and {answer.recall for answer in right} == {1.0}
    half = graded(lambda prompt, _: " and ".join(known[prompt][: len(known[prompt]) // 2]).upper())
    expected = {1: 0.0, 3: 1 / 3, 4: 0.5, 5: 0.4}
    assert all(a.recall == pytest.approx(expected[len(a.item["answers"])]) for a in half)
    assert {answer.recall for answer in graded(lambda prompt, _: "1234567 or ABC, as 42 and the of")} == {0.0}
    assert {answer.recall for answer in graded(lambda prompt, _: "")} == {0.0}


def test_a_model_is_asked_up_to_its_context_only(made, vocabulary):
    asked = [a.item["length"] for a in answered(made, SILENT, vocabulary, 1_024, BUDGET, 4_096)]
    assert asked == [768] * 21
    assert not list(answered(made, SILENT, vocabulary, 512, BUDGET, 4_096))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("the numbers are 1234567 and 7654321", 1.0),
        ("(1234567).", 0.5),
        ("91234567 76543210", 0.0),
        ("1234567 1234567", 0.5),
        ("7654321,1234567", 1.0),
        ("", 0.0),
    ],
)
def test_recall_counts_whole_answers(text, share):
    assert recall(text, ("1234567", "7654321")) == share
    assert recall("Water, ICE-cream", ("ice", "water")) == 1.0


@given(st.lists(st.from_regex(r"[a-z]{3,6}", fullmatch=True), min_size=1, max_size=6, unique=True), st.integers(0, 5))
def test_recall_is_the_share_that_is_named(answers, count):
    named = answers[:count]
    assert recall(" / ".join(named), answers) == len(named) / len(answers)


def test_a_transformers_model_answers_within_the_budget(student, vocabulary):
    (text,) = answering(student, vocabulary)(["One of the special magic numbers"], 5)
    assert 0 < len(encode(vocabulary, text)) <= 10
    assert [text] == answering(student, vocabulary)(["One of the special magic numbers"], 5)


def test_an_answer_does_not_depend_on_the_prompts_beside_it(student, vocabulary):
    """Shorter prompts are padded, and an answer that ends early is padded too."""
    prompts = ["One of the special magic numbers", "Words:", "The cat and the dog ran, and the sun was far away. " * 3]
    answer = answering(student, vocabulary)
    alone = [answer([prompt], 12)[0] for prompt in prompts]
    assert answer(prompts, 12) == alone and len(set(alone)) > 1
    ended = encode(vocabulary, alone[0])[2]
    before = student.generation_config.eos_token_id
    student.generation_config.eos_token_id = [ended]
    try:
        assert answering(student, vocabulary)(prompts, 12)[0] == vocabulary.decode(encode(vocabulary, alone[0])[:2])
    finally:
        student.generation_config.eos_token_id = before


def test_items_of_one_length_are_asked_together(made, vocabulary):
    asked: list[int] = []

    def answer(prompts, budget):
        asked.append(len(prompts))
        return [""] * len(prompts)

    assert len(list(answered(made, answer, vocabulary, 2_048, BUDGET, 2_048 * 4))) == 42
    assert asked == [10, 10, 1, 4, 4, 4, 4, 4, 1]


def test_no_answer_is_a_word_of_the_question_or_the_name_of_a_variable_a_word(documents, vocabulary):
    """A model that repeats the question, or writes a sentence of the documents, has named no right answer."""
    talk = [
        ("talk", "The cat and the dog ran. Memorize the words that appear most often in the list of numbers above.")
    ]
    drawn = list(make_items([*documents, *talk], vocabulary, (768,), 20, BUDGET, 3))
    for item in drawn:
        _, *_, last_but_one, last = item.prompt.splitlines()
        assert recall(f"{last_but_one} {last}", item.answers) == 0, (item.task, item.answers)
    texts = tasks.Texts(
        [("short", " ".join(a + b + c for a in ascii_uppercase for b in ascii_uppercase for c in ascii_uppercase[1:]))]
        + documents
    )
    problem = tasks.TASKS["variable_tracking"](texts, random.Random(0))
    assert {name[-1] for name in problem.answers} == {"A"}, "all other names are words of the documents"


def test_a_model_with_another_tokenizer_is_not_asked(made, vocabulary, vocabulary_folder, tmp_path):
    other = bpe.train([["a few other words, and few of them"]], vocabulary=300, specials=32, min_frequency=2)
    bpe.save(other, tmp_path, 512)
    assert made_with(vocabulary, made) and not made_with(other, made)
    lines = []
    assert rows_of(tmp_path, made, BUDGET, "cpu", "id-of-a-model", lines.append) == []
    assert len(lines) == 1 and "id-of-a-model" in lines[0] and "another tokenizer" in lines[0]
    rows = pl.DataFrame({"length": [512], "recall": [0.5]})
    shown = summary({"asked 1": rows, "other 2": rows.clear()})
    assert shown["models"] == "asked 1" and shown["not_asked"].startswith("other 2: ")
    assert summary({"other 2": rows.clear()})["models"] == "none"


def test_the_recall_is_shown_by_length():
    rows = [
        {"length": length, "recall": recall, "task": "t"} for length, recall in ((512, 1.0), (512, 0.0), (1024, 0.5))
    ]
    shown = summary({"tiny 1": pl.DataFrame(rows)})
    assert shown["models"] == "tiny 1" and "data:image/png" in shown["recall"].value
    assert summary({})["models"].startswith("none: ")


def test_the_haystack_has_the_english_documents_with_the_lowest_hashes():
    rows = [{"id": f"id {k}", "language": "de" if k == 2 else "en", "text": "é" * 50, "content_hash": f"{k:02}"}
            for k in range(9)]  # fmt: skip
    random.Random(0).shuffle(rows)
    assert [id_ for id_, _ in haystack(pl.LazyFrame(rows), 201)] == ["id 0", "id 1", "id 3"]
    assert len(list(haystack(pl.LazyFrame(rows), 10**9))) == 8


def test_the_recipe_refuses_lengths_without_room():
    own = load_recipe("laptop").evaluate.ruler.model_dump()
    with pytest.raises(ValueError, match="max_output_tokens 600 leaves no room for a prompt in 512 tokens"):
        type(load_recipe("laptop").evaluate.ruler).model_validate(own | {"max_output_tokens": 600})
    with pytest.raises(ValueError, match="2048, 512: give every length once, the shortest first"):
        type(load_recipe("laptop").evaluate.ruler).model_validate(own | {"lengths": [2048, 512]})
