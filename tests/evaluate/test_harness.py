"""lm-evaluation-harness on the task files: it runs offline, counts right answers, and never scores worked examples."""

from __future__ import annotations

import shutil
from collections import Counter

import polars as pl
import pytest
import torch

from nemotron_assets.evaluate import harness, scoring, suites
from nemotron_assets.evaluate.bits_per_byte import measure
from nemotron_assets.evaluate.results import items as measured
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.evaluate import Task
from nemotron_assets.text.tokenizer import load

ARC, GSM = Task(name="arc_challenge", shots=1), Task(name="gsm8k", shots=1)


@pytest.fixture(scope="module")
def auto(vocabulary_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary_folder)


def samples_of(model, auto, items, task: Task, count: int) -> list[dict]:
    """The harness's records of the first items."""
    (group,) = suites.groups(task.name, items, task.shots, count)
    return harness.evaluate(harness.likelihoods(model, auto, 4), [group.config()])[group.task]


def test_tiny_student(student, auto, items):
    results = list(harness.choice_results(harness.likelihoods(student, auto, 4), items, [ARC, GSM], 6))
    assert Counter((r.task, r.metric, r.shots, r.guessing) for r in results) == {
        ("arc_challenge", "acc", 1, 0.25): 6,
        ("arc_challenge", "acc_norm", 1, 0.25): 6,
    }
    assert all(r.score in (0, 1) and r.weight == 1 and r.run == 0 for r in results)
    by_id = {row["id"]: row for row in items.iter_rows(named=True)}
    for result in results:
        item = by_id[result.item]
        assert item["benchmark"] == result.task and result.answer in item["choices"]
        if result.metric == "acc":
            assert result.score == float(result.answer == item["answer"]), "the stored choice is the one that counts"
    prompt = samples_of(student, auto, items, ARC, 6)[0]["arguments"][0][0]
    item = items.filter(benchmark="arc_challenge").row(0, named=True)
    letters = "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", item["choices"], strict=True))
    assert prompt.endswith(f"Question: {item['question']}{letters}\nAnswer:")
    assert items.filter(benchmark="arc_challenge")["question"][-1] in prompt  # the worked example is the last item


def test_accuracy_computed_independently(llama, auto, items):
    records = sorted(samples_of(llama, auto, items, ARC, 5), key=lambda r: r["doc_id"])
    arc = items.filter(benchmark="arc_challenge").sort("position")
    for number, record in enumerate(records):
        prompt, gold = record["arguments"][0][0], arc["answer_index"][number]
        context = auto(prompt).input_ids
        likelihoods = []
        for letter in "ABCD"[: len(arc["choices"][number])]:
            ids = auto(f"{prompt} {letter}").input_ids
            with torch.inference_mode():
                log_probabilities = torch.log_softmax(llama(torch.tensor([ids])).logits[0].double(), -1)
            answer = range(len(context), len(ids))
            likelihoods.append(sum(float(log_probabilities[k - 1, ids[k]]) for k in answer))
        found = [float(response[0]) for response in record["filtered_resps"]]
        assert found == pytest.approx(likelihoods, abs=1e-3)
        assert record["acc"] == float(max(range(len(likelihoods)), key=likelihoods.__getitem__) == gold)


def test_the_likeliest_choices_are_counted(items):
    from lm_eval.api.model import LM

    arc = dict(items.filter(benchmark="arc_challenge").select("question", "answer_index").iter_rows())

    class Knows(LM):
        def loglikelihood(self, requests):
            return [(0.0 if self.letter(r.args[0]) == r.args[1].strip() else -5.0, False) for r in requests]

        def letter(self, prompt: str) -> str:
            return "ABCDE"[arc[prompt.rsplit("Question: ", 1)[1].removesuffix("\nAnswer:").split("\nA. ")[0]]]

        generate_until = loglikelihood_rolling = None

    results = list(harness.choice_results(Knows(), items, [Task(name="arc_challenge", shots=2)], 10))
    assert len(results) == 20 and all(r.score == 1 for r in results)


def test_worked_examples_are_not_scored(items):
    (group,) = suites.groups("arc_challenge", items, 25, None)
    assert (len(group.scored), len(group.examples)) == (175, 25)
    assert not set(group.scored["id"]) & set(group.examples["id"])
    assert len(next(suites.groups("arc_challenge", items, 25, 10)).scored) == 10
    with pytest.raises(suites.SuiteError, match="200 worked examples leave nothing"):
        list(suites.groups("arc_challenge", items, 200, None))


def test_the_examples_of_mmlu_are_of_the_same_subject(items):
    found = list(suites.groups("mmlu", items, 5, 2))
    assert len(found) == 57 and {len(group.scored) for group in found} == {2}
    for group in found:
        assert set(group.examples["subject"]) == set(group.scored["subject"]) == {group.key}
        assert set(group.examples["benchmark"]) == {"mmlu_dev"} and len(group.examples) == 5
    with pytest.raises(suites.SuiteError, match="6 worked examples are wanted of 5"):
        list(suites.groups("mmlu", items, 6, None))


def test_measuring_a_saved_model(student, vocabulary_folder, items, tmp_path):
    """Bits per byte of every text, the same in every run and as `measure` gives them."""
    student.save_pretrained(tmp_path / "model")
    shutil.copytree(vocabulary_folder, tmp_path / "model", dirs_exist_ok=True)  # as a training stores it
    recipe = load_recipe("laptop").evaluate.model_copy(update={"max_items": 2, "max_output_tokens": 4, "batch_size": 2})
    texts = {"held_out_maths": [("a", "held out"), ("b", "too, and longer")], "held_out_code": [("c", "held out")]}
    found = measured.texts(student, tmp_path / "model", texts, recipe)
    assert {r.task for r in found} == {"held_out_maths", "held_out_code"}
    assert found == measured.texts(student, tmp_path / "model", texts, recipe)
    assert [(r.item, r.weight, r.answer) for r in found[:2]] == [("a", 8, None), ("b", 15, None)]
    beginnings = recipe.model_copy(update={"max_held_out_characters": 8})
    cut = measured.texts(student, tmp_path / "model", texts, beginnings)
    assert cut[0] != found[0] and [cut[0].score, cut[2]] == [found[0].score, found[2]]  # gzip sees the beginnings too
    assert [r.weight for r in cut] == [8, 8, 8]
    scores = list(scoring.item_scores(pl.DataFrame([r.as_row() for r in found], ITEM_RESULTS.empty().schema)))
    whole = measure(student, load(vocabulary_folder), ["held out", "too, and longer"], 512, 128, 2, "held_out_maths")
    own = next(s for s in scores if s.task == "held_out_maths")
    for name in ("value", "stderr", "random_baseline", "unigram", "gzip"):
        assert getattr(own, name) == pytest.approx(getattr(whole, name)), name
    rows = [score.as_row() | {"id": f"{score.task} {score.metric}"} for score in scores]
    shown = scoring.as_markdown({"base 3": pl.DataFrame(rows, BENCHMARK_SCORES.empty().schema)})
    assert shown.startswith("**base 3**") and "| held_out_maths |  | bits_per_byte |" in shown
