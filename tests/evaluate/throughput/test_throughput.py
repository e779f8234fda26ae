"""Speeds: equal sizes, ratios of medians with their spread, and batches that do not fit are left out. The test of the
whole graph (tests/e2e) runs the real engine."""

from __future__ import annotations

import json

import polars as pl
import pytest

from nemotron_assets.evaluate.throughput.measuring import (
    Batch,
    ThroughputError,
    as_markdown,
    batches,
    compared,
    points,
    row,
    shown,
)
from nemotron_assets.evaluate.throughput.tables import THROUGHPUT
from nemotron_assets.model.nemotron_h import model_config
from nemotron_assets.model.peer import QWEN3_8B, parameters, peer, transformer
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.evaluate_throughput import Throughput
from resources.engine_timing import Timing

RECIPE = Throughput(lengths=((8, 4), (16, 4)), batches=(1, 2), runs=2, warm_up=2)


def timing(prefill: float, decode: float, together: bool = True) -> Timing:
    return Timing(prompt_tokens=100, prefill_s=prefill, decode_s=decode, decoded=60, together=together)


class FakeEngine:
    """Takes as long as it is told; a batch of two does not fit for long prompts."""

    def __init__(self, folder, name: str, decode: float) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.decode, self.closed, self.asked = decode, False, []

    def time(self, prompts, output_tokens: int) -> Timing:
        self.asked.append((len(prompts), len(prompts[0]), output_tokens))
        assert all(0 <= token < self.config["vocab_size"] for ids in prompts for token in ids)
        return timing(1.0, self.decode, together=len(prompts) == 1 or len(prompts[0]) < 16)

    def close(self) -> None:
        self.closed = True


def config(context: int = 64):
    return model_config(load_recipe("laptop").model, 512, context)


def test_the_transformer_has_the_size_of_the_model():
    for shape in (load_recipe("laptop").model, load_recipe("nano2").model):
        own = model_config(shape, 8_192, 128)
        other = peer(own, 128)
        assert parameters(other) == pytest.approx(parameters(own), rel=0.02)
        assert (other.hidden_size, other.vocab_size) == (own.hidden_size, own.vocab_size)
        assert other.num_attention_heads == 4 * other.num_key_value_heads
    assert parameters(transformer(128, **QWEN3_8B)) == 8_190_735_360
    least = {"pattern": "M-", "ffn_size": 8, "mamba_heads": 1, "mamba_groups": 1, "mamba_head_dim": 4, "mamba_state": 4}
    with pytest.raises(ValueError, match="too few for a plain Transformer of width 128"):
        peer(model_config(load_recipe("laptop").model.model_copy(update=least), 64, 64), 64)


def test_both_models_run_the_same_batches_and_what_does_not_fit_is_left_out(tmp_path):
    engines = {}

    def start(folder, name):
        engines[name] = FakeEngine(folder, name, {"model": 1.0, "transformer": 3.0}[name])
        return engines[name]

    rows = compared(config(), RECIPE, start, tmp_path)
    assert [(one["input_tokens"], one["batch"]) for one in rows] == [(8, 1), (8, 2), (16, 1)]
    assert {one["decode_ratio"] for one in rows} == {3.0} and {one["prefill_ratio"] for one in rows} == {1.0}
    ours, theirs = engines["model"], engines["transformer"]
    assert ours.asked == theirs.asked and len(ours.asked) == 1 + 2 * len(batches(RECIPE))
    assert ours.closed and theirs.closed and ours.config["architectures"] == ["NemotronHForCausalLM"]
    assert theirs.config["architectures"] == ["Qwen3ForCausalLM"] and rows[0]["peer"] == "qwen3, 4 layers of 128"
    with pytest.raises(ThroughputError, match="has 20 tokens, but the model's context is 16"):
        compared(config(16), RECIPE, start, tmp_path)


def test_a_ratio_is_of_medians_and_its_spread_of_the_extremes():
    ours, theirs = [timing(1, 1), timing(2, 2), timing(4, 4)], [timing(2, 4), timing(4, 8), timing(4, 8)]
    found = row(Batch(50, 30, 2), ours, theirs)
    assert (found["decode_rate"], found["peer_decode_rate"], found["decode_ratio"]) == (30, 7.5, 4)
    assert (found["decode_ratio_low"], found["decode_ratio_high"]) == (1, 8) and found["prefill_ratio"] == 2


def test_accuracy_stands_against_speed():
    speeds = pl.DataFrame(
        [
            {"model": "m", "model_id": "a", "model_version": "1", "decode_ratio": ratio, "decode_ratio_low": ratio,
             "decode_ratio_high": ratio, "prefill_ratio": 1.0, "input_tokens": tokens, "output_tokens": 4, "batch": 1}
            for tokens, ratio in ((8, 1.0), (16, 2.0))
        ],
        THROUGHPUT.empty().schema,
    )  # fmt: skip
    answers = pl.DataFrame({"model_id": ["a", "a", "b"], "right": [True, False, True]})
    assert list(points(speeds, answers)) == [("m 1", 2.0, 0.5)]
    assert "| m | 16 | 4 | 1 | 2.00 | 2.00 to 2.00 | 1.00 |" in as_markdown(speeds)
    assert "data:image/png" in shown(speeds, answers)["accuracy_and_speed"].value
