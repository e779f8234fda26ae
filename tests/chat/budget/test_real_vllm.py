"""vLLM keeps the budget with a real model, and writes token for token what transformers writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nemotron_assets.chat.budget.automaton import Budget, forced_tokens
from nemotron_assets.chat.budget.tags import Tags, well_formed
from nemotron_assets.chat.budget.transformers_processor import BudgetProcessor
from tests.chat.budget.streams import PROMPT
from tests.model import exported

pytest.importorskip("vllm")

ROOM, TOTAL = 20, 90
BUDGETS = (0, 3, 17, 10_000)
_WRITE = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.exceptions import VLLMValidationError
from nemotron_assets.chat.budget import PROCESSOR

folder, total, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
llm = LLM(model=folder, max_model_len=200, max_num_seqs=8, dtype="float32", enforce_eager=True, seed=1,
          enable_prefix_caching=False, logits_processors=[PROCESSOR],
          additional_config={"thinking_budget": {"grace": 6, "answer_room": room}})
prompt, budgets = json.load(sys.stdin)
asked = [
    SamplingParams(temperature=heat, max_tokens=total, extra_args={"thinking_budget": budget} if budget >= 0 else None)
    for heat in (0.0, 1.0) for budget in [*budgets, -1] for _ in range(1 + 4 * (heat > 0))
]
answers = llm.generate([{"prompt_token_ids": prompt}] * len(asked), asked, use_tqdm=False)
try:
    llm.generate([{"prompt_token_ids": prompt}], SamplingParams(extra_args={"thinking_budget": -4}))
except VLLMValidationError as error:
    refused = str(error)
print("RESULT" + json.dumps([[list(answer.outputs[0].token_ids) for answer in answers], refused]))
"""


@pytest.mark.slow
def test_vllm_keeps_the_budget_and_agrees_with_transformers(tmp_path):
    folder = tmp_path / "model"
    exported.write(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tags, prompt = Tags.of(tokenizer), tokenizer.encode(PROMPT, add_special_tokens=False)
    environment = os.environ | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1",
        "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", _WRITE, str(folder), str(TOTAL), str(ROOM)],
        input=json.dumps([prompt, BUDGETS]), capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert "RESULT" in run.stdout, run.stderr[-3000:]
    answers, refused = json.loads(run.stdout.rpartition("RESULT")[2])
    assert "tokens of a thinking budget is -4" in refused

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    given = torch.tensor([prompt])
    for number, budget in enumerate(BUDGETS):
        allowed = Budget(budget, 6, ROOM)
        processor = BudgetProcessor(tags, allowed, TOTAL)
        made = model.generate(given, max_new_tokens=TOTAL, do_sample=False, logits_processor=[processor])
        assert answers[number] == made[0, len(prompt) :].tolist()
        sampled = answers[5 + 5 * number : 10 + 5 * number]
        assert len({tuple(tokens) for tokens in sampled}) > 1
        for tokens in [answers[number], *sampled]:
            text = tokenizer.decode(tokens)
            assert well_formed("<think>\n" + text), text
            flags = forced_tokens(tags, allowed, prompt, tokens, TOTAL)
            assert flags.index(True) <= min(budget + 6, TOTAL - ROOM)
    free = [tokenizer.decode(tokens) for tokens in [answers[4], *answers[-5:]]]
    assert not any("</think>" in text for text in free), "a request without a budget is left alone"
