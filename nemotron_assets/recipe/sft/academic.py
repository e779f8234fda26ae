"""Academic documents, questions about them, and questions about long documents."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.sampling import Sampled

Subject = Literal["mathematics", "physics", "chemistry", "biology", "medicine", "other"]
Level = Literal["school", "undergraduate", "graduate", "other"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
LEVELS: tuple[Level, ...] = get_args(Level)


class AcademicSource(Section):
    """How many documents of a table are looked at."""

    max_documents: int | None = Field(
        ge=0, description="most documents that the model labels, the best ones of the table; null for all"
    )
    min_characters: int = Field(500, ge=1, description="shorter documents are not looked at, in characters (default)")


class AcademicDocuments(Section):
    """Which documents are academic: a model labels the subject, the level and the educational quality (Nano 2
    §2.2.2)."""

    sources: dict[Literal["web.curated", "math.nemotron_cc_math"], AcademicSource] = Field(
        description="tables that documents are chosen from; a table that is not named is not used"
    )
    languages: tuple[str, ...] = Field(
        ("en",), min_length=1, description="languages of the documents, by the detector's codes (default)"
    )
    subjects: tuple[Subject, ...] = Field(
        ("mathematics", "chemistry", "biology", "physics", "medicine"),
        min_length=1,
        description="subjects that are kept (published: these five)",
    )
    levels: tuple[Level, ...] = Field(
        ("undergraduate", "graduate"), min_length=1, description="levels that are kept (published: these two)"
    )
    min_quality: float = Field(
        3.0,
        ge=0,
        le=5,
        description="lowest educational quality that is kept, 0 to 5. It is the score of the source table if it has "
        "one, else the model's label (default)",
    )
    label_tokens: int = Field(
        ge=32, description="tokens at the start of a document that the model reads for its labels (default)"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature of the labels; 0: greedy (default)")


Kind = Literal["multiple_choice", "free_response"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class AcademicQa(Sampled):
    """Questions about passages of academic documents, with answers and a justification (Nano 2 §2.2.2)."""

    kinds: tuple[Kind, ...] = Field(KINDS, min_length=1, description="kinds of questions (published: both)")
    chunk_tokens: int = Field(512, ge=32, description="longest snippet of a document, in tokens (published: 512)")
    min_chunk_tokens: int = Field(ge=1, description="shorter snippets are not used, in tokens (default)")
    max_documents: int | None = Field(
        ge=0,
        description="most documents that questions are written about, those with the lowest ids; null: all. The "
        "snippets of all documents are looked up",
    )
    passages_per_document: int | None = Field(
        ge=1, description="most snippets of a document that questions are written about, chosen by a hash; null: all"
    )
    embedding: str = Field(
        description="embedding that snippets are compared by: 'wordllama', a folder, or a Hugging Face sentence "
        "embedding (published: e5-large)"
    )
    embedding_prefix: str = Field("", description="what the embedding expects before a text, such as 'passage: '")
    neighbours: int = Field(
        250,
        ge=0,
        le=10_000,
        description="most similar snippets of other documents that are looked up per passage (published: 250)",
    )
    snippets_per_search: int = Field(
        1_000_000,
        ge=1,
        description="most snippets that are searched for the nearest ones together. With more, documents of one "
        "subject are searched in groups of this size, so that the work grows with the number of snippets (default)",
    )
    max_input_tokens: int = Field(
        ge=128, description="longest prompt: of the nearest snippets as many are shown as fit in, in tokens"
    )
    votes: int = Field(
        ge=0,
        le=64,
        description="times that the model answers a multiple-choice question from its passage; 0: nobody checks the "
        "answer (default)",
    )
    min_vote_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5, description="an answer is the majority's if more than this share of the votes give it (default)"
    )
    judge: bool = Field(
        True, description="whether the model judges if the passage supports the answer of a free question (default)"
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the questions gives no usable row (default)"
    )
    seed: int = Field(42, ge=0, description="seed of the choice of passages and of the order of options (default)")

    @field_validator("votes")
    @classmethod
    def _more_than_one(cls, votes: int) -> int:
        if votes == 1:
            raise ValueError("one vote is not a majority: give 0 for no votes, or at least 2")
        return votes


class LongdocQa(Sampled):
    """Questions about pieces of a long document, which follow the whole document (Nano 2 §2.6)."""

    min_document_tokens: int = Field(
        ge=64, description="shortest document that counts as long, in tokens (published: 32,768)"
    )
    max_document_tokens: int = Field(
        ge=64,
        description="a longer document is cut there, in tokens: document and questions are one sequence of the "
        "training on long context (published: 512k)",
    )
    max_documents: int | None = Field(ge=0, description="most long documents, those with the lowest hashes; null: all")
    chunk_tokens: int = Field(1024, ge=32, description="length of a piece, in tokens (published: 1,024)")
    chunk_share: float = Field(
        0.1, gt=0, le=1, description="share of the pieces that a question is written about (published: 0.1)"
    )
    max_input_tokens: int = Field(ge=128, description="longest prompt with its piece, in tokens")
    judge: bool = Field(True, description="whether the model judges if the piece supports the answer (default)")
    min_pairs: int = Field(1, ge=1, description="a document with fewer usable questions is rejected (default)")
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the documents gives no usable row (default)"
    )
    seed: int = Field(42, ge=0, description="seed of the choice of pieces and of the order of documents (default)")

    @model_validator(mode="after")
    def _bounds(self) -> LongdocQa:
        if self.max_document_tokens < self.min_document_tokens:
            raise ValueError(
                f"max_document_tokens {self.max_document_tokens} is less than min_document_tokens "
                f"{self.min_document_tokens}: no document could be used"
            )
        return self


class Academic(Section):
    """Academic documents, questions about them, and questions about long documents."""

    documents: AcademicDocuments
    qa: AcademicQa
    longdoc: LongdocQa
