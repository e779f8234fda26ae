"""A model as it is exported, and the process in which plain vLLM reads it.

The weights are random but not trivial: the norms, D and the time steps differ from channel to channel, so that a reader
which ignores or permutes any of them gives other results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text import tokenizer as bpe

VOCABULARY, CONTEXT = 320, 256


def laptop_config():
    """The laptop's shape with a small vocabulary."""
    return model_config(load_recipe("laptop").model, VOCABULARY, CONTEXT, {"pad": 4, "bos": 1, "eos": 2})


def weights() -> dict[str, torch.Tensor]:
    """Weights for this shape."""
    config = laptop_config()
    config.initializer_range = 0.2
    made = dict(fresh_weights(dict(empty_model(config).named_parameters()), config, seed=3))
    noise = torch.Generator().manual_seed(5)
    for name, value in made.items():
        if "norm" in name or name.endswith((".D", ".dt_bias", "conv1d.bias")):
            value += torch.empty_like(value).uniform_(-0.5, 0.5, generator=noise)
    return made


def write(folder: Path, **options) -> None:
    """Export these weights in float32 into `folder`, with a tokenizer."""
    export.save(folder, laptop_config(), weights(), torch.float32, **options)
    made = bpe.train([["some words to learn pieces from, and some more words"]], VOCABULARY, 32, 2)
    bpe.save(made, folder.parent / "tokenizer", 64)
    export.add_tokenizer(folder, folder.parent / "tokenizer")


def tokens(length: int, seed: int) -> list[int]:
    """A document of random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(32, 288, (length,), generator=generator).tolist()


_READ_BY_VLLM = """
import json, sys, torch
from vllm import LLM, SamplingParams

folder, context = sys.argv[1], int(sys.argv[2])
llm = LLM(model=folder, max_model_len=context, max_num_seqs=4, dtype="float32", enforce_eager=True, max_logprobs=-1,
          enable_prefix_caching=False)
cache = llm.llm_engine.vllm_config.cache_config.mamba_ssm_cache_dtype
asked = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, logprobs=-1, prompt_logprobs=-1, detokenize=False)

def row(choices):
    return [choices[token].logprob for token in range(len(choices))]

read = []
for batch in json.load(sys.stdin):
    answers = llm.generate([{"prompt_token_ids": prompt} for prompt in batch], asked, use_tqdm=False)
    read.append([
        {
            "prompt": [row(choices) for choices in answer.prompt_logprobs[1:]],
            "generated": list(answer.outputs[0].token_ids),
            "next": [row(choices) for choices in answer.outputs[0].logprobs],
        }
        for answer in answers
    ])
# The engine of this project starts with other settings. Whether vLLM accepts them shows before weights are loaded.
from pathlib import Path
from resources.engines import EngineSettings, VllmEngine
settings = EngineSettings("cpu", "float32", context, 4, 64 << 20, 0.5, 1)
VllmEngine(Path(folder), "exported", settings).arguments().create_engine_config()
torch.save({"cache": cache, "read": read}, sys.argv[3])
"""


def read_by_vllm(folder: Path, batches: list[list[list[int]]]) -> dict:
    """What plain vLLM gives for batches of prompts, in one engine.

    "read" has, for every prompt, the log-probabilities of all tokens after each token of the prompt ("prompt"), eight
    "generated" tokens, and the log-probabilities at each of them ("next"). "cache" is the precision of Mamba-2 states.
    """
    result = folder.parent / "read.pt"
    environment = os.environ | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1",
        "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", _READ_BY_VLLM, str(folder), str(CONTEXT), str(result)],
        input=json.dumps(batches), capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert run.returncode == 0, f"vLLM cannot read {folder}:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
    return torch.load(result)
