"""Checks of the reinforcement learning: sampler and trainer agree, rewards can be given again, held-out rewards do not
fall, the reward model judges better than chance, and the weights load."""

import dagster as dg

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF, ROLLOUTS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from nemotron_assets.training.checks import loads_with_transformers
from resources.lakehouse import Lakehouse


@table_check(IFEVAL_RL, reads=[ROLLOUTS, PROMPTS])
def rewards_are_given_again(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Graded again without generating anything, stored rollouts get the stored rewards."""
    from nemotron_assets.align.reinforcement.audit import SAMPLE, regrade

    found = regrade(lake, recipe, most=SAMPLE)
    return dg.AssetCheckResult(passed=found["rollouts"] > 0 and not found["different"], metadata=found)


def _sampler_and_trainer_agree(table: Table) -> dg.AssetChecksDefinition:
    @table_check(table, reads=[ROLLOUTS])
    def sampler_and_trainer_agree(
        lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
    ) -> dg.AssetCheckResult:
        """In the mean, the log-probabilities of sampled tokens from the engine that sampled them and from the trainer
        differ by no more than the recipe's most_disagreement."""
        from nemotron_assets.models.registry import newest
        from nemotron_assets.training.reinforcement.audit import disagreement

        most = getattr(recipe.align.reinforcement, table.name).most_disagreement
        found = disagreement(lake.read(ROLLOUTS).scan(), newest(lake.read(table))["id"])
        return dg.AssetCheckResult(passed=found["tokens"] > 0 and found["mean"] <= most, metadata=found)

    return sampler_and_trainer_agree


def _held_out_rewards_do_not_fall(table: Table) -> dg.AssetChecksDefinition:
    @table_check(table, reads=[ROLLOUTS])
    def held_out_rewards_do_not_fall(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
        """On held-out prompts, the 95% interval of the change of the reward does not lie wholly below zero."""
        from nemotron_assets.models.registry import newest
        from nemotron_assets.training.reinforcement.audit import held_out

        found = held_out(lake.read(ROLLOUTS).scan(), newest(lake.read(table))["id"])
        shown = (
            {}
            if found is None
            else {name: getattr(found, name) for name in ("items", "difference", "low", "high", "p")}
        )
        return dg.AssetCheckResult(passed=found is not None and not found.is_worse, metadata=shown)

    return held_out_rewards_do_not_fall


@table_check(REWARD_MODEL)
def judges_better_than_chance(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The newest reward model puts the better answer of held-out pairs ahead more than half of the time. It only
    warns, because a small recipe has few such pairs."""
    from nemotron_assets.models.registry import newest

    row = newest(lake.read(REWARD_MODEL))
    accuracy, pairs = row["held_out_accuracy"], row["held_out_pairs"]
    return dg.AssetCheckResult(
        passed=accuracy is not None and accuracy > 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"accuracy": accuracy or 0.0, "pairs": pairs},
    )


_POLICIES = (IFEVAL_RL, RLHF)

CHECKS = [
    rewards_are_given_again,
    judges_better_than_chance,
    *map(_sampler_and_trainer_agree, _POLICIES),
    *map(_held_out_rewards_do_not_fall, _POLICIES),
    *map(loads_with_transformers, _POLICIES),
]
