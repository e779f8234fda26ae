"""Reports about pages and web texts, recomputed from the rows with polars."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.stages import all_tables
from tests.sql.report import answer


def test_growth(filled):
    rows, warehouse = filled
    unique = pl.DataFrame(rows["web.unique_documents"]).group_by("snapshot").len().sort("snapshot")
    found = answer(warehouse, "growth")
    assert found["unique_documents"].to_list() == unique["len"].to_list()
    assert found["unique_documents_so_far"].to_list() == unique["len"].cum_sum().to_list()
    assert found["published_texts"].sum() == len(rows["web.nemotron_cc_v2"])


def test_personal_data_that_is_replaced(filled):
    _, warehouse = filled
    found = {r["snapshot"]: r for r in answer(warehouse, "personal_data_replaced").iter_rows(named=True)}
    assert (found["S1"]["found"], found["S1"]["replaced"], found["S1"]["percent_replaced"]) == (7, 7, 100)
    assert found.keys() <= {"S1", "S2", "code"}


def test_pages_per_host(filled):
    rows, warehouse = filled
    pages = pl.DataFrame(rows["snapshots.pages"])
    unique = pl.DataFrame(rows["web.unique_documents"])
    expected = (
        pages.group_by("host")
        .agg(pages=pl.len(), html_bytes=pl.col("html").bin.size().cast(pl.Int64).sum())
        .join(unique.group_by("host").agg(unique_documents=pl.len(), characters=pl.col("characters").sum()), on="host")
        .sort("pages", descending=True)
    )
    found = answer(warehouse, "pages_per_host")
    assert found.select(expected.columns).rows() == expected.rows()
    assert sum(found["percent_of_pages"]) == pytest.approx(100, abs=0.1)
    one = answer(warehouse, "pages_per_host", snapshot="S1", rows="1")
    assert one.rows()[0][:2] == ("host0.example", 6)


def test_thresholds(filled):
    _, warehouse = filled
    (row,) = answer(warehouse, "thresholds").iter_rows(named=True)
    assert (row["name"], row["threshold"], row["rows"], row["percent_kept"]) == ("S1", 0.15, 10, 50.0)
    assert row["percent_kept_at_multiples"] == "0.5: 20.0, 1: 50.0, 2: 80.0"
    hosts = answer(warehouse, "thresholds", by="host")
    assert hosts["name"].to_list() == ["a", "b"]  # what loses most comes first
    assert answer(warehouse, "thresholds", by="host", only="b", rule="digit_share").height == 1
    assert answer(warehouse, "thresholds", rule="words").is_empty()


def test_language_mix(filled):
    rows, warehouse = filled
    documents = pl.DataFrame(rows["web.documents"])
    expected = documents.group_by("snapshot", "language").agg(
        documents=pl.len(), characters=pl.col("characters").sum(), mean_score=pl.col("language_score").mean().round(3)
    )
    unique = pl.DataFrame(rows["web.unique_documents"]).group_by("snapshot", "language").agg(unique_documents=pl.len())
    expected = expected.join(unique, on=["snapshot", "language"], how="left").fill_null(0)
    expected = expected.with_columns(
        percent=(100 * pl.col("documents") / pl.col("documents").sum().over("snapshot")).round(2)
    )
    expected = expected.sort("snapshot", "documents", "language", descending=[False, True, False])
    assert answer(warehouse, "language_mix").select(expected.columns).rows() == expected.rows()


def test_duplicates_per_snapshot_pair(filled):
    rows, warehouse = filled
    pairs = pl.DataFrame(rows["web.duplicates"]).group_by("snapshot", "duplicate_of_snapshot").agg(duplicates=pl.len())
    found = answer(warehouse, "duplicates_per_snapshot_pair")
    assert found.select(pairs.columns).rows() == pairs.sort("snapshot").rows() == [("S1", "S1", 1), ("S2", "S1", 2)]
    assert found["percent_of_snapshot"].to_list() == [12.5, 25.0]


def test_funnel(filled):
    rows, warehouse = filled
    found = {(r["snapshot"], r["stage"]): (r["rows"], r["tokens"]) for r in answer(warehouse, "funnel").to_dicts()}

    def count(table: str, snapshot: str, tokens, **values) -> tuple | None:
        selected = [r for r in rows[table] if r["snapshot"] == snapshot and all(r[k] == v for k, v in values.items())]
        return (len(selected), tokens(selected)) if selected else None

    def quarter(column: str):
        return lambda selected: sum(row[column] for row in selected) // 4

    def summed(selected) -> int:
        return sum(row["tokens"] for row in selected)

    expected = {}
    for snapshot in ("S1", "S2"):
        records = sum(r["records"] for r in rows["snapshots.records"] if r["snapshot"] == snapshot)
        stages = {
            "records": (records, None),
            "pages": count("snapshots.pages", snapshot, lambda selected: None),
            "documents": count("web.documents", snapshot, quarter("characters")),
            "unique documents": count("web.unique_documents", snapshot, quarter("characters")),
            "curated": count("web.curated", snapshot, quarter("characters")),
            "multilingual": count("web.multilingual", snapshot, quarter("characters")),
            "rephrased": count("web.rephrased", snapshot, summed),
            "questions and answers": count("web.diverse_qa", snapshot, summed),
            "translations": count("web.translated_diverse_qa", snapshot, summed),
        }
        for level in ("high", "medium_high", "medium", "medium_low", "low"):
            stages[f"quality {level}"] = count("web.quality", snapshot, quarter("bytes"), level=level)
        for subset in all_tables()["web.nemotron_cc_v2"].published.configs:
            stages[subset] = count("web.nemotron_cc_v2", snapshot, quarter("characters"), subset=subset)
        documents = {
            r["id"] for t in ("web.nemotron_cc_v2", "web.multilingual") for r in rows[t] if r["snapshot"] == snapshot
        }
        pieces = [
            (row["parents"][0], row["length"]) for row in rows["blend.token_shards"] if row["parents"][0] in documents
        ]
        stages["training sequences"] = (len({parent for parent, _ in pieces}), sum(length for _, length in pieces))
        expected |= {(snapshot, stage): counts for stage, counts in stages.items() if counts}
    assert found == expected
    order = answer(warehouse, "funnel").filter(snapshot="S1")["stage"].to_list()
    assert order[:5] == ["records", "pages", "documents", "unique documents", "quality high"]
    assert order[-6:-1] == [
        "translations",
        "High-Quality",
        "High-Quality-Synthetic",
        "Diverse-QA",
        "Translated-Diverse-QA",
    ]
    assert order[-1] == "training sequences"


def test_subsets(filled):
    rows, warehouse = filled
    published = pl.DataFrame(rows["web.nemotron_cc_v2"])
    used = {id_ for row in rows["blend.token_shards"] for id_ in row["parents"]}
    found = {row["subset"]: row for row in answer(warehouse, "subsets").to_dicts()}
    assert set(found) == set(published["subset"])
    for name, row in found.items():
        selected = published.filter(subset=name)
        assert (row["texts"], row["estimated_tokens"]) == (selected.height, selected["characters"].sum() // 4)
        assert row["texts_trained_on"] == sum(id_ in used for id_ in selected["id"])
        assert row["web_documents"] == selected["origin_hash"].n_unique()
    assert sum(answer(warehouse, "subsets", snapshot="S2")["texts"]) == published.filter(snapshot="S2").height


def test_yields(filled):
    rows, warehouse = filled
    samples = answer(warehouse, "qa_yield")
    assert samples["samples"].sum() == len(rows["web.diverse_qa"])
    assert samples["pairs"].sum() == sum(row["question_count"] for row in rows["web.diverse_qa"])
    texts = answer(warehouse, "rephrasing_yield")
    assert texts["texts"].sum() == len(rows["web.rephrased"]) and set(texts["level"]) == {"high"}


def test_unused_documents(filled):
    rows, warehouse = filled
    found = answer(warehouse, "unused_documents")
    released = {parent for r in rows["web.nemotron_cc_v2"] for parent in r["parents"]}
    published = {c["parents"][0] for c in rows["web.curated"] if c["id"] in released}
    published |= {r["parents"][0] for r in rows["web.multilingual"]}
    held_out = [d for d in rows["web.unique_documents"] if d["url"].endswith("/3")]
    unused = [d for d in rows["web.unique_documents"] if d["url"].endswith("/3") or d["id"] not in published]
    assert found["never_used"].sum() == len(unused)
    never = [d for d in unused if d["id"] not in published]
    assert found["never_published"].sum() == len(never) > len(unused) - len(held_out) > 0
    assert found["characters_never_used"].sum() == sum(d["characters"] for d in unused)
    assert found["documents"].sum() == len(rows["web.unique_documents"])


def test_quality_levels(filled):
    rows, warehouse = filled
    judged = pl.DataFrame(rows["web.quality"])
    found = answer(warehouse, "quality_levels")
    expected = judged.group_by("snapshot", "level").agg(documents=pl.len(), bytes=pl.col("bytes").sum())
    assert found["documents"].sum() == judged.height
    for row in found.iter_rows(named=True):
        selected = expected.filter(snapshot=row["snapshot"], level=row["level"]).row(0, named=True)
        whole = judged.filter(snapshot=row["snapshot"])["bytes"].sum()
        assert row["documents"] == selected["documents"]
        assert row["percent_of_bytes"] == pytest.approx(100 * selected["bytes"] / whole, abs=0.01)
        assert row["percent_by_edu_a"] == 100 and row["percent_by_edu_b"] == 0
    assert found["level"][0] == "high"


def test_translations_per_language(filled):
    rows, warehouse = filled
    report = answer(warehouse, "translations_per_language").to_dicts()
    found = {(row["snapshot"], row["language"]): row for row in report}
    outcomes = rows["web.translation_outcomes"]
    assert set(found) == {(row["snapshot"], row["language"]) for row in outcomes}
    tokens = sum(row["tokens"] for row in rows["web.translated_diverse_qa"])
    assert sum(row["tokens_accepted"] for row in found.values()) == tokens
    for (snapshot, language), row in found.items():
        selected = [r for r in outcomes if (r["snapshot"], r["language"]) == (snapshot, language)]
        assert (row["samples"], row["generations"]) == (len(selected), sum(len(r["generation_ids"]) for r in selected))
        assert row["output_tokens"] == 9 * len(selected)
        if language == "de":
            assert (row["percent_accepted"], row["most_frequent_reason"], row["attempts"]) == (100, None, 1)
        else:
            assert (row["percent_accepted"], row["most_frequent_reason"], row["attempts"]) == (0, "wrong_language", 2)
            assert row["most_frequent_wrong_language"] == "no"


def test_personal_data(filled):
    _, warehouse = filled
    found = answer(warehouse, "personal_data")
    assert found.columns == ["snapshot", "rule", "action", "documents", "percent", "matches", "per_document"]
    assert found.rows() == [(snapshot, "email", "replace", 4, 50.0, 7, 1.8) for snapshot in ("S1", "S2")]
    assert answer(warehouse, "personal_data", snapshot="S1").height == 1


def test_filtered_by_rule(filled):
    rows, warehouse = filled
    others = [row for row in rows["web.verdicts"] if row["snapshot"] == "S2" and row["language"] != "en"]
    dropped = [row for row in others if not row["kept"]]
    assert len(dropped) == 2
    tokens = sum(row["characters"] for row in dropped) // 4
    percent = round(100 / len(others), 2)
    found = answer(warehouse, "filtered_by_rule").rows()
    (digits,) = [row["characters"] // 4 for row in dropped if "digit_share" in row["failed"]]
    assert found == [
        ("S2", "other languages", "words", 2, pytest.approx(2 * percent, abs=0.01), 1, tokens),
        ("S2", "other languages", "digit_share", 1, percent, 0, digits),
    ]
    assert answer(warehouse, "filtered_by_rule", snapshot="S1").height == 0
