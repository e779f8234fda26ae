"""Numbers of the translation of Diverse QA into other languages."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

Language = Literal["ar", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "th", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Ratio = Annotated[float, Field(gt=0, le=10)]

# (shortest, longest) translation, in characters per character of the English line. Parallel paragraphs of the
# Declaration of Human Rights with at least 60 characters lie within 0.6 to 1.6 times the median ratio of a language.
# The bounds leave as much room again, and room for Latin names in languages whose words have few characters.
_LENGTH_RATIOS = {
    "ar": (0.35, 1.4), "da": (0.6, 1.9), "de": (0.65, 2.0), "es": (0.6, 2.0), "fr": (0.65, 2.0), "it": (0.65, 2.0),
    "ja": (0.2, 1.2), "ko": (0.2, 1.2), "nl": (0.65, 2.1), "pl": (0.6, 1.9), "pt": (0.6, 1.9), "ru": (0.6, 2.0),
    "sv": (0.55, 1.8), "th": (0.5, 1.7), "zh": (0.12, 1.0),
}  # fmt: skip


class Translation(Section):
    """Translation of Diverse QA, line by line (Nemotron Nano 2 §2.2.2: Qwen3-30B-A3B, 15 languages).

    Prompt, sampling and filters were not published; the rules follow the release's translated SFT data.
    """

    languages: tuple[Language, ...] = Field(
        LANGUAGES,
        min_length=1,
        description="languages to translate into, by ISO 639-1 code (published: these 15; Nano 2 §2.2.2)",
    )
    max_samples: int | None = Field(
        ge=1, description="most samples translated per snapshot, those with the lowest ids; null for all"
    )
    max_lines: int | None = Field(
        ge=3,
        description="most lines of a sample that are translated; of a longer sample the last question/answer pairs, "
        "and as many lines before them as there is room for; null for all lines",
    )
    batch_samples: int = Field(
        256, ge=1, le=65_536, description="samples translated together; more need more memory (default)"
    )
    temperature: float = Field(
        0.3, ge=0, le=2, description="sampling temperature; a higher one gives more varied answers (default)"
    )
    top_p: float = Field(
        0.9,
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn "
        "(default)",
    )
    max_input_tokens: int = Field(
        ge=128, description="longest prompt with its line, in tokens; a sample with a longer line is not translated"
    )
    max_output_tokens: int = Field(
        ge=16, description="longest translation of a line, in tokens; a longer one is rejected and asked for again"
    )
    attempts: int = Field(
        ge=1,
        le=10,
        description="how often a line is asked for until its translation passes; then the sample is rejected (default)",
    )
    length_ratios: dict[Language, tuple[Ratio, Ratio]] = Field(
        _LENGTH_RATIOS,
        description="shortest and longest translation of a line, in characters per character of the English line, by "
        "language (default)",
    )
    length_slack: int = Field(
        16,
        ge=0,
        le=1_000,
        description="characters by which a translation may be shorter or longer than length_ratios allows; short lines "
        "need them (default)",
    )
    max_copied_share: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="largest share of a sample, by characters, in lines that come back unchanged or still in English "
        "(default)",
    )
    judged_line_characters: int = Field(
        40,
        ge=1,
        le=10_000,
        description="characters from which the language detector judges a line by itself, whether it is still in "
        "English; shorter lines are too short to tell (default)",
    )
    language_min_score: float = Field(
        0.3,
        ge=0,
        le=1,
        description="a translated sample passes if the language detector finds its language with at least this score, "
        "0 to 1 (default)",
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the translations is rejected (default)"
    )
    checked_rows: int = Field(
        10_000,
        ge=1,
        description="most translations of a snapshot that a check judges again, by lines, numbers and language "
        "(default)",
    )

    max_wrong_language_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="a check fails when a larger share of the translations it judges is in another language (default)",
    )

    @model_validator(mode="after")
    def _ratios(self) -> Translation:
        if len(set(self.languages)) < len(self.languages):
            doubled = sorted({name for name in self.languages if self.languages.count(name) > 1})
            raise ValueError(f"languages: {', '.join(doubled)} named twice; name each language once")
        if missing := [language for language in self.languages if language not in self.length_ratios]:
            raise ValueError(f"length_ratios has no bounds for {', '.join(missing)}; give [shortest, longest]")
        if wrong := [f"{k} {list(v)}" for k, v in self.length_ratios.items() if v[0] >= v[1]]:
            raise ValueError(f"length_ratios: the first bound must be less than the second: {', '.join(wrong)}")
        return self
