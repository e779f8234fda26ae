"""From a page's bytes to readable text and its language (Nemotron-CC §2.1 and its open recipe).

The order is that of the published pipeline: a quick look at all visible text finds the language and with it jusText's
stop list; jusText keeps the paragraphs that read like prose of that language; the language of what is left decides
whether the document stays; then ftfy repairs its Unicode. Last, personal data is replaced. Languages without a usable
stop list are read by resiliparse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import ftfy
import polars as pl
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.language import detect, hint, stop_list
from nemotron_assets.text.personal_data import scrub
from nemotron_assets.warc.charset import decode
from nemotron_assets.web.paragraphs import justext_text

#: What may become of a page that is no error.
FATES = {
    "document": "kept",
    "blocked_host": "its host, or a domain above it, is on an opt-out list",
    "blocked_url": "its address is on an opt-out list, or like a pattern there",
    "no_text": "nothing in it reads like prose: lists of links, forms, empty pages",
    "too_short": "less text than the recipe's min_characters",
    "language_unsure": "the language scores less than the recipe's language_min_score",
    "personal_data": "holds personal data that the recipe drops documents for",
}

TITLE_CHARACTERS = 500
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SUSPICIOUS = re.compile(r"[&\x00-\x08\x0b-\x1f\x7f]")
_SCHEMA = {
    "title": pl.String,
    "language": pl.String,
    "language_score": pl.Float64,
    "text": pl.String,
    "characters": pl.Int64,
    "fate": pl.String,
}
#: Columns of `extract_pages` with the matches of each rule for personal data.
FOUND = {f"found_{rule}": rule for rule in Privacy().rules()}


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text of one page. `fate` is a key of `FATES`; `language` is "und" where it was not determined; `personal` has
    the matches of the rules for personal data in text and title."""

    title: str | None
    language: str
    language_score: float
    text: str
    characters: int
    fate: str
    personal: Mapping[str, int] = field(default_factory=dict)


def extract_pages(pages: pl.DataFrame, recipe: Documents) -> pl.DataFrame:
    """Rows of `snapshots.pages` (html, charset, mime and whatever else) with html, charset and mime replaced by
    title, language, language_score, text, characters and fate, and the columns `FOUND` names. Raises for pages that
    cannot be parsed."""
    results = [extract(*page, recipe) for page in pages.select("html", "charset", "mime").iter_rows()]
    columns = {name: pl.Series(name, [getattr(r, name) for r in results], dtype) for name, dtype in _SCHEMA.items()}
    for name, rule in FOUND.items():
        columns[name] = pl.Series(name, [r.personal.get(rule, 0) for r in results], pl.Int64)
    return pages.drop("html", "charset", "mime").with_columns(**columns)


def extract(html: bytes, charset: str, mime: str, recipe: Documents) -> Extracted:
    """Text, title and language of one page given as bytes, the encoding they are in and their media type."""
    markup = decode(html, charset)[: recipe.max_html_characters]
    title = None
    if mime == "text/plain":
        text = "\n".join(line.rstrip() for line in markup.splitlines())
    else:
        tree = HTMLTree.parse(markup)
        title = " ".join(_sound(tree.title or "").split())[:TITLE_CHARACTERS] or None
        language = hint(
            _sound(extract_plain_text(tree, preserve_formatting=False)),
            recipe.language_hint,
            recipe.language_model,
            recipe.language_characters,
        )
        text = _main_text(markup, tree, language, recipe)
    text = _sound(text).strip()
    if not text:
        return Extracted(title, "und", 0.0, "", 0, "no_text")
    language, score = detect(text, recipe.language_model, recipe.language_characters)
    text = repair(text).strip()
    fate = "document"
    if len(text) < recipe.min_characters:
        fate = "too_short"
    elif score < recipe.language_min_score:
        fate = "language_unsure"
    if fate != "document":
        return Extracted(title, language, score, text, len(text), fate)
    clean, clean_title = scrub(text, recipe.privacy), scrub(title or "", recipe.privacy)
    personal = Counter(clean.counts) + Counter(clean_title.counts)
    if clean.dropped or clean_title.dropped:
        return Extracted(None, language, score, "", len(text), "personal_data", personal)
    return Extracted(clean_title.text or None, language, score, clean.text, len(clean.text), fate, personal)


def _main_text(markup: str, tree: HTMLTree, language: str, recipe: Documents) -> str:
    extractor = recipe.extractor_by_language.get(language, recipe.extractor)
    words = stop_list(language) if extractor == "justext" else None
    if words is None:
        return extract_plain_text(tree, main_content=True)
    return justext_text(markup, words, recipe.justext)


def repair(text: str) -> str:
    """What `ftfy.fix_text` makes of a text, line by line as it does, without asking it about the lines that it would
    give back as they are: ASCII without references and control characters."""
    if text.isascii() and not _SUSPICIOUS.search(text):
        return text
    config, lines = ftfy.TextFixerConfig(explain=False), []
    for line in _LINE.findall(text):
        clean = line.isascii() and not _SUSPICIOUS.search(line)
        lines.append(line if clean else ftfy.fix_text(line, config))
        if config.unescape_html == "auto" and "<" in line:
            config = config._replace(unescape_html=False)  # from here on, it takes the text for markup
    return "".join(lines)


def _sound(text: str) -> str:
    """Text that can be encoded: character references may name halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
