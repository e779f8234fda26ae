"""What each step removes is counted per source, host, language and repository, and too large a share is found."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from nemotron_assets.lake.removals import tables as t
from nemotron_assets.lake.removals.report import metadata, names_table
from nemotron_assets.lake.removals.steps import STEPS, removal_rows, wiped_out
from nemotron_assets.recipe.lake import Removals
from nemotron_assets.table.schema import Table


class Lake:
    """The rows of some tables; the others have none."""

    def __init__(self, rows: dict[Table, list[dict]]) -> None:
        self.rows = rows

    def read(self, table: Table) -> SimpleNamespace:
        rows = self.rows.get(table, [])
        schema = table.empty().schema
        frame = pl.DataFrame(rows, schema={name: schema[name] for name in rows[0]}) if rows else table.empty()
        return SimpleNamespace(scan=frame.lazy)


def page(number: int, host: str, language: str = "en", **more) -> dict:
    return {"id": f"{host}{number}", "snapshot": "S", "host": host, "language": language, **more}


def texts(host: str, count: int, language: str = "en") -> list[dict]:
    return [page(n, host, language) for n in range(count)]


def without(rows: list[dict], *names: str) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in names} for row in rows]


def file(number: int, repo: str) -> dict:
    return {"id": f"{repo}{number}", "repo": repo, "commit_id": "c", "rel_path": f"{number}.py", "language": "Python"}


FILES = [file(n, repo) for repo in ("kept", "copyleft", "copy") for n in range(20)]
WEB = [*texts("big.example", 40), *texts("gone.example", 12, "fi"), *texts("few.example", 3)]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    curated = [
        {"id": f"c{n}", "snapshot": "S", "url": f"https://me@BIG.example:8080/{n}", "language": "en"} for n in range(30)
    ]
    licences = [
        {"id": f"l{row['id']}", "file": row["id"], "repo": row["repo"], "commit_id": "c",
         "decision": "rejected" if row["repo"] == "copyleft" else "allowed"}
        for row in FILES
    ]  # fmt: skip
    lake = Lake(
        {
            t.PAGES: without(WEB, "language"),
            t.DOCUMENTS: WEB,
            t.UNIQUE_DOCUMENTS: WEB,
            t.CURATED: curated,
            t.FILES: FILES,
            t.REPOSITORIES: [{"repo": r, "commit_id": "c", "source": "sample"} for r in ("kept", "copyleft", "copy")],
            t.LICENSES: licences,
            t.DUPLICATE_FILES: [{"id": f"d{n}", "parents": [f"copy{n}"]} for n in range(19)],
            t.CURATED_CODE: [row for row in FILES if row["repo"] == "kept"],
        }
    )  # fmt: skip
    return pl.concat(removal_rows(lake, Removals()))


def of(rows: pl.DataFrame, step: str, by: str) -> dict[str, tuple[int, int]]:
    found = rows.filter((pl.col("step") == step) & (pl.col("by") == by))
    return {name: (before, after) for name, before, after in found.select("name", "before", "after").iter_rows()}


def test_rows_are_counted_before_and_after_each_step(rows):
    assert tuple(rows.columns) == t.REMOVALS.column_names and rows["id"].n_unique() == rows.height
    assert {step.name for step in STEPS} >= set(rows["step"])
    assert of(rows, "web.documents", "host") == {"big.example": (40, 40), "gone.example": (12, 12)}
    # Hosts are read from addresses where the table has no host; few rows are not judged.
    assert of(rows, "web.curated", "host") == {"gone.example": (12, 0), "big.example": (40, 30)}
    assert of(rows, "web.curated", "language") == {"fi": (12, 0), "en": (43, 30)}
    assert of(rows, "web.curated", "source") == {"S": (55, 30)}


def test_code_is_counted_by_repository_source_and_language(rows):
    assert of(rows, "code.licenses", "repository") == {"copyleft": (20, 0), "copy": (20, 20), "kept": (20, 20)}
    assert of(rows, "code.duplicates", "repository") == {"copy": (20, 1), "copyleft": (20, 20), "kept": (20, 20)}
    assert of(rows, "code.curated", "repository") == {"copy": (20, 0), "kept": (20, 20)}
    assert of(rows, "code.licenses", "source") == {"sample": (60, 40)}
    assert of(rows, "code.curated", "language") == {"Python": (40, 20)}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Removals(), {"gone.example", "fi", "copy"}),
        (Removals(expected=("fi", "gone.example")), {"copy"}),
        (Removals(max_share_of_step={"code.licenses": 1.0, "code.curated": 1.0}), {"gone.example", "fi"}),
        (Removals(max_share_of_step={}), {"gone.example", "fi", "copy", "copyleft"}),
        (Removals(max_share=1.0), set()),
        (Removals(max_share=0.94), {"gone.example", "fi", "copy"}),
    ],
)
def test_what_takes_more_than_the_recipe_allows_is_found(rows, recipe, expected):
    found = wiped_out(rows.lazy(), recipe)
    assert set(found["name"]) == expected
    assert all(name in names_table(found) for name in expected)


def test_the_names_that_lose_most_come_first(rows):
    shown = metadata(rows)
    assert shown["wiped_out"] == 4 and shown["names"] == rows.height
    assert "gone.example" in shown["most_removed"].value
    assert (rows["removed_share"] >= 0).all() and (rows["removed_share"] <= 1).all()


def test_an_empty_lake_has_no_rows():
    assert pl.concat(removal_rows(Lake({}), Removals())).is_empty()
