"""Makes rows of `math.rendered` from candidate pages: the text with its formulas and code, and its language.

Worker processes use this module: it does not load Dagster.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.math import tex
from nemotron_assets.math.extractors import extract
from nemotron_assets.math.formula import Formula
from nemotron_assets.math.render import Rendered, RenderError, render_pages
from nemotron_assets.math.tables import RENDERED
from nemotron_assets.recipe.math.pages import MathRendering
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.text.language import detect
from nemotron_assets.warc.charset import decode
from resources.lynx import Lynx

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader

_KEPT = ("snapshot", "warc_file", "url", "host", "fetched_at")
_COLUMNS = ("id", "parents", *_KEPT, "mime", "charset", "html")
_MADE = {
    "title": pl.String, "text": pl.String, "language": pl.String, "language_score": pl.Float64, "characters": pl.Int64,
    "formulas": pl.Int32, "display_formulas": pl.Int32, "code_blocks": pl.Int32, "encodings": pl.List(pl.String),
    "encoding_counts": pl.List(pl.Int32), "layout": pl.String, "cause": pl.String, "detail": pl.String,
}  # fmt: skip


def render_rows(pages: pl.DataFrame, recipe: MathRendering, model: str, characters: int) -> pl.DataFrame:
    """Candidate pages with the columns of `_MADE` instead of html, mime and charset. A page that cannot be laid out, or
    that is too short, has a `cause` and a `detail`. `model` detects the language in the first `characters`
    characters."""
    lynx = Lynx(recipe.timeout_s, recipe.memory_mb)
    markup = [
        decode(html, charset)[: recipe.max_html_characters]
        for html, charset in pages.select("html", "charset").iter_rows()
    ]
    rendered = render_pages(
        markup,
        lynx,
        mimes=pages["mime"].to_list(),
        scripts=recipe.scripts,
        batch=recipe.pages_per_process,
        max_output=recipe.max_output_characters,
    )
    if recipe.extractor != "lynx":
        rendered = [_extracted(page, html, recipe.extractor) for page, html in zip(rendered, markup, strict=True)]
    rows = [_row(page, recipe, model, characters) for page in rendered]
    made = pl.DataFrame(rows, schema=_MADE, orient="row")
    return pages.drop("html", "charset", "mime").with_columns(made.get_columns())


def _extracted(page: Rendered | RenderError, html: str, extractor: str) -> Rendered | RenderError:
    """A page with the text that another extractor makes of its markup, and the formulas that it leaves in the text. A
    page that cannot be laid out stays out of both texts, so that the pages are the same."""
    if isinstance(page, RenderError):
        return page
    text = extract(extractor, html)
    formulas = tuple(Formula(found.tex, found.display, "dollars") for found in tex.find(text))
    return Rendered(page.title, text, formulas, (), extractor)


def _row(page: Rendered | RenderError, recipe: MathRendering, model: str, characters: int) -> tuple:
    """The values of `_MADE` for a page."""
    if isinstance(page, RenderError):
        return (None, "", "und", 0.0, 0, 0, 0, 0, [], [], "", "not_laid_out", str(page))
    language, score = detect(prose(page.text), model, characters)
    counts = Counter(formula.encoding for formula in page.formulas).most_common()
    cause, detail = None, None
    if len(page.text) < recipe.min_characters and not page.formulas:
        cause, detail = "too_short", f"{len(page.text)} of at least {recipe.min_characters} characters, and no formula"
    return (
        page.title or None,
        page.text,
        language,
        score,
        len(page.text),
        len(page.formulas),
        sum(formula.display for formula in page.formulas),
        len(page.code),
        [name for name, _ in counts],
        [number for _, number in counts],
        page.layout,
        cause,
        detail,
    )


def prose(text: str) -> str:
    """A text without its formulas and code, which would mislead the detector of languages."""
    parts, start = [], 0
    for formula in tex.find(text):
        parts.append(text[start : formula.start])
        start = formula.end
    return tex.without_code(" ".join([*parts, text[start:]]))


def render_part(
    pages: Reader,
    recipe: MathRendering,
    model: str,
    characters: int,
    compute: Compute,
    reject: Callable[[Reject], None],
) -> Iterator[pl.DataFrame]:
    """Rows of `math.rendered` for one part of `math.candidate_pages`. Failed and too short pages go to `reject`."""
    render = functools.partial(render_rows, recipe=recipe, model=model, characters=characters)
    batches = pages.batches(_COLUMNS, batch_size=recipe.batch_rows)
    for frame in compute.map(batches, render, reject=reject, stage=RENDERED.full_name):
        for row, cause, detail in (
            frame.filter(pl.col("cause").is_not_null()).select("id", "cause", "detail").iter_rows()
        ):
            reject(Reject(row, cause, detail))
        kept = frame.filter(pl.col("cause").is_null())
        yield kept.with_columns(
            id=pl.Series([row_id(RENDERED.full_name, page) for page in kept["id"]], dtype=pl.String),
            content_hash=pl.Series([content_hash(text) for text in kept["text"]], dtype=pl.String),
        ).select(RENDERED.column_names)
