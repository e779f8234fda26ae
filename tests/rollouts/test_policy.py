"""Rollouts: their probabilities are the model's, they do not depend on their batch, and none is paid for twice."""

import copy

import pytest
import torch

from nemotron_assets.chat.budget.automaton import Budget, forced_tokens
from nemotron_assets.chat.budget.tags import well_formed
from nemotron_assets.rollouts.policy import Ask, Policy
from nemotron_assets.rollouts.transformers_engine import TransformersEngine, weights_sha256
from resources.endpoint import EngineError
from resources.generations import GENERATIONS, Ledger, Request, Sampling

ENDS = (12, 2)
PROMPTS = [(20, 21, 22), (30,) * 17, (40, 41), (25, 26, 27, 28, 29, 30, 31), (50, 60, 70, 80)]


def _engine(model, decoder, batch=64, tags=None):
    return TransformersEngine(model, decoder, "small", weights_sha256(model), ENDS, batch, tags)


def _asks(samples=3, **options):
    return [Ask(prompt, str(prompt), sample, **options) for prompt in PROMPTS for sample in range(samples)]


def _policy(engine, lake, tokens=20):
    return Policy(engine, Ledger(lake).generate, max_tokens=tokens)


def _scored(model, rollout):
    """The log-probabilities of a rollout's tokens in one pass over prompt and answer."""
    ids = torch.tensor([[*rollout.ask.prompt_ids, *rollout.tokens]])
    with torch.no_grad():
        logprobs = model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
    at = len(rollout.ask.prompt_ids) - 1
    return [logprobs[at + number, token].item() for number, token in enumerate(rollout.tokens)]


def test_log_probabilities_are_those_of_one_pass_over_prompt_and_answer(model, decoder, lake):
    found = list(_policy(_engine(model, decoder), lake).rollouts(_asks()))
    assert [rollout.ask for rollout in found] == _asks()
    for rollout in found:
        assert rollout.logprobs == pytest.approx(_scored(model, rollout), abs=2e-4)
        assert not any(rollout.forced) and rollout.engine == "transformers"
        assert (rollout.finish_reason == "stop") == (rollout.tokens[-1] in ENDS)
        assert len(rollout.tokens) == 20 or rollout.finish_reason == "stop"
        assert not set(rollout.tokens[:-1]) & set(ENDS)
        said = rollout.tokens[:-1] if rollout.finish_reason == "stop" else rollout.tokens
        assert rollout.text == decoder.decode(said)
    assert {rollout.finish_reason for rollout in found} == {"stop", "length"}
    assert len({tuple(rollout.tokens) for rollout in found}) == len(found)  # samples of a prompt differ


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_rollout_does_not_depend_on_the_others_of_its_batch(model, decoder, tmp_path, lake, batch):
    together = list(_policy(_engine(model, decoder), lake).rollouts(_asks()))
    other = type(lake)(root=str(tmp_path / f"lake {batch}"), free_disk_mb=0)
    apart = list(_policy(_engine(model, decoder, batch), other).rollouts(reversed(_asks())))
    assert all(rollout.new for rollout in apart)
    assert [rollout.tokens for rollout in together] == [rollout.tokens for rollout in reversed(apart)]


def test_with_equal_luck_two_models_answer_alike_where_they_are_alike(model, decoder, lake):
    """The second model differs by a little. With numbers of their own, hardly two answers are equal."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.lm_head.weight.mul_(1.001)
    policies = [_policy(_engine(one, decoder), lake) for one in (model, changed)]
    alike = {}
    for luck in (True, False):
        first, second = (list(policy.rollouts(_asks(equal_luck=luck))) for policy in policies)
        assert all(rollout.new for rollout in (*first, *second)), "each model is asked, and stored under its own key"
        alike[luck] = sum(one.tokens == other.tokens for one, other in zip(first, second, strict=True)) / len(first)
        assert len({tuple(rollout.tokens) for rollout in first}) == len(first), "samples of a prompt differ"
    assert alike[True] > 0.7 and alike[False] < 0.2
    assert not any(rollout.new for rollout in policies[0].rollouts(_asks(equal_luck=True)))


def test_a_rollout_is_sampled_once_for_a_set_of_weights(model, decoder, lake):
    policy = _policy(_engine(model, decoder), lake)
    first, again = list(policy.rollouts(_asks())), list(policy.rollouts(_asks()))
    assert all(rollout.new for rollout in first) and not any(rollout.new for rollout in again)
    # The ledger holds float32 numbers.
    for one, other in zip(first, again, strict=True):
        assert (one.tokens, one.text, one.forced, one.generation_id) == (
            other.tokens, other.text, other.forced, other.generation_id
        )  # fmt: skip
        assert one.logprobs == pytest.approx(other.logprobs, rel=1e-6)
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.lm_head.weight[0, 0] += 1e-3
    engine = _engine(changed, decoder)
    assert engine.sha256 != policy.engine.sha256
    assert all(rollout.new for rollout in _policy(engine, lake).rollouts(_asks()))
    rows = lake.read(GENERATIONS).scan().collect()
    assert rows.height == 2 * len(first) and set(rows["model_sha256"]) == {engine.sha256, policy.engine.sha256}
    row = rows.filter(rows["id"] == first[0].generation_id).row(0, named=True)
    assert (row["prompt_ids"], row["tokens"], row["text"]) == (list(PROMPTS[0]), first[0].tokens, first[0].text)
    assert '"sampler":"transformers"' in row["sampling"]


@pytest.mark.parametrize("budget", [(0, 4, 6), (5, 3, 6), (100, 4, 6), (None, 4, 6)])
def test_a_thinking_budget_holds_and_its_forced_tokens_are_known(model, decoder, tags, letters, lake, budget):
    prompt = tuple(letters.encode("<think>\n", add_special_tokens=False).ids)
    policy = _policy(_engine(model, decoder, tags=tags), lake, tokens=40)
    asks = [Ask(prompt, "<think>\n", sample, budget=budget) for sample in range(8)]
    found = list(policy.rollouts(asks))
    for rollout in found:
        assert well_formed("<think>\n" + rollout.text)
        assert rollout.forced == forced_tokens(tags, Budget(*budget), prompt, rollout.tokens, 40)
        assert any(rollout.forced)
        assert all(logprob == 0 for logprob, forced in zip(rollout.logprobs, rollout.forced, strict=True) if forced)
    assert list(policy.rollouts(asks)) == found or all(not rollout.new for rollout in policy.rollouts(asks))
    free = next(policy.rollouts([Ask(prompt, "<think>\n")]))
    assert free.generation_id not in {rollout.generation_id for rollout in found}


def test_no_engine_takes_the_place_of_another(model, decoder):
    engine = _engine(model, decoder)
    for sampling in (Sampling(1.0, 1.0, 8, sampler="vllm"), Sampling(1.0, 0.9, 8, sampler="transformers")):
        request = Request("test", (("rendered", "x"),), sampling, prompt_ids=(20,))
        with pytest.raises(EngineError, match=r"vllm|top_p 0\.9"):
            list(engine.run([("0" * 32, request)]))


def test_the_trained_model_goes_on_training_after_it_was_sampled(model, decoder, lake):
    trained = copy.deepcopy(model).train()
    list(_policy(_engine(trained, decoder), lake).rollouts(_asks(1)))
    assert trained.training
    trained(input_ids=torch.tensor([[20, 21]]), use_cache=False).logits.sum().backward()
