"""Numbers of text extraction from web pages and of language identification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.privacy import OptOuts, Privacy


class JusText(Section):
    """jusText's paragraph classification (its defaults, which the published pipeline keeps: NeMo Curator)."""

    length_low: int = Field(70, ge=0, description="shorter paragraphs are judged by their neighbours, in characters")
    length_high: int = Field(200, ge=0, description="longer ones full of stop words are content, in characters")
    stopwords_low: float = Field(0.30, ge=0, le=1, description="share of stop words below which text is boilerplate")
    stopwords_high: float = Field(0.32, ge=0, le=1, description="share of stop words from which text is content")
    max_link_density: float = Field(0.2, ge=0, le=1, description="largest share of characters inside links")
    max_heading_distance: int = Field(200, ge=0, description="a heading is kept this close to content, in characters")
    headings: bool = Field(True, description="whether headings of content are kept")


class Documents(Section):
    """Text extraction and language identification (Nemotron-CC §2.1)."""

    extractor: Literal["justext", "resiliparse"] = Field(description="jusText as published, or the faster resiliparse")
    extractor_by_language: dict[str, Literal["justext", "resiliparse"]] = Field(
        {
            "zh": "resiliparse",
            "ja": "resiliparse",
            "th": "resiliparse",
            "ko": "resiliparse",
            "he": "resiliparse",
            "vi": "resiliparse",
        },
        description="languages read by another extractor. zh, ja, th have no jusText stop list, and with one of our "
        "own, words cut out by it and lengths scaled, jusText did no better (F1 on the sample's pages: zh .77, ja .84, "
        "th 1.0; resiliparse .78, .90, 1.0); ko (.90 against .97) and he say in few characters what its length limits "
        "expect in many; the list of vi has words, its text has syllables",
    )
    justext: JusText = Field(JusText(), description="paragraph classification of jusText")
    language_hint: Literal["pycld2", "model"] = Field(
        description="what chooses a page's stop list: CLD2 as published, or the language model (0.8 ms a page more; "
        "right on 99.8% of the sample's pages against 99.3%)"
    )
    language_model: Literal["lite", "full"] = Field(description="fastText lid.176: packaged .ftz, or downloaded .bin")
    language_characters: int = Field(4_000, ge=80, le=1_000_000, description="start of a text that is judged (default)")
    language_min_score: float = Field(ge=0, le=1, description="keep a document when its language scores at least this")
    min_characters: int = Field(ge=0, description="shortest text kept, in characters (default)")
    max_html_characters: int = Field(ge=1_000, description="longer decoded pages are cut here (default)")
    batch_rows: int = Field(32, ge=1, le=4_096, description="pages handed to a worker at a time (default)")
    opt_outs: OptOuts = Field(OptOuts(), description="pages that may not be used")
    privacy: Privacy = Field(Privacy(), description="what is done about personal data")
