"""Runs in the training process: GRPO with TRL, rollouts through the ledger, checkpoints that resume.

A training that was killed goes on from its last complete checkpoint. The steps after it are done again; their rollouts
come from the ledger, because their keys follow from the weights, so none is paid for twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset
from transformers import AutoTokenizer, NemotronHForCausalLM, PrinterCallback

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.recipe.llm import Llm
from nemotron_assets.rollouts.opening import ENDS
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.plan import TrainingError
from nemotron_assets.training.reinforcement import policies
from nemotron_assets.training.reinforcement.asking import (
    Prompt,
    measured,
    pool,
    prompt,
    read_prompts,
    schedule,
    short_enough,
)
from nemotron_assets.training.reinforcement.columns import HELD_OUT, SCREENED, STOPPED, TRAIN
from nemotron_assets.training.reinforcement.grading import Grader, grader
from nemotron_assets.training.reinforcement.storing import RolloutFile, rollout_rows
from nemotron_assets.training.reinforcement.trainer import MEASURES, RolloutTrainer, Sampled
from nemotron_assets.training.with_trl import Emit, Reporter, finished, newest_checkpoint, quiet, trained
from resources.generations import Ledger
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse


def train_grpo(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train a policy. `plan.grpo` explains `config`. Returns what `with_trl.trained` returns."""
    return _Training(config, emit).run()


class _Training:
    """One GRPO training."""

    def __init__(self, config: dict[str, Any], emit: Emit) -> None:
        self.config, self.emit, self.folder = config, emit, Path(config["folder"])
        self.settings, self.stage = Grpo.model_validate(config["training"]), config["stage"]
        self.start = Path(config["start"]["folder"])
        self.folder.mkdir(parents=True, exist_ok=True)
        self.is_first = int(os.environ.get("RANK", 0)) == 0  # of several devices, the first one records the rollouts

    def run(self) -> dict[str, Any]:
        result = finished(self.folder)
        reached = newest_checkpoint(self.folder)
        last = self.settings.steps if result else int(reached.rpartition("-")[2]) if reached else 0
        if self.is_first:
            self.file = RolloutFile(self.folder / "rollouts.jsonl", last)
            for rows in self.file.rows():
                self.emit(rows)
        if result:
            return result
        quiet()
        self.tokenizer = AutoTokenizer.from_pretrained(self.start, local_files_only=True)
        self.tags = Tags.of(self.tokenizer, ENDS)
        lake = Lakehouse(**self.config["lake"])
        with Ledger(lake, run_id=self.config.get("run_id", "")).kept_open() as ledger:
            trainer, held_out = self._trainer(ledger, lake)
            with grader(self.config["grader"], str(trainer.accelerator.device), self.settings.micro_batch) as judge:
                trainer.grader = judge
                self._measure(trainer, judge, held_out, 0)
                trainer.prompts = self._scheduled(self._learnable(trainer, judge))
                shape = FromFolder(self.start).config(0)

                def after() -> dict[str, Any]:
                    self._measure(trainer, judge, held_out, self.settings.steps)
                    return {}

                return trained(trainer, self.folder, shape, self.settings.precision, after)

    def _trainer(self, ledger: Ledger, lake: Lakehouse) -> tuple[RolloutTrainer, list[Prompt]]:
        run = self.settings
        found = read_prompts(lake.read(PROMPTS).at(self.config["prompts_version"]), run)
        self.train = list(short_enough(found["train"], run, self.tokenizer))
        trainer = RolloutTrainer(
            self._model(),
            self._model().eval().requires_grad_(False),
            self.tokenizer,
            Dataset.from_dict({"prompt": [str(place) for place in range(run.steps * run.prompts_per_step)]}),
            run=run,
            stage=self.stage,
            folder=self.folder,
            policy_of=self._policy_of(ledger),
            record=self._record,
            tags=self.tags,
            temperature=self._rollouts.temperature,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Reporter(self.emit, self.stage, self.config["section"], MEASURES))
        return trainer, measured(found["held_out"], run, self.tokenizer)

    def _learnable(self, trainer: RolloutTrainer, judge: Grader) -> list[Prompt]:
        """The prompts to train on: those whose pass rate before the first step is as the recipe asks for."""
        rule, rows = self.settings.pass_rates, [asked.row for asked in self.train]
        if rule is None:
            return self.train
        kept: list[list[int]] = [[]]
        if self.is_first:
            asked = pool(rows, self.settings)
            rewards = self._asked(trainer, judge, [self.train[at] for at in asked], rule.samples, 0, SCREENED)
            for number, at in enumerate(asked):
                own = rewards[number * rule.samples :][: rule.samples]
                known = [value for value in own if value is not None]
                if known and rule.above < sum(known) / len(known) < rule.below:
                    kept[0].append(at)
        broadcast_object_list(kept)  # of several devices, the first one asks
        if not kept[0]:
            raise TrainingError(
                f"of {rule.prompts} prompts, the model at the start answers no one with a pass rate between "
                f"{rule.above} and {rule.below}: widen {self.config['section']}.pass_rates, or raise its prompts"
            )
        return [self.train[at] for at in kept[0]]

    def _scheduled(self, learnable: list[Prompt]) -> list[Prompt]:
        """The prompts of all steps."""
        found = schedule([asked.row for asked in learnable], self.settings)
        return [
            learnable[number] if thinks else prompt(learnable[number].row, False, self.tokenizer)
            for number, thinks in found
        ]

    def _model(self) -> NemotronHForCausalLM:
        return NemotronHForCausalLM.from_pretrained(self.start, dtype="float32", local_files_only=True)

    @property
    def _rollouts(self) -> Rollouts:
        return Rollouts.model_validate(self.config["rollouts"])

    def _policy_of(self, ledger: Ledger) -> Any:
        settings, name, most = self._rollouts, self.config["name"], self.settings.max_tokens
        if settings.engine == "transformers":
            return policies.of_transformers(settings, name, self.tokenizer, self.tags, ledger, most)
        gpu = Gpu.from_recipe(Llm.model_validate(self.config["llm"]))
        return policies.of_vllm(settings, name, self.start, self.folder / "sampler", gpu, ledger, most)

    def _record(self, step: int, sampled: Sampled, columns: dict[str, list], split: str) -> None:
        rows = rollout_rows(
            sampled,
            columns,
            table=self.config["rollouts_table"],
            stage=self.stage,
            model_id=self.config["model_id"],
            step=step,
            split=split,
            tags=self.tags,
        )
        rows = gather_object(rows) if split in (TRAIN, STOPPED) else rows
        if self.is_first and self.file.add(step, split, rows):
            self.emit(rows)

    def _measure(self, trainer: RolloutTrainer, judge: Grader, prompts: list[Prompt], step: int) -> None:
        """Answer the held-out prompts with the present weights, and record the rewards."""
        if prompts and self.is_first:
            self._asked(trainer, judge, prompts, self.settings.held_out_samples, step, HELD_OUT)

    def _asked(
        self, trainer: RolloutTrainer, judge: Grader, prompts: list[Prompt], samples: int, step: int, split: str
    ) -> list[float | None]:
        """Sample answers to each prompt with the present weights, and record them. Returns their rewards. Held-out
        prompts are answered with the same random numbers before and after the training, so that less of the difference
        is luck."""
        each = [asked for asked in prompts for _ in range(samples)]
        equal = split == HELD_OUT
        asks = [asked.ask(number, self.stage, self.settings, equal) for asked in prompts for number in range(samples)]
        rollouts = list(trainer.policy().rollouts(asks))
        graded = judge.grade(list(zip(each, rollouts, strict=True)))
        self._record(step, Sampled(each, rollouts, graded), {}, split)
        return [one.value for one in graded]


#: Its name for the GPU resource, "module:function".
TRAIN_GRPO = f"{__name__}:{train_grpo.__name__}"
