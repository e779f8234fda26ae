"""The benchmark of the merge sweeps nine shares, writes nothing into the lake, and fails when the bar is missed."""

import pytest

from benchmarks import merge
from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.merging import suites
from nemotron_assets.align.merging.tables import MERGE_SCORES
from nemotron_assets.align.preference.tables import DPO
from nemotron_assets.align.reinforcement.tables import RLHF
from resources.lakehouse import Lakehouse
from tests.align.stored import prompt, store_model, store_prompts


@pytest.fixture
def lake(policy_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    monkeypatch.setattr("nemotron_assets.definitions.lake", lake)
    return lake


def test_a_lake_without_models_is_not_judged(lake, capsys):
    assert merge.main([]) == 2
    assert "run `make run` first" in capsys.readouterr().out


@pytest.mark.parametrize(("right", "code"), [(0.0, 1), (1.0, 0)])
def test_the_verdict_follows_from_the_scores(lake, policy_folder, monkeypatch, capsys, right, code):
    """Both models answer half of the prompts right, and the merges all of them or none."""
    store_model(lake, DPO, policy_folder, "laptop-dpo")
    store_model(lake, RLHF, policy_folder, "laptop-rlhf")
    store_prompts(lake, [prompt(n, "tools", "held_out", f"say {n}", f"w {n}") for n in range(12)])

    def scores(self, folder, name, sha256, prompts):
        merged = "-merge-" in name
        return {row["id"]: right if merged else float(number % 2) for number, row in enumerate(prompts)}

    monkeypatch.setattr(suites.Examiner, "scores", scores)
    assert merge.main(["--quick"]) == code
    printed = capsys.readouterr().out
    assert all(f"| tools/tools | {alpha:.3g} |" in printed for alpha in (0.0, *merge.ALPHAS, 1.0))
    assert ("DOES NOT HOLD" in printed) == bool(code)
    assert not lake.read(MERGE_SCORES).exists and lake.read(PROMPTS).rows == 12
