"""Numbers of the synthetic web data: rephrasing, questions and answers.

Limits and sampling are those of the open recipe (NeMo Curator and the Nemotron recipes), which prompt is asked about
which level is Nemotron-CC §2.4.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section

Level = Literal["high", "medium_high", "medium", "medium_low", "low"]


class PromptLimits(Section):
    """What one prompt is asked about, and how long questions and answers are."""

    documents: dict[Level, Annotated[int, Field(ge=1)] | None] = Field(
        description="quality levels written about, and the most documents of each per snapshot; null for all"
    )
    max_segments: int | None = Field(ge=1, description="most segments of one document; null for all")
    max_input_tokens: int = Field(ge=128, description="prompt and segment together, in tokens")
    max_output_tokens: int = Field(ge=32, description="longest answer, in tokens; answers within 2 of it are dropped")
    min_document_tokens: int = Field(ge=1, description="shortest document used, in tokens")
    min_segment_tokens: int = Field(ge=1, description="shortest segment used, in tokens")
    min_tokens_after: int = Field(ge=1, description="shortest text kept, in tokens")


class ProseLimits(PromptLimits):
    """A prompt that is answered by lines of text. The grammar's bounds keep a model from writing on and on."""

    max_lines: int = Field(ge=1, le=1_000, description="most lines or list items the grammar allows (default)")
    max_line_characters: int = Field(
        ge=40, le=20_000, description="longest line the grammar allows; an answer that reaches it is dropped (default)"
    )


class Rephrased(Section):
    """Rephrasings of documents with four prompts (Nemotron-CC §2.4)."""

    temperature: float = Field(ge=0, le=2, description="sampling temperature")
    top_p: float = Field(gt=0, le=1, description="nucleus sampling")
    wikipedia: ProseLimits = Field(description="paraphrase in the style of an encyclopedia")
    distill: ProseLimits = Field(description="condensed paraphrase")
    extract_knowledge: ProseLimits = Field(description="what a text teaches, as a textbook would put it")
    knowledge_list: ProseLimits = Field(description="the facts of a text as a list")
    max_reject_share: float = Field(ge=0, le=1, description="a check warns when more segments give no text (default)")

    def prompts(self) -> dict[str, ProseLimits]:
        """The limits of every prompt by its name."""
        return {
            name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), ProseLimits)
        }


class DiverseQa(PromptLimits):
    """Diverse QA: questions of several kinds and their answers (Nemotron-CC §2.4)."""

    temperature: float = Field(ge=0, le=2, description="sampling temperature")
    top_p: float = Field(gt=0, le=1, description="nucleus sampling")
    max_questions: int = Field(ge=1, le=64, description="question/answer pairs asked for")
    max_question_characters: int = Field(ge=20, le=4_000, description="longest question the grammar allows (default)")
    max_answer_characters: int = Field(ge=20, le=8_000, description="longest answer the grammar allows (default)")
    tokens_per_ten_pairs: int = Field(
        ge=1, description="keep randint(1, max(1, floor(10 * segment tokens / this))) pairs (published: 150)"
    )
    max_reject_share: float = Field(ge=0, le=1, description="a check warns when more segments give no sample (default)")
    seed: int = Field(ge=0, description="seed of the choice of pairs")
