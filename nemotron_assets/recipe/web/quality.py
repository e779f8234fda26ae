"""Numbers of the quality ensemble: annotations, three scorers, cut points, levels."""

from __future__ import annotations

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

#: Levels of quality, the best first.
LEVELS = ("high", "medium_high", "medium", "medium_low", "low")


class Annotations(Section):
    """Scores from 0 to 5 that a language model gives a sample of documents, in the words of two annotators
    (Nemotron-CC §2.2: 460k documents; the rest is default)."""

    documents: int = Field(ge=10, description="English documents judged; those with the lowest content hash")
    controls: int = Field(ge=0, description="reference passages judged as well, each also with its words shuffled")
    text_tokens: int = Field(ge=16, description="start of a text that is shown to the model, in its tokens")
    temperature: float = Field(ge=0, le=2, description="sampling temperature; 0 takes the likeliest digit")
    top_p: float = Field(gt=0, le=1, description="nucleus sampling")
    max_reject_share: float = Field(ge=0, le=1, description="a check fails when more judgements cannot be read")
    min_over_shuffled: float = Field(
        ge=0, le=1, description="a check warns when passages beat their shuffled words less often; 0.5 is chance"
    )
    seed: int = Field(42, ge=0, description="seed of the shuffled words")
    version: int = Field(1, ge=1, description="raise it to sample and judge again, from the snapshots there are then")


class Scorers(Section):
    """The three scorers of the ensemble (Nemotron-CC §2.2). Each is a published checkpoint, or `embedded`: trained
    here. Trained settings are default."""

    edu_a: str = Field(
        description="educational value, first annotator: 'embedded', a folder, or a Hugging Face classifier with one "
        "output (published: nvidia/nemocurator-fineweb-nemotron-4-edu-classifier)"
    )
    edu_b: str = Field(
        description="educational value, second annotator (published: nvidia/nemocurator-fineweb-mixtral-edu-classifier)"
    )
    reference: str = Field(
        description="resemblance to good text: 'embedded', a fastText .bin or .ftz, or one on Hugging Face as "
        "owner/repository/file (published: mlfoundations/fasttext-oh-eli5, label __label__hq)"
    )
    classifier_tokens: int = Field(512, ge=8, le=8_192, description="start of a text a checkpoint reads (published)")
    classifier_batch: int = Field(64, ge=1, le=4_096, description="texts a checkpoint reads together (default)")
    embedding: str = Field(
        "wordllama", description="'wordllama' (static, in its package), a folder, or a Hugging Face sentence embedding"
    )
    embedding_tokens: int = Field(512, ge=8, le=8_192, description="start of a text that is embedded, in tokens")
    references: str = Field("sample", description="good text: 'sample' (seed passages and questions), or JSONL files")
    max_references: int = Field(200_000, ge=10, description="most good texts used (published: 200k)")
    crawl_documents: int = Field(ge=10, description="documents of the crawl they are told from (published: 200k)")
    ngrams: int = Field(2, ge=1, le=5, description="longest word n-gram (published: bigrams)")
    features_log2: int = Field(18, ge=10, le=24, description="hash buckets of the n-grams, as a power of two")
    regularisation: float = Field(10.0, gt=0, description="inverse strength of the n-gram classifier's L2 penalty")
    characters: int = Field(10_000, ge=100, description="start of a text the n-gram classifier reads, in characters")
    version: int = Field(1, ge=1, description="raise it to train again from the snapshots there are then")

    @property
    def want_accelerator(self) -> bool:
        """Whether one of the scorers is a transformer."""
        return {self.edu_a, self.edu_b} != {"embedded"} or self.embedding != "wordllama"


class Thresholds(Section):
    """Where a score is cut into integers (NeMo Curator's Nemotron-CC recipe): length-weighted percentiles, computed
    once and used for all later snapshots."""

    percentiles: tuple[int, ...] = Field(tuple(range(5, 100, 5)), description="cut points (published: 5, 10, ..., 95)")
    sample_share: float = Field(gt=0, le=1, description="share of the scored documents they are computed from")
    max_documents: int = Field(
        50_000_000, ge=100, description="most documents of the sample; bounds memory to 32 bytes each (default)"
    )
    version: int = Field(1, ge=1, description="raise it to compute them again from the snapshots there are then")

    @field_validator("percentiles")
    @classmethod
    def _ascending(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if not values or list(values) != sorted(set(values)) or values[0] <= 0 or values[-1] >= 100:
            raise ValueError("percentiles must ascend between 0 and 100, both excluded")
        return values


class Quality(Section):
    """The quality ensemble (Nemotron-CC §2.2): three scores, each an integer 0..19, the largest of them a level."""

    annotations: Annotations
    scorers: Scorers
    thresholds: Thresholds
    batch_rows: int = Field(256, ge=1, le=65_536, description="documents scored together (default)")
    lowest_bucket: dict[str, int] = Field(
        {"high": 19, "medium_high": 18, "medium": 12, "medium_low": 7, "low": 0},
        description="lowest integer of each level (Nemotron-CC §2.2: 19, 18, 12-17, 7-11, 0-6)",
    )
    published_shares: dict[str, float] = Field(
        {"high": 0.1263, "medium_high": 0.1152, "medium": 0.4624, "medium_low": 0.2043, "low": 0.0918},
        description="share of each level in the published data, by tokens (Nemotron-CC §2.2)",
    )
    share_tolerance: float = Field(ge=0, le=1, description="a check warns beyond published share +- this (default)")

    @field_validator("lowest_bucket")
    @classmethod
    def _levels(cls, values: dict[str, int]) -> dict[str, int]:
        bounds = [values.get(level, -1) for level in LEVELS]
        if set(values) != set(LEVELS) or bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError(f"needs the levels {', '.join(LEVELS)}, descending, the last at 0")
        return values

    @field_validator("published_shares")
    @classmethod
    def _every_level(cls, values: dict[str, float]) -> dict[str, float]:
        if set(values) != set(LEVELS):
            raise ValueError(f"needs a share for each of {', '.join(LEVELS)}")
        return values
