"""Numbers of deduplication, which web, math and code share: signatures, near-duplicates, repeated passages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Signatures(Section):
    """MinHash signatures of texts and their LSH bands (Nemotron-CC §2.1: characters, 24, 260 = 20 x 13, seed 42)."""

    unit: Literal["words", "characters"] = Field(
        description="what a shingle is a run of: words, or characters (published: characters)"
    )
    word_shingle: int = Field(5, ge=1, le=64, description="words in a shingle, with unit words (default)")
    character_shingle: int = Field(
        24, ge=1, le=256, description="characters in a shingle, with unit characters (published: 24)"
    )
    character_languages: tuple[str, ...] = Field(
        ("zh", "ja", "th", "lo", "km", "my", "bo", "dz", "yue", "wuu"),
        description="languages written without spaces between words: their shingles are runs of characters, whatever "
        "`unit` says (default)",
    )
    permutations: int = Field(
        ge=16, le=4_096, description="hash functions of a signature; at least bands x rows (published: 260)"
    )
    bands: int = Field(
        ge=1,
        le=1_024,
        description="bands of a signature: two texts with a band in common are compared. More find more pairs "
        "(published: 20)",
    )
    rows: int = Field(
        ge=1,
        le=256,
        description="values of the signature in one band; more find fewer and more similar pairs (published: 13)",
    )
    seed: int = Field(42, ge=0, le=2**32 - 1, description="seed of the hash functions (published: 42)")
    batch_rows: int = Field(
        2_048, ge=1, le=65_536, description="texts whose signatures are computed together (default)"
    )

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
        """How a signature was made, as text. Only signatures with the same scheme can be compared."""
        return (
            f"affine32 seed {self.seed}, {self.permutations} permutations, {self.bands} x {self.rows}, {self.unit}, "
            f"words {self.word_shingle}, characters {self.character_shingle} in {' '.join(self.character_languages)}"
        )


class Dedup(Section):
    """Exact and near-duplicates over all snapshots (Nemotron-CC §2.1: equal texts first, then MinHash)."""

    enabled: bool = Field(
        True,
        description="whether duplicates are dropped; false: every text is kept, to measure what it costs (default)",
    )
    memory_mb: int = Field(
        ge=64, description="memory of a join, in MB; what does not fit goes to temporary files on the disk (default)"
    )
    signatures: Signatures
    min_similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Jaccard similarity of their shingles from which two texts are near-duplicates, 0 to 1 (published: "
        "about 0.8, which follows from the bands)",
    )
    verify: bool = Field(
        True,
        description="whether the similarity of every pair with a band in common is measured, and pairs below "
        "min_similarity are kept; false: every such pair is a near-duplicate (published)",
    )
    linkage: Literal["direct", "components"] = Field(
        description="which near-duplicates are dropped. direct: a text that resembles an earlier kept text; "
        "components: all but the earliest text of a connected component (published), so that the ends of a chain of "
        "small changes are duplicates, too"
    )
    max_bucket: int = Field(
        32,
        ge=1,
        description="when many texts share a band, each is compared with so many of the earliest ones and so many just "
        "before it, because a template of thousands of pages would give millions of pairs (default)",
    )
    check_documents: int = Field(
        500,
        ge=1,
        description="most kept documents of a snapshot that the check for missed near-duplicates looks at (default)",
    )
    check_against: int = Field(
        50_000,
        ge=1,
        description="most kept documents, of the same snapshot and then of earlier ones, that the check for missed "
        "near-duplicates compares them with (default)",
    )
    max_missed_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="the check for missed near-duplicates warns when a larger share of its documents resembles another "
        "kept document. The bands find a pair of similarity s with probability 1 - (1 - s^rows)^bands (default)",
    )


class Substring(Section):
    """Exact substring deduplication: passages that occurred before are cut out of web texts (Nemotron-CC §2.1)."""

    enabled: bool = Field(True, description="whether repeated passages are looked for and cut out")
    snapshots: int = Field(
        ge=1,
        le=1_000,
        description="snapshots searched together: this one and those before it (published: groups of eight)",
    )
    min_bytes: int = Field(
        200,
        ge=16,
        le=65_536,
        description="shortest repeated passage that is cut out, in bytes of UTF-8 (default; published: 100 units of a "
        "tool that counts two bytes per token: 50 tokens, which are about 200 bytes)",
    )
    boundary: Literal["character", "word", "line"] = Field(
        description="where a passage may begin and end: it is shortened to whole characters (published: bytes), words "
        "or lines"
    )
    chunk_mb: int = Field(
        ge=1,
        le=2_000_000,
        description="most text in one suffix array, in MB (published: about 100,000). A worker needs about eight "
        "times as much memory for it, twelve times for 2 GiB or more. Texts of more are split by host, and passages "
        "that two hosts share may be missed",
    )
    min_characters: int = Field(
        50,
        ge=1,
        description="shortest text that the cuts may leave, in characters; a document with less text left is dropped "
        "as a whole (default)",
    )
