"""Both chains on a small lake: every step continues the one before, nothing is made twice, a kill costs no step."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch

from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.reinforcement.tables import REWARD_MODEL
from nemotron_assets.align.tuning.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.compress.distilling import checks, pruned, report
from nemotron_assets.compress.distilling.chain import Chain
from nemotron_assets.compress.distilling.tables import (
    COMPRESSED,
    COMPRESSED_BASE,
    COMPRESSION_STEPS,
    PREFERENCES,
    ROLLOUTS,
)
from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, load_report, model_config
from nemotron_assets.model.pruning import Importance, architecture, read_config
from nemotron_assets.models.registry import newest
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.training.checkpoint import folder_tensors
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.plan import TrainingError
from nemotron_assets.training.teaching_data import teaching_data
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.stored import prompt, store_model, store_prompts
from tests.align.tuning.conversations import several
from tests.align.tuning.test_stages import materialize, small
from tests.pretrain.test_base import VOCABULARY, lake_with_shards, write_shards
from tests.pretrain.test_long_context import recipe_with

LAYERS = (0, 1, 2, 3, 4, 6)  # without the last Mamba-2 layer but one
WIDTHS = {"hidden": 24, "ffn": 40, "heads": 2, "head_dim": 16}


def recipe() -> Recipe:
    """A few steps of every training. The first distillations read conversations that are packed for them."""
    made = small(distilled_lengths={"sft_1": (256,)})
    own = made.compress
    values = {"batch_sequences": 2, "micro_batch_sequences": 2, "checkpoint_every": 2, "log_every": 1, "peak_lr": 3e-3}

    def stage(stage, steps, length, **sft):
        run = stage.training.model_copy(update=values | {"tokens": steps * 2 * length})
        return stage.model_copy(update={"training": run, "sequence_length": length, **sft})

    mixed = {"sft": "sft_1", "sft_share": 0.7}
    texts = {"sft": None, "sft_share": 0.0}
    grpo = {"steps": 2, "prompts_per_step": 2, "group": 2, "micro_batch": 4, "max_tokens": 4, "held_out_prompts": 2,
            "checkpoint_every": 1}  # fmt: skip
    asked = {"prompts": 4, "held_out_prompts": 2, "samples": 2, "max_output_tokens": 4, "reference_positives": True}
    preference = own.aligned.preference
    preference = preference.model_copy(
        update={
            "rounds": 1,
            "tools": preference.tools.model_copy(update=asked),
            "dpo": preference.dpo.model_copy(update={"batch_pairs": 2, "micro_batch_pairs": 2, "max_tokens": 128}),
        }
    )
    first = next(iter(own.aligned.width.values()))
    return made.with_sections(
        {
            "compress.budget.most_non_embedding": 0.95,
            "compress.base": own.base.model_copy(
                update={
                    "depth": stage(own.base.depth, 2, 64, **texts),
                    "width": {"first": stage(first, 20, 64, **texts), "long": stage(first, 1, 256, **texts)},
                }
            ),
            "compress.aligned": own.aligned.model_copy(
                update={
                    "depth": stage(first, 3, 256, **mixed),
                    "width": {"first": stage(first, 3, 256, **mixed), "longer": stage(first, 1, 256, **mixed)},
                    "recovery": stage(first, 1, 256, **mixed),
                    "preference": preference,
                    "grpo": own.aligned.grpo.model_copy(update=grpo),
                    "rlhf": own.aligned.rlhf.model_copy(update=grpo),
                    "teacher_cache_gb": 0.1,
                }
            ),
        }
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake with both teachers, a reward model, all data, and a chosen shape."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(root))
        made = lake_with_shards(root)
        write_shards(made, [0, 1], recipe_with())
        made.write(CONVERSATIONS, several())
        assert materialize(made, recipe(), TOKEN_SHARDS, SEQUENCES).success
        folder = _teacher(root / "teacher", root / "tokenizer")
        store_model(made, LONG_CONTEXT, folder, "laptop-long-context")
        store_model(made, ALIGNED, folder, "laptop-aligned", alpha=0.5)
        store_model(made, REWARD_MODEL, _judge(folder, root / "judge"), "laptop-reward-model", held_out_pairs=0)
        rows = [prompt(n, kind, "train", f"say {n}", f"w {n}") for n in range(4) for kind in ("tools", "verifiable")]
        rows += [prompt(n, kind, "held_out", f"say {n}!", f"v {n}") for n in (1, 2) for kind in ("tools", "verifiable")]
        store_prompts(made, rows)
        before = architecture(read_config(folder))
        patch.setattr("nemotron_assets.compress.distilling.chain.asked_for", lambda models, *_: newest(models))
        chosen = (before, LAYERS, WIDTHS, lambda: pruned.renumbered(_scores(before), LAYERS), "h")
        patch.setattr(pruned.Chosen, "of", classmethod(lambda cls, *_: cls(*chosen)))
        yield made


def _teacher(folder: Path, tokenizer: Path) -> Path:
    """A model with random weights and the tokenizer of the lake."""
    config = model_config(recipe().model, VOCABULARY, 256, {"pad": 4, "bos": 1, "eos": 2})
    config.initializer_range = 0.1
    export.save(
        folder, config, dict(fresh_weights(dict(empty_model(config).named_parameters()), config, 3)), torch.float32
    )
    export.add_tokenizer(folder, tokenizer)
    return folder


def _judge(start, folder):
    from nemotron_assets.training.reinforcement.reward import begin, empty_reward_model, reward_config

    weights = {name: value.detach() for name, value in begin(start, 1).named_parameters()}
    export.save(folder, reward_config(FromFolder(start).config(0)), weights, torch.float32, empty=empty_reward_model)
    export.add_tokenizer(folder, start)
    return folder


def _scores(model) -> Importance:
    draws = torch.Generator().manual_seed(0)
    of = {kind: [n for n, letter in enumerate(model.pattern) if letter == kind] for kind in "M-"}
    return Importance(
        torch.rand(model.hidden_size, generator=draws),
        {layer: torch.rand(model.ffn_size, generator=draws) for layer in of["-"]},
        {layer: torch.rand(model.mamba_heads, model.mamba_head_dim, generator=draws) for layer in of["M"]},
    )


def chain(lake: Lakehouse, run: str = "run-1") -> Chain:
    return Chain(recipe(), lake, Gpu(), run, lambda line: None)


def steps(lake: Lakehouse) -> dict[str, dict]:
    rows = lake.read(COMPRESSION_STEPS).scan().sort("at").collect().to_dicts()
    return {row["name"]: row for row in rows}


def test_shares_are_of_tokens_and_missing_data_is_named(lake):
    data = teaching_data(recipe(), lake, 256, "sft_1", 0.7)
    (entry,) = data.entries()
    tokens = {
        stream.name: stream.tokens_per_sequence
        * sum(weight for name, weight in entry.weights.items() if name.startswith(f"{stream.name}/"))
        for stream in data.streams
    }
    assert tokens["sft"] / sum(tokens.values()) == pytest.approx(0.7)
    assert data.named == "align.sequences/sft_1_256 + blend.sequences/256"
    (texts,) = teaching_data(recipe(), lake, 64).streams
    assert (texts.name, texts.part, texts.share) == ("pretraining", "64", 1.0)
    with pytest.raises(TrainingError, match=r"sequences of 64 tokens cannot read those of sft_3.*distilled_lengths"):
        teaching_data(recipe(), lake, 64, "sft_3", 0.7)
    with pytest.raises(TrainingError, match=r"blend.sequences has no part 512 to distil with \(blend.further_lengths"):
        teaching_data(recipe(), lake, 512)


def test_a_run_that_dies_in_a_step_goes_on_there(lake, monkeypatch):
    """The process that trains dies in the second distillation, after a checkpoint: the next run trains only what is
    missing, and ends with the model of an undisturbed run."""
    from nemotron_assets.training import loop

    rate, calls = loop.learning_rate, []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return rate(*arguments)

    monkeypatch.setattr(loop, "learning_rate", dying)
    with pytest.raises(KeyboardInterrupt):
        chain(lake).base()
    assert [row["step"] for row in steps(lake).values()] == ["depth"], "the finished step is stored"
    monkeypatch.setattr(loop, "learning_rate", rate)
    done, parts = chain(lake, "run-2").base()
    lake.write(COMPRESSED_BASE, parts)
    curve = lake.read(TRAINING_METRICS).scan().filter(pl.col("model") == "laptop-compressed-base-first")
    assert curve.sort("step").collect()["step"].to_list() == list(range(1, 21))
    assert len({row["run_id"] for row in curve.collect().to_dicts()}) == 2
    assert done["name"] == "laptop-compressed-base"
    assert newest(lake.read(COMPRESSION_STEPS), "laptop-compressed-base-first")["sha256"] == _alone(lake)


def test_the_base_model_is_pruned_and_distilled_in_stages(lake):
    teacher = newest(lake.read(LONG_CONTEXT))
    own = chain(lake, "run-3")
    row, parts = own.base()
    assert not list(parts.parts), "the run before has made all of them"
    depth, first = steps(lake).values()
    assert [depth["name"], first["name"], row["name"]] == [
        "laptop-compressed-base-depth", "laptop-compressed-base-first", "laptop-compressed-base",
    ]  # fmt: skip
    assert [depth["parents"], first["parents"], row["parents"]] == [
        [teacher["id"]], [depth["id"], teacher["id"]], [first["id"], teacher["id"]],
    ]  # fmt: skip
    assert first["sources"] == ["models.compression_steps", "models.long_context"]
    assert json.loads(depth["pruned"]) == {"layers": list(LAYERS)} and json.loads(first["pruned"])["hidden"] == 24
    shapes = [architecture(read_config(lake.get_weights(model["uri"]))) for model in (teacher, depth, first, row)]
    assert [(len(shape.pattern), shape.hidden_size) for shape in shapes] == [(7, 32), (6, 32), (6, 24), (6, 24)]
    assert (row["steps"], first["steps"], row["tokens_seen"]) == (1, 20, 2 * 256)
    assert load_report(lake.get_weights(row["uri"])) == (row["parameters"], [])
    assert 0 < row["inner_parameters"] < row["teacher_inner_parameters"] < row["teacher_parameters"]
    assert row["parameters"] - row["inner_parameters"] == 2 * VOCABULARY * 24
    curve = lake.read(TRAINING_METRICS).scan().filter(model_id=first["id"]).sort("step").collect()
    assert curve["loss"][-5:].mean() < curve["loss"][:5].mean(), "the divergence from the teacher falls"
    assert all(name.startswith("pretraining/") for name in curve["categories"].explode())
    shown = report.facts(lake, own.made, row)
    assert "laptop-compressed-base-first" in shown["steps"].value and "data:image/png" in shown["divergence"].value
    assert checks.divergence_fell(lake).passed
    budget, loads = checks.CHECKS[2], checks.CHECKS[4]
    assert budget(lake, recipe()).passed and loads(lake).passed
    tight = recipe().with_sections({"compress.budget.most_non_embedding": 0.1})
    assert not budget(lake, tight).passed


def test_the_aligned_model_goes_through_all_steps_and_a_second_run_makes_nothing(lake, monkeypatch):
    teacher, judge = newest(lake.read(ALIGNED)), newest(lake.read(REWARD_MODEL))
    own = chain(lake)
    row, parts = own.aligned()
    lake.write(COMPRESSED, parts)
    made = {name: model for name, model in steps(lake).items() if model["compresses"] == "aligned"}
    names = ["depth", "first", "longer", "dpo", "grpo", "recovery", "rlhf"]
    assert [model["step"] for model in own.made] == names and list(made) == [
        f"laptop-compressed-{name}" for name in names
    ]
    by_step = {model["step"]: model for model in made.values()}
    before = [teacher, *(by_step[name] for name in names)]
    for name, earlier in zip(names, before, strict=False):
        expected = {earlier["id"]} | (set() if name in ("dpo", "grpo", "rlhf") else {teacher["id"]})
        assert set(by_step[name]["parents"]) == expected | ({judge["id"]} if name == "rlhf" else set()), name
    assert (
        row["parents"] == [by_step["recovery"]["id"], by_step["rlhf"]["id"], teacher["id"]]
        and row["teacher"] == teacher["id"]
    )
    sides = [dict(folder_tensors(lake.get_weights(by_step[name]["uri"]))) for name in ("recovery", "rlhf")]
    for name, value in folder_tensors(lake.get_weights(row["uri"])):
        assert torch.allclose(value, torch.lerp(sides[0][name], sides[1][name], 0.5), atol=1e-6)
    curve = lake.read(TRAINING_METRICS).scan().filter(model_id=by_step["depth"]["id"]).collect()
    kinds = {name.partition("/")[0] for names in curve["categories"] for name in names}
    assert kinds == {"sft", "pretraining"}, "conversations and texts"
    assert set(lake.read(PREFERENCES).scan().collect()["model_id"]) == {by_step["longer"]["id"]}
    rollouts = lake.read(ROLLOUTS).scan().collect()
    assert set(rollouts.select("stage", "model_id").unique().iter_rows()) == {
        (name, by_step[name]["id"]) for name in ("grpo", "rlhf")
    }
    assert checks.sampler_and_trainer_agree(lake, recipe()).passed
    assert not list((_cache() / "teacher").glob("*/*")), "the teacher's hidden states are gone"

    monkeypatch.setattr(Gpu, "train", lambda *arguments: pytest.fail("a finished step was trained again"))
    monkeypatch.setattr("nemotron_assets.rollouts.opening.open_policy", lambda *a: pytest.fail("it was asked again"))
    again, parts = chain(lake, "run-2").aligned()
    assert again["id"] == row["id"] and not list(parts.parts)


def _cache() -> Path:
    from resources.home import cache_dir

    return cache_dir("teacher").parent


def _alone(lake: Lakehouse) -> str:
    """The sha256 of the first stage after the width, trained in a folder of its own, without an interruption."""
    from nemotron_assets.compress.distilling.steps import Model, Step, step_columns
    from nemotron_assets.training.distillation import train_distillation

    teacher = Model(LONG_CONTEXT, newest(lake.read(LONG_CONTEXT)))
    depth = Model(COMPRESSION_STEPS, newest(lake.read(COMPRESSION_STEPS), "laptop-compressed-base-depth"))
    chosen = pruned.Chosen.of(recipe(), lake, teacher.row)
    stage = recipe().compress.base.width["first"]
    pruning = chosen.width()
    plan = Step("x", COMPRESSION_STEPS, stage, "x", depth, teacher, pruning, step_columns("base", "x", pruning)).plan(
        recipe(), lake
    )
    folder = _cache() / "alone"
    pruning.write(lake.get_weights(depth.row["uri"]), folder / "start")
    config = plan.config | {"folder": str(folder), "start": {"folder": str(folder / "start")}}
    done = train_distillation(config, lambda rows: None)
    export.add_tokenizer(folder / "weights", plan.tokenizer)
    return lake.put_weights(done["weights"], "alone")[1]
