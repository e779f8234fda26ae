"""lm-evaluation-harness on the task files: it runs offline, counts right answers, and never scores worked examples."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
import torch

from nemotron_assets.evaluate import harness, scoring
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.recipe import load_recipe

SHOTS = {"arc_challenge": 1, "gsm8k": 1}


@pytest.fixture(scope="module")
def auto(vocabulary_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary_folder)


def test_tiny_student(student, auto, items):
    scores, samples = harness.run(student, auto, items, SHOTS, 6, 8, 4, log_samples=True)
    assert [(s.task, s.metric, s.samples, s.shots) for s in scores] == [
        ("arc_challenge", "acc", 6, 1),
        ("arc_challenge", "acc_norm", 6, 1),
        ("gsm8k", "exact_match,strict-match", 6, 1),
    ]
    assert all(0 <= s.value <= 1 and s.stderr is not None for s in scores)
    assert [s.random_baseline for s in scores] == [0.25, 0.25, 0.0]
    prompt = samples["arc_challenge"][0]["arguments"][0][0]
    item = items.filter(benchmark="arc_challenge").row(0, named=True)
    letters = "".join(f"\n{letter}. {choice}" for letter, choice in zip("ABCD", item["choices"], strict=True))
    assert prompt.endswith(f"Question: {item['question']}{letters}\nAnswer:")
    assert items.filter(benchmark="arc_challenge")["question"][-1] in prompt  # the worked example is the last item
    assert samples["gsm8k"][0]["arguments"][0][0].count("#### ") == 1


def test_accuracy_computed_independently(llama, auto, items):
    _, samples = harness.run(llama, auto, items, {"arc_challenge": 1}, 5, 8, 4, log_samples=True)
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
    return harness.evaluate(model, [harness.task_config(name, scored, examples, 16)])["results"][name]


def test_right_answers_are_counted(items):
    gsm = dict(items.filter(benchmark="gsm8k").select("question", "answer").iter_rows())
    arc = dict(items.filter(benchmark="arc_challenge").select("question", "answer_index").iter_rows())

    def question(prompt: str) -> str:
        return prompt.rsplit("Question: ", 1)[1].removesuffix("\nAnswer:").split("\nA. ")[0]

    letters = {k: "ABCDE"[v] for k, v in arc.items()}
    assert evaluate(scripted(lambda p: letters[question(p)]), "arc_challenge", items, 10)["acc,none"] == 1
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


def test_scoring_a_saved_model(student, vocabulary_folder, items, tmp_path):
    student.save_pretrained(tmp_path / "model")
    shutil.copytree(vocabulary_folder, tmp_path / "model", dirs_exist_ok=True)  # as a training stores it
    recipe = load_recipe("laptop").evaluate.model_copy(update={"max_items": 2, "max_output_tokens": 4, "batch_size": 2})
    texts = {"held_out_maths": ["held out", "too"], "held_out_code": ["held out"]}
    scores = scoring.score(tmp_path / "model", items, texts, recipe, "cpu")
    assert {s.task for s in scores} == {"arc_challenge", "gsm8k", "held_out_maths", "held_out_code"}
    again = scoring.score(tmp_path / "model", items, texts, recipe, "cpu")
    assert again == scores
    rows = [row | {"id": f"{row['task']} {row['metric']}"} for row in map(scoring.as_row, scores)]
    frame = pl.DataFrame(rows, BENCHMARK_SCORES.empty().schema)
    shown = scoring.as_markdown({"base 3": frame})
    assert shown.startswith("**base 3**") and "| held_out_maths |  | bits_per_byte |" in shown
    beside = frame.filter(task="held_out_maths").select("unigram_bits_per_byte", "gzip_bits_per_byte").row(0)
    assert all(bits is not None for bits in beside) and frame.filter(task="gsm8k")["gzip_bits_per_byte"][0] is None
