"""Numbers of the mathematics corpus: from rendered pages to the published subsets, and dialogues about them."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from nemotron_assets.recipe.contamination import Overlap
from nemotron_assets.recipe.dedup import Dedup
from nemotron_assets.recipe.section import Section

Style = Literal[
    "two_professors", "teacher_student", "two_students", "interview", "problem_solving", "layman_expert", "debate"
]
Subset = Literal["3", "4plus"]


class MathWriter(Section):
    """The language model that cleans pages and writes dialogues (published: microsoft/phi-4; Nemotron-CC-Math §2)."""

    model: str = Field(
        "generator",
        description="'generator' (the model of `llm`), 'embedded', a folder, or a Hugging Face id; with llm.engine "
        "openai the name of a model that the endpoint serves",
    )
    max_model_len: int | None = Field(
        None, ge=256, description="context window of this model, in tokens (published: 16,384); null: llm.max_model_len"
    )


class MathCleaner(Section):
    """Clean-up of rendered pages by the language model (Nemotron-CC-Math §2.3; sampling: NeMo Curator's tutorial)."""

    max_pages: int | None = Field(
        ge=0,
        description="most pages of a snapshot that the model cleans: pages with formulas, those with the lowest "
        "content hashes. Rules clean the others. null: the model cleans all pages (published)",
    )
    max_chunks: int | None = Field(
        ge=1, description="most chunks of a page that the model cleans; rules clean the rest. null: all (published)"
    )
    chunk_tokens: int = Field(ge=32, description="longest chunk of a page, in tokens of the model (published: 5,000)")
    max_output_tokens: int = Field(
        ge=32, description="longest answer, in tokens; a chunk whose answer reaches it is cleaned by rules (default)"
    )
    max_prompt_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="rules clean a chunk whose prompt takes a larger share of the context window (published: 0.8, but "
        "there such chunks are dropped)",
    )
    temperature: float = Field(
        0.7, ge=0, le=2, description="sampling temperature; a higher one gives more varied answers (published: 0.7)"
    )
    top_p: float = Field(
        0.8,
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn "
        "(published: 0.8)",
    )
    top_k: int | None = Field(
        20, ge=1, description="only so many of the most likely tokens may be drawn (published: 20); null: any"
    )
    max_invented: float = Field(
        0.2,
        ge=0,
        le=1,
        description="an answer is discarded if a larger share of its words is not in the chunk (default)",
    )
    min_kept: float = Field(
        0.5,
        ge=0,
        le=1,
        description="an answer is discarded if it has less than this share of the chunk's words (default)",
    )
    max_added: float = Field(
        0.5,
        ge=0,
        description="an answer may have new formulas for what the chunk has in plain letters ($p$ for p): at most this "
        "share of the chunk's formulas, and two more (default)",
    )
    max_characters: int = Field(
        900_000, ge=1_000, description="characters of a page that are kept; the rest is cut off (published: 900,000)"
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages read at a time (default)")
    max_lost: int = Field(
        0, ge=0, description="a check fails when more formulas and code blocks of a snapshot are lost (default)"
    )
    min_parseable: float = Field(
        0.95,
        ge=0,
        le=1,
        description="a check warns when the TeX of a smaller share of the formulas can be parsed (default)",
    )


class MathQuality(Section):
    """The scorer that gives every page a score from 0 to 5 (Nemotron-CC-Math §2.4)."""

    classifier: str = Field(
        description="scorer: 'embedded' (trained here on features that can be counted, such as formulas and words of "
        "reasoning), a folder, or a Hugging Face classifier with one output (published: "
        "HuggingFaceTB/finemath-classifier)"
    )
    crop_characters: int = Field(
        10_000,
        ge=100,
        description="characters on each side of the middle of a text that are scored (published: 10,000)",
    )
    classifier_tokens: int = Field(
        512,
        ge=8,
        le=8_192,
        description="tokens at the start of the cropped text that a published classifier reads (published: 512)",
    )
    classifier_batch: int = Field(
        64,
        ge=1,
        le=4_096,
        description="texts that a published classifier reads together; more need more memory (default)",
    )
    embedding: str = Field(
        "wordllama",
        description="embedding under the embedded scorer: 'wordllama' (word vectors from the package wordllama), a "
        "folder, or a Hugging Face sentence embedding (default)",
    )
    embedding_tokens: int = Field(
        512, ge=8, le=8_192, description="tokens at the start of a text that the embedded scorer reads (default)"
    )
    documents: int = Field(2_000, ge=10, description="pages that the embedded scorer is trained on (default)")
    version: int = Field(
        1, ge=1, description="raise it to train the embedded scorer again, on the snapshots that are in the lake then"
    )
    batch_rows: int = Field(256, ge=1, le=65_536, description="pages that are scored together (default)")

    @property
    def want_accelerator(self) -> bool:
        """Whether the scorer, or the embedding under it, is a transformer."""
        return self.classifier != "embedded" or self.embedding != "wordllama"


class MathContamination(Overlap):
    """How benchmark items are found in pages, so that no model is trained on them (Nemotron-CC-Math §2.6).

    Published is the comparison of embeddings (cosine > 0.9, based on Qwen2.5-32B); the overlap of words is default.
    """

    embedding: str = Field(
        description="embedding that passages and items are compared by: 'wordllama', a folder, or a Hugging Face "
        "sentence embedding (published: based on Qwen2.5-32B)"
    )
    embedding_tokens: int = Field(
        512, ge=8, le=8_192, description="tokens at the start of a passage that are embedded (default)"
    )
    cosine: float = Field(
        0.9,
        gt=0,
        le=1,
        description="a passage counts as an item when the cosine of their embeddings is above this (published: 0.9)",
    )
    support: int = Field(
        ge=0,
        description="words in a row that passage and item must also share, because a weak embedding finds passages "
        "that are only similar; 0: the cosine decides alone (published)",
    )
    window_words: int = Field(
        60, ge=8, description="words in a passage, the piece of a page that is compared with items (default)"
    )
    window_step: int = Field(
        30,
        ge=1,
        description="words from the start of a passage to the start of the next one; passages overlap if it is below "
        "window_words (default)",
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="pages read at a time (default)")
    max_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="a check warns when a larger share of the pages is removed for benchmark items (published: 0.00002 "
        "were removed)",
    )


class MathRelease(Section):
    """The published subsets (Nemotron-CC-Math §2.4)."""

    lowest_score: dict[Subset, int] = Field(
        {"3": 3, "4plus": 4},
        description="lowest score of a page in each subset; a page is in the highest subset that its score reaches",
    )
    memory_mb: int = Field(
        512,
        ge=128,
        description="memory of the joins, in MB; what does not fit goes to temporary files on the disk (default)",
    )

    @model_validator(mode="after")
    def _both(self) -> MathRelease:
        low, high = self.lowest_score.get("3"), self.lowest_score.get("4plus")
        if low is None or high is None or not 0 <= low < high <= 5:
            raise ValueError(f"lowest_score {self.lowest_score} needs a score for 3 and a higher one for 4plus, 0 to 5")
        return self


class Mind(Section):
    """Dialogues about pages (styles, phi-4: Nemotron Nano 2 §2.2.1; chunks, sampling, shortest dialogue: MIND)."""

    styles: tuple[Style, ...] = Field(
        get_args(Style),
        min_length=1,
        description="styles of dialogue (published: these seven)",
    )
    styles_per_chunk: int = Field(
        ge=1, le=7, description="dialogues that are written about a chunk, each in another style"
    )
    max_pages: int | None = Field(
        ge=0,
        description="most pages of a snapshot that dialogues are written about, those with the highest scores; null "
        "for all",
    )
    max_chunks: int | None = Field(
        ge=1, description="most chunks of a page that dialogues are written about; null for all"
    )
    best_if_none: bool = Field(
        False,
        description="whether to write about the pages with the highest scores when a snapshot has no page in the "
        "subset 4plus (default)",
    )
    chunk_tokens: int = Field(ge=64, description="longest chunk of a page, in tokens of the model (published: 500)")
    min_chunk_tokens: int = Field(20, ge=1, description="shortest chunk that is written about, in tokens (default)")
    max_output_tokens: int = Field(ge=64, description="longest dialogue, in tokens (published: 4,096)")
    min_tokens: int = Field(50, ge=1, description="shortest dialogue that is kept, in tokens (published: 50)")
    min_turns: int = Field(3, ge=2, le=100, description="fewest turns of a dialogue that is kept (default)")
    max_turns: int = Field(ge=3, le=400, description="most turns that the output grammar allows (default)")
    max_turn_characters: int = Field(
        ge=40, le=20_000, description="longest turn that the output grammar allows, in characters (default)"
    )
    temperature: float = Field(
        1.0, ge=0, le=2, description="sampling temperature; a higher one gives more varied answers (published: 1.0)"
    )
    top_p: float = Field(
        0.9,
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn "
        "(published: 0.9)",
    )
    max_reject_share: float = Field(
        ge=0, le=1, description="a check warns when a larger share of the answers is unusable (default)"
    )


class MathCorpus(Section):
    """Nemotron-CC-Math from rendered pages on: clean-up, score, duplicates, benchmark items, subsets, dialogues."""

    writer: MathWriter = MathWriter()
    cleaner: MathCleaner
    quality: MathQuality
    dedup: Dedup = Field(description="duplicates among the pages of all snapshots (Nemotron-CC-Math §2.5)")
    contamination: MathContamination
    release: MathRelease = MathRelease()
    mind: Mind
