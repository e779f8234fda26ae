"""The steps of a compressed model in their order, as in Nemotron Nano 2 report §4.3.

Both models: layers are taken out, and the rest is distilled; then the widths are pruned, and the rest is distilled in
stages. The aligned model goes on with DPO, GRPO, a short distillation that recovers what they cost, and RLHF; the model
in use is the merge of the last two. Every finished step is stored, so a killed run goes on where it was stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.merging import tables as merging
from nemotron_assets.align.reinforcement import tables as reinforcement
from nemotron_assets.compress.distilling import CODE
from nemotron_assets.compress.distilling.pruned import Chosen, sizes
from nemotron_assets.compress.distilling.steps import Model, Pruning, Step, step_columns
from nemotron_assets.compress.distilling.tables import (
    ALIGNED,
    BASE,
    COMPRESSED,
    COMPRESSED_BASE,
    COMPRESSION_STEPS,
    PREFERENCES,
    ROLLOUTS,
)
from nemotron_assets.models.asked import asked_for
from nemotron_assets.models.registry import Identity, Made, Registry, newest
from nemotron_assets.pretrain import tables as pretrain
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.recipe.distillation import CompressedBase, DistillationStage
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Parts
from nemotron_assets.training.plan import train
from nemotron_assets.training.preference.rounds import Rounds
from nemotron_assets.training.reinforcement.plan import Reinforced
from resources.home import cache_dir

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse


@dataclass
class Chain:
    """The steps to one of the two compressed models, in one lake. `made` are the rows of the steps so far."""

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]
    made: list[dict[str, Any]] = field(default_factory=list)

    def base(self) -> tuple[dict[str, Any], Parts]:
        """The row of the compressed base model, and the parts to write to models.compressed_base."""
        own, models = self.recipe.compress.base, self.lake.read(pretrain.LONG_CONTEXT)
        teacher = Model(pretrain.LONG_CONTEXT, asked_for(models, self.recipe, self.lake))
        self._begin(BASE, own, teacher)
        registry = Registry(self.lake, COMPRESSED_BASE, self.run_id, self.log)
        name, stage, pruning = self._distillations(own, teacher)
        of_sizes = sizes(self.lake, teacher.row)
        last = Step(
            f"{self.recipe.name}-compressed-base", COMPRESSED_BASE, stage, f"compress.base.{name}", self._now, teacher,
            pruning, lambda trained: of_sizes(Path(trained["weights"])),
            own.teacher_cache_gb,
        )  # fmt: skip
        row, parts = self._train(last.plan(self.recipe, self.lake), registry)
        self._end(teacher)
        return row, parts

    def aligned(self) -> tuple[dict[str, Any], Parts]:
        """The row of the compressed model, and the parts to write to models.compressed."""
        own, models = self.recipe.compress.aligned, self.lake.read(merging.ALIGNED)
        teacher = Model(merging.ALIGNED, newest(models, f"{self.recipe.name}-aligned"))
        self._begin(ALIGNED, own, teacher)
        name, stage, pruning = self._distillations(own, teacher)
        self._distil(name, stage, pruning, teacher)
        self._prefer()
        self._reinforce("grpo", own.grpo)
        self._distil("recovery", own.recovery, None, teacher)
        recovered = self._now
        self._reinforce("rlhf", own.rlhf, judged=True)
        self._end(teacher)
        return self._merged(recovered, self._now, teacher)

    # -- distillations -------------------------------------------------------------------------------------------------

    def _begin(self, compresses: str, own: CompressedBase, teacher: Model) -> None:
        self._compresses, self._now, self._cache_gb = compresses, teacher, own.teacher_cache_gb
        self._steps = Registry(self.lake, COMPRESSION_STEPS, self.run_id, self.log, side_by_side=True)

    def _end(self, teacher: Model) -> None:
        """Delete the hidden states of the teacher: nothing else reads them."""
        shutil.rmtree(cache_dir("teacher") / teacher.row["id"], ignore_errors=True)

    def _distillations(self, own: CompressedBase, teacher: Model) -> tuple[str, DistillationStage, Pruning | None]:
        """Run all distillations before the last one after the width. Returns what the last one needs: the key of its
        numbers, the numbers, and what is pruned before it. A shape that keeps all layers needs no step of its own."""
        chosen = Chosen.of(self.recipe, self.lake, teacher.row)
        if depth := chosen.depth():
            self._distil("depth", own.depth, depth, teacher)
        pruning, (*stages, last) = chosen.width(), own.width.items()
        for name, stage in stages:
            self._distil(f"width.{name}", stage, pruning, teacher)
            pruning = None
        return f"width.{last[0]}", last[1], pruning

    def _distil(self, name: str, stage: DistillationStage, pruning: Pruning | None, teacher: Model) -> None:
        step = name.rpartition(".")[2]
        more = step_columns(self._compresses, step, pruning)
        section = f"compress.{self._compresses}.{name}"
        planned = Step(
            self._name(step), COMPRESSION_STEPS, stage, section, self._now, teacher, pruning, more, self._cache_gb
        )
        self._store(self._train(planned.plan(self.recipe, self.lake), self._steps)[0])

    # -- preferences and rewards ---------------------------------------------------------------------------------------

    def _prefer(self) -> None:
        more = step_columns(self._compresses, "dpo")
        rounds = Rounds(
            self.recipe, self.lake, self.gpu, self.run_id, self.log,
            settings=self.recipe.compress.aligned.preference,
            section="compress.aligned.preference",
            pairs=PREFERENCES,
            models=COMPRESSION_STEPS,
            name=self._name("dpo"),
            code=CODE,
            start=(self.lake.read(self._now.table), self._now.row),
            for_reward_model=False,
            more=lambda measured: more(measured) | {"metrics": json.dumps(measured)},
        )  # fmt: skip
        self._store(rounds.run(self._steps)[0][-1])

    def _reinforce(self, step: str, run: Grpo, judged: bool = False) -> None:
        judges = self.lake.read(reinforcement.REWARD_MODEL) if judged else None
        plan = Reinforced(
            table=COMPRESSION_STEPS,
            name=self._name(step),
            stage=step,
            section=f"compress.aligned.{step}",
            run=run,
            rollouts=ROLLOUTS,
            code=CODE,
            start=(self.lake.read(self._now.table), self._now.row),
            judge=(judges, asked_for(judges, self.recipe, self.lake)) if judges else None,
            more=step_columns(self._compresses, step)({}),
        ).plan(self.recipe, self.lake)
        self._store(self._train(plan, self._steps)[0])

    def _merged(self, first: Model, second: Model, teacher: Model) -> tuple[dict[str, Any], Parts]:
        """The merge of the models before and after RLHF."""
        from nemotron_assets.model.merge import merge

        alpha, ids = self.recipe.compress.aligned.alpha, [first.row["id"], second.row["id"]]
        registry = Registry(self.lake, COMPRESSED, self.run_id, self.log)
        of_sizes = sizes(self.lake, teacher.row)
        distilled = [row for row in self.made if row["step"] not in ("dpo", "grpo", "rlhf")]

        def make(scratch: Path) -> Made:
            folders = (self.lake.get_weights(side.row["uri"]) for side in (first, second))
            parameters = merge(*folders, alpha, scratch / "merged")
            columns = {"parameters": parameters, "alpha": alpha}
            columns |= {"tokens_seen": sum(row["tokens_seen"] for row in distilled)}
            return Made(scratch / "merged", columns | of_sizes(scratch / "merged"))

        identity = Identity(
            name=f"{self.recipe.name}-compressed",
            id=row_id(COMPRESSED.full_name, CODE, *ids, repr(alpha)),
            recipe_hash=content_hash(repr((CODE, alpha))),
            inputs=(self.lake.read(COMPRESSION_STEPS).input_version,),
            parents=(first.parent, second.parent, teacher.parent),
        )
        return registry.want(identity, make), registry.parts()

    # -- what all steps share ------------------------------------------------------------------------------------------

    def _name(self, step: str) -> str:
        compressed = {BASE: "compressed-base", ALIGNED: "compressed"}[self._compresses]
        return f"{self.recipe.name}-{compressed}-{step.replace('_', '-')}"

    def _train(self, plan: Any, registry: Registry) -> tuple[dict[str, Any], Parts]:
        return train(plan, self.lake, self.gpu, self.run_id, self.log, registry)

    def _store(self, row: dict[str, Any]) -> None:
        """Store the model of a finished step, and go on with it."""
        self.lake.write(COMPRESSION_STEPS, self._steps.parts(), run_id=self.run_id, code_version=CODE, log=self.log)
        self.made.append(row)
        self._now = Model(COMPRESSION_STEPS, row)
