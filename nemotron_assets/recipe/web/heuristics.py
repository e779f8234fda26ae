"""Numbers of the filters by rule: what is counted in a text, the bounds of the 28 rules, perplexity, languages."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.quality import LEVELS

#: The languages beside English (Nemotron Nano 2 §2.2): of the multilingual crawl.
LANGUAGES = ("ar", "zh", "da", "nl", "fr", "de", "it", "ja", "ko", "pl", "pt", "ru", "es", "sv", "th")

# Of words, where a word is what stands between blanks.
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
    """Strings that the numbers of `web.measures` are made with (NeMo Curator's constants). A change here reads all
    texts again; a change of a bound does not."""

    common_words: tuple[str, ...] = Field(
        ("the", "be", "to", "of", "and", "that", "have", "with"), description="frequent English words, as written"
    )
    bullets: str = Field("•‣⁃⁌⁍∙○●◘◦⦾⦿", description="characters that start a line of a list")
    terminal: str = Field(
        ".?!\"'”’»…。．｡？！」』》؟۔।॥‼⁇⁈⁉",
        description="characters that end a sentence: the published ones, and those of other scripts",
    )
    parentheses: str = Field("()[]{}⟨⟩（）［］｛｝【】", description="parentheses: the published ones, and wide ones")
    ellipses: tuple[str, ...] = Field(
        ("...", "…", "[...]", "[…]", "(...)", "(…)"), description="words that stand for something left out"
    )
    cut_off: tuple[str, ...] = Field(
        ("...", "…", "[...]", "[…]", "(...)", "(…)", "-»", "read more", "read more.."),
        description="ends of a line that goes on elsewhere, lower case",
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
        description="strings that make a paragraph boilerplate, lower case (the long published ones by a part)",
    )
    placeholder: tuple[str, ...] = Field(
        ("lorem ipsum",), description="strings that make the whole document boilerplate, lower case"
    )

    @field_validator("common_words", "ellipses", "cut_off", "boilerplate", "placeholder")
    @classmethod
    def _strings(cls, values: tuple[str, ...], info) -> tuple[str, ...]:
        for value in values:
            if not value.strip() or "\n" in value or len(value.encode()) > 200:
                raise ValueError(f"{value!r}: needs 1 to 200 bytes, not only blanks, without line break")
            if info.field_name in ("common_words", "ellipses") and value.split() != [value]:
                raise ValueError(f"{value!r} is not one word")
            if info.field_name in ("cut_off", "boilerplate", "placeholder") and value != value.lower():
                raise ValueError(f"{value!r} is not lower case")
        if len(values) > 64:
            raise ValueError(f"{len(values)} strings; at most 64")
        return values


class Bounds(Section):
    """What a number must be within, both ends included; null: no bound."""

    min: float | None = Field(None, description="least value that is kept; null for any")
    max: float | None = Field(None, description="largest value that is kept; null for any")

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
    """Bounds of the 28 rules (NeMo Curator, heuristic_filter_en.yaml). Names are columns of `web.measures`, which say
    exactly what is counted."""

    non_alphanumeric_share: Bounds = _at_most(0.25, "characters that are no letters, digits or plain punctuation")
    symbol_word_share: Bounds = _at_most(0.10, "words that are ellipses or hash signs")
    digit_share: Bounds = _at_most(0.15, "characters that are digits")
    url_share: Bounds = _at_most(0.20, "characters of URLs")
    whitespace_share: Bounds = _at_most(0.25, "characters that are white space")
    parenthesis_share: Bounds = _at_most(0.10, "characters that are parentheses")
    boilerplate_share: Bounds = _at_most(0.40, "paragraphs of boilerplate")
    unique_line_share: Bounds = _at_least(0.70, "different lines")
    unique_paragraph_share: Bounds = _at_least(0.70, "different paragraphs")
    unique_line_character_share: Bounds = _at_least(0.80, "characters of different lines")
    unique_paragraph_character_share: Bounds = _at_least(0.80, "characters of different paragraphs")
    words: Bounds = _within(50, 100_000, "words")
    unended_line_share: Bounds = _at_most(0.85, "lines without a mark at the end")
    alphabetic_word_share: Bounds = _at_least(0.80, "words with a letter")
    common_words: Bounds = _at_least(2, "frequent English words")
    mean_word_characters: Bounds = _within(3, 10, "mean length of a word")
    longest_word_characters: Bounds = _at_most(1_000, "length of the longest word")
    cut_off_line_share: Bounds = _at_most(0.30, "lines that end in an ellipsis")
    top_2gram_share: Bounds = _at_most(0.20, "characters of the most frequent pair of words")
    top_3gram_share: Bounds = _at_most(0.18, "characters of the most frequent three words")
    top_4gram_share: Bounds = _at_most(0.16, "characters of the most frequent four words")
    repeated_5gram_share: Bounds = _at_most(0.15, "characters of repeated five words")
    repeated_6gram_share: Bounds = _at_most(0.14, "characters of repeated six words")
    repeated_7gram_share: Bounds = _at_most(0.13, "characters of repeated seven words")
    repeated_8gram_share: Bounds = _at_most(0.12, "characters of repeated eight words")
    repeated_9gram_share: Bounds = _at_most(0.11, "characters of repeated nine words")
    repeated_10gram_share: Bounds = _at_most(0.10, "characters of repeated ten words")
    bullet_line_share: Bounds = _at_most(0.90, "lines that start with a bullet")


class Heuristics(Section):
    """Which rules decide about which documents (Nemotron-CC §2.3, Nemotron-H §2.2; languages: Nano 2 §2.2)."""

    levels: tuple[str, ...] = Field(
        ("medium", "medium_low", "low"),
        description="quality levels of English documents that rules and perplexity are applied to (published: these)",
    )
    rules: Rules = Field(Rules(), description="bounds of the 28 rules")
    max_perplexity: float | None = Field(
        100_000, gt=0, description="largest perplexity that is kept; null: any (Curator's demonstration; not published)"
    )
    languages: tuple[str, ...] = Field(LANGUAGES, description="languages kept beside English (published: these 15)")
    switched_off: dict[str, tuple[str, ...]] = Field(
        {
            **dict.fromkeys(LANGUAGES, _ENGLISH_ONLY),
            "zh": (*_ENGLISH_ONLY, *_OF_WORDS),
            "ja": (*_ENGLISH_ONLY, *_OF_WORDS),
            "th": (*_ENGLISH_ONLY, *_OF_WORDS, "unended_line_share"),
            "ko": (*_ENGLISH_ONLY, "mean_word_characters", "whitespace_share"),
        },
        description="rules that are off, by language. Everywhere those of English alone: its frequent words, and the "
        "two that Curator's list for other languages leaves out. zh, ja, th: no blanks between words, so that a "
        "'word' is a clause. th: no mark ends a sentence. ko: words have 2 to 4 syllables, one character each, so that "
        "every fourth character is a blank",
    )
    min_purity: float = Field(
        0.9,
        ge=0,
        le=1,
        description="a check fails when fewer kept documents have, for CLD2, the language they stand under (default)",
    )
    purity_sample: int = Field(500, ge=1, description="documents that check looks at (default)")

    @field_validator("levels")
    @classmethod
    def _known_levels(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(values) - set(LEVELS):
            raise ValueError(f"unknown levels {', '.join(sorted(unknown))}; there are: {', '.join(LEVELS)}")
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
                    f"there are: {', '.join(Rules.model_fields)}"
                )
        return self


class Perplexity(Section):
    """The n-gram model whose perplexity is a filter (Nemotron-CC §2.3: KenLM on Wikipedia and books)."""

    model: str = Field(
        description="'embedded': characters, trained here; or a KenLM model with its SentencePiece pieces: a folder "
        "with en.arpa.bin and en.sp.model, or owner/repository/folder on Hugging Face (Curator: edugp/kenlm/wikipedia)"
    )
    max_megabytes: int = Field(
        64,
        ge=1,
        le=4_096,
        description="most text the embedded model learns, of web.quality.scorers.references (default)",
    )
    order: int = Field(6, ge=2, le=7, description="longest n-gram of characters (default)")
    min_count: int = Field(3, ge=1, description="rarer characters are one symbol (default)")
    held_out_share: float = Field(0.1, gt=0, lt=1, description="text kept aside to say how good it is (default)")
    token_characters: float = Field(
        4.0,
        gt=0,
        description="characters the embedded model's perplexity is of: about a piece of KenLM's, so that both "
        "have one scale (default)",
    )
    characters: int = Field(20_000, ge=100, description="start of a document that is judged, in characters (default)")
