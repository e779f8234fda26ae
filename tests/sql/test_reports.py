"""Every report runs on an empty and on a full lake; several are recomputed from the rows with polars."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.query import bind, reports, run
from resources.warehouse import SQL_FOLDER, WarehouseError

NAMES = sorted(reports())


def answer(warehouse, name: str, **parameters: str) -> pl.DataFrame:
    report = reports()[name]
    with warehouse.cursor() as connection:
        bind(connection, report, parameters)
        result = run(connection, report.sql, None)
    return pl.DataFrame(result.rows, schema=result.columns, orient="row", infer_schema_length=None)


def test_there_are_reports_and_each_says_what_it_answers():
    assert len(NAMES) >= 12
    for report in reports().values():
        assert report.question.split(". ")[0].rstrip(".").endswith(("?", "answer")) or "?" in report.question, (
            report.name
        )
        for parameter in report.parameters:
            assert f"getvariable('{parameter.name}')" in report.sql
            if parameter.default:
                assert f"coalesce(getvariable('{parameter.name}'), {parameter.default})" in report.sql, report.name


@pytest.mark.parametrize("name", NAMES)
def test_empty_lake(empty, name):
    assert answer(empty, name).height == 0


@pytest.mark.parametrize("name", NAMES)
def test_filled_lake(filled, name):
    _, warehouse = filled
    found = answer(warehouse, name)
    assert (found.height == 0) == (name == "broken_lineage")
    assert (
        found.columns
        == answer(warehouse, name, **{p.name: p.default or "nothing" for p in reports()[name].parameters}).columns
    )


@pytest.mark.parametrize("file", sorted((SQL_FOLDER / "reports").glob("*.sql")), ids=lambda f: f.stem)
def test_reports_are_read_only_sql(filled, file):
    """Plain SQL, as the duckdb program would run it: no prepared parameters, one statement."""
    with filled[1].cursor() as connection:
        assert len(connection.extract_statements(file.read_text())) == 1


def test_pages_per_host(filled):
    rows, warehouse = filled
    pages = pl.DataFrame(rows["snapshots.pages"])
    unique = pl.DataFrame(rows["web.unique_documents"])
    expected = (
        pages.group_by("host").agg(pages=pl.len(), html_bytes=pl.col("html").bin.size().cast(pl.Int64).sum())
        .join(unique.group_by("host").agg(unique_documents=pl.len(), characters=pl.col("characters").sum()), on="host")
        .sort("pages", descending=True)
    )  # fmt: skip
    found = answer(warehouse, "pages_per_host")
    assert found.select(expected.columns).rows() == expected.rows()
    assert sum(found["percent_of_pages"]) == pytest.approx(100, abs=0.1)
    one = answer(warehouse, "pages_per_host", snapshot="S1", rows="1")
    assert one.rows()[0][:2] == ("host0.example", 6)


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


def test_tokens_per_source(filled):
    rows, warehouse = filled
    pieces = (
        pl.DataFrame(rows["blend.token_shards"])
        .select("parents", "sources", "piece_lengths")
        .explode("parents", "sources", "piece_lengths")
    )
    expected = pieces.group_by(source="sources").agg(
        tokens=pl.col("piece_lengths").sum(), documents=pl.col("parents").n_unique(), pieces=pl.len()
    ).sort("tokens", descending=True)  # fmt: skip
    found = answer(warehouse, "tokens_per_source")
    assert found.select(expected.columns).rows() == expected.rows()
    assert set(found["uses_per_document"]) == {1.0}


def test_duplicates_per_snapshot_pair(filled):
    rows, warehouse = filled
    pairs = pl.DataFrame(rows["web.duplicates"]).group_by("snapshot", "duplicate_of_snapshot").agg(duplicates=pl.len())
    found = answer(warehouse, "duplicates_per_snapshot_pair")
    assert found.select(pairs.columns).rows() == pairs.sort("snapshot").rows() == [("S1", "S1", 1), ("S2", "S1", 2)]
    assert found["percent_of_snapshot"].to_list() == [12.5, 25.0]


def test_generations_per_prompt(filled):
    rows, warehouse = filled
    generations = pl.DataFrame(rows["llm.generations"])
    found = answer(warehouse, "generations_per_prompt").row(0, named=True)
    cut = (generations["finish_reason"] == "length").mean()
    assert found["generations"] == generations.height
    assert found["percent_cut"] == pytest.approx(100 * cut, abs=0.01)
    wall = sum((run["at"].max() - run["at"].min()).total_seconds() + 2 for run in generations.partition_by("run_id"))
    assert found["tokens_per_second"] == pytest.approx(generations["output_tokens"].sum() / wall, abs=0.05)


def test_funnel(filled):
    rows, warehouse = filled
    found = {row["snapshot"]: row for row in answer(warehouse, "funnel").to_dicts()}
    snapshot_of = {r["id"]: r["snapshot"] for t in ("web.unique_documents", "web.diverse_qa") for r in rows[t]}
    for snapshot, row in found.items():
        stages = ("snapshots.pages", "web.documents", "web.unique_documents", "web.diverse_qa")
        for table, column in zip(stages, ("pages", "documents", "unique_documents", "qa_documents"), strict=True):
            assert row[column] == sum(r["snapshot"] == snapshot for r in rows[table])
        assert row["records"] == sum(r["records"] for r in rows["snapshots.records"] if r["snapshot"] == snapshot)
        assert row["tokens"] == sum(
            length
            for sequence in rows["blend.token_shards"]
            for parent, length in zip(sequence["parents"], sequence["piece_lengths"], strict=True)
            if snapshot_of[parent] == snapshot
        )
    assert set(found) == {"S1", "S2"}


def test_unused_documents(filled):
    rows, warehouse = filled
    found = answer(warehouse, "unused_documents")
    held_out = [d for d in rows["web.unique_documents"] if d["url"].endswith("/3")]
    assert found["never_used"].sum() == len(held_out) == 4
    assert found["characters_never_used"].sum() == sum(d["characters"] for d in held_out)


def test_quarantine_leaderboard_and_curve(filled):
    rows, warehouse = filled
    causes = answer(warehouse, "quarantine_by_cause").select("cause", "rows", "distinct_rows").rows()
    assert causes == [("timeout", 3, 3), ("worker_died", 2, 2)]
    board = answer(warehouse, "leaderboard")
    assert board.filter(place=1).select("task", "model_version").rows() == [("arc", "1"), ("held_out_documents", "2")]
    curve = answer(warehouse, "training_curve", stretches="4")
    assert curve["from_step"].to_list() == [1, 6, 11, 16]
    assert curve["last_loss"].to_list() == [m["loss"] for m in rows["models.training_metrics"][4::5]]


def test_score_lineage(filled):
    rows, warehouse = filled
    found = answer(warehouse, "score_lineage", task="arc")
    inputs = {m["version"]: sorted(m["input_versions"]) for m in rows["models.base"]}
    assert {r["model_version"]: r["model_inputs"] for r in found.to_dicts()} == inputs


def test_table_files(filled):
    rows, warehouse = filled
    found = {r["table_name"]: r for r in answer(warehouse, "table_files").to_dicts()}
    assert {name: r["rows"] for name, r in found.items()} == {name: len(content) for name, content in rows.items()}
    assert found["web.documents"]["live_files"] == 2


def test_parameters_are_checked(filled):
    _, warehouse = filled
    with pytest.raises(WarehouseError, match="must be a number"):
        answer(warehouse, "pages_per_host", rows="1; drop table x")
    with pytest.raises(WarehouseError, match="no parameter 'row'"):
        answer(warehouse, "pages_per_host", row="1")
    assert answer(warehouse, "longest_documents", language="en' or 'a' = 'a").height == 0
