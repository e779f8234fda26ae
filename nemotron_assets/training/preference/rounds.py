"""Runs the rounds of DPO: the policy answers, its answers become pairs, and the pairs train the next policy.

Pairs are stored before they are trained on. The identity of a model follows from the content of its pairs, so a killed
run finds its pairs, its checkpoints and its finished rounds again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.models.registry import Identity, Parent, Registry, by_id
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Rejects
from nemotron_assets.training.plan import Plan, TrainingError, train, working_folder
from nemotron_assets.training.preference.columns import PREFERENCE, TOOLS

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.align.preference import PairSampling, Preference
    from nemotron_assets.table.schema import Table
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader

#: The training function, by the name that the GPU resource knows. Its module loads torch and TRL.
TRAIN_DPO = "nemotron_assets.training.preference.worker:train_dpo"


@dataclass
class Rounds:
    """The rounds of one stage, in one lake.

    - `settings`, `section`: the numbers of the rounds, and the section of the recipe that they are in.
    - `pairs`, `models`: the tables of the pairs and of the models of the stage; `name`: the name of the models.
    - `code`: the version of the stage's code.
    - `start`: the reader of the table of the model that answers first, and its row.
    - `for_reward_model`: whether the last policy also writes pairs for the reward model.
    - `more`: the values of the columns that only `models` has, from what the round measured.
    - `made` says how many pairs each part has, and why prompts gave none.
    """

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]
    settings: Preference
    section: str
    pairs: Table
    models: Table
    name: str
    code: str
    start: tuple[Reader, dict[str, Any]]
    for_reward_model: bool = True
    more: Callable[[dict[str, Any]], dict[str, Any]] = lambda measured: {"metrics": json.dumps(measured)}
    made: dict[str, dict[str, int]] = field(default_factory=dict)
    _rejects: Rejects = field(default_factory=Rejects)

    def run(self, registry: Registry | None = None) -> tuple[list[dict[str, Any]], Parts]:
        """The rows of the models of all rounds, and the parts to write to the table of models: those of `registry`, if
        the stage makes other models of the table too. Raises `TrainingError` when a round has no pairs to train on."""
        settings = self.settings
        registry = registry or Registry(self.lake, self.models, self.run_id, self.log)
        (_, policy), models, parts = self.start, [], []
        for number in range(1, settings.rounds + 1):
            parts.append(self._part(settings.tools, TOOLS, number, policy))
            self._store(parts[-1:], complete=False)
            plan = self._plan(number, policy)
            policy, _ = train(plan, self.lake, self.gpu, self.run_id, self.log, registry)
            models.append(policy)
        if self.for_reward_model:
            parts.append(self._part(settings.preference, PREFERENCE, settings.rounds, policy))
        self._store(parts, complete=True)  # pairs of earlier policies go
        return models, registry.parts()

    def last(self) -> Plan:
        """The training of the last round, from what the lake holds. Raises `ModelError` or `TrainingError` if a round
        before it was not made."""
        rounds, (_, policy) = self.settings.rounds, self.start
        for number in range(1, rounds):
            policy = by_id(self.lake.read(self.models), self._plan(number, policy).id)
        return self._plan(rounds, policy)

    def _store(self, parts: list[Part], complete: bool) -> None:
        self.lake.write(
            self.pairs,
            Parts(parts, rejects=self._rejects, complete=complete),
            run_id=self.run_id,
            code_version=self.code,
            log=self.log,
        )

    def _part(self, settings: PairSampling, kind: str, number: int, policy: dict[str, Any]) -> Part:
        """The pairs of a round: the part of the table of pairs, which is made when the lake does not hold it."""
        prompts = self.lake.read(PROMPTS)
        if not prompts.exists:
            raise TrainingError(f"there is nothing to ask: materialise {PROMPTS.asset_key.to_user_string()} first")
        key = _key(kind, number, policy)
        grading = self.recipe.grading.model_dump()
        decides = (settings.model_dump(), self._sampling(), self.settings.dpo.max_tokens, grading)
        contents = [f"{part}={content}" for part, content in prompts.parts().items()]
        fingerprint = content_hash("\x1f".join([policy["sha256"], repr(decides), *contents]))
        return Part(key, fingerprint, lambda: self._pairs(settings, kind, number, policy, key))

    def _sampling(self) -> dict[str, Any]:
        return self.recipe.align.rollouts.model_dump(exclude={"batch"})

    def _pairs(self, settings: PairSampling, kind: str, number: int, policy: dict[str, Any], part: str) -> pl.DataFrame:
        """Let a policy answer, and return the pairs."""
        import polars as pl

        from nemotron_assets.grading.rewards import Rewards
        from nemotron_assets.rollouts.opening import open_policy
        from nemotron_assets.text import tokenizer
        from nemotron_assets.training.preference.pairs import Pairing, chosen_prompts
        from resources.generations import Ledger

        folder, rollouts = self.lake.get_weights(policy["uri"]), self.recipe.align.rollouts
        prompts = list(chosen_prompts(self.lake.read(PROMPTS).scan(), settings, number))
        self.log(f"{policy['name']} {policy['version']} answers {len(prompts):,} prompts for pairs of kind {kind}")
        with self.gpu.lock(self.log), Rewards(self.recipe.grading) as rewards:
            ledger = Ledger(self.lake, run_id=self.run_id)
            asked = (policy["name"], policy["sha256"], self.gpu, ledger, settings.max_output_tokens)
            answers = open_policy(rollouts, folder, *asked)
            vocabulary = tokenizer.load(folder)
            most = self.settings.dpo.max_tokens
            of = (self.pairs.full_name, part, kind, number, policy["id"], self._rejects)
            pairing = Pairing(settings, answers, rewards, vocabulary, most, *of)
            rows = pl.DataFrame(list(pairing.rows(prompts)), schema=self.pairs.empty().schema)
        self.made[part] = {"prompts": len(prompts), **pairing.counts}
        self._check_graders(pairing.counts["grader_error"], len(prompts))
        return rows

    def _check_graders(self, errors: int, prompts: int) -> None:
        most = self.recipe.quarantine.max_share
        if errors > most * prompts:
            raise TrainingError(
                f"answers to {errors} of {prompts} prompts could not be scored, more than quarantine.max_share "
                f"({most:.0%}): quarantine.rows has the errors of {self.pairs.full_name}"
            )

    def _asset(self) -> str:
        return self.models.asset_key.to_user_string()

    def _plan(self, number: int, policy: dict[str, Any]) -> Plan:
        """The training of a round on the pairs that its policy has given."""
        import polars as pl

        own, pairs, part = self.settings, self.lake.read(self.pairs), _key(TOOLS, number, policy)
        run, before = own.dpo, self.start[0].table if number == 1 else self.models
        rows = pairs.scan().filter(pl.col("part") == part) if pairs.exists else self.pairs.empty().lazy()
        counts = dict(rows.group_by("split").len().collect().iter_rows())
        if not counts.get("train"):
            raise TrainingError(
                f"round {number} of DPO has no pairs to train on ({self.made.get(part, 'no run has made them')}): "
                f"materialise {self._asset()}, raise {self.section}.tools.samples, or set reference_positives"
            )
        decides = {"code": self.code, **run.deciding(), "tools": own.tools.model_dump(), "rollouts": self._sampling()}
        recipe_hash = content_hash(repr(sorted(decides.items())).encode())
        id_ = row_id(self.models.full_name, recipe_hash, policy["id"], pairs.parts()[part])
        folder = self.lake.get_weights(policy["uri"])
        steps = run.steps(counts["train"])
        prompts = self.lake.read(PROMPTS)
        return Plan(
            table=self.models,
            identity=Identity(
                name=self.name,
                id=id_,
                recipe_hash=recipe_hash,
                inputs=(prompts.input_version, pairs.input_version, self.lake.read(before).input_version),
                parents=(Parent(before.full_name, policy["id"]),),
            ),
            entry=TRAIN_DPO,
            config={
                "start": {"folder": str(folder)},
                "training": run.model_dump(),
                "section": f"{self.section}.dpo",
                "sequence_length": run.max_tokens,
                "folder": working_folder(id_),
                "round": number,
                "steps": steps,
                "pairs": {
                    "path": self.lake.path(self.pairs),
                    "version": pairs.version,
                    "part": part,
                    "storage_options": self.lake.storage_options,
                },
            },
            steps=steps,
            tokenizer=folder,
            source_versions=(prompts.input_version,),
            more=lambda trained: self.more(_measured(trained, counts, number)),
        )


def _key(kind: str, number: int, policy: dict[str, Any]) -> str:
    """The part of the table of pairs with the pairs of a kind and a round, and of the policy that has answered."""
    return f"{kind}-{number}-{policy['id'][:12]}"


def _measured(trained: dict[str, Any], counts: dict[str, int], number: int) -> dict[str, Any]:
    return {
        "round": number,
        "pairs": counts.get("train", 0),
        "held_out_pairs": counts.get("held_out", 0),
        "held_out_accuracy": trained["held_out_accuracy"],
        "held_out_margin": trained["held_out_margin"],
    }
