"""What is published: which rows make which subset, how large files are, under which licence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.subsets import SubsetName
from nemotron_assets.recipe.web.quality import Level

Prompt = Literal["wikipedia", "distill", "extract_knowledge", "knowledge_list", "diverse_qa"]


class Subset(Section):
    """One subset of Nemotron-CC-v2: the table that holds its texts, and which of them it takes."""

    table: Literal["web.curated", "web.rephrased", "web.diverse_qa", "web.translated_diverse_qa"] = Field(
        description="table that holds the texts"
    )
    levels: tuple[Level, ...] = Field(
        min_length=1, description="quality levels; a synthetic text has the level of the web page it was written from"
    )
    prompts: tuple[Prompt, ...] | None = Field(
        None, min_length=1, description="prompts whose answers the subset takes; null for all texts of the table"
    )

    @model_validator(mode="after")
    def _has_prompts(self) -> Subset:
        if self.table == "web.curated" and self.prompts:
            raise ValueError("web.curated holds web pages, which no prompt wrote: leave prompts out")
        return self


_PUBLISHED = {
    "High-Quality": Subset(table="web.curated", levels=("high",)),
    "Medium-High-Quality": Subset(table="web.curated", levels=("medium_high",)),
    "Medium-Quality": Subset(table="web.curated", levels=("medium",)),
    "High-Quality-Synthetic": Subset(
        table="web.rephrased", levels=("high",), prompts=("wikipedia", "distill", "extract_knowledge", "knowledge_list")
    ),
    "Diverse-QA": Subset(table="web.diverse_qa", levels=("high",)),
    "Translated-Diverse-QA": Subset(table="web.translated_diverse_qa", levels=("high",)),
}


#: The subsets of Nemotron-Pretraining-Dataset-sample, with their published numbers of rows.
SAMPLE_ROWS = {
    "Nemotron-CC-High-Quality": 785,
    "Nemotron-CC-High-Quality-Synthetic": 3_461,
    "Nemotron-CC-Diverse-QA": 2_065,
    "Nemotron-CC-Translated-Diverse-QA": 15_441,
    "Nemotron-CC-MATH": 954,
    "Nemotron-Synthetic-Code": 1_000,
    "Nemotron-Code-Metadata": 1_000,
    "Nemotron-SFT-Code": 1_000,
    "Nemotron-SFT-General": 1_000,
    "Nemotron-SFT-MATH": 1_000,
}


class DatasetSample(Section):
    """The sample of all published data sets (rows as of nvidia/Nemotron-Pretraining-Dataset-sample; the last four
    numbers follow from the published total)."""

    rows: dict[str, Annotated[int, Field(ge=0, le=1_000_000)]] = Field(
        SAMPLE_ROWS,
        validate_default=True,
        description="most rows of each subset; a subset that is not named has as many as the published one",
    )

    @field_validator("rows")
    @classmethod
    def _known(cls, rows: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(rows.keys() - SAMPLE_ROWS.keys()):
            raise ValueError(f"{', '.join(unknown)}: not a subset of the sample, which are {', '.join(SAMPLE_ROWS)}")
        return {**SAMPLE_ROWS, **rows}


class Release(Section):
    """What is published, and how (subsets and columns as on the card nvidia/Nemotron-CC-v2; file sizes default)."""

    subsets: dict[SubsetName, Subset] = Field(
        _PUBLISHED,
        min_length=1,
        description="the subsets of Nemotron-CC-v2: table, levels and prompts of each. Only high-quality pages were "
        "rephrased for v2 (Nano 2 card). Whether v2 has paraphrases of low-quality pages, as v1 had, was not "
        "published: they stay in web.rephrased",
    )
    memory_mb: int = Field(
        ge=64, description="memory of a join, in MB; what does not fit goes to temporary files on the disk (default)"
    )
    shard_mb: int = Field(
        ge=1, le=16_384, description="largest Parquet file that an export writes, in MiB on the disk (default)"
    )
    row_group_mb: int = Field(
        64, ge=1, le=1_024, description="most MiB in one row group of an export, before compression (default)"
    )
    compression_level: int = Field(
        3, ge=1, le=22, description="ZSTD level of an export: 1 writes fastest, 22 makes the smallest files (default)"
    )
    licence: str = Field(
        min_length=1, description="licence of the data as Hugging Face names it: other, cc-by-4.0, odc-by, ..."
    )
    licence_name: str = Field(min_length=1, description="name of the licence in words, where `licence` is other")
    licence_text: str | None = Field(
        description="text that becomes LICENSE.md: 'sample' (the notice of the embedded sample) or a text file; null "
        "for no such file"
    )
    sample: DatasetSample = Field(DatasetSample(), description="the sample of all published data sets")
