"""Facts about annotations, scores, measures, verdicts and kept documents, for checks and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.scorers.statistics import rank_correlation, wins
from nemotron_assets.table.buckets import distinct, summed
from nemotron_assets.text.heuristics import NUMBERS, WHOLE
from nemotron_assets.text.language import hint
from nemotron_assets.web.quality.ensemble import BUCKETS, ENGLISH, SCORERS, SCORES, sample_scores
from nemotron_assets.web.quality.verdicts import UNSCORED


def one_row_each(rows: pl.LazyFrame, documents: pl.LazyFrame, rejected: pl.LazyFrame | None = None) -> dict[str, int]:
    """Counts violations of "exactly one row per document" in `rows`; all four counts are 0 if it holds.

    `documents` and `rejected` have a column id; rejected documents need no row. The counts: `doubled` ids, documents
    that are `repeated`, documents that are `missing`, and `orphans`, rows whose first parent is not a document.
    """
    parents = rows.select(id=pl.col("parents").list.first())
    count = rows.select(pl.len()).collect(engine="streaming").item()
    rejected = pl.LazyFrame(schema={"id": pl.String}) if rejected is None else rejected.select("id")

    def query(parents: pl.LazyFrame, ids: pl.LazyFrame, rejected: pl.LazyFrame) -> pl.LazyFrame:
        missing = ids.join(parents, on="id", how="anti").join(rejected, on="id", how="anti")
        orphans = parents.join(ids, on="id", how="anti")
        return pl.concat([missing.select(missing=pl.len()), orphans.select(orphans=pl.len())], how="horizontal")

    return {
        "doubled": count - distinct(rows),
        "repeated": count - distinct(parents),
        **summed(query, (parents, "id"), (documents.select("id"), "id"), (rejected, "id")),
    }


def facts_table(facts: Mapping[str, Mapping[str, float]]) -> str:
    """{annotator or scorer: {fact: number}} as a Markdown table with a column per annotator or scorer."""
    names = list(dict.fromkeys(name for values in facts.values() for name in values))
    head = ["| | " + " | ".join(facts) + " |", "|---|" + "--:|" * len(facts)]
    lines = [f"| {n} | " + " | ".join(f"{v[n]:.3g}" if n in v else "" for v in facts.values()) + " |" for n in names]
    return "\n".join(head + lines)


# -- the ensemble of classifiers ---------------------------------------------------------------------------------------


def agreement(annotations: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Facts that show whether the annotators can be trusted: {annotator: {fact: number}}.

    `over_shuffled` is how often a passage has a higher score than a passage with shuffled words, `over_crawl` how often
    it has a higher score than a document of the crawl. A tie counts half, so 0.5 is chance. `agreement` is the rank
    correlation of the two annotators' scores of the same documents. NaN means that there is nothing to compare.
    """
    import numpy as np

    facts: dict[str, dict[str, float]] = {}
    crawl = annotations.filter(pl.col("source") == "crawl")
    for annotator in annotations["annotator"].unique().sort():
        rows = annotations.filter(pl.col("annotator") == annotator)
        scores = {s: rows.filter(pl.col("source") == s)["score"].to_numpy() for s in ("crawl", "passage", "shuffled")}
        facts[annotator] = {
            "judged": float(rows.height),
            **{f"mean_{source}": float(values.mean()) if len(values) else np.nan for source, values in scores.items()},
            "spread": float(scores["crawl"].std()) if len(scores["crawl"]) else np.nan,
            "over_shuffled": wins(scores["passage"], scores["shuffled"]),
            "over_crawl": wins(scores["passage"], scores["crawl"]),
        }
    both = crawl.select("annotator", "score", document=pl.col("parents").list.first())
    if len(facts) == 2:
        first, second = (both.filter(pl.col("annotator") == name) for name in sorted(facts))
        pairs = first.join(second, on="document", suffix="_second")
        correlation = rank_correlation(pairs["score"].to_numpy(), pairs["score_second"].to_numpy())
        for values in facts.values():
            values["agreement"] = correlation
    return facts


def shares_table(found: Mapping[str, float], published: Mapping[str, float]) -> str:
    """The share of every level, here and as published, as a Markdown table."""
    lines = ["| level | share | published |", "|---|--:|--:|"]
    return "\n".join(lines + [f"| {level} | {share:.2%} | {published[level]:.2%} |" for level, share in found.items()])


def bucket_megabytes(quality: pl.LazyFrame, top: int) -> dict[str, float]:
    """{bucket: megabytes of text} for the buckets 0 to `top`."""
    sizes = dict(quality.group_by("bucket").agg(pl.col("bytes").sum()).collect(engine="streaming").iter_rows())
    return {str(bucket): sizes.get(bucket, 0) / 1e6 for bucket in range(top + 1)}


def score_sample(quality: pl.LazyFrame) -> pl.DataFrame:
    """A sample of at most about a million rows of `web.quality`, with scores and buckets."""
    return sample_scores(quality, 1.0, 1_000_000, also=BUCKETS)


def largest_bucket_shares(sample: pl.DataFrame) -> dict[str, float]:
    """{scorer: share of the documents in its most frequent bucket}."""
    return {
        name: float(sample[bucket].value_counts()["count"].max() or 0) / max(1, sample.height)
        for name, bucket in zip(SCORERS, BUCKETS, strict=True)
    }


def decided_alone(sample: pl.DataFrame) -> dict[str, float]:
    """{scorer: share of the documents whose bucket comes from this scorer alone}: its bucket is above both others."""
    top = {name: pl.col(bucket) == pl.max_horizontal(*BUCKETS) for name, bucket in zip(SCORERS, BUCKETS, strict=True)}
    alone = {
        name: pl.all_horizontal(here, *(~other for key, other in top.items() if key != name)).mean().alias(name)
        for name, here in top.items()
    }
    return {name: share or 0.0 for name, share in sample.select(**alone).row(0, named=True).items()}


def correlations_table(sample: pl.DataFrame) -> str:
    """The rank correlation of the scores of every two scorers, as a Markdown table."""
    scores = {name: sample[score].to_numpy() for name, score in zip(SCORERS, SCORES, strict=True)}
    lines = ["| rank correlation | " + " | ".join(SCORERS) + " |", "|---|" + "--:|" * len(SCORERS)]
    for a in SCORERS:
        lines.append(f"| {a} | " + " | ".join(f"{rank_correlation(scores[a], scores[b]):.2f}" for b in SCORERS) + " |")
    return "\n".join(lines)


# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------


def impossible(measures: pl.LazyFrame) -> int:
    """The number of rows with a number that no text can have: a share outside 0..1, a negative count, a mean word
    length above that of the longest word."""
    shares = [pl.col(name) for name in NUMBERS if name.endswith("_share")]
    wrong = pl.any_horizontal(~share.is_between(0, 1) for share in shares)
    wrong |= pl.any_horizontal(pl.col(name) < 0 for name in WHOLE)
    wrong |= pl.col("mean_word_characters") > pl.col("longest_word_characters")
    wrong |= pl.col("longest_word_characters") > pl.col("characters")
    wrong |= pl.col("common_words") > pl.col("words")
    wrong |= (pl.col("perplexity") < 1).fill_null(False)
    return measures.select(wrong.fill_null(True).sum()).collect(engine="streaming").item()


def failed_rules(verdicts: pl.LazyFrame) -> dict[str, int]:
    """{rule: documents that fail it}, the most frequent first. A document may fail several rules."""
    counts = verdicts.select(rule=pl.col("failed")).explode("rule").drop_nulls("rule").group_by("rule").len()
    return dict(counts.sort("len", "rule", descending=[True, False]).collect(engine="streaming").iter_rows())


def funnel(verdicts: pl.LazyFrame) -> pl.DataFrame:
    """Per group: documents, kept documents, tokens, tokens of kept documents. The groups are the levels of the English
    documents, and the other languages.

    Tokens are estimated: a token is taken to have four characters."""
    is_english, tokens = pl.col("language") == ENGLISH, pl.col("characters") // 4
    group = pl.when(is_english).then(pl.col("level").fill_null(UNSCORED)).otherwise(pl.col("language"))
    return (
        verdicts.group_by(group.alias("group"))
        .agg(
            pl.len().alias("documents"),
            pl.col("kept").sum().alias("kept"),
            tokens.sum().alias("tokens"),
            tokens.filter(pl.col("kept")).sum().alias("tokens_kept"),
            is_english.any().alias("english"),
        )
        .sort("english", "documents", "group", descending=[True, True, False])
        .drop("english")
        .collect(engine="streaming")
    )


def funnel_table(counts: pl.DataFrame) -> str:
    """The result of `funnel` as a Markdown table."""
    lines = ["| level or language | documents | kept | tokens | tokens kept |", "|---|--:|--:|--:|--:|"]
    return "\n".join(lines + [f"| {g} | {d:,} | {k:,} | {t:,} | {tk:,} |" for g, d, k, t, tk in counts.iter_rows()])


def funnel_facts(verdicts: pl.LazyFrame) -> dict[str, Any]:
    """Metadata of `web.verdicts`: documents, kept documents, tokens of kept documents, and the table of `funnel`."""
    from nemotron_assets.plots import markdown

    counts = funnel(verdicts)
    return {
        "tokens": int(counts["tokens_kept"].sum()),
        "documents": int(counts["documents"].sum()),
        "documents_kept": int(counts["kept"].sum()),
        "funnel": markdown(funnel_table(counts)),
    }


def purity(documents: pl.LazyFrame, most: int, recipe: Documents) -> pl.DataFrame:
    """language, documents, right: in how many documents of a sample the detector CLD2 finds the document's `language`.

    CLD2 did not take part in the detection of that language. The sample is the `most` documents with the lowest content
    hashes.
    """
    order = ["content_hash", "id"]
    sample = documents.select("language", "text", *order).bottom_k(most, by=order).collect()
    found = [
        hint(text, "pycld2", recipe.language_model, recipe.language_characters) == language
        for language, text in sample.select("language", "text").iter_rows()
    ]
    return (
        sample.with_columns(right=pl.Series(found, dtype=pl.Boolean))
        .group_by("language")
        .agg(pl.len().alias("documents"), pl.col("right").sum())
        .sort("documents", "language", descending=[True, False])
    )
