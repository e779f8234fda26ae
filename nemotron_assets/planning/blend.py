"""Estimates of the blend: the vocabulary, and the documents as tokens that models are trained on."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates, estimators
from nemotron_assets.recipe.categories import CATEGORY_OF, SOURCES, table_of


def _tokens(plan: Plan) -> dict[str, Value]:
    """Tokens of every data set of the blend whose table has an estimate."""
    found = {}
    for name in CATEGORY_OF:
        table, _, subset = name.partition("/")
        if table in estimators() and not table.startswith("sft."):
            made = plan.of(table)
            found[name] = made.tokens if not subset else made.by_part.get(subset, made.tokens * 0)
    # The estimates of SFT data are not divided into the categories of the blend.
    return found | {name: plan.of(name).tokens for name in _sft_tables()}


def _sft_tables() -> list[str]:
    return [name for name in SOURCES if name.startswith("sft.") and name in estimators()]


@estimates("blend.tokenizer")
def tokenizer(plan: Plan) -> Estimate:
    spent = plan.taking("blend.tokenizer")
    if plan.recipe.tokenizer.kind == "bpe":
        characters = 4 * total(_tokens(plan).values())
        read = characters.up_to(plan.value("tokenizer.max_training_mb") * 1e6)
        spent = plan.taking("blend.tokenizer", read)
    return Estimate(rows=ONE, bytes=plan.stored("blend.tokenizer", ONE), core_seconds=spent)


@estimates("blend.token_shards")
def token_shards(plan: Plan) -> Estimate:
    """Every document once, without what is held out."""
    kept = 1 - plan.recipe.blend.held_out_share
    parts = {name: tokens * kept for name, tokens in _tokens(plan).items()}
    tokens = total(parts.values())
    tables = dict.fromkeys(table_of(name) for name in parts)
    return Estimate(
        rows=total(plan.of(table).rows for table in tables) * kept,
        tokens=tokens,
        bytes=tokens * plan.size("blend.bytes_per_token", "sample"),
        core_seconds=plan.taking("blend.token_shards", tokens),
        by_part=parts,
    )


@estimates("blend.sequences")
def sequences(plan: Plan) -> Estimate:
    """Two packings of all documents: for the pretraining, and for long context."""
    documents, rows = plan.of("blend.token_shards"), []
    for length in ("blend.sequence_length", "blend.long_context.sequence_length"):
        rows.append(documents.tokens / (plan.value(length) * plan.size("blend.fill", "sample")))
    pieces = total([2 * documents.rows, *rows])  # a document has a piece, and one more for each sequence it is cut at
    return Estimate(
        rows=total(rows),
        bytes=pieces * plan.size("blend.bytes_per_piece", "sample"),
        core_seconds=plan.taking("blend.sequences", pieces),
    )
