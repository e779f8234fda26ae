"""Snippets and questions about code as Dagster runs them, with a local endpoint and canned answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.code.qa import assets, checks
from nemotron_assets.code.qa.partitions import PARTITIONS
from nemotron_assets.code.qa.tables import QA, SNIPPETS
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.generation.code_blocks import FENCES
from nemotron_assets.lineage.links import parents_of
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.stages import all_tables
from resources.compute import Compute
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.code.qa.codes import CODES
from tests.resources.endpoint import Endpoint
from tests.resources.sandbox.programs import sandboxed
from tests.sql.lake import frame

ITEM = "Write a function that returns the list of all divisors of a number which are also its prime factors."


def _answer(body: dict) -> str:
    """What a good programmer says, but for some languages: see the tests."""
    asked = body["messages"][-1]["content"]
    if asked.startswith("Below is a snippet"):
        language = re.match(r"Below is a snippet of (\S+) code", asked)[1]
        name = re.search(r"first|second|third", asked)[0]
        if language == "Go":
            return ITEM
        return f"Write a {language} program for the {name} task, which takes two numbers and gives their sum."
    language = re.match(r"Solve the programming problem below in (\S+)\. ", asked)[1]
    code = CODES[language]
    if language == "Rust":
        code = "fn broken( { let x = ;"
    if language == "C" and "first" not in asked:
        code = "/* the same as ever */\n" + code.replace(" ", "  ")
    if language == "Java":
        return f"There is no code in this.\n\n```xml\n<{language}/>\n```"
    return f"Add both numbers.\n\n```{FENCES[language][0]}\n{code}\n```\n\nThis takes constant time."


def _files() -> list[dict]:
    rows = []
    for n, (language, code) in enumerate(CODES.items()):
        names = ("first", "second", "third") if language == "C" else ("first",)
        text = "\n\n".join(code.replace("total", name) for name in names)
        rows.append({"id": f"file {n}", "language": language, "license": "MIT", "content": text + "\n"})
    return [
        *rows,
        {"id": "file x", "language": "Markdown", "license": "MIT", "content": "def total(a, b):\n    pass\n"},
    ]


@pytest.fixture(scope="module")
def done(tmp_path_factory, embedded_tokenizer):
    """The whole room, and the questions a second time."""
    folder = tmp_path_factory.mktemp("qa")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(folder))
        yield from _materialised(folder, embedded_tokenizer)


def _materialised(folder, tokenizer):
    recipe = load_recipe("laptop")
    snippets = recipe.code.qa.snippets.model_copy(update={"per_file": None, "per_language": 3})
    # Answers of any form, as published; executed, as on a laptop.
    update = {"snippets": snippets, "attempts": 2, "execution": recipe.code.qa.execution}
    numbers = load_recipe("nano2").code.qa.model_copy(update=update)
    recipe = recipe.with_sections({"code.qa": numbers})
    lake = Lakehouse(root=str(folder / "lake"), free_disk_mb=0)
    lake.write(CURATED, frame(CURATED, _files()))
    item = {"id": "i", "benchmark": "mbpp", "item": "Mbpp/7", "question": ITEM, "answer": "def f(n): return n"}
    lake.write(BENCHMARKS, frame(BENCHMARKS, [item]))
    uri, sha256 = lake.put_weights(tokenizer, "generator")
    row = {"id": "w", "name": "coder", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
    lake.write(GENERATOR, frame(GENERATOR, [row]))
    endpoint = Endpoint(_answer)
    with endpoint.serve() as url, dg.DagsterInstance.ephemeral() as instance:
        compute = Compute(**recipe.compute.model_dump()).model_copy(update={"workers": 1})
        gpu = Gpu(backend="openai", base_url=url, structured_outputs="vllm", max_model_len=8_192)
        resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "compute": compute, "gpu": gpu}
        outside = (CURATED, BENCHMARKS, GENERATOR)
        inputs = [dg.AssetSpec(t.asset_key).with_io_manager_key("io_manager") for t in outside]

        def run(key, partition=None):
            made = dg.materialize(
                [*assets.ASSETS, *checks.CHECKS, *inputs],
                instance=instance,
                resources=resources,
                partition_key=partition,
                selection=dg.AssetSelection.assets(key),
            )
            return {e.check_name: e for e in made.get_asset_check_evaluations()}

        found = {None: run(SNIPPETS.asset_key)}
        found |= {name: run(QA.asset_key, name) for name in numbers.languages}
        rows, asked = lake.read(QA).scan().collect(), len(endpoint.bodies)
        for name in ("Python", "C", "Rust"):
            run(QA.asset_key, name)
        yield lake, found, rows, asked, endpoint.bodies


def test_a_snippet_per_function_and_none_of_other_languages(done):
    lake, found, *_ = done
    rows = lake.read(SNIPPETS).scan().collect()
    counts = dict(rows.group_by("language").len().iter_rows())
    assert counts == {language: 3 if language == "C" else 1 for language in CODES}
    assert all(check.passed for check in found[None].values()) and len(found[None]) == 2


def test_every_language_is_a_partition_and_most_are_written(done):
    _, found, rows, *_ = done
    assert set(PARTITIONS["language"].get_partition_keys()) == set(CODES)
    assert set(rows["language"]) == set(CODES) - {"Go", "Java", "Rust"}
    for language in CODES:
        assert found[language]["every_solution_parses"].passed, found[language]
        assert found[language]["language_is_written"].passed == (language in set(rows["language"]))


@sandboxed
def test_the_solution_in_python_was_run_and_others_say_why_not(done):
    _, _, rows, *_ = done
    for row in rows.iter_rows(named=True):
        why = "exit code 0" if row["language"] == "Python" else f"the recipe has no command for {row['language']}"
        assert (row["execution"], row["execution_detail"]) == ("ran" if row["language"] == "Python" else "not_run", why)


def test_what_fails_is_quarantined_with_its_cause(done):
    lake, *_ = done
    rows = lake.read(QUARANTINE).scan().filter(pl.col("stage") == QA.full_name).collect()
    causes = {(row["partition"], row["cause"]) for row in rows.iter_rows(named=True)}
    assert causes == {("Rust", "syntax_error"), ("Java", "no_code"), ("Go", "contaminated"), ("C", "duplicate")}
    assert rows.filter(pl.col("partition") == "C").height == 2  # of three with the same code one is kept
    assert "mbpp Mbpp/7" in rows.filter(pl.col("partition") == "Go")["detail"][0]


def test_rows_are_whole_and_name_where_they_come_from(done):
    lake, _, rows, *_ = done
    snippets = set(lake.read(SNIPPETS).scan().collect()["id"])
    generations = lake.read(GENERATIONS).scan().collect()
    for row in rows.iter_rows(named=True):
        assert row["text"] == f"{row['problem']}\n\n{row['solution']}" and row["code"] in row["text"]
        assert row["parents"][0] in snippets and row["tokens"] > 20 and row["generator"] == "coder"
        mine = generations.filter(pl.col("id").is_in(row["generation_ids"]))
        assert sorted(mine["prompt"]) == ["code_qa_problem", "code_qa_solution"]
        assert all(parents == row["parents"] for parents in mine["parents"].to_list())
    assert SNIPPETS.full_name in parents_of(GENERATIONS, all_tables().values())
    assert all_tables()[QA.full_name].published.configs == ("Synthetic-Code",)


def test_answers_are_what_their_grammar_allows(done):
    """A grammar that good answers do not have would keep a model from giving them."""
    *_, bodies = done
    for body in bodies:
        answer, grammar = _answer(body), body["structured_outputs"]["regex"]
        assert re.fullmatch(grammar, answer) or "```xml" in answer, (grammar, answer)


def test_a_rerun_asks_nothing_and_changes_nothing(done):
    lake, _, rows, asked, bodies = done
    assert asked and asked == len(bodies)
    assert lake.read(QA).scan().collect().sort("id").equals(rows.sort("id"))
