"""lm-evaluation-harness on the task files: it runs offline, counts right answers, and never scores worked examples."""

from __future__ import annotations

import shutil
from collections import Counter
from statistics import mean

import polars as pl
import pytest
import torch

from nemotron_assets.evaluate import harness, scoring
from nemotron_assets.evaluate.bits_per_byte import measure
from nemotron_assets.evaluate.results import items as measured
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text.tokenizer import load

SHOTS = {"arc_challenge": 1, "gsm8k": 1}


@pytest.fixture(scope="module")
def auto(vocabulary_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary_folder)


def recorded(model, auto, items, shots: dict, count: int) -> dict:
    """The harness's records of the first items."""
    from lm_eval.models.huggingface import HFLM

    parts = {name: harness.split(items.filter(benchmark=name), number, count) for name, number in shots.items()}
    lm = HFLM(pretrained=model, tokenizer=auto, batch_size=4, add_bos_token=False)
    return harness.evaluate(lm, [harness.task_config(name, *part, 8) for name, part in parts.items()])


def test_tiny_student(student, auto, items):
    results = harness.run(student, auto, items, SHOTS, 6, 8, 4)
    assert Counter((r.task, r.metric, r.shots, r.guessing) for r in results) == {
        ("arc_challenge", "acc", 1, 0.25): 6,
        ("arc_challenge", "acc_norm", 1, 0.25): 6,
        ("gsm8k", "exact_match,strict-match", 1, 0.0): 6,
    }
    assert all(r.score in (0, 1) and r.weight == 1 and r.run == 0 for r in results)
    by_id = {row["id"]: row for row in items.iter_rows(named=True)}
    for result in results:
        item = by_id[result.item]
        assert item["benchmark"] == result.task and result.answer is not None
        if result.metric == "acc":
            assert result.score == float(result.answer == item["answer"]), "the stored choice is the one that counts"
    samples = recorded(student, auto, items, SHOTS, 6)
    prompt = samples["arc_challenge"][0]["arguments"][0][0]
    item = items.filter(benchmark="arc_challenge").row(0, named=True)
    letters = "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", item["choices"], strict=True))
    assert prompt.endswith(f"Question: {item['question']}{letters}\nAnswer:")
    assert items.filter(benchmark="arc_challenge")["question"][-1] in prompt  # the worked example is the last item
    assert samples["gsm8k"][0]["arguments"][0][0].count("#### ") == 1


def test_accuracy_computed_independently(llama, auto, items):
    samples = recorded(llama, auto, items, {"arc_challenge": 1}, 5)
    records = sorted(samples["arc_challenge"], key=lambda r: r["doc_id"])
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


def scripted(answer):
    """A model for the harness that answers every prompt by `answer(prompt)`."""
    from lm_eval.api.model import LM

    class Scripted(LM):
        def loglikelihood(self, requests):
            return [(0.0 if answer(r.args[0]) == r.args[1].strip() else -5.0, False) for r in requests]

        def generate_until(self, requests):
            return [answer(r.args[0]) for r in requests]

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    return Scripted()


def evaluate(model, name, items, count):
    scored, examples = harness.split(items.filter(benchmark=name), 2, count)
    samples = harness.evaluate(model, [harness.task_config(name, scored, examples, 16)])[name]
    found = list(harness.results(name, scored, len(examples), samples))
    return {metric: mean([r.score for r in found if r.metric == metric]) for metric in {r.metric for r in found}}


def test_right_answers_are_counted(items):
    gsm = dict(items.filter(benchmark="gsm8k").select("question", "answer").iter_rows())
    arc = dict(items.filter(benchmark="arc_challenge").select("question", "answer_index").iter_rows())

    def question(prompt: str) -> str:
        return prompt.rsplit("Question: ", 1)[1].removesuffix("\nAnswer:").split("\nA. ")[0]

    letters = {k: "ABCDE"[v] for k, v in arc.items()}
    assert evaluate(scripted(lambda p: letters[question(p)]), "arc_challenge", items, 10)["acc"] == 1
    half = set(list(gsm)[:10:2])
    right = evaluate(scripted(lambda p: f" so {gsm[question(p)]}\n"), "gsm8k", items, 10)
    assert right["exact_match,strict-match"] == 1
    mixed = evaluate(scripted(lambda p: gsm[question(p)] if question(p) in half else "#### 99999"), "gsm8k", items, 10)
    assert mixed["exact_match,strict-match"] == 0.5
    loose = evaluate(scripted(lambda p: gsm[question(p)].replace("#### ", "The answer is ")), "gsm8k", items, 10)
    assert loose["exact_match,strict-match"] == 0


def test_worked_examples_are_not_scored(items):
    arc = items.filter(benchmark="arc_challenge")
    scored, examples = harness.split(arc, 25, None)
    assert (len(scored), len(examples)) == (175, 25)
    assert not set(scored["id"]) & set(examples["id"])
    assert len(harness.split(arc, 25, 10)[0]) == 10
    with pytest.raises(ValueError, match="200 worked examples leave nothing"):
        harness.split(arc, 200, None)


def test_measuring_a_saved_model(student, vocabulary_folder, items, tmp_path):
    """The tasks that the recipe asks this model for, and bits per byte of every text, the same in every run."""
    student.save_pretrained(tmp_path / "model")
    shutil.copytree(vocabulary_folder, tmp_path / "model", dirs_exist_ok=True)  # as a training stores it
    recipe = load_recipe("laptop").evaluate.model_copy(update={"max_items": 2, "max_output_tokens": 4, "batch_size": 2})
    texts = {"held_out_maths": [("a", "held out"), ("b", "too, and longer")], "held_out_code": [("c", "held out")]}
    found = measured.texts(student, tmp_path / "model", texts, recipe)
    found += measured.suites(student, tmp_path / "model", items, recipe)
    assert {r.task for r in found} == {"arc_challenge", "gsm8k", "held_out_maths", "held_out_code"}
    assert found[:3] == measured.texts(student, tmp_path / "model", texts, recipe)
    both = found[:2]
    assert [(r.item, r.weight, r.answer) for r in both] == [("a", 8, None), ("b", 15, None)]
    scores = list(scoring.item_scores(pl.DataFrame([r.as_row() for r in found], ITEM_RESULTS.empty().schema)))
    whole = measure(student, load(vocabulary_folder), ["held out", "too, and longer"], 512, 128, 2, "held_out_maths")
    own = next(s for s in scores if s.task == "held_out_maths")
    for name in ("value", "stderr", "random_baseline", "unigram", "gzip"):
        assert getattr(own, name) == pytest.approx(getattr(whole, name)), name
    rows = [score.as_row() | {"id": f"{score.task} {score.metric}"} for score in scores]
    shown = scoring.as_markdown({"base 3": pl.DataFrame(rows, BENCHMARK_SCORES.empty().schema)})
    assert shown.startswith("**base 3**") and "| held_out_maths |  | bits_per_byte |" in shown
