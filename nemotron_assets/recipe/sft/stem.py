"""Science questions: expansion, near-duplicates, answers, multiple choice (Nemotron Nano 2 §2.2.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.inputs import generators
from nemotron_assets.recipe.sft.sampling import Sampled, Vote

#: How a new question differs from the one that it is made from.
Mode = Literal["similar", "harder", "varied"]


class Expansion(Sampled):
    """New questions that models write from seeds and, in later rounds, from the questions of the round before."""

    rounds: int = Field(ge=1, le=10, description="rounds of expansion (published: 3)")
    modes: tuple[Mode, ...] = Field(
        ("similar", "harder", "varied"),
        min_length=1,
        description="prompts that every question is expanded with in every round (published: these three)",
    )
    max_questions: int | None = Field(
        None,
        ge=1,
        description="most questions that a round begins with, those with the lowest ids; null for all (published)",
    )
    min_characters: int = Field(20, ge=1, description="shortest question that is kept, in characters (default)")
    max_tokens: int = Field(
        1_024, ge=16, description="longest question that is expanded or answered, in tokens (default)"
    )


class NearQuestions(Section):
    """Near-duplicates among questions, found by MinHash and verified (published: fuzzy dedup, without numbers)."""

    min_similarity: float = Field(
        0.7,
        gt=0,
        le=1,
        description="Jaccard similarity of their shingles from which two questions are near-duplicates (default)",
    )
    characters: int = Field(
        8, ge=1, le=64, description="characters in a shingle; questions are too short for shingles of words (default)"
    )
    permutations: int = Field(128, ge=16, le=4_096, description="hash functions of a signature (default)")
    bands: int = Field(32, ge=1, le=1_024, description="bands of a signature (default)")
    rows: int = Field(4, ge=1, le=256, description="values of the signature in one band (default)")


class Recast(Sampled):
    """Questions in the form of multiple choice, as MMLU (4 options) and MMLU-Pro (10 options) have them."""

    options: tuple[int, ...] = Field(
        (4, 10), description="numbers of options; a question has a row for each that it has enough options for"
    )
    wrong: int = Field(9, ge=1, le=20, description="wrong options that the model is asked for (default)")
    neighbours: int = Field(
        50,
        ge=0,
        le=1_000,
        description="answers to other questions of the topic that may stand as wrong options, if the question's own "
        "and the model's are too few (default)",
    )


class Stem(Section):
    """Science questions: expansion, answers, multiple choice."""

    seeds: tuple[str, ...] = Field(
        ("stem_questions",),
        min_length=1,
        description="sets of sft.seeds that the questions start from; MMLU's auxiliary training set is one more set",
    )
    max_seeds: int | None = Field(
        ge=1, description="most seeds, those with the lowest content hashes; null for all (published: 88,600)"
    )
    generators: tuple[str, ...] = generators()
    expansion: Expansion
    near: NearQuestions = NearQuestions()
    solving: Sampled
    vote: Vote
    recast: Recast
    batch_questions: int = Field(
        512, ge=1, le=65_536, description="questions that are worked on together; more need more memory (default)"
    )
