"""Extracts readable text, title and language from the bytes of a page (Nemotron-CC §2.1 and its open recipe).

The steps are those of the published pipeline:

1. Guess the language from all visible text. The guess selects jusText's stop words.
2. jusText keeps the paragraphs that read like prose in that language. Languages without a usable list of stop words
   are read by resiliparse instead. The recipe may choose another extractor, which reads a page by its structure.
3. Detect the language of the remaining text. A document whose score is too low is left out.
4. ftfy repairs the Unicode of the text.
5. Personal data is replaced, or the document is dropped.
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

from nemotron_assets.recipe.web.documents import Documents, UnicodeRepair
from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text.attributes import check_attributes
from nemotron_assets.text.language import detect, hint, stop_list
from nemotron_assets.text.personal_data import scrub
from nemotron_assets.warc.charset import decode
from nemotron_assets.web.paragraphs import justext_text
from nemotron_assets.web.structure import structured_text

#: What may become of a page that could be parsed, and what it means. A page that fails is rejected instead.
FATES = {
    "document": "kept",
    "blocked_host": "its host, or a domain above it, is on an opt-out list",
    "blocked_url": "its address, or a pattern that matches it, is on an opt-out list",
    "opt_out": "the page itself says that it is not for AI training, by a signal that the recipe honours",
    "no_text": "nothing in it reads like prose, as in an empty page, a form or a list of links",
    "too_short": "it has less text than the recipe's min_characters",
    "language_unsure": "the score of its language is below the recipe's language_min_score",
    "personal_data": "it contains personal data of a kind for which the recipe drops documents",
}

TITLE_CHARACTERS = 500
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NOT_PLAIN = re.compile(r"[&\x00-\x08\x0b-\x1f\x7f]")
_SCHEMA = {
    "title": pl.String,
    "language": pl.String,
    "language_score": pl.Float64,
    "text": pl.String,
    "characters": pl.Int64,
    "fate": pl.String,
}
#: Columns of `extract_pages` that count personal data, and the rule each belongs to: {"found_email": "email", ...}.
MATCH_COLUMNS = {f"found_{rule}": rule for rule in Privacy().rules()}


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of one page. `fate` is a key of `FATES`. `language` is "und" for a page without text. `personal` counts
    the matches in text and title by rule for personal data; the recipe's replacements are already made."""

    title: str | None
    language: str
    language_score: float
    text: str
    characters: int
    fate: str
    personal: Mapping[str, int] = field(default_factory=dict)


def extract_pages(pages: pl.DataFrame, recipe: Documents) -> pl.DataFrame:
    """Extract the text of pages (rows of `snapshots.pages` with at least html, charset and mime).

    The columns html, charset and mime are replaced by title, language, language_score, text, characters, fate and
    `MATCH_COLUMNS`; all other columns stay. Raises `NestedTooDeeply` or `TooManyAttributes` for a page that cannot
    be parsed.
    """
    results = [extract(*page, recipe) for page in pages.select("html", "charset", "mime").iter_rows()]
    columns = {name: pl.Series(name, [getattr(r, name) for r in results], dtype) for name, dtype in _SCHEMA.items()}
    for name, rule in MATCH_COLUMNS.items():
        columns[name] = pl.Series(name, [r.personal.get(rule, 0) for r in results], pl.Int64)
    return pages.drop("html", "charset", "mime").with_columns(**columns)


def extract(html: bytes, charset: str, mime: str, recipe: Documents) -> Extracted:
    """Text, title and language of one page. `charset` is the encoding of the bytes, `mime` their media type."""
    markup = decode(html, charset)[: recipe.max_html_characters]
    title = None
    if mime == "text/plain":
        text = "\n".join(line.rstrip() for line in markup.splitlines())
    else:
        check_attributes(markup)
        tree = HTMLTree.parse(markup)
        title = " ".join(_encodable(tree.title or "").split())[:TITLE_CHARACTERS] or None
        by_language = recipe.extractor != "structure" or recipe.extractor_by_language
        language = _guess(tree, recipe) if by_language else ""
        text = _main_text(markup, tree, language, recipe)
    text = _encodable(text).strip()
    if not text:
        return Extracted(title, "und", 0.0, "", 0, "no_text")
    language, score = detect(text, recipe.language_model, recipe.language_characters)
    text = repair(text, recipe.unicode).strip()
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


def _guess(tree: HTMLTree, recipe: Documents) -> str:
    """The language of a page, guessed from all its visible text."""
    text = _encodable(extract_plain_text(tree, preserve_formatting=False))
    return hint(text, recipe.language_hint, recipe.language_model, recipe.language_characters)


def _main_text(markup: str, tree: HTMLTree, language: str, recipe: Documents) -> str:
    extractor = recipe.extractor_by_language.get(language, recipe.extractor)
    words = stop_list(language) if extractor == "justext" else None
    if extractor == "structure":
        return structured_text(markup)
    if words is None:
        return extract_plain_text(tree, main_content=True)
    return justext_text(markup, words, recipe.justext)


def repair(text: str, recipe: UnicodeRepair) -> str:
    """The result of `ftfy.fix_text` with the recipe's settings, faster: plain ASCII lines ("a line of prose") are not
    handed to ftfy.

    ftfy works line by line and returns a line unchanged when it is ASCII and has neither `&` nor control characters.
    """
    if text.isascii() and not _NOT_PLAIN.search(text):
        return text
    config, lines = ftfy.TextFixerConfig(explain=False, **recipe.model_dump()), []
    for line in _LINE.findall(text):
        clean = line.isascii() and not _NOT_PLAIN.search(line)
        lines.append(line if clean else ftfy.fix_text(line, config))
        if config.unescape_html == "auto" and "<" in line:
            config = config._replace(unescape_html=False)  # as ftfy does: after a "<" it takes the text for HTML
    return "".join(lines)


def _encodable(text: str) -> str:
    """Replace half surrogate pairs, which cannot be encoded. A page can contain one as a reference: "&#xD83D;"."""
    return text.encode("utf-8", "replace").decode("utf-8")
