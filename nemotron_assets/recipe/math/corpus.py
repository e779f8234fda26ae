"""Numbers of the mathematics corpus: from rendered pages to the published subsets and the dialogues about them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.recipe.section import Section

Style = Literal[
    "two_professors", "teacher_student", "two_students", "interview", "problem_solving", "layman_expert", "debate"
]
Subset = Literal["3", "4plus"]


class MathWriter(Section):
    """The language model that cleans pages and writes dialogues (Nemotron-CC-Math §2: microsoft/phi-4)."""

    model: str = Field(
        "generator",
        description="'generator' (that of `llm`), 'embedded', a folder, or a Hugging Face id; behind an "
        "endpoint the name of a model it serves",
    )
    max_model_len: int | None = Field(
        None, ge=256, description="context window in tokens (published: 16,384); null for llm.max_model_len"
    )


class MathCleaner(Section):
    """Clean-up of rendered pages (Nemotron-CC-Math §2.3, NeMo Curator's tutorial for the sampling)."""

    max_pages: int | None = Field(
        ge=0,
        description="pages of a snapshot given to the model, those with the lowest content hashes of the pages "
        "with formulas; the others are cleaned by rules; null for all pages (published)",
    )
    max_chunks: int | None = Field(ge=1, description="chunks of one page given to the model; null for all (published)")
    chunk_tokens: int = Field(ge=32, description="longest chunk, in the model's tokens (published: 5,000)")
    max_output_tokens: int = Field(ge=32, description="longest answer, in tokens (default)")
    max_prompt_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="chunks whose prompt takes more of the context window are left to the rules "
        "(published: 0.8, where they are dropped)",
    )
    temperature: float = Field(0.7, ge=0, le=2, description="sampling temperature (published: 0.7)")
    top_p: float = Field(0.8, gt=0, le=1, description="nucleus sampling (published: 0.8)")
    top_k: int | None = Field(20, ge=1, description="tokens that may be drawn (published: 20); null for all")
    max_invented: float = Field(
        0.2, ge=0, le=1, description="share of an answer's words that the chunk lacks (default)"
    )
    min_kept: float = Field(0.5, ge=0, le=1, description="share of the chunk's words that must be there (default)")
    max_added: float = Field(
        0.5,
        ge=0,
        description="formulas the model may write for what the page has in plain letters, as a share of the "
        "chunk's formulas, and two more (default)",
    )
    max_characters: int = Field(900_000, ge=1_000, description="longest text of a page (published: 900,000)")
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages read at a time (default)")
    max_lost: int = Field(0, ge=0, description="formulas and code blocks a check allows to be lost (default)")
    min_parseable: float = Field(
        0.95, ge=0, le=1, description="share of formulas whose TeX must parse, else a check warns (default)"
    )


class MathQuality(Section):
    """The score from 0 to 5 (Nemotron-CC-Math §2.4)."""

    classifier: str = Field(
        description="'embedded' (trained here on a rubric of countable features, quality.py), a folder, or a Hugging "
        "Face classifier with one output (published: HuggingFaceTB/finemath-classifier)"
    )
    crop_characters: int = Field(
        10_000, ge=100, description="characters read on either side of a text's middle (published: 10,000)"
    )
    classifier_tokens: int = Field(512, ge=8, le=8_192, description="tokens of it a checkpoint reads (published: 512)")
    classifier_batch: int = Field(64, ge=1, le=4_096, description="texts a checkpoint reads together (default)")
    embedding: str = Field(
        "wordllama", description="'wordllama', a folder, or a Hugging Face sentence embedding, for the embedded scorer"
    )
    embedding_tokens: int = Field(512, ge=8, le=8_192, description="tokens the embedded scorer reads (default)")
    documents: int = Field(2_000, ge=10, description="pages the embedded scorer learns from (default)")
    version: int = Field(1, ge=1, description="raise it to train again from the snapshots there are then")
    batch_rows: int = Field(256, ge=1, le=65_536, description="pages scored together (default)")

    @property
    def want_accelerator(self) -> bool:
        """Whether a transformer scores."""
        return self.classifier != "embedded" or self.embedding != "wordllama"


class MathContamination(Section):
    """Pages with benchmark items in them (Nemotron-CC-Math §2.6: cosine > 0.9 with a Qwen2.5-32B embedding; the
    overlap of words is default)."""

    ngram: int = Field(13, ge=3, le=64, description="words in a row that count as overlap (default, as usual)")
    min_share: float = Field(
        0.2, gt=0, le=1, description="share of an item's n-grams that a page must have, at least one (default)"
    )
    min_words: int = Field(
        5,
        ge=3,
        description="shorter questions are not looked for; those below `ngram` words count when all of it "
        "stands there and the answer follows (default)",
    )
    answer_words: int = Field(
        60, ge=1, description="how far behind a short question its answer or choices may stand, in words (default)"
    )
    embedding: str = Field(
        description="'wordllama', a folder, or a Hugging Face sentence embedding (published: based on Qwen2.5-32B)"
    )
    embedding_tokens: int = Field(512, ge=8, le=8_192, description="tokens of a passage that are embedded (default)")
    cosine: float = Field(0.9, gt=0, le=1, description="cosine above which a passage is an item (published: 0.9)")
    support: int = Field(
        ge=0,
        description="words in a row that passage and item must share besides, so that a weak embedding does not "
        "remove what is only alike; 0: the cosine alone (published)",
    )
    window_words: int = Field(60, ge=8, description="words of a passage that is embedded (default)")
    window_step: int = Field(30, ge=1, description="words between the starts of two passages (default)")
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages read at a time (default)")
    max_share: float = Field(
        0.01, ge=0, le=1, description="a check warns when a larger share of the pages is removed (published: 0.00002)"
    )


class MathRelease(Section):
    """The published subsets (Nemotron-CC-Math §2.4)."""

    lowest_score: dict[Subset, int] = Field(
        {"3": 3, "4plus": 4}, description="lowest score of each subset; a page is in the highest one it reaches"
    )
    memory_mb: int = Field(512, ge=128, description="memory of the joins, in MB; more goes to disk (default)")

    @model_validator(mode="after")
    def _both(self) -> MathRelease:
        low, high = self.lowest_score.get("3"), self.lowest_score.get("4plus")
        if low is None or high is None or not 0 <= low < high <= 5:
            raise ValueError("lowest_score needs a score for 3 and a higher one for 4plus, 0 to 5")
        return self


class Mind(Section):
    """Dialogues about pages (Nemotron Nano 2 §2.2.1 for the styles and phi-4; MIND for chunks, sampling and floor)."""

    styles: tuple[Style, ...] = Field(
        (
            "two_professors",
            "teacher_student",
            "two_students",
            "interview",
            "problem_solving",
            "layman_expert",
            "debate",
        ),
        min_length=1,
        description="kinds of dialogue (published: these seven)",
    )
    styles_per_chunk: int = Field(ge=1, le=7, description="dialogues written about a chunk, each in another style")
    max_pages: int | None = Field(ge=0, description="pages of a snapshot written about, the best first; null for all")
    max_chunks: int | None = Field(ge=1, description="chunks of one page written about; null for all")
    best_if_none: bool = Field(
        False, description="where no page is in 4plus, write about those with the highest scores instead (default)"
    )
    chunk_tokens: int = Field(ge=64, description="longest chunk, in the model's tokens (published: 500)")
    min_chunk_tokens: int = Field(20, ge=1, description="shortest chunk, in tokens (default)")
    max_output_tokens: int = Field(ge=64, description="longest dialogue, in tokens (published: 4,096)")
    min_tokens: int = Field(50, ge=1, description="shortest dialogue kept, in tokens (published: 50)")
    min_turns: int = Field(3, ge=2, le=100, description="fewest turns of a dialogue (default)")
    max_turns: int = Field(ge=3, le=400, description="most turns that the grammar allows (default)")
    max_turn_characters: int = Field(ge=40, le=20_000, description="longest turn that the grammar allows (default)")
    temperature: float = Field(1.0, ge=0, le=2, description="sampling temperature (published: 1.0)")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling (published: 0.9)")
    max_reject_share: float = Field(ge=0, le=1, description="a check warns when more answers are unusable (default)")


class MathCorpus(Section):
    """Nemotron-CC-Math from rendered pages on."""

    writer: MathWriter = MathWriter()
    cleaner: MathCleaner
    quality: MathQuality
    dedup: Dedup = Field(description="near-duplicates over all snapshots, by the web's kernel (Nemotron-CC-Math §2.5)")
    contamination: MathContamination
    release: MathRelease = MathRelease()
    mind: Mind
