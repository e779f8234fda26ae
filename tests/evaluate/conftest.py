"""Fixtures: a vocabulary, a tiny random NemotronH and a tiny random Llama. Using the network is an error."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"the network was used: {args}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def items():
    import polars as pl

    from nemotron_assets.evaluate.items import benchmarks

    return pl.concat(benchmarks.read(benchmarks.folder("sample"), pytest.fail))


@pytest.fixture(scope="session")
def vocabulary_folder(items, tmp_path_factory):
    from nemotron_assets.text import tokenizer as bpe

    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    bpe.save(bpe.train([items["question"].to_list()], vocabulary=1_024, specials=32, min_frequency=2), folder, 512)
    return folder


@pytest.fixture(scope="session")
def vocabulary(vocabulary_folder):
    from nemotron_assets.text import tokenizer as bpe

    return bpe.load(vocabulary_folder)


@pytest.fixture(scope="session")
def llama():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=1_024,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=4,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def student():
    import torch
    from transformers import NemotronHForCausalLM

    from nemotron_assets.model.nemotron_h import model_config
    from nemotron_assets.recipe import load_recipe

    torch.manual_seed(0)
    torch.set_num_threads(1)
    small = load_recipe("laptop").model.model_copy(
        update={
            "pattern": "M-*-",
            "hidden_size": 32,
            "ffn_size": 64,
            "head_dim": 8,
            "mamba_heads": 4,
            "mamba_head_dim": 16,
            "mamba_state": 8,
            "chunk_size": 16,
            "init_std": 0.3,
        }
    )
    config = model_config(small, 1_024, 512, {"pad": 4, "bos": 1, "eos": 2})
    return NemotronHForCausalLM(config).float().eval()
