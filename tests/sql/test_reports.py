"""Every report runs on an empty and on a full lake; several are recomputed from the rows with polars."""

from __future__ import annotations

import re

import polars as pl
import pytest

from nemotron_assets.commands.sql import PRICES, fetch, print_result, reports
from nemotron_assets.recipe import current_recipe
from resources.warehouse import SQL_FOLDER, WarehouseError
from tests.sql.report import answer

NAMES = sorted(reports())


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
        == answer(
            warehouse,
            name,
            **{p.name: p.default or ("1" if p.name in PRICES else "nothing") for p in reports()[name].parameters},
        ).columns
    )


@pytest.mark.parametrize("file", sorted((SQL_FOLDER / "reports").glob("*.sql")), ids=lambda f: f.stem)
def test_reports_are_read_only_sql(filled, file):
    """Plain SQL, as the duckdb program would run it: no prepared parameters, one statement."""
    with filled[1].cursor() as connection:
        assert len(connection.extract_statements(file.read_text())) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_report_fits_120_columns(filled, name, capsys):
    with filled[1].cursor() as connection:
        print_result(fetch(connection, reports()[name].sql, 100), report=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines and max(map(len, lines)) <= 120
    answered = answer(filled[1], name)
    ids = [
        str(v)
        for column in answered.columns
        for v in answered.head(100)[column]
        if re.fullmatch("[0-9a-f]{32}", str(v))
    ]
    assert all(any(id_ in line for line in lines) for id_ in ids), "an id is never broken"


def test_macros_have_comments(filled):
    with filled[1].cursor() as connection:
        query = "select function_name, comment from duckdb_functions() where database_name = 'lake' and not internal"
        found = dict(connection.execute(query).fetchall())
    assert {"share", "ancestors", "descendants"} <= found.keys() and all(found.values()), found


def test_llm_tokens(filled, monkeypatch):
    rows, warehouse = filled
    generations = pl.DataFrame(rows["llm.generations"])
    found = answer(warehouse, "llm_tokens", prompt_price="2", output_price="10")
    assert found["prompt_tokens"].sum() == generations["prompt_tokens"].sum()
    assert found["answers"].sum() == generations.height and set(found["percent_cut"]) != {0}
    cost = generations["prompt_tokens"].sum() * 2e-6 + generations["output_tokens"].sum() * 10e-6
    assert found["cost"].sum() == pytest.approx(cost, abs=1e-3)
    assert {"web.diverse_qa", "web.rephrased"} <= set(found["asset"])
    assert answer(warehouse, "llm_tokens")["cost"].null_count() == found.height, "the recipe names no price"
    priced = current_recipe().model_copy(update={"llm": current_recipe().llm.model_copy(update={"prompt_price": 2.0})})
    monkeypatch.setattr("nemotron_assets.recipe.current_recipe", lambda: priced)
    assert answer(warehouse, "llm_tokens", output_price="10")["cost"].sum() == pytest.approx(cost, abs=1e-3)
    with pytest.raises(WarehouseError, match="prompt_price must be a number, not 'cheap'"):
        answer(warehouse, "llm_tokens", prompt_price="cheap")


def test_documents_behind_a_model(filled):
    rows, warehouse = filled
    pieces = [(row["parents"][0], row["sources"][0], row["length"]) for row in rows["blend.token_shards"]]
    sources = answer(warehouse, "model_sources")
    for model in ("1", "2"):
        of_model = sources.filter(version=model)
        assert of_model["tokens"].sum() == sum(length for *_, length in pieces)
        assert of_model["documents"].sum() == len({(document, source) for document, source, _ in pieces})
    shown = answer(warehouse, "model_documents", version="2", rows="1000000")
    assert set(shown["document"]) == {document for document, *_ in pieces}
    page = next(
        r for r in rows["web.nemotron_cc_v2"] if r["sources"] == ["web.curated"] and r["id"] in set(shown["document"])
    )
    curated = next(r for r in rows["web.curated"] if r["id"] == page["parents"][0])
    assert shown.filter(document=page["id"])["place"].to_list() == [curated["url"]]
    assert answer(warehouse, "model_documents", model="tiny-hybrid", source="code.qa", rows="1").height == 2


def test_rejections_of_all_stages(filled):
    rows, warehouse = filled
    found = {(r["stage"], r["reason"]): r["rows"] for r in answer(warehouse, "rejections").iter_rows(named=True)}
    records = pl.DataFrame(rows["snapshots.records"])
    assert found["snapshots.pages", "redirect"] == records.filter(fate="redirect")["records"].sum()
    assert ("snapshots.pages", "page") not in found
    assert found["web.documents", "no_text"] == 4
    assert found["web.unique_documents", "exact duplicate"] == len(rows["web.duplicates"])
    failed = [rule for row in rows["web.verdicts"] for rule in row["failed"]]
    assert found["web.curated", "words"] == failed.count("words")
    dropped = [rule for row in rows["code.dropped"] for rule in row["rules"]]
    assert all(found["code.curated", rule] == dropped.count(rule) for rule in set(dropped))
    assert found["web.documents", "not processed: timeout"] == 3
    one = answer(warehouse, "rejections", stage="web.documents", snapshot="S1")
    assert set(one["stage"]) == {"web.documents"} and dict(zip(one["reason"], one["rows"], strict=True))["no_text"] == 2


def test_tokens_per_source(filled):
    rows, warehouse = filled
    documents = pl.DataFrame(rows["blend.token_shards"]).select(
        pl.col("id"), pl.col("parents").list.first().alias("document"), pl.col("sources").list.first()
    )
    pieces = (
        pl.DataFrame(rows["blend.sequences"])
        .filter(part="512")
        .select("parents", "piece_lengths")
        .explode("parents", "piece_lengths")
        .join(documents, left_on="parents", right_on="id")
        .with_columns(parents="document")
    )
    subset = {row["id"]: row["subset"] for row in rows["web.nemotron_cc_v2"]}
    subset |= {row["id"]: row["language"] for table in ("code.curated", "code.qa") for row in rows[table]}
    pieces = pieces.with_columns(subset=pl.col("parents").replace_strict(subset, default=""))
    expected = (
        pieces.group_by("sources", "subset")
        .agg(tokens=pl.col("piece_lengths").sum(), documents=pl.col("parents").n_unique(), pieces=pl.len())
        .rename({"sources": "source"})
        .sort("tokens", "source", "subset", descending=[True, False, False])
    )
    found = answer(warehouse, "tokens_per_source")
    assert found.select(expected.columns).rows() == expected.rows()
    assert {"High-Quality", "Translated-Diverse-QA", ""} <= set(found["subset"])
    assert set(found["uses_per_document"]) == {1.0}


def test_tokens_per_category(filled):
    rows, warehouse = filled
    planned, has = pl.DataFrame(rows["blend.phases"], infer_schema_length=None), pl.DataFrame(rows["blend.categories"])
    found = answer(warehouse, "tokens_per_category")
    assert found["phase"].unique(maintain_order=True).to_list() == ["phase-1", "phase-2", "phase-3", "long-context"]
    for phase in found["phase"].unique():
        mine, told = planned.filter(phase=phase), found.filter(phase=phase)
        whole = told.filter(category="all").select("tokens", "percent", "status", "nvidias_tokens")
        assert whole.rows() == [(mine["tokens"].sum(), 100.0, None, None)]
        assert told.filter(pl.col("category") != "all")["tokens"].sum() == mine["tokens"].sum()
    code = found.filter(category="code", phase="phase-1").row(0, named=True)
    mine = planned.filter(category="code", phase="phase-1")
    assert code["available"] == has.filter(category="code")["tokens"].sum() > 0
    written = mine.filter(data_set="code.qa")["tokens"].sum()
    assert code["synthetic"] == pytest.approx(100 * written / mine["tokens"].sum(), abs=0.01)
    assert code["epochs"] == round(mine["epochs"].max(), 2)
    assert code["recipe_percent"] == 13.91  # 15.3 of all weights, which add up to 110
    assert code["nvidias_tokens"] == 747_409_228_724 + 175_067_553_293
    wiki = found.filter(category="wiki", phase="phase-3").row(0, named=True)
    assert (wiki["status"], wiki["percent"], wiki["tokens"]) == ("missing", 0.0, 0)
    assert answer(warehouse, "tokens_per_category", phase="phase-2")["phase"].unique().to_list() == ["phase-2"]


def test_generations_per_prompt(filled):
    rows, warehouse = filled
    generations = pl.DataFrame(rows["llm.generations"]).filter(prompt="diverse_qa")
    found = answer(warehouse, "generations_per_prompt").filter(prompt="diverse_qa").row(0, named=True)
    cut = (generations["finish_reason"] == "length").mean()
    assert found["generations"] == generations.height
    assert found["percent_cut"] == pytest.approx(100 * cut, abs=0.01)
    wall = sum((run["at"].max() - run["at"].min()).total_seconds() + 2 for run in generations.partition_by("run_id"))
    assert found["tokens_per_second"] == pytest.approx(generations["output_tokens"].sum() / wall, abs=0.05)


def test_quarantine_leaderboard_and_curve(filled):
    rows, warehouse = filled
    causes = answer(warehouse, "quarantine_by_cause").filter(stage="web.documents")
    causes = causes.select("cause", "rows", "distinct_rows").rows()
    assert causes == [("timeout", 3, 3), ("worker_died", 2, 2)]
    board = answer(warehouse, "leaderboard")
    assert board.filter(place=1).select("task", "model_version").rows() == [("arc", "1"), ("held_out_english_web", "2")]
    curve = answer(warehouse, "training_curve", stretches="4")
    assert curve["from_step"].to_list() == [1, 6, 11, 16]
    assert curve["last_loss"].to_list() == [m["loss"] for m in rows["models.training_metrics"][4::5]]
    assert curve["left_out"].to_list() == [0, 0, 1, 0]


def test_score_lineage(filled):
    rows, warehouse = filled
    found = answer(warehouse, "score_lineage", task="arc")
    first, second = rows["models.base"]
    inputs = {"1": sorted(first["input_versions"] + first["source_versions"])}
    inputs["2"] = sorted({*second["input_versions"], *inputs["1"]})  # the first model is its parent
    assert {r["model_version"]: r["model_inputs"] for r in found.to_dicts()} == inputs


def test_model_inputs(filled):
    rows, warehouse = filled
    found = answer(warehouse, "model_inputs")
    versions = [version.split("@") for version in rows["models.base"][0]["input_versions"]]
    read = {(table, int(version), True) for table, version in versions}
    first = found.filter(model_version="1").select("input_table", "input_version", "direct").rows()
    assert sorted(first) == sorted([*read, ("code.curated", 0, False)])
    second = found.filter(model_version="2").select("input_table", "direct", "read_by").rows()
    one, two = (model["id"] for model in rows["models.base"])
    both = {(table, direct, by) for table, _ in versions for direct, by in ((True, two), (False, one))}
    assert set(second) == both | {("code.curated", False, one)}


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


def test_code_funnel(filled):
    rows, warehouse = filled
    found = {row["stage"]: row for row in answer(warehouse, "code_funnel").to_dicts()}
    files = {row["id"]: row for row in rows["code.files"]}
    dropped = {row["parents"][0]: set(row["rules"]) for row in rows["code.dropped"]}
    against = {
        "files": set(),
        "allowed licence": {"licence_review", "licence_rejected", "no_licence"},
        "not copies": {"duplicate"},
        "own code": {"vendored", "generated", "minified"},
        "kept by the rules": {"words", "lines"},
        "curated": {"secret"},
    }
    left, gone = set(files), set()
    for stage, rules in against.items():
        gone |= rules
        left = {id_ for id_ in left if not dropped.get(id_, set()) & gone}
        size = sum(files[id_]["bytes"] for id_ in left)
        assert (found[stage]["rows"], found[stage]["bytes"]) == (len(left), size), stage
    assert len(left) == len(rows["code.curated"]) == 2
    assert list(found)[6:] == ["snippets", "questions and answers", "training sequences"]
    tokens = sum(row["tokens"] for table in ("code.curated", "code.qa") for row in rows[table])
    assert (found["training sequences"]["rows"], found["training sequences"]["tokens"]) == (3, tokens)
    go = answer(warehouse, "code_funnel", language="Go")
    assert go["rows"].to_list() == [5, 3, 3, 2, 2, 1, 1, 1], "no question in Go, and one text to train on"


def test_why_code_is_dropped(filled):
    _, warehouse = filled
    (row,) = answer(warehouse, "code_why", repo="o/two", path="a.py").to_dicts()
    assert (row["fate"], row["rules"], row["license"]) == ("dropped", "licence_review, duplicate", "MPL-2.0")
    assert (row["evidence"], row["copy_of"]) == ("LICENSE:1", "o/one/a.py")
    assert row["copy_why"] == "licence: MIT before MPL-2.0"
    assert answer(warehouse, "code_why", repo="o/one")["fate"].to_list() == ["dropped", "kept", "kept"]
    assert answer(warehouse, "code_why", rows="2").height == 2
    repositories = {row["repo"]: row for row in answer(warehouse, "code_repositories").to_dicts()}
    kept = {name: (row["files"], row["kept"], row["most_frequent_reason"]) for name, row in repositories.items()}
    assert kept == {"o/one": (3, 2, "lines"), "o/two": (3, 0, "licence_review"), "o/three": (2, 0, "minified")}
    reasons = {(r["language"], r["rule"]): r for r in answer(warehouse, "code_drop_reasons").to_dicts()}
    review = reasons["Go", "licence_review"]
    assert (review["files"], review["percent_of_files"], review["only_by_it"], review["tokens"]) == (1, 20.0, 1, 11)
    assert reasons["Python", "words"]["only_by_it"] == reasons["Python", "words"]["tokens_only_by_it"] == 0
    groups = answer(warehouse, "code_duplicate_groups").select(
        "kept", "license", "copies", "exact", "why", "among_them"
    )
    assert groups.rows() == [("o/one/a.py", "MIT", 1, 1, "licence: MIT before MPL-2.0", "o/two/a.py")]
    review = {(r["repo"], r["rel_path"]): r for r in answer(warehouse, "licences_to_review").to_dicts()}
    assert {key: row["otherwise_kept"] for key, row in review.items()} == {
        ("o/two", "a.py"): False,
        ("o/two", "d.go"): True,
    }


def test_what_goes_with_kept_code(filled):
    rows, warehouse = filled
    assert answer(warehouse, "code_kept_licences").rows() == [("MIT", "licence_file", 2, 1, 14, 100.0)]
    (text,) = rows["code.attributions"]
    (row,) = answer(warehouse, "attribution").to_dicts()
    assert (row["repo"], row["files"], row["licenses"], row["added"]) == ("o/one", 2, "MIT", 0)
    assert (row["texts"], row["characters"], row["paths"]) == (1, len(text["text"]), "LICENSE")
    with warehouse.cursor() as connection:
        kept = connection.execute("select rel_path, content, license, attribution_paths from code.kept order by 1")
        assert kept.fetchall() == [("a.py", "x = 1", "MIT", ["LICENSE"]), ("c.go", "package c", "MIT", ["LICENSE"])]


def test_code_questions(filled):
    _, warehouse = filled
    found = answer(warehouse, "code_qa_yield").select(
        "language", "snippets", "pairs", "percent", "attempts_per_pair", "failed", "most_frequent_cause", "tokens"
    )
    assert found.rows() == [("Go", 1, 0, 0.0, None, 1, "truncated", 0), ("Python", 1, 1, 100.0, 3.0, 0, None, 9)]
