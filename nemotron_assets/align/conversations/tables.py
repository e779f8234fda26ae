"""Declares the tables of the post-training's data: items of the suite, conversations, and prompts with verifiers."""

from __future__ import annotations

from nemotron_assets.recipe.align.sources import SFT_TABLES
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.columns import CONTENT_HASH, ID, LANGUAGE, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

DOMAINS = ("math", "code", "science", "tools", "chat", "safety", "multilingual", "suite")
VARIANTS = ("full", "no_think", "truncated", "concatenated")
KINDS = ("verifiable", "instructions", "tools", "preference")
SPLITS = ("train", "held_out")

_DOMAIN = Column("domain", "string", f"domain of the conversation: {', '.join(DOMAINS)}")
_MESSAGES = (
    "a JSON list of objects with role (system, user, assistant, tool) and content; an assistant's message may have "
    "reasoning (the thought without its tags) and tool_calls (objects with name and arguments)"
)
_TOOLS = Column(
    "tools",
    "string",
    "tools that the assistant may call, a JSON list of objects with name, description and parameters (JSON schema); "
    "null: it has no tools",
    nullable=True,
)
_ORIGIN_HASH = Column(
    "origin_hash",
    "string",
    "hash of the page, file, seed or item that the row goes back to; if it is held out from training, so is the row",
)

SUITE_ITEMS = Table(
    schema="align",
    name="suite_items",
    description="Items of small procedural tasks with short answers: last word, reverse, count, largest digit, sums. "
    "Letters and digits of an item stand apart. Held-out items are never trained on, and no question stands twice.",
    columns=(
        ID,
        Column("task", "string", "first_word, last_word, copy, reverse, count, max, sum_1 or sum_2"),
        Column("split", "string", "train, or held_out: only for scoring"),
        Column("number", "int64", "place of the item among those of its task and split, from 0"),
        Column("question", "string", "what the model is asked, for example: last word: k t b"),
        Column("answer", "string", "the only right answer, for example: b"),
        Column("reasoning", "string", "steps that lead to the answer, one per line"),
        CONTENT_HASH,
    ),
    part_by="task",
)

CONVERSATIONS = Table(
    schema="align",
    name="conversations",
    description="Conversations that the supervised stages learn from, of all domains, in the published chat format. "
    "Copies without a thought, with a cut thought, and joined conversations are rows of their own.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "source of the conversation: a table, a file, a published set, or what made it"),
        _DOMAIN,
        Column("data_set", "string", "data set of the conversation: sft.math_sft, own/safety, a file or a hub name"),
        LANGUAGE,
        Column("messages", "string", f"the conversation, {_MESSAGES}"),
        _TOOLS,
        Column("reasoning", "string", "on, or off: the assistant answers without a thought"),
        Column(
            "variant",
            "string",
            "full; no_think: a further copy with an empty thought; truncated: the thought is cut, the answer is whole; "
            "concatenated: several conversations, one after the other, with questions about earlier ones",
        ),
        Column(
            "copy_of",
            "string",
            "id of the conversation that this one is a copy of; of a concatenated one, the id of one of its parts; "
            "null: not a copy",
            nullable=True,
        ),
        Column(
            "budget", "int64", "tokens of thought that a truncated conversation keeps; null: not truncated",
            nullable=True,
        ),
        PROCEDURAL.column("status"),
        PROCEDURAL.column("verified_by"),
        Column(
            "generation_ids",
            "list[string]",
            "ids in llm.generations of the answers it was made from; null: no model of this lake wrote it",
            nullable=True,
        ),
        _ORIGIN_HASH,
        CONTENT_HASH,
    ),
    part_by="part",
    parents=("align.suite_items", *SFT_TABLES),
    origins={
        "part": (),
        "domain": (),
        "data_set": (),
        "tools": (),
        "variant": (),
        "copy_of": (),
        "budget": ("blend.tokenizer.uri",),
        "messages": ("align.suite_items.question", *(f"{table}.text" for table in SFT_TABLES)),
        "reasoning": tuple(f"{table}.reasoning" for table in SFT_TABLES),
        "origin_hash": ("align.suite_items.content_hash", *(f"{table}.origin_hash" for table in SFT_TABLES)),
        "content_hash": ("align.suite_items.question", *(f"{table}.text" for table in SFT_TABLES)),
    },
)  # fmt: skip

PROMPTS = Table(
    schema="align",
    name="prompts",
    description="Prompts that policies are asked during reinforcement learning and preference tuning, each with the "
    "verifiers that judge the answers. Held-out prompts are only scored.",
    columns=(
        ID,
        PARENTS,
        SOURCES,
        Column("part", "string", "source of the prompt: a table, the own set, a published set"),
        Column(
            "kind",
            "string",
            "verifiable (a program knows the right answer), instructions (a program checks the form), tools (the final "
            "state is compared) or preference (answers are compared with each other)",
        ),
        _DOMAIN,
        Column("split", "string", "train, or held_out: only for scoring"),
        Column("messages", "string", f"what the policy reads; its last message is a user's or a tool's; {_MESSAGES}"),
        _TOOLS,
        Column(
            "verifiers",
            "string",
            "verifiers of an answer, a JSON list of one or more objects with name and arguments",
        ),
        Column("reference", "string", "right answer that verifiers compare with; null: no such answer", nullable=True),
        _ORIGIN_HASH,
    ),
    part_by="part",
    parents=("align.suite_items", *SFT_TABLES),
    origins={
        "part": (),
        "kind": (),
        "domain": (),
        "split": ("align.suite_items.split", "sft.procedural.split"),
        "messages": ("align.suite_items.question", *(f"{table}.question" for table in SFT_TABLES)),
        "tools": (),
        "verifiers": (),
        "reference": ("align.suite_items.answer", *(f"{table}.answer" for table in SFT_TABLES)),
        "origin_hash": ("align.suite_items.content_hash", *(f"{table}.origin_hash" for table in SFT_TABLES)),
    },
)  # fmt: skip


def sft_inputs() -> dict[str, Table]:
    """The tables of SFT data as inputs of an asset, by their names without the schema."""
    from nemotron_assets.stages import all_tables

    tables = all_tables()
    return {tables[name].name: tables[name] for name in SFT_TABLES}


TABLES = [SUITE_ITEMS, CONVERSATIONS, PROMPTS]
