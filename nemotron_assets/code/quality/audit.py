"""Counts the errors that the checks of the room look for. Every function returns {kind of error: number of rows}."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import pyarrow as pa

from nemotron_assets.code.quality import rules
from nemotron_assets.code.quality.secrets import personal, secrets
from nemotron_assets.recipe.code.numbers import NUMBERS, WHOLE
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.table.buckets import absent, distinct, present

#: Shares that can be above 1: they count definitions per line, and one line can have several definitions.
_ABOVE_ONE = (
    "function_line_share", "trivial_function_share", "import_line_share", "pass_line_share", "no_logic_line_share",
)  # fmt: skip


def impossible(annotations: pl.LazyFrame) -> dict[str, int]:
    """Rows of `code.annotations` with a value that no file can have (a share of 1.5), and repeated ids."""
    shares = [pl.col(name) for name in NUMBERS if name.endswith("_share") and name not in _ABOVE_ONE]
    wrong = pl.any_horizontal((~share.is_between(-1e-9, 1 + 1e-9)).fill_null(False) for share in shares)
    wrong |= pl.any_horizontal((pl.col(name) < 0).fill_null(False) for name in (*WHOLE, *_ABOVE_ONE, "mean_line"))
    wrong |= pl.col("mean_line") > pl.col("longest_line") + 1e-9
    count, bad = annotations.select(pl.len(), wrong.sum().alias("wrong")).collect(engine="streaming").row(0)
    return {"repeated_ids": count - distinct(annotations), "impossible": bad}


def unaccounted(files: pl.LazyFrame, curated: pl.LazyFrame, dropped: pl.LazyFrame) -> dict[str, int]:
    """Files that are neither kept nor dropped, or both; rows of unknown files; files dropped without a rule."""
    of_file = pl.col("parents").list.first().alias("id")
    fates = pl.concat([curated.select(of_file), dropped.select(of_file)])
    known, named = files.select("id"), fates.select("id")

    def rows(frame: pl.LazyFrame) -> int:
        return frame.select(pl.len()).collect(engine="streaming").item()

    return {
        "neither_kept_nor_dropped": absent(known, "id", named),
        "unknown_files": absent(named, "id", known),
        "files_with_two_rows": rows(named) - distinct(named),
        "dropped_without_rule": rows(dropped.filter(pl.col("rules").list.len() == 0)),
    }


def forbidden(
    curated: pl.LazyFrame,
    licences: pl.LazyFrame,
    duplicates: pl.LazyFrame,
    annotations: pl.LazyFrame,
    recipe: CodeQuality,
) -> dict[str, int]:
    """Kept files whose licence is not allowed, that are duplicates, or that a rule drops; and repeated ids."""
    of_file = pl.col("parents").list.first().alias("file")
    kept = curated.select(of_file)
    allowed = licences.filter(pl.col("decision") == "allowed").select("file")
    failed = annotations.filter(rules.failures(recipe).list.len() > 0).select(of_file)
    return {
        "licence_not_allowed": absent(kept, "file", allowed, "file"),
        "duplicates": present(kept, "file", duplicates.select(of_file), "file"),
        "against_rules": present(kept, "file", failed, "file"),
        "repeated_ids": curated.select(pl.len()).collect(engine="streaming").item() - distinct(curated),
    }


def leaks(batches: Iterable[pa.RecordBatch], recipe: CodeQuality) -> int:
    """The number of kept texts (column content) with credentials or personal data that the recipe wants replaced."""
    settings, found = recipe.secrets, 0
    for batch in batches:
        for text in batch["content"].to_pylist():
            leaking = settings.action != "keep" and next(secrets(text, settings), None) is not None
            leaking = leaking or (settings.personal != "keep" and next(personal(text, settings), None) is not None)
            found += leaking
    return found
