"""Screens the files that no rule drops: complexity, credentials, personal data and benchmark items.

These searches are slow, so that only files which would be kept are screened.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.quality.secrets import clean
from nemotron_assets.code.quality.signals import bounded, with_row_ids
from nemotron_assets.code.quality.tables import SCREENED
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.table.parts import Batches, Rejects

if TYPE_CHECKING:
    from resources.compute import Compute

#: Columns of `code.files` that `screen` reads.
READ = ("id", "language", "content")
#: {language: extension by which lizard knows it}
_EXTENSIONS = {
    "C": "c", "C++": "cpp", "Cuda": "cu", "C#": "cs", "Java": "java", "JavaScript": "js", "TypeScript": "ts",
    "Python": "py", "Go": "go", "Rust": "rs", "PHP": "php", "Ruby": "rb", "Swift": "swift", "Scala": "scala",
    "Lua": "lua", "Kotlin": "kt", "Fortran": "f90", "Perl": "pl", "R": "r",
}  # fmt: skip


def screened_rows(batches: Iterable[pa.RecordBatch], recipe: CodeQuality, items: Items, compute: Compute) -> Batches:
    """Rows of `code.screened` for batches of `code.files` (columns `READ`), made in worker processes."""
    work, rejects = functools.partial(screen, recipe=recipe, items=items), Rejects()
    rows = compute.map(bounded(batches, recipe), work, reject=rejects.add, stage=SCREENED.full_name)
    return Batches(rows, rejects)


def screen(files: pl.DataFrame, recipe: CodeQuality, items: Items) -> pl.DataFrame:
    """Rows of `code.screened` for rows of `code.files` (columns `READ`). `items` are the benchmark items to find."""
    rows = []
    for file, language, text in files.iter_rows():
        found = clean(text, recipe.secrets)
        rows.append(
            {
                "id": file,
                "cyclomatic": cyclomatic(text, language, recipe.max_measured_kb << 10),
                "secrets": found.secrets,
                "personal": found.personal,
                "contamination": items.find(text) or None,
                "redacted": found.text if found.text != text else None,
            }
        )
    types = {
        "id": pl.String,
        "cyclomatic": pl.Int64,
        "secrets": pl.List(pl.String),
        "personal": pl.List(pl.String),
        "contamination": pl.String,
        "redacted": pl.String,
    }
    return with_row_ids(pl.DataFrame(rows, types), SCREENED.full_name).select(SCREENED.column_names)


def cyclomatic(text: str, language: str, max_characters: int) -> int | None:
    """The largest cyclomatic complexity of a function, measured with lizard; 0 for a text without functions.

    None if lizard does not know the language or cannot read the text, or the text is longer than `max_characters`.
    """
    extension = _EXTENSIONS.get(language)
    if extension is None or len(text) > max_characters:
        return None
    import lizard

    try:
        functions = lizard.analyze_file.analyze_source_code(f"file.{extension}", text).function_list
    except (RecursionError, IndexError, KeyError, AttributeError, ValueError):
        return None  # lizard does not understand the text
    return max((function.cyclomatic_complexity for function in functions), default=0)
