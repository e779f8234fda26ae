"""vLLM gives rollouts with the probabilities of the model, and of other weights after it was told to read them."""

import pytest
import torch

from nemotron_assets.chat.budget.tags import well_formed
from nemotron_assets.model import export
from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.rollouts.opening import open_policy
from nemotron_assets.rollouts.policy import Ask, Policy
from nemotron_assets.rollouts.transformers_engine import load
from resources.generations import Ledger
from resources.gpu import Gpu
from resources.weights import folder_sha256
from tests.model import exported

ASKS = [Ask(tuple(range(40, 45 + number)), str(number), sample) for number in range(3) for sample in range(2)]
SETTINGS = Rollouts(engine="vllm", batch=8, dtype="float32")


def _probabilities(model, rollout):
    ids = torch.tensor([[*rollout.ask.prompt_ids, *rollout.tokens]])
    with torch.no_grad():
        logprobs = model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
    at = len(rollout.ask.prompt_ids) - 1
    return [logprobs[at + number, token].item() for number, token in enumerate(rollout.tokens)]


@pytest.fixture
def gpu():
    own = Gpu(max_model_len=256, max_num_seqs=8, kv_cache_gb=0.1, cpu_threads=1)
    yield own
    own.release()


def test_rollouts_of_vllm_follow_the_weights_that_it_was_given(gpu, lake, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    exported.write(first)
    model = load(first)
    with torch.no_grad():
        head, numbers = model.lm_head.weight, torch.Generator().manual_seed(1)
        head += 0.3 * torch.randn(head.shape, generator=numbers)
    export.save(second, model.config, dict(model.named_parameters()), torch.float32)
    export.add_tokenizer(second, first)
    ledger = Ledger(lake)
    policy = open_policy(SETTINGS, first, "small", folder_sha256(first), gpu, ledger, 12)
    before = list(policy.rollouts(ASKS))
    policy.engine.reload(second)
    after = list(policy.rollouts(ASKS))
    for rollouts, folder in ((before, first), (after, second)):
        own = load(folder)
        for rollout in rollouts:
            assert rollout.logprobs == pytest.approx(_probabilities(own, rollout), abs=2e-3)
            assert rollout.engine == "vllm" and rollout.new
            assert len(rollout.tokens) == 12 or rollout.tokens[-1] in (12, 2)
            assert len(rollout.forced) == len(rollout.tokens) and not any(rollout.forced)
    assert {r.generation_id for r in before}.isdisjoint(r.generation_id for r in after)
    assert not any(r.new for r in policy.rollouts(ASKS))
    prompt = tuple(policy.engine.tokenizer.encode("<think>\n", add_special_tokens=False))
    budgets = [Ask(prompt, "", sample, budget=budget) for budget in ((0, 2, 4), (3, 2, 4)) for sample in range(3)]
    long = Policy(policy.engine, ledger.generate, max_tokens=40)
    for rollout in long.rollouts(budgets):
        assert well_formed("<think>\n" + rollout.text)
        forced = [p for p, is_forced in zip(rollout.logprobs, rollout.forced, strict=True) if is_forced]
        assert forced == [0.0] * len(forced) and forced
