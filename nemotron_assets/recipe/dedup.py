"""Numbers of deduplication: exact, near and substring."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Signatures(Section):
    """MinHash signatures of texts and their LSH bands (Nemotron-CC §2.1: characters, 24, 260 = 20 x 13, seed 42)."""

    unit: Literal["words", "characters"] = Field(description="shingles are runs of words, or of characters (published)")
    word_shingle: int = Field(5, ge=1, le=64, description="words in a shingle (default)")
    character_shingle: int = Field(24, ge=1, le=256, description="characters in a shingle (published: 24)")
    character_languages: tuple[str, ...] = Field(
        ("zh", "ja", "th", "lo", "km", "my", "bo", "dz", "yue", "wuu"),
        description="languages written without spaces between words: characters whatever the unit (default)",
    )
    permutations: int = Field(ge=16, le=4_096, description="hash functions of a signature (published: 260)")
    bands: int = Field(ge=1, le=1_024, description="bands; texts with one in common are candidates (published: 20)")
    rows: int = Field(ge=1, le=256, description="values of the signature in a band (published: 13)")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="seed of the hash functions (published: 42)")
    batch_rows: int = Field(2_048, ge=1, le=65_536, description="texts signed at a time (default)")

    @model_validator(mode="after")
    def _fits(self) -> Signatures:
        if self.bands * self.rows > self.permutations:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} permutations, there are "
                f"{self.permutations}"
            )
        return self

    @property
    def scheme(self) -> str:
        """Everything two signatures must have in common to be compared, in words."""
        return (
            f"affine32 seed {self.seed}, {self.permutations} permutations, {self.bands} x {self.rows}, {self.unit}, "
            f"words {self.word_shingle}, characters {self.character_shingle} in {' '.join(self.character_languages)}"
        )


class Dedup(Section):
    """Deduplication over all snapshots (Nemotron-CC §2.1; exact by the hash of the full text, then near)."""

    memory_mb: int = Field(ge=64, description="memory of a join before it spills to disk, in MB (default)")
    signatures: Signatures
    min_similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Jaccard similarity of shingles from which texts are "
        "near-duplicates (published: about 0.8, as the bands imply)",
    )
    verify: bool = Field(
        True, description="whether candidates below min_similarity are let go; published: no, every candidate counts"
    )
    linkage: Literal["direct", "components"] = Field(
        description="direct: dropped when like an earlier document that is kept; components: of a connected component "
        "the earliest is kept (published), so that chains of small changes are one document"
    )
    max_bucket: int = Field(
        32,
        ge=1,
        description="of the texts that share a band, each is compared with the earliest so many and as many "
        "just before it (default); a template that thousands of pages share would give millions of pairs",
    )
    check_documents: int = Field(500, ge=1, description="kept documents of a snapshot that a check looks at (default)")
    check_against: int = Field(
        50_000,
        ge=1,
        description="kept documents of this snapshot and those before that they are compared with (default)",
    )
    max_missed_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="largest share of them that may resemble another kept one (default; the bands "
        "find a pair of similarity s with probability 1 - (1 - s^rows)^bands)",
    )


class Substring(Section):
    """Exact substring deduplication (Nemotron-CC §2.1, after Lee et al. 2022)."""

    enabled: bool = Field(True, description="whether repeated spans are looked for and cut out")
    snapshots: int = Field(ge=1, le=1_000, description="snapshots looked at together (published: groups of eight)")
    min_bytes: int = Field(
        200,
        ge=16,
        le=65_536,
        description="shortest repetition cut out, in bytes of UTF-8 (default; published: 100 "
        "units of a tool that counts two bytes per token, 50 tokens, which are about 200 bytes)",
    )
    boundary: Literal["character", "word", "line"] = Field(
        description="spans are shortened to whole characters (published: bytes), words or lines"
    )
    chunk_mb: int = Field(
        ge=1,
        le=2_000_000,
        description="text in one suffix array, in MB (published: about 100,000); needs about ten "
        "times as much memory. Larger windows are split by host",
    )
    min_characters: int = Field(50, ge=1, description="shortest text left by the cuts, in characters (default)")
