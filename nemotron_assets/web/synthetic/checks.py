"""Checks of synthetic web data: every row is well-formed, and few answers of the language model were unusable."""

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from nemotron_assets.web.quality.tables import CURATED, MULTILINGUAL
from nemotron_assets.web.synthetic.tables import (
    DIVERSE_QA,
    NATIVE_QA,
    REPHRASED,
    TRANSLATED_DIVERSE_QA,
    TRANSLATION_OUTCOMES,
)
from resources.lakehouse import QUARANTINE, Lakehouse

if TYPE_CHECKING:
    import polars as pl


@table_check(REPHRASED, blocking=True)
def rephrasings_are_whole(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every text is long enough, does not begin with its prompt's marker, and names its generations. Its document
    exists and has one row per prompt."""
    import polars as pl

    from nemotron_assets.web.synthetic.prompts import PROMPTS

    prompts = recipe.web.rephrased.prompts()
    least = pl.col("prompt").replace_strict({name: p.min_tokens_after for name, p in prompts.items()}, default=None)
    marker = pl.col("prompt").replace_strict({name: PROMPTS[name].marker for name in prompts}, default=None)
    wrong = (
        least.is_null()
        | (pl.col("tokens") < least)
        | (pl.col("text").str.strip_chars() == "")
        | ((marker != "") & pl.col("text").str.starts_with(marker))
        | (pl.col("generation_ids").list.len() == 0)
    )
    return _rows_result(lake, REPHRASED, context.partition_key, wrong)


@table_check(DIVERSE_QA, blocking=True)
def pairs_are_whole(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every sample ends with at least `question_count` question/answer pairs, its document exists, and ids are
    unique."""
    import polars as pl

    pair = r"\n\nQuestion: [^\n]+\nAnswer: [^\n]+"
    wrong = (pl.col("text").str.count_matches(pair) < pl.col("question_count")) | ~pl.col("text").str.contains(
        pair + "$"
    )
    return _rows_result(lake, DIVERSE_QA, context.partition_key, wrong)


@table_check(NATIVE_QA, blocking=True)
def native_pairs_are_whole(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every text has its number of questions and answers, with the words for both of its language, which is one of the
    recipe's; its page exists, and ids are unique."""
    import polars as pl

    from nemotron_assets.generation.translation.languages import LABELS

    wrong = ~pl.col("language").is_in(list(recipe.web.native_qa.languages))
    for language, labels in LABELS.items():
        fewer = [
            pl.col("text").str.count_matches(f"\n{label}", literal=True) < pl.col("question_count") for label in labels
        ]
        wrong |= (pl.col("language") == language) & pl.any_horizontal(fewer)
    return _rows_result(lake, NATIVE_QA, context.partition_key, wrong, MULTILINGUAL)


@table_check(TRANSLATED_DIVERSE_QA, blocking=True)
def every_language_attempted(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every chosen sample has one outcome in every language of the recipe, and the model was asked for it unless the
    sample cannot be translated. The table has exactly the accepted translations, with unique ids."""
    from nemotron_assets.web.synthetic.translation.report import completeness

    facts = completeness(
        lake.read(DIVERSE_QA, context.partition_key).scan(),
        lake.read(TRANSLATION_OUTCOMES, context.partition_key).scan(),
        lake.read(TRANSLATED_DIVERSE_QA, context.partition_key).scan(),
        recipe.web.translation,
    )
    return dg.AssetCheckResult(passed=not any(facts[name] for name in facts if name != "samples"), metadata=facts)


@table_check(TRANSLATED_DIVERSE_QA, blocking=True)
def translations_are_whole(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """A sample of the rows is compared with the English samples: lines, labels, protected pieces and numbers must be
    the same. A language detector must find the language of the row, except in a share of the rows that the recipe
    allows. The sample is the rows with the lowest ids; ids are hashes, so it is random."""
    from nemotron_assets.web.synthetic.translation.report import wrong_rows

    judged, broken, other = wrong_rows(
        lake.read(DIVERSE_QA, context.partition_key).scan(),
        lake.read(TRANSLATED_DIVERSE_QA, context.partition_key).scan(),
        recipe,
    )
    allowed = recipe.web.translation.max_wrong_language_share
    return dg.AssetCheckResult(
        passed=not broken and len(other) <= allowed * judged,
        metadata={
            "judged": judged,
            "broken": len(broken),
            "in_another_language": len(other),
            "first_wrong": dg.MetadataValue.json(dict(list({**broken, **other}.items())[:10])),
        },
    )


@table_check(TRANSLATED_DIVERSE_QA)
def translations_are_usable(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """In every language, the share of rejected translations is within the recipe's limit. The laptop recipe allows all
    to be rejected, because a small model fails often."""
    import polars as pl

    rejected = ((pl.col("outcome") != "accepted").sum() / pl.len()).round(4)
    outcomes = lake.read(TRANSLATION_OUTCOMES, context.partition_key).scan()
    shares = dict(outcomes.group_by("language").agg(rejected).sort("language").collect().iter_rows())
    allowed = recipe.web.translation.max_reject_share
    above = [language for language, share in shares.items() if share > allowed]
    return dg.AssetCheckResult(
        passed=not above,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "allowed": allowed,
            "rejected_share": dg.MetadataValue.json(shares),
            "above": ", ".join(above) or "none",
        },
    )


def _rows_result(
    lake: Lakehouse, table: Table, partition: str, wrong: "pl.Expr", source: Table = CURATED
) -> dg.AssetCheckResult:
    """Fails if rows of a partition have an id twice (doubled), are `wrong` (broken), or name a document that is not in
    `source` (orphans)."""
    import polars as pl

    from nemotron_assets.table.buckets import absent, distinct

    rows = lake.read(table, partition).scan()
    documents = lake.read(source, partition).scan()
    counts = rows.select(rows=pl.len(), broken=wrong.sum()).collect(engine="streaming").row(0, named=True)
    counts["doubled"] = counts["rows"] - distinct(rows)
    counts["orphans"] = absent(rows.select(document=pl.col("parents").list.first()), "document", documents)
    passed = not (counts["doubled"] or counts["broken"] or counts["orphans"])
    return dg.AssetCheckResult(passed=passed, metadata=counts)


def _usable(table: Table, section: str, generations: str) -> dg.AssetChecksDefinition:
    """The check that few answers to a table's prompts were rejected. `generations` is the column with the ids of the
    accepted answers."""

    @table_check(
        table,
        name="answers_are_usable",
        description="The share of rejected answers (truncated, unparsable, degenerate, too short) is within the "
        "recipe's limit. The laptop recipe allows all to be rejected, because a small model fails often.",
    )
    def answers_are_usable(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
    ) -> dg.AssetCheckResult:
        import polars as pl

        of_table = (pl.col("stage") == table.full_name) & (pl.col("partition") == context.partition_key)
        causes = lake.read(QUARANTINE).scan().filter(of_table).group_by("cause").len().sort("cause").collect()
        column = pl.col(generations)
        used = column.list.len().sum() if table.column(generations).dtype.startswith("list[") else column.len()
        accepted = lake.read(table, context.partition_key).scan().select(used).collect(engine="streaming").item()
        rejected, allowed = causes["len"].sum(), recipe.section(section).max_reject_share
        share = rejected / max(1, accepted + rejected)
        return dg.AssetCheckResult(
            passed=share <= allowed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "accepted": accepted,
                "rejected_share": share,
                "allowed": allowed,
                **dict(causes.iter_rows()),
            },
        )

    return answers_are_usable


CHECKS = [
    rephrasings_are_whole,
    pairs_are_whole,
    native_pairs_are_whole,
    _usable(REPHRASED, "web.rephrased", "generation_ids"),
    _usable(DIVERSE_QA, "web.diverse_qa", "generation_id"),
    every_language_attempted,
    translations_are_whole,
    translations_are_usable,
]
