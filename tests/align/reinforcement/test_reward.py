"""The reward model: padding changes nothing, it learns which answers are better, an interrupted training goes on."""

from pathlib import Path

import polars as pl
import pytest
import torch

from nemotron_assets.align.preference.tables import PREFERENCES
from nemotron_assets.align.reinforcement.pairs import count_pairs, read_pairs, steps_of
from nemotron_assets.align.reinforcement.reward_worker import train_reward
from nemotron_assets.recipe.align.reinforcement import RewardTraining
from nemotron_assets.training.checkpoint import folder_tensors
from nemotron_assets.training.preference.columns import PREFERENCE
from nemotron_assets.training.reinforcement.grading import ByModel
from nemotron_assets.training.reinforcement.reward import begin, load, scores
from resources.lakehouse import Lakehouse

RUN = RewardTraining(
    epochs=3, batch_pairs=8, micro_batch=4, max_tokens=40, peak_lr=3e-3, precision="fp32", recompute=False,
    checkpoint_every=2,
)  # fmt: skip
DTYPES = {"string": "", "int64": 0, "float64": 0.0}


def _row(number: int, **values) -> dict:
    row = {column.name: DTYPES.get(column.dtype, []) for column in PREFERENCES.columns}
    return row | {"id": f"{number:03}", "part": "preference-1", "kind": PREFERENCE, "split": "train"} | values


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Pairs whose better answer is token 50 and whose worse answer is token 60, after any prompt."""
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("pairs") / "lake"), free_disk_mb=0)
    numbers = torch.Generator().manual_seed(0)
    rows = []
    for number in range(28):
        prompt = torch.randint(40, 300, (3 + number % 5,), generator=numbers).tolist()
        answers = {"prompt_tokens": prompt, "chosen_tokens": [50, 12], "rejected_tokens": [60, 60, 12]}
        rows.append(_row(number, split="train" if number < 16 else "held_out", **answers))
    rows.append(_row(90, kind="tools", prompt_tokens=[1], chosen_tokens=[2], rejected_tokens=[3]))
    rows.append(_row(91, prompt_tokens=[1] * 39, chosen_tokens=[2], rejected_tokens=[3, 4]))
    lake.append(PREFERENCES, pl.DataFrame(rows, schema=PREFERENCES.empty().schema), run_id="")
    return lake


def _config(lake: Lakehouse, policy: Path, folder: Path) -> dict:
    return {
        "stage": "reward_model", "section": "align.reinforcement.reward_model", "start": {"folder": str(policy)},
        "training": RUN.model_dump(), "folder": str(folder), "steps": steps_of(16, RUN),
        "pairs_version": lake.read(PREFERENCES).version, "lake": {"root": lake.root, "free_disk_mb": 0},
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(lake, policy_folder, tmp_path_factory):
    rows = []
    return train_reward(_config(lake, policy_folder, tmp_path_factory.mktemp("reward")), rows.extend), rows


def test_padding_and_other_rows_change_nothing(policy_folder):
    model = begin(policy_folder, 0).eval()
    rows = [[40, 41, 42, 43, 44], [50, 51], [60, 61, 62]]
    alone = [model(torch.tensor([row])).logits.item() for row in rows]
    assert scores(model, rows, 8) == pytest.approx(alone, abs=1e-4)
    left, mask = torch.tensor([[4, 4, 4, 50, 51]]), torch.tensor([[0, 0, 0, 1, 1]])
    assert model(left, mask).logits.item() == pytest.approx(alone[1], abs=1e-4)
    with torch.no_grad():  # the last token decides, and what stands before it
        assert model(torch.tensor([[50, 52]])).logits.item() != pytest.approx(alone[1], abs=1e-6)


def test_pairs_of_other_kinds_and_long_ones_are_left_out(lake):
    reader = lake.read(PREFERENCES)
    pairs = read_pairs(reader, RUN.max_tokens)
    assert (len(pairs["train"]["chosen_ids"]), len(pairs["held_out"]["rejected_ids"])) == (16, 12)
    assert pairs["train"]["chosen_ids"][0][-2:] == [50, 12]
    assert pairs["train"]["rejected_ids"][0][:3] == pairs["train"]["chosen_ids"][0][:3]
    assert count_pairs(reader, RUN.max_tokens) == 16


def test_held_out_pairs_are_judged_and_the_saved_model_gives_the_same_numbers(trained, policy_folder):
    result, rows = trained
    assert result["held_out_accuracy"] > 0.9 and result["held_out_pairs"] == 12
    assert result["steps"] == 6
    measured = [dict(zip(row["measures"], row["measured"], strict=True)) for row in rows]
    assert measured[-1]["accuracy"] > measured[0]["accuracy"] or measured[-1]["accuracy"] == 1
    model = load(Path(result["weights"])).eval()
    better, worse = scores(model, [[70, 71, 72, 50, 12], [70, 71, 72, 60, 60, 12]], 2)
    assert better > worse
    judge = ByModel(Path(result["weights"]), "reward-id", "cpu", 4)

    class Asked:
        ids = (70, 71, 72)

    class Answer:
        tokens = [50, 12]

    (graded,) = judge.grade([(Asked, Answer)])
    assert graded.value == pytest.approx(better, abs=1e-5) and '"id": "reward-id"' in graded.said
    with pytest.raises(ValueError, match="is not a reward model: it lacks score"):
        load(policy_folder)


def test_an_interrupted_training_goes_on_to_the_same_weights(trained, lake, policy_folder, tmp_path):
    class Killed(Exception): ...

    def emit(rows):
        if rows[-1]["step"] == 5:
            raise Killed

    config = _config(lake, policy_folder, tmp_path / "work")
    with pytest.raises(Killed):
        train_reward(config, emit)
    again, expected = train_reward(config, lambda rows: None), dict(folder_tensors(Path(trained[0]["weights"])))
    for name, value in folder_tensors(Path(again["weights"])):
        assert torch.equal(value, expected[name]), name
