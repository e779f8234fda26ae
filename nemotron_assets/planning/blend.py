"""Estimates of the blend: the vocabulary, and the documents as tokens that models are trained on."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.recipe.categories import CATEGORIES, CATEGORY_OF, table_of


def _tokens(plan: Plan) -> dict[str, Value]:
    """Tokens of every data set of the blend: a table, or a part of one."""
    found = {}
    for name in CATEGORY_OF:
        table, _, part = name.partition("/")
        made = plan.of(table)
        whole = made.by_part.get("usable tokens", made.tokens)
        found[name] = made.by_part.get(part, made.tokens * 0) if part else whole
    return found


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
    """A packing of all documents for every length: for the pretraining, for long context, and for distillations."""
    documents, rows = plan.of("blend.token_shards"), []
    lengths = [plan.value(name) for name in ("blend.sequence_length", "blend.long_context.sequence_length")]
    lengths += [plan.value("blend.further_lengths", length) for length in plan.recipe.blend.further_lengths]
    for length in lengths:
        rows.append(documents.tokens / (length * plan.size("blend.fill", "sample")))
    pieces = total(
        [len(lengths) * documents.rows, *rows]
    )  # a document has a piece, and one more for each sequence it is cut at
    return Estimate(
        rows=total(rows),
        bytes=pieces * plan.size("blend.bytes_per_piece", "sample"),
        core_seconds=plan.taking("blend.sequences", pieces),
    )


@estimates("blend.categories")
def categories(plan: Plan) -> Estimate:
    """A row per data set, and per category without one."""
    missing = sum(not category.data_sets for category in CATEGORIES.values())
    rows = plan.value("data sets of the blend, and categories without one", len(CATEGORY_OF) + missing)
    stored = rows * plan.size("blend.bytes_per_fact", "sample")
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("blend.categories"))


@estimates("blend.phases")
def phases(plan: Plan) -> Estimate:
    """A row per phase, long context included, and row of blend.categories."""
    rows = plan.of("blend.categories").rows * plan.value("phases", len(plan.recipe.blend.phases) + 1)
    stored = rows * plan.size("blend.bytes_per_fact", "sample")
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("blend.phases"))
