"""An attached model fills and continues a cache as transformers does, but faster."""

import pytest
import torch

from nemotron_assets.model.nemotron_h import attach, empty_model, fresh_weights, model_config


@pytest.fixture
def pair(small):
    """The same model with the code of transformers, and attached."""
    from transformers import NemotronHForCausalLM

    config = model_config(small, 64, 128)
    config.time_step_min = 1e-30  # as `attach` sets it
    plain = NemotronHForCausalLM(config).eval()
    attached = empty_model(config).to_empty(device="cpu").eval()
    weights = dict(fresh_weights(dict(attached.named_parameters()), config, seed=3))
    for model in (plain, attached):
        model.load_state_dict(weights)
    return plain, attach(attached)


def _steps(model, tokens, mask, more):
    """The logits after a prompt and after each further token."""
    with torch.no_grad():
        found = model(tokens, attention_mask=mask, use_cache=True)
        logits = [found.logits[:, -1]]
        for token in more.T:
            mask = None if mask is None else torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            found = model(token[:, None], attention_mask=mask, past_key_values=found.past_key_values, use_cache=True)
            logits.append(found.logits[:, -1])
    return torch.stack(logits)


@pytest.mark.parametrize("length", [1, 2, 3, 16, 37])
def test_prompts_and_tokens_after_them_give_the_logits_of_transformers(pair, length):
    tokens, more = torch.randint(0, 64, (3, length)), torch.randint(0, 64, (3, 5))
    for padding in ((0, 0, 0), (0, length // 2, length - 1)):
        mask = torch.ones_like(tokens)
        for row, count in enumerate(padding):
            mask[row, :count] = 0
        whole = None if mask.all() else mask
        torch.testing.assert_close(
            _steps(pair[1], tokens, whole, more), _steps(pair[0], tokens, whole, more), atol=2e-4, rtol=1e-3
        )


def test_padding_on_the_left_changes_nothing(pair):
    tokens, more = torch.randint(0, 64, (1, 9)), torch.randint(0, 64, (1, 4))
    padded = torch.cat([torch.randint(0, 64, (1, 13)), tokens], dim=1)
    mask = torch.cat([torch.zeros(1, 13, dtype=torch.long), torch.ones_like(tokens)], dim=1)
    torch.testing.assert_close(_steps(pair[1], padded, mask, more), _steps(pair[1], tokens, None, more))


def test_padding_on_the_right_runs_the_code_of_transformers(pair):
    tokens = torch.randint(0, 64, (2, 9))
    mask = torch.ones_like(tokens)
    mask[0, 6:] = 0
    with torch.no_grad():
        first, second = (model(tokens, attention_mask=mask, use_cache=True).logits for model in pair)
    torch.testing.assert_close(first[mask.bool()], second[mask.bool()])
