"""Declares the columns that all tables of SFT data share, so that one view and one release can read them all."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, LANGUAGE, PARENTS, SOURCES
from nemotron_assets.table.schema import Column

STATUS = Column(
    "status",
    "string",
    "how the answer was verified: verified (a program or a known answer confirms it), majority (most sampled answers "
    "agree), judged (a language model approves of it), unverified, or failed (it is wrong; the row is never used)",
)
VERIFIED_BY = Column(
    "verified_by",
    "string",
    "what decided the status, for example math-verify, seed answer, sandbox, 3 of 4 samples, the name of a judge or of "
    "a reasoning-gym task; null if nothing verified the answer",
    nullable=True,
)
STATUS_DETAIL = Column(
    "status_detail",
    "string",
    "why the answer failed or could not be verified, in a sentence; null for a verified answer",
    nullable=True,
)
ORIGIN_HASH = Column(
    "origin_hash",
    "string",
    "content_hash of the web page, file or seed that the row was written from; if it is held out from training, so is "
    "the row",
)

#: The columns of every table of SFT data. A table adds its own columns after them.
SFT_COLUMNS = (
    ID,
    PARENTS,
    SOURCES,
    Column(
        "subset", "string", "published config of the row: Code, General or MATH; null: not published", nullable=True
    ),
    Column("category", "string", "category of the training blend: general-sft, stem-sft or code-sft"),
    Column("prompt", "string", "name of the prompt, or of the task, that the row was made with"),
    LANGUAGE,
    Column("question", "string", "question or instruction, with its options if it has any"),
    Column(
        "reasoning", "string", "reasoning before the answer, without its tags; null if the row has none", nullable=True
    ),
    Column("answer", "string", "answer or response, without the reasoning"),
    Column("text", "string", "question, reasoning and answer in the published format of the subset"),
    STATUS,
    VERIFIED_BY,
    STATUS_DETAIL,
    Column("generator", "string", "name of the model that wrote the row, or of the program: reasoning-gym 0.1.25"),
    Column(
        "generation_ids", "list[string]", "ids in llm.generations of all answers the row was made from, in their order"
    ),
    ORIGIN_HASH,
    Column(
        "tokens",
        "int64",
        "tokens of the text, in the generator's vocabulary; 4 characters count as one token "
        "where a program wrote the row",
    ),
)
