"""Numbers of text extraction from web pages, and of language identification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.privacy import OptOuts, Privacy

Extractor = Literal["justext", "resiliparse", "structure"]


class JusText(Section):
    """jusText's choice of paragraphs (the library's defaults, which the published pipeline keeps: NeMo Curator)."""

    length_low: int = Field(
        70, ge=0, description="a paragraph with fewer characters is kept if the paragraphs around it are kept"
    )
    length_high: int = Field(
        200, ge=0, description="a paragraph with more characters and enough stop words (stopwords_high) is always kept"
    )
    stopwords_low: float = Field(
        0.30,
        ge=0,
        le=1,
        description="a paragraph with a smaller share of stop words ('the', 'of') is boilerplate; prose has many of "
        "them",
    )
    stopwords_high: float = Field(
        0.32,
        ge=0,
        le=1,
        description="a paragraph with at least this share of stop words reads like prose; between the two shares the "
        "paragraphs around it decide",
    )
    max_link_density: float = Field(
        0.2, ge=0, le=1, description="a paragraph with a larger share of its characters inside links is boilerplate"
    )
    max_heading_distance: int = Field(
        200, ge=0, description="a heading is kept if a kept paragraph follows within this many characters"
    )
    headings: bool = Field(True, description="whether headings before kept paragraphs are kept")


class UnicodeRepair(Section):
    """What ftfy does besides the repair of broken encodings (names are ftfy's). The published pipeline leaves signs as
    they are written (NeMo Curator's UnicodeReformatter, as datatrove): ftfy's own defaults turn "，" into "," and curly
    quotes into straight ones, so that Chinese and Japanese lose their punctuation."""

    fix_latin_ligatures: bool = Field(False, description="whether ligatures become letters: ﬁ to fi (published: no)")
    fix_character_width: bool = Field(
        False, description="whether full-width signs become ASCII, and half-width kana full-width (published: no)"
    )
    uncurl_quotes: bool = Field(False, description="whether curly quotes become straight ones (published: no)")
    fix_line_breaks: bool = Field(
        False, description="whether other line breaks, such as U+2028, become line feeds (published: no)"
    )
    normalization: Literal["NFC"] | None = Field(
        "NFC",
        description="Unicode normal form of the text; null: as it is written (published). NFC composes letters and "
        "their marks and changes no other sign, so that near-duplicates are found whichever way a page was written",
    )


class Documents(Section):
    """Text extraction and language identification (Nemotron-CC §2.1)."""

    extractor: Extractor = Field(
        description="what finds the main text of a page: justext (published); resiliparse, which is faster; or "
        "structure, which leaves out navigation by the page's markup and keeps lists, tables, headings and code "
        "(benchmarks/extraction.py compares them)"
    )
    extractor_by_language: dict[str, Extractor] = Field(
        {
            "zh": "resiliparse",
            "ja": "resiliparse",
            "th": "resiliparse",
            "ko": "resiliparse",
            "he": "resiliparse",
            "vi": "resiliparse",
        },
        description="languages whose pages are read by another extractor than `extractor` (default). jusText has no "
        "stop words for zh, ja and th; with a list of stop words made here it was no better (F1 on the sample's pages: "
        "zh .77, ja .84, th 1.0; resiliparse .78, .90, 1.0). In ko (.90 against .97) and he a sentence has fewer "
        "characters than jusText's lengths expect. jusText's list for vi has words, while Vietnamese text is written "
        "in syllables",
    )
    justext: JusText = JusText()
    language_hint: Literal["pycld2", "model"] = Field(
        description="what guesses the language of a page before extraction, to choose its stop words. pycld2: CLD2 "
        "(published), right on 99.3% of the sample's pages; model: the language model, 99.8% and 0.8 ms more per page"
    )
    language_model: Literal["lite", "full"] = Field(
        description="fastText's language model lid.176. lite: the small .ftz file in its package; full: the .bin file, "
        "which is downloaded"
    )
    language_characters: int = Field(
        4_000,
        ge=80,
        le=1_000_000,
        description="characters at the start of a text that its language is judged by (default)",
    )
    language_min_score: float = Field(
        ge=0, le=1, description="a document is kept if its language has at least this score, 0 to 1 (published: 0.3)"
    )
    unicode: UnicodeRepair = UnicodeRepair()
    min_characters: int = Field(ge=0, description="shortest text that is kept, in characters (default)")
    max_html_characters: int = Field(
        ge=1_000, description="characters of a decoded page that are read; the rest is cut off (default)"
    )
    batch_rows: int = Field(32, ge=1, le=4_096, description="pages handed to a worker process at a time (default)")
    opt_outs: OptOuts = OptOuts()
    privacy: Privacy = Privacy()
