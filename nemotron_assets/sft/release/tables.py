"""Tables of the SFT release: the published rows, and the benchmark items that were found in rows of SFT data."""

from __future__ import annotations

from nemotron_assets.sft.columns import ORIGIN_HASH, STATUS, VERIFIED_BY
from nemotron_assets.sft.tables_of import sft_tables_before
from nemotron_assets.table.columns import ID, LANGUAGE, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Published, Table

#: The published configs by the subset that rows of SFT data name.
CONFIGS = {"Code": "Nemotron-SFT-Code", "General": "Nemotron-SFT-General", "MATH": "Nemotron-SFT-MATH"}

#: The tables of SFT data, in the order of the stages. A new one is searched for items and published by itself.
SFT_TABLES = sft_tables_before("sft.release")
#: Those of them with a train and a test split of their own. Rows of the test split are items, too.
SPLIT_TABLES = tuple(table for table in SFT_TABLES if "split" in table.column_names)

_SOURCE = Column("source", "string", "table of SFT data that the row is from, for example sft.math_sft")

CONTAMINATED = Table(
    "sft",
    "contaminated",
    "Benchmark items found in rows of SFT data: one row per row and item. A row that has an entry with removed = true "
    "is left out of sft.nemotron_sft, the blend and training.",
    (
        ID,
        PARENTS,
        SOURCES,
        _SOURCE,
        Column(
            "removed",
            "bool",
            "true if the row is left out because of the item; false for an item of a split that the recipe does not "
            "remove, such as a train split",
        ),
        Column(
            "benchmark",
            "string",
            "benchmark of the item in evaluate.benchmarks, for example gsm8k; or the table of SFT data with a test "
            "split that the item is a row of: sft.procedural",
        ),
        Column("item", "string", "name of the item in its benchmark, such as gsm8k-test-17, or the id of its row"),
        Column("item_id", "string", "id of the item's row in evaluate.benchmarks, or in the table of SFT data"),
        Column("split", "string", "split of the benchmark that the item is in: test, validation, dev or train"),
        Column(
            "rule",
            "string",
            "rule that found the item: overlap (common n-grams of words) or whole_question (a short question with its "
            "answer)",
        ),
        Column("field", "string", "part of the item that was found: question, question_choices or answer"),
        Column("matched", "int32", "n-grams of the item that the row has; whole_question: words of the question"),
        Column("of", "int32", "n-grams of the item that count; whole_question: words of the question"),
        Column("share", "float64", "`matched` / `of`: share of the item's text that was found in the row, 0 to 1"),
        Column("ngrams", "list[string]", "the first n-grams that both have, as words: at most three"),
        Column("row_text", "string", "the text of the row in which the item was found, at most 600 characters"),
        Column("item_text", "string", "the text of the item, at most 600 characters"),
    ),
    part_by="source",
    parents=tuple(table.full_name for table in SFT_TABLES),
    origins={
        "source": (),
        "split": ("evaluate.benchmarks.benchmark", "evaluate.benchmarks.item"),
        "benchmark": ("evaluate.benchmarks.benchmark",),
        "item": ("evaluate.benchmarks.item",),
        "item_id": ("evaluate.benchmarks.id",),
        "item_text": ("evaluate.benchmarks.question",),
        "*": tuple(f"{table.full_name}.text" for table in SFT_TABLES),
    },
)

NEMOTRON_SFT = Table(
    "sft",
    "nemotron_sft",
    "Nemotron-Pretraining-SFT as it is published: the rows of all tables of SFT data whose answer is verified and that "
    "have no benchmark item.",
    (
        ID,
        PARENTS,
        SOURCES,
        _SOURCE,
        Column("subset", "string", "published config: Nemotron-SFT-Code, Nemotron-SFT-General or Nemotron-SFT-MATH"),
        Column("category", "string", "category of the training blend: general-sft, stem-sft or code-sft"),
        Column("prompt", "string", "name of the prompt, or of the task, that the row was made with"),
        LANGUAGE,
        Column("text", "string", "question, reasoning and answer in the published format of the config"),
        STATUS,
        VERIFIED_BY,
        Column("generator", "string", "name of the model that wrote the row, or of the program"),
        ORIGIN_HASH,
        Column(
            "tokens",
            "int64",
            "tokens of the text, in the generator's vocabulary; 4 characters count as one token where a program wrote "
            "the row",
        ),
    ),
    part_by="source",
    parents=tuple(table.full_name for table in SFT_TABLES),
    published=Published(
        title="Nemotron-Pretraining-SFT",
        columns=("id", "text"),
        configs_by="subset",
        configs=tuple(CONFIGS.values()),
        histograms=(("sft.nemotron_sft", "status"), ("sft.nemotron_sft", "source")),
    ),
    origins={"source": ()},
)

TABLES = [CONTAMINATED, NEMOTRON_SFT]
