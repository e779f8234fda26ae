"""How SFT answers are sampled: numbers that all rooms of the SFT data share."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Sampled(Section):
    """How a model is asked for one kind of answer (sampling and limits were not published)."""

    temperature: float = Field(0.7, ge=0, le=2, description="sampling temperature (default)")
    top_p: float = Field(
        0.95,
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn "
        "(published for code: 0.95)",
    )
    max_output_tokens: int = Field(ge=8, description="longest answer, in tokens; a longer one is rejected (default)")
    max_line: int = Field(
        400, ge=20, le=20_000, description="longest line that the output grammar allows, in characters (default)"
    )
    max_lines: int = Field(
        40, ge=1, le=2_000, description="most lines of text or reasoning that the output grammar allows (default)"
    )
    enforce_form: bool = Field(
        True,
        description="whether the output grammar is enforced while the model writes; false: only the prompt says what "
        "form the answer has, which strong models keep to (default)",
    )
    max_characters: int = Field(
        100_000,
        ge=20,
        description="longest answer that is used, in characters; it protects from an endpoint that ignores the limit "
        "of tokens (default)",
    )


class Vote(Section):
    """How the samples of one question decide about its answer (published: 16 to 64 samples for mathematics)."""

    samples: int = Field(ge=1, le=128, description="answers asked for per question")
    min_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="an answer wins if more than this share of all samples asked for give it, and at least two; "
        "samples that cannot be used count against every answer (default)",
    )
