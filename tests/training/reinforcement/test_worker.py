"""GRPO on rollouts of the current weights: it learns, a killed training goes on without paying twice, and rollouts that
could not be graded stay outside the update."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from nemotron_assets.align.reinforcement.tables import ROLLOUTS
from nemotron_assets.chat.budget.automaton import Budget, banned_tokens
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.grading.rewards import Rewards
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.reinforcement import Grpo, PassRates, ThinkingBudget
from nemotron_assets.rollouts.opening import ENDS
from nemotron_assets.rollouts.policy import Ask, Rollout
from nemotron_assets.training.checkpoint import folder_tensors
from nemotron_assets.training.plan import TrainingError
from nemotron_assets.training.reinforcement import asking
from nemotron_assets.training.reinforcement.asking import Prompt, prompt, schedule
from nemotron_assets.training.reinforcement.audit import held_out
from nemotron_assets.training.reinforcement.grading import ByModel, ByVerifiers, Graded, GradingFailed
from nemotron_assets.training.reinforcement.storing import RolloutFile, appender
from nemotron_assets.training.reinforcement.trainer import _trained
from resources.generations import GENERATIONS
from resources.lakehouse import Lakehouse
from tests.align.stored import prompt as stored_prompt
from tests.training.reinforcement import training_run
from tests.training.reinforcement.training_run import GENERATIONS_OF_RUN, RUN, config, lake_with_prompts, run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The ledger's journals lie in a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def whole(home, policy_folder, tmp_path_factory):
    """(result, rows, folder, lake) of a training that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    lake = lake_with_prompts(folder / "lake")
    result, rows = run(config(lake, policy_folder, folder / "work"), folder / "calls")
    return result, rows, folder, lake


def _weights(result: dict) -> dict[str, torch.Tensor]:
    return dict(folder_tensors(Path(result["weights"])))


def _rollouts(rows: list[dict], split: str = "train") -> list[dict]:
    return [row for row in rows if row.get("split") == split]


def test_rewards_rise_and_every_rollout_is_recorded_with_both_probabilities(whole):
    result, rows, *_ = whole
    assert result["steps"] == RUN.steps
    trained = _rollouts(rows)
    assert len(trained) == RUN.steps * RUN.rollouts_per_step
    by_step = pl.DataFrame(trained).group_by("step").agg(pl.col("reward").mean()).sort("step")["reward"].to_list()
    assert by_step[-1] > by_step[0] + 0.2
    for row in trained:
        assert row["trainer_logprobs"] == pytest.approx(row["sampler_logprobs"], abs=1e-4)
        assert len(row["tokens"]) == len(row["forced"]) == row["length"]
        assert row["kl"] >= -1e-6 and row["error"] is None and row["engine"] == "transformers"
    assert max(row["kl"] for row in trained if row["step"] == 1) < 1e-6  # the weights of the start
    assert max(row["kl"] for row in trained if row["step"] == 5) > 1e-4
    for step in range(1, RUN.steps + 1):
        for group in pl.DataFrame([row for row in trained if row["step"] == step]).partition_by("prompt"):
            assert group["advantage"].sum() == pytest.approx(0, abs=1e-3)
            assert group["sample"].sort().to_list() == list(range(group.height))
    measured = [dict(zip(row["measures"], row["measured"], strict=True)) for row in rows if "measures" in row]
    assert [one["rollouts/new"] for one in measured] == [RUN.rollouts_per_step] * RUN.steps
    assert all(one["disagreement/max"] < 1e-4 and one["errors"] == 0 for one in measured)
    assert {"reward", "kl_to_start", "entropy", "clip_ratio/region_mean", "completions/mean_length"} <= measured[
        0
    ].keys()
    held_out = _rollouts(rows, "held_out")
    assert [row["step"] for row in held_out] == [0] * 3 + [RUN.steps] * 3
    assert any("</think>" in row["prompt"] for row in trained) and any("<think>\n" in row["prompt"] for row in trained)


def test_no_step_uses_stale_weights(whole):
    _, rows, _, lake = whole
    ledger = lake.read(GENERATIONS).scan().select("id", "model_sha256").collect()
    weights = dict(ledger.iter_rows())
    used = {split: {} for split in ("train", "held_out")}
    for row in rows:
        if "generation_id" in row:
            used[row["split"]].setdefault(row["step"], set()).add(weights[row["generation_id"]])
    steps = [used["train"][step] for step in range(1, RUN.steps + 1)]
    before, after = used["held_out"][0], used["held_out"][RUN.steps]
    assert all(len(found) == 1 for found in (*steps, before, after))
    assert len(set().union(*steps, after)) == RUN.steps + 1  # each step has weights of its own
    assert before == steps[0]


@pytest.mark.parametrize("die_at", [30, 71])
def test_a_killed_training_goes_on_and_pays_for_no_rollout_twice(whole, home, policy_folder, tmp_path, die_at):
    result, rows, folder, _ = whole
    lake, calls = lake_with_prompts(tmp_path / "lake"), tmp_path / "calls"
    asked = config(lake, policy_folder, tmp_path / "work")
    given = json.dumps({"config": asked, "calls": str(calls), "die_at": die_at})
    killed = subprocess.run(
        [sys.executable, "-m", "tests.training.reinforcement.training_run", given],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2_000:]
    again, more = run(asked, calls)
    paid = calls.read_text().splitlines()
    # An answer that was sampled but not yet handed over when the process died is sampled once more: at most a batch.
    assert GENERATIONS_OF_RUN <= len(paid) <= GENERATIONS_OF_RUN + 8
    assert len(set(paid)) == GENERATIONS_OF_RUN
    assert set(paid) == set((folder / "calls").read_text().splitlines())
    for name, value in _weights(result).items():
        assert torch.equal(value, _weights(again)[name]), name
    assert [row["id"] for row in _rollouts(more)] == [row["id"] for row in _rollouts(rows)]
    steps = [row["step"] for row in more if "measures" in row]
    assert steps == list(range(1, RUN.steps + 1))


def test_a_finished_training_sends_its_rollouts_again_and_samples_nothing(whole, policy_folder):
    result, rows, folder, lake = whole
    paid = (folder / "calls").read_text()
    again, more = run(config(lake, policy_folder, folder / "work"), folder / "calls")
    assert again == result and (folder / "calls").read_text() == paid
    assert [row["id"] for row in more] == [row["id"] for row in rows if "generation_id" in row]


def test_too_many_grading_errors_stop_the_training_with_the_reason(whole, policy_folder, tmp_path):
    lake = lake_with_prompts(tmp_path / "lake")
    asked = config(lake, policy_folder, tmp_path / "work", most_errors=0.0)
    rows = []
    with pytest.raises(GradingFailed, match=r"step 1: the grading of \d+ of 16 .*the verifier has died"):
        training_run.run(asked | {"name": "errors"}, tmp_path / "calls", fails=2)
    rows = [row for line in RolloutFile(tmp_path / "work" / "rollouts.jsonl", 1).rows() for row in line]
    assert not _rollouts(rows)  # the step is done again once the verifier is mended
    failed = [row for row in _rollouts(rows, "stopped") if row["error"]]
    assert failed and all(row["reward"] is None and row["advantage"] == 0 for row in failed)


def test_forced_tokens_and_rollouts_without_a_reward_are_outside_the_update():
    ask = Ask((1,), "x")
    rollout = Rollout(ask, [5, 6, 7], [-1.0, 0.0, -2.0], [False, True, False], "", "stop", "transformers", "id", True)
    assert _trained(rollout, Graded(1.0, "{}")) == [1, 0, 1]
    assert _trained(rollout, Graded(None, "{}", "why")) == [0, 0, 0]


def test_under_a_budget_sampler_and_trainer_agree_on_every_token_that_was_chosen(home, policy_folder, tmp_path):
    """Tokens that the budget bans had 1/300 of the probability each: the sampler never chose among them."""
    lake = lake_with_prompts(tmp_path / "lake")
    budget = ThinkingBudget(tokens=3, grace=2, answer_room=4)
    changes = {"budget": budget, "max_tokens": 32, "steps": 2, "held_out_prompts": 0}
    _, rows = run(config(lake, policy_folder, tmp_path / "work", **changes), tmp_path / "calls")
    trained = _rollouts(rows)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(policy_folder)
    tags, biased = Tags.of(tokenizer, ENDS), 0
    for row in trained:
        free = [place for place, forced in enumerate(row["forced"]) if not forced]
        sampled, scored = ([row[name][place] for place in free] for name in ("sampler_logprobs", "trainer_logprobs"))
        assert scored == pytest.approx(sampled, abs=1e-4)
        prompt_ids = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
        banned = banned_tokens(tags, Budget(3, 2, 4), prompt_ids, row["tokens"], 32)
        biased = max(biased, *(len(banned[place]) for place in free))
    assert any(any(row["forced"]) for row in trained) and biased > 1
    measured = [dict(zip(row["measures"], row["measured"], strict=True)) for row in rows if "measures" in row]
    assert all(one["disagreement/max"] < 1e-4 for one in measured)


def _rollout(text: str, reason: str = "stop") -> Rollout:
    return Rollout(Ask((1,), "q"), [5], [0.0], [False], text, reason, "e", "g", True)


def test_an_answer_after_a_prompt_without_a_thought_is_read_without_one(policy_folder):
    """A prompt that does not say whether to think is asked both ways; verifiers read its answers as it was asked."""
    row = stored_prompt(1, "verifiable", "train", "2 + 2", "4") | {"messages": json.dumps([
        {"role": "user", "content": "2 + 2"}
    ])}  # fmt: skip
    tokenizer = PreTrainedTokenizerFast.from_pretrained(policy_folder)
    off, on = prompt(row, False, tokenizer), prompt(row, True, tokenizer)
    with Rewards(load_recipe("laptop").grading) as rewards:
        found = ByVerifiers(rewards).grade([
            (off, _rollout("4\n")), (on, _rollout("4\n")), (on, _rollout("two and two</think>4")),
            (off, _rollout("4", "length")),
        ])  # fmt: skip
    assert [one.value for one in found] == [1, 0, 1, 0], "the last answer was cut"


def test_a_reward_that_is_not_a_number_is_an_error(monkeypatch):
    judge = ByModel.__new__(ByModel)
    judge._model, judge._id, judge._batch = None, "judge", 2
    given = [0.5, float("nan"), float("inf")]
    monkeypatch.setattr("nemotron_assets.training.reinforcement.reward.scores", lambda *_: given)
    found = judge.grade([(Prompt({}, (1,), "q"), _rollout("a"))] * 3)
    assert [one.value for one in found] == [0.5, None, None] and found[0].error is None
    assert "gave nan" in found[1].error and "gave inf" in found[2].error
    assert [json.loads(one.said)["reward_model"]["value"] for one in found] == [0.5, None, None]


def test_rollouts_of_a_stored_step_are_not_stored_again(whole, tmp_path):
    _, rows, _, lake = whole
    others = []
    for _ in range(2):
        append = appender(lake, ROLLOUTS, "model", "run", others.extend)
        append(rows)
        append(rows)
    stored = lake.read(ROLLOUTS).scan().collect()
    assert stored.height == stored["id"].n_unique() == len([row for row in rows if "generation_id" in row])
    assert len(others) == 4 * len([row for row in rows if "generation_id" not in row])


def test_rollouts_of_steps_that_are_done_again_replace_those_of_the_first_time(whole, tmp_path):
    """The first attempt at the last step had other rewards, and one rollout more than the second."""
    rows = _rollouts(whole[1])
    last = max(row["step"] for row in rows)
    redone = [row for row in rows if row["step"] == last]
    first = [row | {"reward": None, "error": "the grader died"} for row in redone] + [redone[0] | {"id": "gone"}]
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    lake.append(ROLLOUTS, pl.DataFrame([redone[0] | {"id": "other", "model_id": "other", "run_id": "run-0"}],
                                       schema=ROLLOUTS.empty().schema))  # fmt: skip
    kept = [row | {"model_id": "model"} for row in rows if row["step"] < last]
    for run_id, again in (("run-1", first), ("run-2", redone)):
        append = appender(lake, ROLLOUTS, "model", run_id, print)
        append(kept)
        append([row | {"model_id": "model"} for row in again])
    stored = lake.read(ROLLOUTS).scan().collect()
    assert sorted(stored["id"]) == sorted([*(row["id"] for row in rows), "other"])
    own = stored.filter(model_id="model", step=last)
    assert set(own["run_id"]) == {"run-2"} and not own["error"].drop_nulls().len()
    assert set(stored.filter(pl.col("step") < last)["run_id"]) <= {"run-1"}, "earlier steps are not stored again"


def test_lines_of_steps_after_the_checkpoint_and_half_lines_are_dropped(tmp_path):
    path = tmp_path / "rollouts.jsonl"
    file = RolloutFile(path, 0)
    for step in (1, 2, 3):
        assert file.add(step, "train", [{"step": step}])
    file.add(0, "held_out", [{"step": 0}])
    file.add(3, "held_out", [{"step": 3}])
    with path.open("a") as half:
        half.write('{"step": 4, "split": "train", "ro')
    file = RolloutFile(path, 2)
    assert [rows[0]["step"] for rows in file.rows()] == [1, 2, 0]
    assert file.add(3, "train", [{"step": 3}]) and not file.add(0, "held_out", [{"step": 0}])


def test_prompts_are_chosen_by_their_pass_rate_before_the_first_step(whole, home, policy_folder, tmp_path):
    lake = lake_with_prompts(tmp_path / "lake")
    rule = PassRates(prompts=6, samples=4, above=0.3, below=0.8)
    changes = {"pass_rates": rule, "steps": 2, "held_out_prompts": 3, "held_out_samples": 2}
    asked = config(lake, policy_folder, tmp_path / "work", **changes)
    _, rows = run(asked, tmp_path / "calls")
    screened = pl.DataFrame([{"of": row["parents"][0], **row} for row in _rollouts(rows, "screened")])
    rates = dict(screened.group_by("of").agg(pl.col("reward").mean()).iter_rows())
    assert len(rates) == 6 and screened.height == 24 and set(screened["step"]) == {0}
    kept = {prompt for prompt, rate in rates.items() if 0.3 < rate < 0.8}
    assert {row["parents"][0] for row in _rollouts(rows)} == kept and 0 < len(kept) < 6
    measured = _rollouts(rows, "held_out")
    assert sorted((row["step"], row["sample"]) for row in measured) == sorted([(0, 0), (0, 1), (2, 0), (2, 1)] * 3)
    stored = pl.DataFrame(
        [row | {"run_id": ""} for row in rows if "generation_id" in row], schema=ROLLOUTS.empty().schema
    )
    found = held_out(stored.lazy(), "model")
    means = [stored.filter(split="held_out", step=step)["reward"].mean() for step in (0, 2)]
    assert found.items == 3 and found.difference == pytest.approx(means[1] - means[0])
    never = asked | {"folder": str(tmp_path / "other")}
    never["training"] = never["training"] | {"pass_rates": {"prompts": 6, "samples": 2, "above": 0.9, "below": 0.95}}
    with pytest.raises(TrainingError, match=r"of 6 prompts, .* pass rate between 0.9 and 0.95: widen align.reinforc"):
        run(never, tmp_path / "calls")


def test_a_domain_that_is_named_does_not_count_for_its_kind(monkeypatch):
    kinds = [("verifiable", "suite"), ("verifiable", "math"), ("verifiable", "code"), ("tools", "tools")]
    rows = [{"kind": kind, "domain": domain} for kind, domain in kinds * 8]
    asked = RUN.model_copy(update={"prompts": {"verifiable": 1.0, "verifiable/suite": 3.0}, "steps": 10})
    chosen = [rows[number] for number, _ in schedule(rows, asked)]
    counts = Counter(row["domain"] for row in chosen)
    assert counts["suite"] == 30 and counts["math"] + counts["code"] == 10 and not counts["tools"]
    few = asked.model_copy(update={"held_out_prompts": 8})
    monkeypatch.setattr(asking, "prompt", lambda row, thinking, tokenizer: Prompt(row, (1,), ""))
    counts = Counter(one.row["domain"] for one in asking.measured(rows, few, None))
    assert counts["suite"] == 6 and counts.total() == 8, "held-out prompts come in the same shares"
    with pytest.raises(ValueError, match="'maths' is no kind of prompts: use verifiable"):
        Grpo.model_validate(RUN.model_dump() | {"prompts": {"maths": 1.0}})


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.floats(0, 5), st.integers(1, 40), st.integers(0, 3))
def test_a_schedule_has_every_kind_in_its_share_and_reads_all_prompts_equally_often(steps, per_step, share, rows, seed):
    kinds = ["instructions" if number % 3 == 1 else "verifiable" for number in range(rows)]
    prompts = [{"kind": kind, "domain": "chat"} for kind in kinds]
    shares = {"verifiable": 1.0, "instructions": share if rows > 1 else 0.0}
    changes = {"steps": steps, "prompts_per_step": per_step, "prompts": shares, "seed": seed}
    asked = RUN.model_copy(update=changes)
    found = schedule(prompts, asked)
    assert found == schedule(prompts, asked) and len(found) == steps * per_step
    for kind in ("verifiable", "instructions"):
        own = [number for number, row in enumerate(prompts) if row["kind"] == kind]
        times = [sum(at == number for at, _ in found) for number in own]
        assert not times or max(times) - min(times) <= 1
    thinking = sum(thinks for _, thinks in found)
    assert abs(2 * thinking - len(found)) <= 1


def test_a_kind_without_prompts_and_batches_that_do_not_fit_are_named():
    with pytest.raises(TrainingError, match="no instructions prompts"):
        schedule([{"kind": "verifiable", "domain": "suite"}], RUN.model_copy(update={"prompts": {"instructions": 1.0}}))
    with pytest.raises(ValueError, match="micro_batch 7 does not divide the 16 rollouts"):
        Grpo.model_validate(RUN.model_dump() | {"micro_batch": 7})
    for room, fits in ((RUN.max_tokens - 1, True), (RUN.max_tokens, False)):
        given = RUN.model_dump() | {"budget": {"tokens": 9, "grace": 0, "answer_room": room}}
        with contextlib.nullcontext() if fits else pytest.raises(ValueError, match="no rollout could think"):
            assert Grpo.model_validate(given).budget.answer_room == room
