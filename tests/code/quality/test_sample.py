"""The sample and some planted repositories, from their bytes to the corpus, through the real assets and checks.

Files that the truth lists are dropped for the listed reason, planted credentials are replaced, and no file without a
licence is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.code.licences.assets import licenses
from nemotron_assets.code.quality.assets import ASSETS
from nemotron_assets.code.quality.checks import CHECKS
from nemotron_assets.code.quality.tables import CURATED, DROPPED
from nemotron_assets.code.sources import assets as sources
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.evaluate.items.assets import benchmarks
from nemotron_assets.recipe import current_recipe
from nemotron_assets.recipe.code.sources import CodeSource
from nemotron_assets.table import spill
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse
from tests.code.quality import credentials
from tests.conftest import SAMPLE

COMMIT = "0123456789012345678901234567890123456789"
CODE = Path(spill.__file__).read_text()
#: {kind of odd file in the truth: rule that must drop such a file}
RULES = {"vendored": "vendored", "minified": "minified", "generated": "generated", "data": "data_dump"}


def leaking() -> tuple[str, list[str]]:
    """A file of code with one credential of every kind that a line of Python can hold, and those credentials."""
    lines, values = [], []
    for cases in credentials.planted(5).values():
        line, value = cases[0]
        if line.startswith("x = "):
            lines.append(line)
            values.append(value)
    return CODE + "\n" + "\n".join(lines) + "\nOWNER = 'jane.doe@gmail.com'\n", values


def planted() -> dict[str, str]:
    """{repository:path: text}."""
    licence = pl.read_parquet(SAMPLE / "code" / "files.parquet").filter(
        (pl.col("repo") == "python-attrs/attrs") & (pl.col("rel_path") == "LICENSE")
    )
    mit = licence["content"].item().decode()
    renamed = CODE.replace("batches", "pieces", 1)
    return {
        "own/free:LICENSE": mit,
        "own/free:src/leaking.py": leaking()[0],
        "own/free:src/spool.py": CODE + "\nOWN = 1\n",
        "own/free:vendor/x/spool.py": CODE + "\nOWN = 2 + 3\n",
        "own/free:src/made_pb2.py": CODE + "\nOWN = 4 * 5\n",
        "own/copy:LICENSE": mit,
        "own/copy:spool.py": CODE + "\nOWN = 1\n",
        "own/copy:near.py": renamed + "\nOWN = 1\n",
        "own/none:README.md": "A library.\n",
        "own/none:secret_sauce.py": CODE.upper().replace("DEF ", "def "),
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    rows = [
        dict(zip(("repo", "rel_path"), name.split(":"), strict=True), commit_id=COMMIT, content=text.encode())
        for name, text in planted().items()
    ]
    pl.DataFrame(rows).write_parquet(folder / "files.parquet")
    recipe = current_recipe()
    both = (*recipe.code.sources.sources, CodeSource(name="planted", kind="parquet", path=str(folder)))
    recipe = recipe.with_sections(
        {"code.sources": recipe.code.sources.model_copy(update={"sources": both, "content_model": False})}
    )
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    compute = Compute(**{**recipe.compute.model_dump(), "workers": 1})
    resources = {
        "lake": lake,
        "io_manager": lake,
        "recipe": recipe,
        "compute": compute,
        "crawl": Crawl.from_recipe(recipe.snapshots.crawl),
    }
    chosen = [
        sources.repositories,
        sources.files,
        sources.rejected_files,
        sources.contents,
        licenses,
        sources.duplicates,
        benchmarks,
        *ASSETS,
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([*chosen, *CHECKS], instance=instance, resources=resources)
    compute.close()
    name = pl.concat_str("repo", pl.lit(":"), "rel_path")
    kept = dict(lake.read(CURATED).scan().select(name, "content").collect().iter_rows())
    gone = dict(lake.read(DROPPED).scan().select(name, "rules").collect().iter_rows())
    return lake, result, kept, gone


def test_every_file_is_kept_or_dropped_and_the_checks_say_so(corpus):
    lake, result, kept, gone = corpus
    assert result.success
    assert [c.check_name for c in result.get_asset_check_evaluations() if not c.passed] == []
    assert len(kept) + len(gone) == lake.read(FILES).rows and not kept.keys() & gone.keys()
    assert all(gone.values())


def test_the_truth_about_odd_files(corpus):
    _, _, kept, gone = corpus
    looked = 0
    for line in (SAMPLE / "truth" / "code_licences.jsonl").read_text().splitlines():
        repository = json.loads(line)
        for path, kinds in repository["odd_files"]:
            for kind in set(kinds) & RULES.keys():
                name = f"{repository['repo']}:{path}"
                assert name not in kept and RULES[kind] in gone[name], (name, kind)
                looked += 1
    assert looked >= 30


def test_the_truth_about_repositories(corpus):
    _, _, kept, _ = corpus
    repositories = {name.partition(":")[0] for name in kept}
    truth = [json.loads(line) for line in (SAMPLE / "truth" / "code_licences.jsonl").read_text().splitlines()]
    expected = {kind: {r["repo"] for r in truth if r["expected"] == kind} for kind in ("accept", "reject")}
    assert not repositories & expected["reject"]
    assert expected["accept"] <= repositories, expected["accept"] - repositories


def test_copies_are_dropped_as_copies(corpus):
    lake, _, kept, gone = corpus
    copies = lake.read(DUPLICATES).scan().select(pl.concat_str("repo", pl.lit(":"), "rel_path")).collect().to_series()
    assert len(copies) >= 30
    assert {name for name, rules in gone.items() if "duplicate" in rules} == set(copies)
    assert not kept.keys() & set(copies)


def test_what_was_planted(corpus):
    _, _, kept, gone = corpus
    text, values = leaking()
    assert len(values) >= 12 and all(value in text for value in values)
    clean = kept["own/free:src/leaking.py"]
    assert not [value for value in values if value in clean] and "jane.doe" not in clean
    compile(clean, "leaking.py", "exec")
    assert {"licence_rejected", "licence_review", "no_licence"} & set(gone["own/none:secret_sauce.py"])
    assert not any(name.startswith("own/none:") for name in kept)
    assert "vendored" in gone["own/free:vendor/x/spool.py"] and "generated" in gone["own/free:src/made_pb2.py"]
    assert "duplicate" in gone["own/copy:spool.py"] and "duplicate" in gone["own/copy:near.py"]
