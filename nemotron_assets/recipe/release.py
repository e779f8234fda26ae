"""Numbers and words of what is published: which rows make which subset, how large files are, under which licence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

Level = Literal["high", "medium_high", "medium", "medium_low", "low"]
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
    """One subset of Nemotron-CC-v2: the table its texts stand in and which of them it takes."""

    table: Literal["web.curated", "web.rephrased", "web.diverse_qa", "web.translated_diverse_qa"] = Field(
        description="where the texts stand"
    )
    levels: tuple[Level, ...] = Field(min_length=1, description="quality levels of the web document behind a text")
    prompts: tuple[Prompt, ...] | None = Field(
        None, min_length=1, description="prompts that wrote the texts; null for all of the table"
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
    """What is published and how (subsets and columns of the card nvidia/Nemotron-CC-v2; file sizes default)."""

    subsets: dict[SubsetName, Subset] = Field(
        _PUBLISHED,
        min_length=1,
        description="subset of Nemotron-CC-v2: its source. v2 rephrased high-quality pages only (Nano 2 card); whether "
        "it has paraphrases of low-quality pages as v1 had was not published, so they stay in web.rephrased",
    )
    memory_mb: int = Field(ge=64, description="memory of a join before it spills to disk, in MB (default)")
    shard_mb: int = Field(ge=1, le=16_384, description="largest Parquet file of an export, in MB on the disk (default)")
    row_group_mb: int = Field(64, ge=1, le=1_024, description="most MB in one row group of an export (default)")
    compression_level: int = Field(3, ge=1, le=22, description="ZSTD level of an export (default)")
    licence: str = Field(min_length=1, description="licence as Hugging Face names it: other, cc-by-4.0, odc-by, ...")
    licence_name: str = Field(min_length=1, description="name of the licence, for one that Hugging Face does not know")
    licence_text: str | None = Field(
        description="'sample' (notice of the embedded sample), a text file that becomes LICENSE.md, or null for none"
    )
