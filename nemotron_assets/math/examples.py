"""Compares extractors on the same pages: which formulas each keeps and loses, as rows and as an HTML report.

The report shows text from the web, so all of it is escaped. The report has no script and loads nothing.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from nemotron_assets.math import tex
from nemotron_assets.math.extractors import EXTRACTORS, extract
from nemotron_assets.math.scoring import score_page
from nemotron_assets.math.tables import EXTRACTION_EXAMPLES
from nemotron_assets.recipe.math.pages import ExtractionExamples
from nemotron_assets.table.ids import row_id
from nemotron_assets.warc.charset import decode

OURS = "ours"


def choose_pages(rendered: pl.LazyFrame, candidates: pl.LazyFrame, most: int) -> pl.DataFrame:
    """(parents, url, text, page, html, charset) of at most `most` pages that have formulas. The encodings of formulas
    take turns, the rarest one first; of each encoding the pages with the most formulas come first. `rendered` and
    `candidates` are rows of `math.rendered` and `math.candidate_pages`."""
    page = pl.col("parents").list.first()
    ranked = (
        rendered.filter(pl.col("formulas") > 0)
        .select("id", "parents", "url", "text", "formulas", page=page, encoding=pl.col("encodings").list.first())
        .with_columns(rank=pl.struct(-pl.col("formulas"), "id").rank("ordinal").over("encoding"))
        .with_columns(pages=pl.len().over("encoding"))
    )
    columns = ("parents", "url", "text", "page")
    chosen = ranked.sort("rank", "pages", "encoding").head(most).select(columns).collect()
    sources = candidates.filter(page.is_in(chosen["page"].to_list()))
    return chosen.join(sources.select("html", "charset", page=page).collect(), on="page", maintain_order="left")


def compare_extractors(
    pages: pl.DataFrame, truth: Mapping[str, Sequence[tuple[str, str]]], snapshot: str, recipe: ExtractionExamples
) -> pl.DataFrame:
    """Rows of `math.extraction_examples` for pages with parents, url, text, html and charset. `truth` is {url:
    [(encoding, TeX)]} for pages whose formulas are known; for other pages the formulas of this pipeline's text are
    expected."""
    rows = []
    for page in pages.iter_rows(named=True):
        known = truth.get(page["url"])
        wanted = known or [("ours", formula.tex) for formula in tex.find(page["text"])]
        markup = decode(page["html"], page["charset"])
        texts = {OURS: page["text"], **{name: extract(name, markup) for name in EXTRACTORS}}
        for name, text in texts.items():
            score = score_page(text, wanted)
            rows.append(
                {
                    "id": row_id(EXTRACTION_EXAMPLES.full_name, page["parents"][0], name),
                    "parents": page["parents"],
                    "snapshot": snapshot,
                    "url": page["url"],
                    "extractor": name,
                    "text": text[: recipe.max_characters],
                    "wanted": len(wanted),
                    "kept": score.right,
                    "output": score.output,
                    "lost": score.lost[: recipe.max_lost],
                    "truth": known is not None,
                }
            )
    return pl.DataFrame(rows, schema=EXTRACTION_EXAMPLES.empty().schema)


@dataclass(frozen=True)
class Kept:
    """How many formulas an extractor kept (`kept`) of those that the pages have (`wanted`)."""

    wanted: int
    kept: int

    @property
    def share(self) -> float:
        """The share of formulas kept; 1 if there are none to keep."""
        return self.kept / self.wanted if self.wanted else 1.0


def formulas_kept(rows: pl.DataFrame) -> dict[str, Kept]:
    """{extractor: formulas it kept}, the best extractor first."""
    sums = (
        rows.group_by("extractor")
        .agg(pl.col("wanted", "kept").sum())
        .sort("kept", "extractor", descending=[True, False])
    )
    return {name: Kept(wanted, number) for name, wanted, number in sums.iter_rows()}


# -- the report -------------------------------------------------------------------------------------------------------

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #222; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #ccc; padding: .25rem .6rem; text-align: left; }}
section {{ border-top: 2px solid #3d7a00; margin-top: 2rem; }}
.columns {{ display: grid; grid-auto-flow: column; grid-auto-columns: minmax(22rem, 1fr); gap: .8rem;
  overflow-x: auto; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; max-height: 32rem; overflow-y: auto;
  background: #f7f7f5; padding: .6rem; }}
mark {{ background: #d8efc2; }} .lost {{ background: #f7c9c3; }} li code {{ background: #f7c9c3; padding: 0 .2rem; }}
</style></head><body>
<h1>{title}</h1>
<p>A formula counts as kept if the text has it as TeX between delimiters; every occurrence counts once. A
<mark>green</mark> formula is a formula of the page. The page does not have a <mark class="lost">red</mark> formula.
Under each text stand the formulas that it lost.</p>
"""


def html_report(rows: pl.DataFrame, snapshot: str) -> str:
    """An HTML page that shows the texts of the extractors side by side, page by page."""
    totals = formulas_kept(rows)
    names = sorted(totals, key=lambda name: (name != OURS, -totals[name].share, name))
    parts = [
        _HEAD.format(title=html.escape(f"Extraction examples, {snapshot}")),
        "<table><tr><th>extractor<th>formulas kept</tr>",
    ]
    parts += [f"<tr><td>{name}<td>{k.kept:,} of {k.wanted:,} ({k.share:.1%})</tr>" for name, k in totals.items()]
    parts.append("</table>")
    for (url,), page in rows.group_by("url", maintain_order=True):
        by_name = {row["extractor"]: row for row in page.iter_rows(named=True)}
        known = "known for this page" if page["truth"][0] else f"as {OURS!r} found them"
        parts.append(f"<section><h2>{html.escape(url)}</h2><p>{page['wanted'][0]} formulas, {known}.</p>")
        parts.append('<div class="columns">')
        wanted = _wanted(by_name)
        parts += [_column(by_name[name], wanted) for name in names if name in by_name]
        parts.append("</div></section>")
    return "\n".join([*parts, "</body></html>\n"])


def _wanted(by_name: Mapping[str, dict]) -> Counter[str]:
    """How often each formula (in normal form) stands in a page, from the text that is shown and the lost formulas."""
    ours = by_name.get(OURS)
    if ours is None:
        return Counter()
    return Counter(tex.normal_form(f.tex) for f in tex.find(ours["text"])) + Counter(ours["lost"])


def _column(row: dict, wanted: Counter[str]) -> str:
    """One extractor's text of a page as HTML, with its formulas marked and the lost ones listed."""
    lost = "".join(f"<li><code>{html.escape(formula)}</code></li>" for formula in row["lost"])
    more = row["wanted"] - row["kept"] - len(row["lost"])
    lost += f"<li>and {more} more</li>" if more > 0 else ""
    losses = f"<p>Lost:</p><ul>{lost}</ul>" if lost else "<p>No formula lost.</p>"
    return (
        f"<div><h3>{html.escape(row['extractor'])}: {row['kept']} of {row['wanted']}</h3>"
        f"<pre>{''.join(_marked(row['text'], wanted))}</pre>{losses}</div>"
    )


def _marked(text: str, wanted: Counter[str]) -> Iterator[str]:
    """Yield a text as escaped HTML in which formulas are marked: green if wanted, red if not."""
    rest, start = Counter(wanted), 0
    for formula in tex.find(text):
        form = tex.normal_form(formula.tex)
        yield html.escape(text[start : formula.start])
        mark = "<mark>" if rest[form] > 0 else '<mark class="lost">'
        rest[form] -= 1
        yield f"{mark}{html.escape(text[formula.start : formula.end])}</mark>"
        start = formula.end
    yield html.escape(text[start:])
