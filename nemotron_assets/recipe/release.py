"""What is published: which rows make which subset, how large files are, under which licence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.quality import Level

Prompt = Literal["wikipedia", "distill", "extract_knowledge", "knowledge_list", "diverse_qa"]
SubsetName = Literal[
    "High-Quality",
    "Medium-High-Quality",
    "Medium-Quality",
    "High-Quality-Synthetic",
    "Diverse-QA",
    "Translated-Diverse-QA",
]


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
