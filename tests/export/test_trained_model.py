"""From packed documents to a folder: a model that the asset has trained is exported, and its card has its numbers."""

from __future__ import annotations

import json

from nemotron_assets.export.model import export_model
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE
from tests.export.dataset import card
from tests.pretrain.test_base import lake, materialize, small_recipe

__all__ = ["lake"]


def test_a_trained_model_leaves_with_its_card(lake, tmp_path):
    recipe = small_recipe()
    assert materialize(lake, recipe).success
    done = export_model(lake, BASE, tmp_path / "out", recipe)
    assert done.written and not export_model(lake, BASE, tmp_path / "out", recipe).written
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["hybrid_override_pattern"] == recipe.model.pattern and config["torch_dtype"] == config["dtype"]
    assert config["max_position_embeddings"] == 64
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 64

    matter, text = card(tmp_path / "out")
    assert matter["datasets"] == ["code.curated", "web.nemotron_cc_v2"]
    metrics = lake.read(TRAINING_METRICS).scan().sort("step").collect().to_dicts()
    last = dict(zip(metrics[-1]["categories"], metrics[-1]["category_tokens"], strict=True))
    assert last
    for category, tokens in last.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{category}` |")]
        *phases, total = (int(cell.replace(",", "")) for cell in line.split(" | ")[1:-1])
        assert total == tokens == sum(phases)
    assert "| category | phase-1, 12 steps | phase-2, 6 steps | phase-3, 2 steps | all | share |" in text
    assert f"{done.model['tokens_seen']:,} in 20 steps" in text and f"{done.model['parameters']:,}" in text
    assert "| `code.curated` | 3 | - | - | not in this lake |" in text
    assert f"| **hardware** | {metrics[-1]['devices']} |" in text
