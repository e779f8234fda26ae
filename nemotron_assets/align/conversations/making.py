"""Makes align.conversations and align.prompts: one part per source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import polars as pl

from nemotron_assets.align.conversations import from_sft, from_suite
from nemotron_assets.align.conversations.inputs import Inputs
from nemotron_assets.align.conversations.rows import Conversation, Prompt
from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Part
from nemotron_assets.table.schema import Table

_ROWS = 1_024


def _frames(table: Table, make: Callable[[], Iterable[Conversation | Prompt]]) -> Iterator[pl.DataFrame]:
    yield table.empty()
    rows = (item.row() for item in make())
    while batch := list(islice(rows, _ROWS)):
        yield pl.DataFrame(batch, schema=table.empty().schema)


def _part(table: Table, key: str, made_from: Iterable[object], make: Callable[[], Iterable]) -> Part:
    fingerprint = content_hash("\x1f".join(map(str, made_from)))
    return Part(key, fingerprint, functools.partial(_frames, table, make))


def conversation_parts(inputs: Inputs) -> Iterator[Part]:
    """The parts of align.conversations: one per source."""
    own, suite_items = inputs.recipe.align.conversations, inputs.suite_items
    make = functools.partial(from_suite.conversations, suite_items, own.thinking_share)
    yield _part(CONVERSATIONS, SUITE_ITEMS.full_name, (suite_items.content(), own.thinking_share), make)
    for table in inputs.sft_tables(own.sft):
        make = functools.partial(from_sft.conversations, table)
        yield _part(CONVERSATIONS, table.reader.table.full_name, table.made_from, make)


def prompt_parts(inputs: Inputs) -> Iterator[Part]:
    """The parts of align.prompts: one per source."""
    own, suite_items = inputs.recipe.align.prompts, inputs.suite_items
    make = functools.partial(from_suite.prompts, suite_items, own.thinking_share)
    yield _part(PROMPTS, SUITE_ITEMS.full_name, (suite_items.content(), own.thinking_share), make)
