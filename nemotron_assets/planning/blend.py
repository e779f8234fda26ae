"""Estimates of the blend: the vocabulary, and the packed sequences that models are trained on."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates


def _tokens_of(plan: Plan, source: str) -> Value:
    """Tokens of a source of the blend: a table, or a subset of it as table/subset."""
    table, _, subset = source.partition("/")
    made = plan.of(table)
    if not subset:
        return made.tokens
    return made.by_part[subset] if subset in made.by_part else made.tokens * 0


@estimates("blend.tokenizer")
def tokenizer(plan: Plan) -> Estimate:
    spent = plan.taking("blend.tokenizer")
    if plan.recipe.tokenizer.kind == "bpe":
        characters = 4 * total(_tokens_of(plan, source) for source in plan.recipe.blend.weights)
        read = characters.up_to(plan.value("tokenizer.max_training_mb") * 1e6)
        spent = plan.taking("blend.tokenizer", read)
    return Estimate(rows=ONE, bytes=plan.stored("blend.tokenizer", ONE), core_seconds=spent)


@estimates("blend.token_shards")
def token_shards(plan: Plan) -> Estimate:
    """Every source as often as its weight says, without what is held out."""
    own = plan.recipe.blend
    parts = {
        source: _tokens_of(plan, source) * weight * (1 - own.held_out_share) for source, weight in own.weights.items()
    }
    tokens = total(parts.values())
    rows = tokens / (plan.value("blend.sequence_length") * plan.size("blend.fill", "sample"))
    return Estimate(
        rows=rows,
        tokens=tokens,
        bytes=tokens * plan.size("blend.bytes_per_token", "sample"),
        core_seconds=plan.taking("blend.token_shards", tokens),
        by_part=parts,
    )
