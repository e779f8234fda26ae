"""Numbers of the heuristic filters: the strings that are counted, the bounds of the 28 rules, perplexity, languages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.quality import LEVELS

#: The languages of the multilingual data, which English is not part of (Nemotron Nano 2 §2.2).
LANGUAGES = ("ar", "zh", "da", "nl", "fr", "de", "it", "ja", "ko", "pl", "pt", "ru", "es", "sv", "th")

# Rules that count words, where a word is a run of characters between blanks.
_OF_WORDS = (
    "words",
    "mean_word_characters",
    "longest_word_characters",
    "symbol_word_share",
    "top_2gram_share",
    "top_3gram_share",
    "top_4gram_share",
)
_ENGLISH_ONLY = ("non_alphanumeric_share", "alphabetic_word_share", "common_words")


class Measures(Section):
    """Strings that the numbers in web.measures count (NeMo Curator's constants).

    After a change here all texts are read again. A change of a rule's bound reads no text.
    """

    code_blocks: Literal["counted", "left_out"] = Field(
        "counted",
        description="whether lines of code in fenced blocks count. The rules are made for prose, and the published "
        "extractor leaves no code; with the extractor `structure` they drop most pages of documentation: 95 of 220 of "
        "the sample's pass, without code 164 (default: counted)",
    )
    common_words: tuple[str, ...] = Field(
        ("the", "be", "to", "of", "and", "that", "have", "with"),
        description="frequent English words, exactly as they are written: The is not the",
    )
    bullets: str = Field(
        "•‣⁃⁌⁍∙○●◘◦⦾⦿", description="characters that make a line a list item when the line starts with one"
    )
    terminal: str = Field(
        ".?!\"'”’»…。．｡？！」』》؟۔।॥‼⁇⁈⁉",
        description="characters that end a sentence: the published ones, and those of other scripts (default)",
    )
    parentheses: str = Field(
        "()[]{}⟨⟩（）［］｛｝【】",
        description="characters that count as parentheses: the published ones, and wide ones (default)",
    )
    ellipses: tuple[str, ...] = Field(
        ("...", "…", "[...]", "[…]", "(...)", "(…)"), description="words that count as an ellipsis"
    )
    cut_off: tuple[str, ...] = Field(
        ("...", "…", "[...]", "[…]", "(...)", "(…)", "-»", "read more", "read more.."),
        description="ends of a line that was cut off because the text goes on elsewhere, in lower case",
    )
    boilerplate: tuple[str, ...] = Field(
        (
            "terms of use",
            "privacy policy",
            "cookie policy",
            "cookies policy",
            "privacy overview",
            "uses cookies",
            "use cookies",
            "use of cookies",
            "cookies are absolutely essential",
            "non-necessary cookies",
            "your cookie settings",
        ),
        description="strings that make a paragraph boilerplate, in lower case; of long published ones a part is listed",
    )
    placeholder: tuple[str, ...] = Field(
        ("lorem ipsum",), description="strings that make the whole document boilerplate, in lower case"
    )

    @field_validator("common_words", "ellipses", "cut_off", "boilerplate", "placeholder")
    @classmethod
    def _strings(cls, values: tuple[str, ...], info) -> tuple[str, ...]:
        for value in values:
            if not value.strip() or "\n" in value or len(value.encode()) > 200:
                raise ValueError(f"{value!r} must have 1 to 200 bytes, not only blanks, without line break")
            if info.field_name in ("common_words", "ellipses") and value.split() != [value]:
                raise ValueError(f"{value!r} is not one word")
            if info.field_name in ("cut_off", "boilerplate", "placeholder") and value != value.lower():
                raise ValueError(f"{value!r} is not lower case")
        if len(values) > 64:
            raise ValueError(f"{len(values)} strings; at most 64")
        return values


class Bounds(Section):
    """The range that a number must lie in, both ends included; null: no bound on that side."""

    min: float | None = Field(None, description="smallest value that is kept; null: no lower bound")
    max: float | None = Field(None, description="largest value that is kept; null: no upper bound")

    @model_validator(mode="after")
    def _order(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


def _at_most(value: float, meaning: str) -> Bounds:
    return Field(Bounds(max=value), description=f"{meaning} (published: at most {value:g})")


def _at_least(value: float, meaning: str) -> Bounds:
    return Field(Bounds(min=value), description=f"{meaning} (published: at least {value:g})")


def _within(low: float, high: float, meaning: str) -> Bounds:
    return Field(Bounds(min=low, max=high), description=f"{meaning} (published: {low:g} to {high:g})")


class Rules(Section):
    """Bounds of the 28 rules (NeMo Curator, heuristic_filter_en.yaml).

    Every rule has the name of a column of web.measures; the meaning of the column says exactly what is counted.
    """

    non_alphanumeric_share: Bounds = _at_most(
        0.25, "share of the characters that are neither letters, digits nor one of ? ! , ."
    )
    symbol_word_share: Bounds = _at_most(0.10, "share of the words that are an ellipsis or mostly hash signs")
    digit_share: Bounds = _at_most(0.15, "share of the characters that are digits")
    url_share: Bounds = _at_most(0.20, "share of the characters that belong to URLs")
    whitespace_share: Bounds = _at_most(0.25, "share of the characters that are white space")
    parenthesis_share: Bounds = _at_most(0.10, "share of the characters that are parentheses")
    boilerplate_share: Bounds = _at_most(0.40, "share of the paragraphs that hold a boilerplate string")
    unique_line_share: Bounds = _at_least(0.70, "number of different lines, per line")
    unique_paragraph_share: Bounds = _at_least(0.70, "number of different paragraphs, per paragraph")
    unique_line_character_share: Bounds = _at_least(
        0.80, "characters of the different lines, per character of all lines"
    )
    unique_paragraph_character_share: Bounds = _at_least(
        0.80, "characters of the different paragraphs, per character of all paragraphs"
    )
    words: Bounds = _within(50, 100_000, "number of words")
    unended_line_share: Bounds = _at_most(0.85, "share of the lines that do not end with a sentence mark")
    alphabetic_word_share: Bounds = _at_least(0.80, "share of the words that have a letter")
    common_words: Bounds = _at_least(2, "number of frequent English words")
    mean_word_characters: Bounds = _within(3, 10, "mean length of a word, in characters")
    longest_word_characters: Bounds = _at_most(1_000, "length of the longest word, in characters")
    cut_off_line_share: Bounds = _at_most(
        0.30, "share of the lines that are cut off: they end in an ellipsis or the like"
    )
    top_2gram_share: Bounds = _at_most(0.20, "share of the characters in the most frequent 2 words in a row")
    top_3gram_share: Bounds = _at_most(0.18, "share of the characters in the most frequent 3 words in a row")
    top_4gram_share: Bounds = _at_most(0.16, "share of the characters in the most frequent 4 words in a row")
    repeated_5gram_share: Bounds = _at_most(0.15, "share of the characters in 5 words in a row that occurred before")
    repeated_6gram_share: Bounds = _at_most(0.14, "share of the characters in 6 words in a row that occurred before")
    repeated_7gram_share: Bounds = _at_most(0.13, "share of the characters in 7 words in a row that occurred before")
    repeated_8gram_share: Bounds = _at_most(0.12, "share of the characters in 8 words in a row that occurred before")
    repeated_9gram_share: Bounds = _at_most(0.11, "share of the characters in 9 words in a row that occurred before")
    repeated_10gram_share: Bounds = _at_most(0.10, "share of the characters in 10 words in a row that occurred before")
    bullet_line_share: Bounds = _at_most(0.90, "share of the lines that start with a bullet")


class Heuristics(Section):
    """Which documents the rules apply to (Nemotron-CC §2.3, Nemotron-H §2.2; languages: Nano 2 §2.2)."""

    levels: tuple[str, ...] = Field(
        ("medium", "medium_low", "low"),
        description="quality levels of the English documents that rules and perplexity apply to; documents of the "
        "other levels are kept as they are (published: these)",
    )
    rules: Rules = Rules()
    max_perplexity: float | None = Field(
        100_000,
        gt=0,
        description="largest perplexity of an English document that is kept; null: any (default, from a demonstration "
        "of NeMo Curator)",
    )
    languages: tuple[str, ...] = Field(
        LANGUAGES, description="languages of web.multilingual, by ISO 639-1 code (published: these 15)"
    )
    switched_off: dict[str, tuple[str, ...]] = Field(
        {
            **dict.fromkeys(LANGUAGES, _ENGLISH_ONLY),
            "zh": (*_ENGLISH_ONLY, *_OF_WORDS),
            "ja": (*_ENGLISH_ONLY, *_OF_WORDS),
            "th": (*_ENGLISH_ONLY, *_OF_WORDS, "unended_line_share"),
            "ko": (*_ENGLISH_ONLY, "mean_word_characters", "whitespace_share"),
        },
        description="rules that do not apply to a language. In every language: common_words, because it counts English "
        "words, and the two rules that Curator's list for other languages leaves out. In zh, ja and th rules about "
        "words, because words have no blanks between them. In th the rule about sentence marks, which Thai does not "
        "use. In ko the rules about the length of words and white space, because a word has 2 to 4 characters "
        "(default)",
    )
    min_purity: float = Field(
        0.9,
        ge=0,
        le=1,
        description="a check fails when CLD2 agrees with the language of a smaller share of the kept documents "
        "(default)",
    )
    purity_sample: int = Field(
        500, ge=1, description="most documents that the check of their language looks at (default)"
    )

    @field_validator("levels")
    @classmethod
    def _known_levels(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(values) - set(LEVELS):
            raise ValueError(f"unknown levels {', '.join(sorted(unknown))}; known levels are: {', '.join(LEVELS)}")
        return values

    @model_validator(mode="after")
    def _known_rules(self) -> Heuristics:
        for language, names in self.switched_off.items():
            if language not in ("en", *self.languages):
                raise ValueError(
                    f"switched_off names the language {language!r}, which is not one of {', '.join(self.languages)}"
                )
            if unknown := set(names) - set(Rules.model_fields):
                raise ValueError(
                    f"switched_off: {language} names unknown rules {', '.join(sorted(unknown))}; "
                    f"known rules are: {', '.join(Rules.model_fields)}"
                )
        return self


class Perplexity(Section):
    """The n-gram model whose perplexity is a filter (Nemotron-CC §2.3: KenLM on Wikipedia and books)."""

    model: str = Field(
        description="'embedded': a model of characters that is trained here; or a KenLM model with its SentencePiece "
        "model: a folder with en.arpa.bin and en.sp.model, or owner/repository/folder on Hugging Face (NeMo Curator: "
        "edugp/kenlm/wikipedia)"
    )
    max_megabytes: int = Field(
        64,
        ge=1,
        le=4_096,
        description="most text that the embedded model is trained on, in MB: texts of web.quality.scorers.references "
        "(default)",
    )
    order: int = Field(6, ge=2, le=7, description="longest n-gram of the embedded model, in characters (default)")
    min_count: int = Field(
        3,
        ge=1,
        description="characters that occur less often in the training text become one symbol, unknown (default)",
    )
    held_out_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="share of the text that is not trained on, but kept to measure how good the model is (default)",
    )
    token_characters: float = Field(
        4.0,
        gt=0,
        description="the embedded model gives its perplexity per so many characters: about the length of a piece of "
        "the KenLM model, so that both models have one scale (default)",
    )
    characters: int = Field(
        20_000, ge=100, description="characters at the start of a document whose perplexity is computed (default)"
    )
