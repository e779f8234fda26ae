"""Numbers of the synthetic web data: rephrasing, questions and answers, translation."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class DiverseQa(Section):
    """Diverse QA (Nemotron-CC §2.4; token limits and sampling of the open recipe, NeMo Curator)."""

    max_documents: int | None = Field(ge=1, description="most documents per snapshot; null for all")
    max_segments: int | None = Field(ge=1, description="most segments of one document; null for all")
    temperature: float = Field(ge=0, le=2, description="sampling temperature")
    top_p: float = Field(gt=0, le=1, description="nucleus sampling")
    max_input_tokens: int = Field(ge=256, description="prompt and segment together, in tokens")
    max_output_tokens: int = Field(ge=32, description="longest answer, in tokens; longer ones are dropped")
    min_document_tokens: int = Field(ge=1, description="shortest document used, in tokens")
    min_segment_tokens: int = Field(ge=1, description="shortest segment used, in tokens")
    min_tokens_after: int = Field(ge=1, description="shortest sample kept, in tokens")
    max_questions: int = Field(ge=1, le=64, description="question/answer pairs asked for")
    max_question_characters: int = Field(ge=20, le=4_000, description="longest question the grammar allows (default)")
    max_answer_characters: int = Field(ge=20, le=8_000, description="longest answer the grammar allows (default)")
    tokens_per_ten_pairs: int = Field(
        ge=1, description="keep randint(1, max(1, floor(10 * segment tokens / this))) pairs (published: 150)"
    )
    max_reject_share: float = Field(ge=0, le=1, description="a check fails when more segments give no sample (default)")
    seed: int = Field(ge=0, description="seed of the sampling and of the choice of pairs")
