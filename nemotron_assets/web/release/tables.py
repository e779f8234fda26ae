"""The table of the release: Nemotron-CC-v2 with its six subsets."""

from __future__ import annotations

from typing import get_args

from nemotron_assets.recipe.subsets import SubsetName
from nemotron_assets.table.columns import CHARACTERS, ID, LANGUAGE, PARENTS, SNAPSHOT, SOURCES
from nemotron_assets.table.schema import Column, Published, Table

NEMOTRON_CC_V2 = Table(
    "web",
    "nemotron_cc_v2",
    "Nemotron-CC-v2 as it is published: curated pages of three quality levels, rephrasings, questions and answers, and "
    "their translations.",
    (
        ID,
        PARENTS,
        SOURCES,
        SNAPSHOT,
        Column(
            "subset", "string", "published subset (config) that the text belongs to, for example High-Quality-Synthetic"
        ),
        LANGUAGE,
        Column("text", "string", "readable text of a page, or a text that a language model wrote about a page"),
        CHARACTERS,
        Column(
            "origin_hash",
            "string",
            "hash of the address of the page that the text is from, or was written from, as DuckDB's page_hash(url); "
            "decides whether the text is held out from training",
        ),
    ),
    partition_by="snapshot",
    part_by="subset",
    parents=("web.curated", "web.rephrased", "web.diverse_qa", "web.translated_diverse_qa"),
    published=Published(
        title="Nemotron-CC-v2",
        columns=("id", "text"),
        configs_by="subset",
        configs=get_args(SubsetName),
        more={"Translated-Diverse-QA": ("language",)},
        histograms=(("web.quality", "bucket"), ("web.quality", "level")),
    ),
    origins={
        "subset": ("web.curated.level",),
        "characters": (
            "web.curated.text",
            "web.rephrased.text",
            "web.diverse_qa.text",
            "web.translated_diverse_qa.text",
        ),
        "origin_hash": ("web.curated.url",),
    },
)

TABLES = [NEMOTRON_CC_V2]
