"""The closer look at files that all rules keep: complexity, credentials, personal data, benchmark items. Slow, hence
only these."""

from __future__ import annotations

import polars as pl

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.quality.secrets import clean
from nemotron_assets.code.quality.signals import identified
from nemotron_assets.code.quality.tables import SCREENED
from nemotron_assets.recipe.code.quality import CodeQuality

READ = ("id", "language", "content")
#: Names by which the library knows our languages' files.
_EXTENSIONS = {
    "C": "c", "C++": "cpp", "Cuda": "cu", "C#": "cs", "Java": "java", "JavaScript": "js", "TypeScript": "ts",
    "Python": "py", "Go": "go", "Rust": "rs", "PHP": "php", "Ruby": "rb", "Swift": "swift", "Scala": "scala",
    "Lua": "lua", "Kotlin": "kt", "Fortran": "f90", "Perl": "pl", "R": "r",
}  # fmt: skip


def screen(files: pl.DataFrame, recipe: CodeQuality, items: Items) -> pl.DataFrame:
    """Rows of `code.screened` for rows of `code.files` (columns `READ`). `items`: what is looked for of benchmarks."""
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
    return identified(pl.DataFrame(rows, types), SCREENED.full_name).select(SCREENED.column_names)


def cyclomatic(text: str, language: str, max_characters: int) -> int | None:
    """Largest cyclomatic complexity of a function (lizard); None where it is not measured, 0 without a function."""
    extension = _EXTENSIONS.get(language)
    if extension is None or len(text) > max_characters:
        return None
    import lizard

    try:
        functions = lizard.analyze_file.analyze_source_code(f"file.{extension}", text).function_list
    except (RecursionError, IndexError, KeyError, AttributeError, ValueError):
        return None  # the library does not understand the file; the number is not measured
    return max((function.cyclomatic_complexity for function in functions), default=0)
