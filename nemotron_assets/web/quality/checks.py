"""Quality checks: every English document has one judgement, and the judges are worth something."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import (
    ANNOTATIONS,
    CURATED,
    MEASURES,
    MULTILINGUAL,
    QUALITY,
    QUALITY_SCORES,
    QUALITY_THRESHOLDS,
    VERDICTS,
)
from resources.lakehouse import QUARANTINE, Lakehouse

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------


@table_check(ANNOTATIONS)
def annotators_know_good_text(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Nearly every judgement could be read, and passages known to be good beat their own words in random order as
    often as the recipe asks for; a small model hardly can, which the laptop recipe allows."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.annotate import agreement, facts_table

    settings, rows = recipe.web.quality.annotations, lake.read(ANNOTATIONS).scan().collect()
    rejected = lake.read(QUARANTINE).scan().filter(pl.col("stage") == ANNOTATIONS.full_name).collect().height
    share, facts = rejected / max(1, rows.height + rejected), agreement(rows)
    weak = [name for name, found in facts.items() if found["over_shuffled"] < settings.min_over_shuffled]
    marks = rows.group_by("annotator", "score").len().sort("annotator", "score").iter_rows()
    plot = bars({f"{name} {score}": count for name, score, count in marks}, "Judgements per mark", "texts")
    return dg.AssetCheckResult(
        passed=share <= settings.max_reject_share and not weak,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rejected_share": share,
            "judgements": rows.height,
            "annotators": dg.MetadataValue.md(facts_table(facts)),
            "marks": plot,
            "weak": ", ".join(weak) or "none",
        },
    )


@table_check(QUALITY_SCORES, blocking=True)
def scores_in_range(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Educational values lie in 0..5, probabilities in 0..1."""
    import polars as pl

    rows = lake.read(QUALITY_SCORES, context.partition_key).scan()
    most = {"edu_a_score": 5.0, "edu_b_score": 5.0, "reference_score": 1.0}
    outside = [(~pl.col(name).is_between(0.0, top)).sum().alias(name) for name, top in most.items()]
    counts = rows.select(pl.len().alias("rows"), *outside).collect(engine="streaming").row(0, named=True)
    return dg.AssetCheckResult(passed=not any(counts[name] for name in most), metadata=counts)


@table_check(QUALITY_THRESHOLDS, blocking=True)
def cuts_ascend(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every set has one finite cut point per scorer and percentile, ascending with the percentile."""
    import polars as pl

    rows = lake.read(QUALITY_THRESHOLDS).scan().collect().sort("thresholds", "scorer", "percentile")
    sets = rows.group_by("thresholds", "scorer").agg(
        bad=(pl.col("cut").diff().fill_null(0) < 0).any()
        | ~pl.col("cut").is_finite().all()
        | pl.col("percentile").is_duplicated().any()
    )
    return dg.AssetCheckResult(
        passed=not sets["bad"].any(), metadata={"sets": rows["thresholds"].n_unique(), "cuts": rows.height}
    )


@table_check(QUALITY, blocking=True)
def every_document_judged(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """One row per English document (or it is in the quarantine), ids are unique, the bucket is the largest of three."""
    import polars as pl

    from nemotron_assets.web.quality.ensemble import BUCKETS, LANGUAGE

    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().filter(pl.col("language") == LANGUAGE)
    rows = lake.read(QUALITY, context.partition_key).scan()
    mine = (pl.col("stage") == QUALITY_SCORES.full_name) & (pl.col("partition") == context.partition_key)
    rejected = lake.read(QUARANTINE).scan().filter(mine).select(id="row_id")
    judged = rows.select(id=pl.col("parents").list.first())
    top = len(recipe.web.quality.thresholds.percentiles)
    wrong = (pl.col("bucket") != pl.max_horizontal(*BUCKETS)) | ~pl.col("bucket").is_between(0, top)
    facts = rows.select(
        rows=pl.len(),
        doubled=pl.len() - pl.col("id").n_unique(),
        wrong=wrong.sum(),
        doubly_judged=pl.len() - pl.col("parents").list.first().n_unique(),
    )
    metadata = facts.collect(engine="streaming").row(0, named=True)
    missing = documents.select("id").join(judged, on="id", how="anti").join(rejected, on="id", how="anti")
    orphans = judged.join(documents.select("id"), on="id", how="anti")
    for name, frame in (("missing", missing), ("orphans", orphans)):
        metadata[name] = frame.select(pl.len()).collect(engine="streaming").item()
    problems = ("doubled", "doubly_judged", "wrong", "missing", "orphans")
    return dg.AssetCheckResult(passed=not any(metadata[name] for name in problems), metadata=metadata)


@table_check(
    QUALITY,
)
def level_shares(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Each level's share of the bytes is as published, within the recipe's tolerance."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.ensemble import level_shares as shares

    rows = lake.read(QUALITY, context.partition_key).scan()
    found, published = shares(rows), recipe.web.quality.published_shares
    tolerance = recipe.web.quality.share_tolerance
    outside = [level for level, share in found.items() if abs(share - published[level]) > tolerance]
    sizes = dict(rows.group_by("bucket").agg(pl.col("bytes").sum()).collect(engine="streaming").iter_rows())
    integers = range(len(recipe.web.quality.thresholds.percentiles) + 1)
    buckets = {str(integer): sizes.get(integer, 0) / 1e6 for integer in integers}
    table = ["| level | share | published |", "|---|--:|--:|"]
    table += [f"| {level} | {share:.2%} | {published[level]:.2%} |" for level, share in found.items()]
    return dg.AssetCheckResult(
        passed=not outside or not sizes,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "shares": dg.MetadataValue.md("\n".join(table)),
            "tolerance": tolerance,
            "outside": ", ".join(outside) or "none",
            "levels": bars(found, f"Share of the bytes per level, {context.partition_key}"),
            "buckets": bars(buckets, f"Text per bucket, {context.partition_key}", "MB"),
        },
    )


@table_check(
    QUALITY,
)
def scorers_tell_documents_apart(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """No scorer puts more than half of the documents into one of its integers: as the largest of three counts, it would
    decide everything or nothing. Shows how much the scorers agree (rank correlation) and what each finds alone."""
    import polars as pl

    from nemotron_assets.scorers.statistics import rank_correlation
    from nemotron_assets.web.quality.ensemble import BUCKETS, SCORERS, SCORES, sample

    rows = sample(lake.read(QUALITY, context.partition_key).scan(), 1.0, 1_000_000, also=BUCKETS)
    crowded = {
        name: float(rows[bucket].value_counts()["count"].max() or 0) / max(1, rows.height)
        for name, bucket in zip(SCORERS, BUCKETS, strict=True)
    }
    scores = {name: rows[score].to_numpy() for name, score in zip(SCORERS, SCORES, strict=True)}
    table = ["| rank correlation | " + " | ".join(SCORERS) + " |", "|---|" + "--:|" * len(SCORERS)]
    table += [
        f"| {a} | " + " | ".join(f"{rank_correlation(scores[a], scores[b]):.2f}" for b in SCORERS) + " |"
        for a in SCORERS
    ]
    top = {name: pl.col(bucket) == pl.max_horizontal(*BUCKETS) for name, bucket in zip(SCORERS, BUCKETS, strict=True)}
    alone = {
        name: pl.all_horizontal(here, *(~other for key, other in top.items() if key != name)).mean().alias(name)
        for name, here in top.items()
    }
    decided = rows.select(**alone).row(0, named=True)
    return dg.AssetCheckResult(
        passed=rows.height < 20 or max(crowded.values()) <= 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "correlations": dg.MetadataValue.md("\n".join(table)),
            **{f"largest_integer_of_{name}": share for name, share in crowded.items()},
            **{f"decided_by_{name}_alone": share or 0.0 for name, share in decided.items()},
        },
    )


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


@table_check(MEASURES, blocking=True)
def numbers_are_possible(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every unique document in English or one of the other languages has one row of numbers (or is in the quarantine),
    and every number is one that a text can have."""
    import polars as pl

    from nemotron_assets.web.quality.report import impossible
    from nemotron_assets.web.quality.verdicts import ENGLISH

    languages = [ENGLISH, *recipe.web.heuristics.languages]
    documents = lake.read(UNIQUE_DOCUMENTS, context.partition_key).scan().filter(pl.col("language").is_in(languages))
    rows = lake.read(MEASURES, context.partition_key).scan()
    mine = (pl.col("stage") == MEASURES.full_name) & (pl.col("partition") == context.partition_key)
    rejected = lake.read(QUARANTINE).scan().filter(mine).select(id="row_id")
    found = _one_each(rows, documents, rejected)
    found["impossible"] = impossible(rows)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(VERDICTS, blocking=True)
def every_document_has_a_verdict(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Every measured document has one verdict, and only those that fail nothing are kept. Shows which rule drops how
    many documents, and how much is left per level and language."""
    import polars as pl

    from nemotron_assets.plots import bars
    from nemotron_assets.web.quality.verdicts import failed_rules, funnel, funnel_table

    rows = lake.read(VERDICTS, context.partition_key).scan()
    measured = lake.read(MEASURES, context.partition_key).scan().select(id=pl.col("parents").list.first())
    found = _one_each(rows, measured, measured.clear())
    contradictory = pl.col("kept") != (pl.col("failed").list.len() == 0)
    found["contradictory"] = rows.select(contradictory.sum()).collect(engine="streaming").item()
    failed, left = failed_rules(rows), funnel(rows)
    snapshot = context.partition_key
    shown = {
        "rules": bars(failed, f"Documents that fail a rule, {snapshot}", "documents"),
        "levels": bars(
            {group: kept / documents for group, documents, kept, *_ in left.iter_rows()},
            f"Share of the documents that are kept, {snapshot}",
        ),
        "failed": dg.MetadataValue.json(failed),
        "funnel": dg.MetadataValue.md(funnel_table(left)),
    }
    return dg.AssetCheckResult(passed=not any(found.values()), metadata={**found, **shown})


def _kept_check(table, english: bool):
    """A check that a table of kept documents has exactly those whose verdict says so, each text once."""

    @table_check(
        table,
        name="kept_as_judged",
        blocking=True,
        description="Exactly the documents whose verdict is that they are kept, with unique ids, and no text twice.",
    )
    def kept_as_judged(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
    ) -> dg.AssetCheckResult:
        import polars as pl

        from nemotron_assets.web.quality.verdicts import ENGLISH

        rows = lake.read(table, context.partition_key).scan()
        mine = (pl.col("language") == ENGLISH) == english
        judged = lake.read(VERDICTS, context.partition_key).scan().filter(pl.col("kept"), mine)
        kept = judged.select(id=pl.col("parents").list.first())
        found = _one_each(rows, kept, kept.clear())
        doubled = pl.len() - pl.col("content_hash").n_unique()
        found["doubled_texts"] = rows.select(doubled).collect(engine="streaming").item()
        tokens = rows.select((pl.col("characters") // 4).sum()).collect(engine="streaming").item()
        return dg.AssetCheckResult(
            passed=not any(found.values()),
            metadata={**found, "documents": lake.read(table, context.partition_key).rows, "estimated_tokens": tokens},
        )

    return kept_as_judged


def _purity_check(table):
    """A check that a sample of a table is in the languages it stands under, by a detector that did not choose them."""

    @table_check(
        table,
        name="language_purity",
        description="A second detector (CLD2) finds the language that the documents of a sample stand under.",
    )
    def language_purity(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
    ) -> dg.AssetCheckResult:
        from nemotron_assets.plots import bars
        from nemotron_assets.web.quality.report import purity

        rows = lake.read(table, context.partition_key).scan()
        found = purity(rows, recipe.web.heuristics.purity_sample, recipe.web.documents)
        right, count = int(found["right"].sum()), int(found["documents"].sum())
        share = right / count if count else 1.0
        shares = {language: right / documents for language, documents, right in found.iter_rows()}
        return dg.AssetCheckResult(
            passed=share >= recipe.web.heuristics.min_purity,
            metadata={
                "share": share,
                "allowed": recipe.web.heuristics.min_purity,
                "documents": count,
                "languages": bars(shares, f"Share in the language it stands under, {context.partition_key}"),
            },
        )

    return language_purity


def _one_each(rows, documents, rejected) -> dict[str, int]:
    """How far `rows` are from one for each of `documents` (column id) that is not among `rejected`."""
    import polars as pl

    parents = rows.select(id=pl.col("parents").list.first())
    counts = rows.select(
        doubled=pl.len() - pl.col("id").n_unique(), repeated=pl.len() - pl.col("parents").list.first().n_unique()
    )
    found = {name: int(value) for name, value in counts.collect(engine="streaming").row(0, named=True).items()}
    missing = documents.select("id").join(parents, on="id", how="anti").join(rejected, on="id", how="anti")
    orphans = parents.join(documents.select("id"), on="id", how="anti")
    for name, frame in (("missing", missing), ("orphans", orphans)):
        found[name] = frame.select(pl.len()).collect(engine="streaming").item()
    return found


CHECKS = [
    annotators_know_good_text,
    scores_in_range,
    cuts_ascend,
    every_document_judged,
    level_shares,
    scorers_tell_documents_apart,
    numbers_are_possible,
    every_document_has_a_verdict,
    _kept_check(CURATED, True),
    _kept_check(MULTILINGUAL, False),
    _purity_check(CURATED),
    _purity_check(MULTILINGUAL),
]
