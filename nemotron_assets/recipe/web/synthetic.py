"""Numbers of the synthetic web data: rephrased documents, and questions with answers.

Limits and sampling are those of the open recipe (NeMo Curator and the Nemotron recipes). Which prompt is asked about
which quality level is Nemotron-CC §2.4.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.quality import Level
from nemotron_assets.recipe.web.translation import LANGUAGES, Language


class PromptLimits(Section):
    """What a prompt is asked about, and how long prompt and answer may be."""

    documents: dict[Level, Annotated[int, Field(ge=1)] | None] = Field(
        description="quality levels whose documents are used, each with the most documents per snapshot, or null for "
        "all: {high: 100, low: null}"
    )
    max_segments: int | None = Field(
        ge=1,
        description="most segments of a document that are used, the first ones; null for all. A segment is a run of "
        "lines that fits into the prompt",
    )
    max_input_tokens: int = Field(
        ge=128, description="longest prompt with its segment, in tokens; decides how long a segment can be"
    )
    max_output_tokens: int = Field(
        ge=32,
        description="longest answer, in tokens; an answer of so many tokens, or up to 2 fewer, is dropped as cut off",
    )
    min_document_tokens: int = Field(ge=1, description="shortest document that is used, in tokens")
    min_segment_tokens: int = Field(ge=1, description="shortest segment that is used, in tokens")
    min_tokens_after: int = Field(ge=1, description="shortest text made from the answers that is kept, in tokens")


class ProseLimits(PromptLimits):
    """A prompt that is answered with lines of text.

    The output grammar limits the lines, because a weak model may go on writing until max_output_tokens.
    """

    max_lines: int = Field(
        ge=1, le=1_000, description="most lines or list items that the output grammar allows (default)"
    )
    max_line_characters: int = Field(
        ge=40,
        le=20_000,
        description="longest line that the output grammar allows, in characters; an answer with a line of this length "
        "is dropped as cut off (default)",
    )


class Rephrased(Section):
    """Rephrasing of documents by four prompts (Nemotron-CC §2.4)."""

    temperature: float = Field(ge=0, le=2, description="sampling temperature; a higher one gives more varied answers")
    top_p: float = Field(
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn",
    )
    wikipedia: ProseLimits = Field(description="prompt for a paraphrase in the style of an encyclopedia")
    distill: ProseLimits = Field(description="prompt for a shorter paraphrase that keeps the facts")
    extract_knowledge: ProseLimits = Field(description="prompt for the knowledge in a text, written as in a textbook")
    knowledge_list: ProseLimits = Field(description="prompt for the facts of a text as a list")
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the segments gives no usable text (default)"
    )

    def prompts(self) -> dict[str, ProseLimits]:
        """The limits of every prompt by its name."""
        return {
            name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), ProseLimits)
        }


class DiverseQa(PromptLimits):
    """Diverse QA: questions of several kinds about a segment, with answers (Nemotron-CC §2.4)."""

    temperature: float = Field(ge=0, le=2, description="sampling temperature; a higher one gives more varied answers")
    top_p: float = Field(
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn",
    )
    max_questions: int = Field(ge=1, le=64, description="most question/answer pairs that the prompt asks for")
    max_question_characters: int = Field(
        ge=20, le=4_000, description="longest question that the output grammar allows, in characters (default)"
    )
    max_answer_characters: int = Field(
        ge=20, le=8_000, description="longest answer that the output grammar allows, in characters (default)"
    )
    tokens_per_ten_pairs: int = Field(
        ge=1,
        description="of the pairs of a segment, randint(1, max(1, floor(10 * tokens of the segment / this))) are kept: "
        "a larger value keeps fewer (published: 150)",
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the segments gives no usable pair (default)"
    )
    seed: int = Field(ge=0, description="seed of the choice and order of the pairs")


class NativeQa(Section):
    """Diverse QA in the language of the text, about Wikipedia in other languages (Nano 2 §2.2.2). An optional source:
    limits and sampling are those of `web.diverse_qa`."""

    max_documents: int | None = Field(
        0, ge=0, description="most documents per language and snapshot; 0: none are written, null: all (default)"
    )
    languages: tuple[Language, ...] = Field(
        LANGUAGES, min_length=1, description="languages, by ISO 639-1 code (published: these 15)"
    )
    hosts: tuple[str, ...] = Field(
        ("wikipedia.org",),
        min_length=1,
        description="hosts of the pages, with all hosts below them: wikipedia.org stands for de.wikipedia.org, too "
        "(published: Wikipedia)",
    )
