"""Numbers of the translation of Diverse QA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

LANGUAGES = ("ar", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "th", "zh")
Language = Literal["ar", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "th", "zh"]
Ratio = Annotated[float, Field(gt=0, le=10)]

# Parallel paragraphs of the Declaration of Human Rights (60 characters and more) lie within 0.6 to 1.6 of each
# language's median; the bounds leave as much again, and room for Latin names where words take few characters.
_LENGTH_RATIOS = {
    "ar": (0.35, 1.4), "da": (0.6, 1.9), "de": (0.65, 2.0), "es": (0.6, 2.0), "fr": (0.65, 2.0), "it": (0.65, 2.0),
    "ja": (0.2, 1.2), "ko": (0.2, 1.2), "nl": (0.65, 2.1), "pl": (0.6, 1.9), "pt": (0.6, 1.9), "ru": (0.6, 2.0),
    "sv": (0.55, 1.8), "th": (0.5, 1.7), "zh": (0.12, 1.0),
}  # fmt: skip


class Translation(Section):
    """Translation of Diverse QA line by line (Nemotron Nano 2 §2.2.2: Qwen3-30B-A3B, 15 languages). Neither prompt nor
    sampling nor filters of it were published; the rules follow the release's translated SFT data."""

    languages: tuple[Language, ...] = Field(
        LANGUAGES, min_length=1, description="languages to translate into (Nano 2 §2.2.2)"
    )
    max_samples: int | None = Field(ge=1, description="most samples per snapshot, chosen by id; null for all")
    max_lines: int | None = Field(
        ge=3,
        description="most lines of a sample; of longer ones the end is translated: the last pairs, and the lines "
        "before them if there is room. null for all",
    )
    batch_samples: int = Field(256, ge=1, le=65_536, description="samples translated together, bounds memory (default)")
    temperature: float = Field(0.3, ge=0, le=2, description="sampling temperature (default)")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling (default)")
    max_input_tokens: int = Field(ge=128, description="prompt and line together, in tokens; longer lines fail")
    max_output_tokens: int = Field(ge=16, description="longest translation of a line, in tokens; longer ones fail")
    attempts: int = Field(ge=1, le=10, description="how often a line is asked for until it passes (default)")
    length_ratios: dict[Language, tuple[Ratio, Ratio]] = Field(
        _LENGTH_RATIOS, description="shortest and longest translation per character of the English line (default)"
    )
    length_slack: int = Field(
        16, ge=0, le=1_000, description="characters a line may be shorter or longer than that (default)"
    )
    max_copied_share: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="largest share of a sample, by characters, in lines that come back as they were "
        "or in English (default)",
    )
    judged_line_characters: int = Field(
        40, ge=1, le=10_000, description="shortest line that is judged alone, whether it is still in English (default)"
    )
    language_min_score: float = Field(
        0.3, ge=0, le=1, description="a text is in its language when the detector says so with this score (default)"
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the translations is rejected (default)"
    )
    checked_rows: int = Field(
        10_000, ge=1, description="most rows of a snapshot whose language and pieces a check judges again (default)"
    )

    max_wrong_language_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="largest share of those rows that the check may find in another language (default)",
    )

    @model_validator(mode="after")
    def _ratios(self) -> Translation:
        if len(set(self.languages)) < len(self.languages):
            raise ValueError("languages: one is named twice")
        if missing := [language for language in self.languages if language not in self.length_ratios]:
            raise ValueError(f"length_ratios has no bounds for {', '.join(missing)}; give [shortest, longest]")
        if wrong := [f"{k} {list(v)}" for k, v in self.length_ratios.items() if v[0] >= v[1]]:
            raise ValueError(f"length_ratios: the first bound must be less than the second: {', '.join(wrong)}")
        return self
