"""Measures for the checks of the mathematics corpus: lost formulas, TeX that parses, planted benchmark items found,
faults of published pages and dialogues."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.math import clean, tex
from nemotron_assets.math.corpus.mind import CONVERSATIONS, problem, turns
from nemotron_assets.math.corpus.release import category

if TYPE_CHECKING:
    from nemotron_assets.recipe.math.corpus import MathRelease, Mind
    from resources.lakehouse import Reader

_TRUTH = Path(__file__).resolve().parents[2] / "sample" / "truth" / "contamination.jsonl"
_FIRST = 10
_BATCH = 64
_TOKEN = re.compile(r"\\(begin|end)\s*\{([^{}]*)\}|\\(left|right)(?![A-Za-z])|\\.|[{}]|(?<!\\)\$", re.DOTALL)


# -- losses ------------------------------------------------------------------------------------------------------------


@dataclass
class Losses:
    """Formulas and code blocks that clean-up lost.

    - `pages`: rendered pages; `dropped`: rendered pages that are not in the cleaned table
    - `wanted`: formulas and code blocks of the rendered pages
    - `lost`: formulas and code blocks that the cleaned texts lack, except those in `cut`
    - `cut`: formulas and code blocks that were cut off with the end of a text over the recipe's longest length
    - `first`: {url: number lost} of the first pages with losses
    """

    pages: int = 0
    wanted: int = 0
    lost: int = 0
    cut: int = 0
    dropped: int = 0
    first: dict[str, int] = field(default_factory=dict)


def losses(rendered: Reader, cleaned: Reader) -> Losses:
    """Compare every rendered page with its cleaned text, one WARC file at a time. The cleaned texts of one WARC file
    must fit into memory."""
    found, parts = Losses(), cleaned.parts()
    for file in rendered.parts():
        after = {}
        if file in parts:
            for batch in cleaned.part(file).batches(("parents", "text", "cut_characters"), batch_size=_BATCH):
                after.update((row["parents"][0], row) for row in batch.to_pylist())
        for batch in rendered.part(file).batches(("id", "url", "text"), batch_size=_BATCH):
            for row in batch.to_pylist():
                _compare(row, after.pop(row["id"], None), found)
    return found


def _compare(page: dict, cleaned: dict | None, found: Losses) -> None:
    """Add one rendered page to `found`; `cleaned` is its row in the cleaned table, if it has one."""
    found.pages += 1
    found.wanted += sum(counter.total() for counter in clean.formulas_and_code(page["text"]))
    lost = clean.lost(page["text"], cleaned["text"] if cleaned else "")
    if cleaned is None:
        found.dropped += 1
    if cleaned and cleaned["cut_characters"]:
        found.cut += lost
    elif lost:
        found.lost += lost
        if len(found.first) < _FIRST:
            found.first[page["url"]] = lost


# -- form --------------------------------------------------------------------------------------------------------------


@dataclass
class TexQuality:
    """How well formed the TeX of pages is. `parse`: formulas whose TeX parses, of all `formulas`. `balanced`: pages
    without a single delimiter outside formulas and code, of all `pages`. `first`: the first formulas that do not
    parse."""

    pages: int = 0
    balanced: int = 0
    formulas: int = 0
    parse: int = 0
    first: list[str] = field(default_factory=list)


def tex_quality(cleaned: Reader) -> TexQuality:
    """How well formed the formulas of a partition of `math.cleaned` are."""
    found = TexQuality()
    for text in _texts(cleaned):
        found.pages += 1
        formulas, rest, start = list(tex.find(text)), [], 0
        for formula in formulas:
            rest.append(text[start : formula.start])
            start = formula.end
            if parses(formula.tex):
                found.parse += 1
            elif len(found.first) < _FIRST:
                found.first.append(formula.tex[:200])
        found.formulas += len(formulas)
        rest = tex.without_code(" ".join([*rest, text[start:]]))
        # The dollar sign of a price, such as "$5", is not a delimiter.
        found.balanced += not re.search(r"\$\$|(?<!\\)\$(?![\s\d,.]|$)", rest)
    return found


def parses(formula: str) -> bool:
    """Whether TeX parses: braces, environments and \\left … \\right close in the right order, a dollar sign stands only
    inside braces, and no backslash stands at the end."""
    opened: list[str] = []
    for match in _TOKEN.finditer(formula):
        token = match[0]
        if token == "{" or match[1] == "begin" or match[3] == "left":
            opened.append("{" if token == "{" else match[2] if match[1] else "left")
        elif token == "}" or match[1] == "end" or match[3] == "right":
            wanted = "{" if token == "}" else match[2] if match[1] else "left"
            if not opened or opened.pop() != wanted:
                return False
        elif token == "$" and "{" not in opened:
            return False
    return not opened and not re.search(r"(?<!\\)(?:\\\\)*\\$", formula)


def _texts(cleaned: Reader) -> Iterator[str]:
    """Yield the texts of a partition."""
    for batch in cleaned.batches(("text",), batch_size=_BATCH):
        yield from batch.column("text").to_pylist()


# -- planted items -----------------------------------------------------------------------------------------------------


def planted(removed: pl.DataFrame, rendered: pl.Series, snapshot: str) -> dict[str, list[str]]:
    """What became of the benchmark items that are planted in the embedded sample's pages of a snapshot: {"found":
    items, "missed": items, "wrongly_removed": urls of pages that must be kept}. `removed` has the columns url and
    item; of pages whose URL is not in `rendered` (a recipe may read a part of the sample) nothing is expected."""
    truth = [json.loads(line) for line in _TRUTH.read_text().splitlines()]
    found = set(removed.select("url", "item").iter_rows())
    read = set(rendered)
    here = [row for row in truth if row["snapshot"] == snapshot and row["url"] in read]
    wanted = [(row["url"], row["item"]) for row in here if row["planted"]]
    keep = {row["url"] for row in here if not row["planted"]}
    return {
        "found": [item for url, item in wanted if (url, item) in found],
        "missed": [item for url, item in wanted if (url, item) not in found],
        "wrongly_removed": sorted(keep.intersection(removed["url"])),
    }


# -- published tables --------------------------------------------------------------------------------------------------


def published_faults(
    published: pl.LazyFrame,
    cleaned: pl.LazyFrame,
    duplicates: pl.LazyFrame,
    contamination: pl.LazyFrame,
    recipe: MathRelease,
) -> dict[str, int]:
    """Rows of `math.nemotron_cc_math` (`pages`) and of these the rows with each fault; the arguments are the rows of
    the tables of one snapshot."""
    first = pl.col("parents").list.first()
    rows = published.with_columns(page=first)
    pages = cleaned.select(page="id", rendered=first)
    items = contamination.filter("removed").select(rendered=first)
    subset = category(recipe, "finemath_int_scores")
    invalid = (
        (pl.col("category") != subset)
        | subset.is_null()
        | (pl.col("characters") != pl.col("text").str.len_chars())
        | (pl.col("text").str.strip_chars() == "")
    )
    return {
        "pages": count(rows),
        "duplicate_ids": count(rows) - count(rows.select("id").unique()),
        "invalid": count(rows.filter(invalid)),
        "without_cleaned_page": count(rows.join(pages, on="page", how="anti")),
        "duplicates": count(rows.join(duplicates.select(page=first), on="page", how="semi")),
        "contaminated": count(rows.join(pages, on="page").join(items, on="rendered", how="semi")),
    }


def dialogue_faults(rows: pl.LazyFrame, pages: pl.LazyFrame, recipe: Mind) -> dict[str, int | str]:
    """Rows of `math.mind` (`dialogues`), their styles, and the rows with each fault; `pages` are the rows of
    `math.nemotron_cc_math` of the same snapshot."""
    columns = rows.select("style", "text", "turns", "tokens")
    invalid = 0
    for frame in columns.collect_batches(chunk_size=512, engine="streaming"):
        for style, text, number, tokens in frame.iter_rows():
            invalid += (
                style not in CONVERSATIONS
                or tokens < recipe.min_tokens
                or bool(problem(style, text, recipe))
                or len(turns(style, text)) != number
            )
    parents = rows.select(page=pl.col("parents").list.first())
    return {
        "dialogues": count(rows),
        "styles": ", ".join(sorted(rows.select(pl.col("style").unique()).collect()["style"])),
        "duplicate_ids": count(rows) - count(rows.select("id").unique()),
        "invalid": invalid,
        "without_page": count(parents.join(pages.select(page="id"), on="page", how="anti")),
    }


def count(rows: pl.LazyFrame) -> int:
    """The number of rows."""
    return rows.select(pl.len()).collect(engine="streaming").item()
