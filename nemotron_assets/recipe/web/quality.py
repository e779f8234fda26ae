"""Numbers of the quality ensemble: annotations, three scorers, cut points, levels."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

Level = Literal["high", "medium_high", "medium", "medium_low", "low"]
#: Levels of quality, the best first.
LEVELS: tuple[Level, ...] = get_args(Level)


class Annotations(Section):
    """Scores from 0 to 5 that a language model gives to a sample of documents (Nemotron-CC §2.2: 460k documents).

    Two prompts, called annotators, ask for the score in different words. All but the number of documents is default.
    """

    documents: int = Field(ge=10, description="English documents that are scored: those with the lowest content hashes")
    controls: int = Field(
        ge=0,
        description="known good passages that are scored, too, once as they are and once with their words shuffled",
    )
    text_tokens: int = Field(ge=16, description="tokens at the start of a text that the model is shown")
    temperature: float = Field(ge=0, le=2, description="sampling temperature; 0 takes the most likely score")
    top_p: float = Field(
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn",
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check fails when a larger share of the answers has no score"
    )
    min_over_shuffled: float = Field(
        ge=0,
        le=1,
        description="a check warns when good passages get a higher score than their shuffled words in a smaller share "
        "of the pairs; 0.5 is chance",
    )
    seed: int = Field(42, ge=0, description="seed of the order of the shuffled words")
    version: int = Field(
        1,
        ge=1,
        description="raise it to choose and score documents again, from the snapshots that are in the lake then",
    )


class Scorers(Section):
    """The three scorers of the ensemble (Nemotron-CC §2.2; settings of scorers trained here are default).

    Each scorer is a published checkpoint, or `embedded`: a small model that is trained here.
    """

    edu_a: str = Field(
        description="scorer of educational value that learned from the first annotator: 'embedded', a folder, or a "
        "Hugging Face classifier with one output (published: nvidia/nemocurator-fineweb-nemotron-4-edu-classifier)"
    )
    edu_b: str = Field(
        description="scorer of educational value that learned from the second annotator: 'embedded', a folder, or a "
        "Hugging Face classifier with one output (published: nvidia/nemocurator-fineweb-mixtral-edu-classifier)"
    )
    reference: str = Field(
        description="scorer that tells reference text from the crawl: 'embedded', a fastText .bin or .ftz file, or one "
        "on Hugging Face as owner/repository/file (published: mlfoundations/fasttext-oh-eli5, label __label__hq)"
    )
    classifier_tokens: int = Field(
        512,
        ge=8,
        le=8_192,
        description="tokens at the start of a text that a published classifier reads (published: 512)",
    )
    classifier_batch: int = Field(
        64,
        ge=1,
        le=4_096,
        description="texts that a published classifier reads together; more need more memory (default)",
    )
    embedding: str = Field(
        "wordllama",
        description="embedding under the embedded edu scorers: 'wordllama' (word vectors from the package wordllama), "
        "a folder, or a Hugging Face sentence embedding (default)",
    )
    embedding_tokens: int = Field(
        512, ge=8, le=8_192, description="tokens at the start of a text that are embedded (default)"
    )
    references: str = Field(
        "sample",
        description="reference text, known to be good: 'sample' (passages and questions of the embedded sample), a "
        "JSONL file, or a folder of them, with `text` or `question` and `answer` in every line",
    )
    max_references: int = Field(200_000, ge=10, description="most reference texts used (published: 200k)")
    crawl_documents: int = Field(
        ge=10,
        description="documents of the crawl that the embedded reference scorer learns to tell from reference text "
        "(published: 200k)",
    )
    ngrams: int = Field(
        2, ge=1, le=5, description="longest n-gram of the embedded reference scorer, in words (published: 2)"
    )
    features_log2: int = Field(
        18,
        ge=10,
        le=24,
        description="the n-grams of the embedded reference scorer are hashed into 2^features_log2 buckets; more "
        "buckets mix fewer n-grams (default)",
    )
    regularisation: float = Field(
        10.0,
        gt=0,
        description="inverse strength of the L2 penalty of the embedded reference scorer: a larger value fits the "
        "training texts more closely (default)",
    )
    characters: int = Field(
        10_000,
        ge=100,
        description="characters at the start of a text that the embedded reference scorer reads (default)",
    )
    version: int = Field(
        1, ge=1, description="raise it to train the embedded scorers again, on the snapshots that are in the lake then"
    )

    @property
    def want_accelerator(self) -> bool:
        """Whether one of the scorers is a transformer."""
        return {self.edu_a, self.edu_b} != {"embedded"} or self.embedding != "wordllama"


class Thresholds(Section):
    """Cut points that turn a score into an integer from 0 to 19 (NeMo Curator's recipe for Nemotron-CC).

    They are percentiles of the score, weighted by the length of the texts. They are computed once and then used for all
    later snapshots.
    """

    percentiles: tuple[int, ...] = Field(
        tuple(range(5, 100, 5)), description="percentiles that are cut points (published: 5, 10, ..., 95)"
    )
    sample_share: float = Field(
        gt=0, le=1, description="share of the scored documents that the cut points are computed from"
    )
    max_documents: int = Field(
        50_000_000,
        ge=100,
        description="most documents that the cut points are computed from; each needs 32 bytes of memory (default)",
    )
    version: int = Field(
        1, ge=1, description="raise it to compute the cut points again, from the snapshots that are in the lake then"
    )

    @field_validator("percentiles")
    @classmethod
    def _ascending(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if not values or list(values) != sorted(set(values)) or values[0] <= 0 or values[-1] >= 100:
            raise ValueError(f"percentiles {list(values)} must ascend, and lie above 0 and below 100")
        return values


class Quality(Section):
    """The quality ensemble (Nemotron-CC §2.2): three integers 0..19, of which the largest gives the level."""

    annotations: Annotations
    scorers: Scorers
    thresholds: Thresholds
    batch_rows: int = Field(256, ge=1, le=65_536, description="documents scored together (default)")
    lowest_bucket: dict[str, int] = Field(
        {"high": 19, "medium_high": 18, "medium": 12, "medium_low": 7, "low": 0},
        description="lowest integer of each level (published: 19, 18, 12-17, 7-11, 0-6; Nemotron-CC §2.2)",
    )
    published_shares: dict[str, float] = Field(
        {"high": 0.1263, "medium_high": 0.1152, "medium": 0.4624, "medium_low": 0.2043, "low": 0.0918},
        description="share of each level in the published data, by tokens (Nemotron-CC §2.2); a check compares with it",
    )
    share_tolerance: float = Field(
        ge=0,
        le=1,
        description="a check warns when a level's share differs from the published one by more than this (default)",
    )

    @field_validator("lowest_bucket")
    @classmethod
    def _levels(cls, values: dict[str, int]) -> dict[str, int]:
        bounds = [values.get(level, -1) for level in LEVELS]
        if set(values) != set(LEVELS) or bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError(f"{values}: needs an integer for each of {', '.join(LEVELS)}, descending, with low at 0")
        return values

    @field_validator("published_shares")
    @classmethod
    def _every_level(cls, values: dict[str, float]) -> dict[str, float]:
        if set(values) != set(LEVELS):
            raise ValueError(f"{values}: needs a share for each of {', '.join(LEVELS)}")
        return values
