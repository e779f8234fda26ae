"""Checks of the compressed models: they meet the budget, came nearer to their teachers, and load."""

import dagster as dg

from nemotron_assets.compress.distilling.tables import COMPRESSED, COMPRESSED_BASE, COMPRESSION_STEPS, ROLLOUTS
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from nemotron_assets.training.checks import loads_with_transformers
from resources.lakehouse import Lakehouse

#: With fewer logged steps than this, a divergence has no time to fall.
FEW = 16


def _meets_the_budget(table: Table) -> dg.AssetChecksDefinition:
    @table_check(table)
    def meets_the_budget(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
        """The weights, the KV cache and the states of the newest model fit the budget of compress.budget, in the pages
        of the engine too, and it has at most the recipe's share of the teacher's parameters outside of the
        embeddings."""
        from nemotron_assets.compress.budget import memory_columns
        from nemotron_assets.model.pruning import architecture, read_config
        from nemotron_assets.models.registry import newest

        row, own = newest(lake.read(table)), recipe.compress.budget
        config = read_config(lake.get_weights(row["uri"]))
        found = memory_columns(architecture(config), config["vocab_size"], own)
        share = row["inner_parameters"] / row["teacher_inner_parameters"]
        counted = found["parameters"] == row["parameters"]
        names = ("total_bytes", "engine_bytes", "allowed_bytes", "parameters")
        return dg.AssetCheckResult(
            passed=bool(found["fits"] and share <= own.most_non_embedding and counted),
            metadata={name: found[name] for name in names} | {"share of the inner parameters": share},
        )

    return meets_the_budget


@table_check(COMPRESSION_STEPS, reads=[TRAINING_METRICS])
def divergence_fell(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every stored loss of the newest model of each step is finite. Where something was pruned before a distillation,
    the divergence from the teacher is lower in the last quarter of the steps than in the first. Of few steps, only the
    losses are checked."""
    from nemotron_assets.models.registry import newest_of_each_name
    from nemotron_assets.training.metrics import stored

    shown, passed = {}, True
    for row in newest_of_each_name(lake.read(COMPRESSION_STEPS)):
        losses = stored(lake, row["id"])["loss"]
        quarter = max(1, len(losses) // 4)
        first, last = losses.head(quarter).mean() or 0.0, losses.tail(quarter).mean() or 0.0
        shown[row["name"]] = f"{first:.4f} to {last:.4f} in {len(losses)} rows"
        passed = passed and bool(len(losses) and losses.is_finite().all())
        passed = passed and (row["pruned"] is None or len(losses) < FEW or last < first)
    return dg.AssetCheckResult(passed=passed and bool(shown), metadata=shown)


@table_check(ROLLOUTS)
def sampler_and_trainer_agree(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """In the mean, the log-probabilities of sampled tokens from the engine that sampled them and from the trainer
    differ by no more than the recipe's most_disagreement, in the newest model of each policy."""
    from nemotron_assets.models.registry import newest_of_each_name
    from nemotron_assets.training.reinforcement.audit import disagreement

    shown, passed = {}, True
    for row in newest_of_each_name(lake.read(COMPRESSION_STEPS)):
        if row["step"] not in ("grpo", "rlhf"):
            continue
        most = getattr(recipe.compress.aligned, row["step"]).most_disagreement
        found = disagreement(lake.read(ROLLOUTS).scan(), row["id"])
        shown[row["name"]] = found["mean"]
        passed = passed and bool(found["tokens"]) and found["mean"] <= most
    return dg.AssetCheckResult(passed=passed and len(shown) == 2, metadata=shown)


_MODELS = (COMPRESSED_BASE, COMPRESSED)

CHECKS = [
    divergence_fell,
    sampler_and_trainer_agree,
    *map(_meets_the_budget, _MODELS),
    *map(loads_with_transformers, _MODELS),
]
