"""Counts wrong rows of code.qa: extracts the code of every row from its text again and parses it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.code.qa.solving import text_of
from nemotron_assets.code.qa.tables import QA
from nemotron_assets.generation import code_blocks
from nemotron_assets.grading.execution import FAILING
from nemotron_assets.recipe.code.qa import CodeQa

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_READ = ("id", "parents", "language", "problem", "solution", "code", "text", "generation_ids", "execution")


def faults(
    rows: Reader, snippets: pl.LazyFrame, quarantine: pl.LazyFrame, language: str, recipe: CodeQa
) -> dict[str, int]:
    """{kind of error: number of rows}, and the number of all `rows`, of one language.

    A snippet of the language must be a parent of a row or be in the quarantine.
    """
    # In memory: the ids of the rows and of the snippets of one language, about 200 bytes for each problem.
    found, ids, sources = Counter(rows=0), set(), set()
    for batch in rows.batches(_READ, 256):
        for row in pl.from_arrow(batch).iter_rows(named=True):
            found["rows"] += 1
            ids.add(row["id"])
            sources.update(row["parents"])
            found["does_not_parse"] += bool(code_blocks.syntax_problem(row["code"], row["language"]))
            found["code_is_not_in_text"] += code_blocks.extract_code(row["text"], row["language"]) != row["code"]
            found["text_differs_from_parts"] += row["text"] != text_of(row["problem"], row["solution"])
            found["without_two_generations"] += len(row["generation_ids"]) != 2
            found["not_executed"] += (row["execution"] is None) != (recipe.execution.run == "off")
            found["failing_but_kept"] += recipe.execution.failing == "drop" and row["execution"] in FAILING
            found["other_language"] += row["language"] != language
    of_language = (pl.col("stage") == QA.full_name) & (pl.col("partition") == language)
    failed = set(quarantine.filter(of_language).select("row_id").collect()["row_id"])
    wanted = set(snippets.filter(pl.col("language") == language).select("id").collect()["id"])
    found["repeated_ids"] = found["rows"] - len(ids)
    found["not_attempted"] = len(wanted - sources - failed)
    found["unknown_snippets"] = len(sources - wanted)
    return dict(found)
