"""Fixtures: the shape of a model with a few thousand parameters that has every kind of layer, and the model itself.

The `conftest.py` of each test package that trains or runs a model imports them.
"""

import pytest
import torch

from nemotron_assets.recipe import load_recipe


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """PyTorch on one thread, because other tests run at the same time."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small():
    """The laptop's architecture, but narrower, with a chunk size that does not divide the tests' sequence lengths."""
    return load_recipe("laptop").model.model_copy(
        update={
            "pattern": "M-MM*-M-",
            "hidden_size": 32,
            "ffn_size": 64,
            "head_dim": 8,
            "mamba_heads": 4,
            "mamba_head_dim": 16,
            "mamba_groups": 2,
            "mamba_state": 8,
            "chunk_size": 16,
            "init_std": 0.2,
        }
    )


@pytest.fixture
def student(small):
    """A freshly initialised small model with a vocabulary of 64 tokens, on the CPU in float32."""
    from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config

    config = model_config(small, 64, 128)
    model = empty_model(config).to_empty(device="cpu").eval()
    model.load_state_dict(dict(fresh_weights(dict(model.named_parameters()), config, seed=1)))
    return model
