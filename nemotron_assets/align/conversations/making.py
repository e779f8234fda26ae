"""Makes align.conversations and align.prompts: one part per source.

A part is made again when its source, the numbers of the recipe for it, or what it is screened by have changed.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import polars as pl

from nemotron_assets.align.conversations import asking, from_sft, from_suite, from_tools, playing
from nemotron_assets.align.conversations.from_records import Rejecting
from nemotron_assets.align.conversations.inputs import OWN, Inputs, part_of
from nemotron_assets.align.conversations.rows import Conversation, Prompt
from nemotron_assets.align.conversations.safety import Labelled, kept
from nemotron_assets.align.conversations.screening import without_asked, without_held_out
from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS
from nemotron_assets.align.conversations.variants import with_copies
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


# -- conversations -----------------------------------------------------------------------------------------------------


def conversation_parts(inputs: Inputs) -> Iterator[Part]:
    """The parts of align.conversations: one per source."""
    own, share = inputs.recipe.align.conversations, inputs.recipe.align.prompts.held_out_share
    kept_out = inputs.recipe.align.tuning.held_out_share
    suite, asked = inputs.suite_items, inputs.held_out_from
    more = (own.copies.model_dump_json(), inputs.screened, asked, share, kept_out)

    def part(key: str, made_from: Iterable[object], make: Callable[[], Iterable[Conversation]]) -> Part:
        def copied() -> Iterator[Conversation]:
            asked_nowhere = without_held_out(make(), lambda: inputs.held_out_questions)
            return with_copies(asked_nowhere, own.copies, inputs.tokenizer, kept_out)

        return _part(CONVERSATIONS, key, (*made_from, *more), copied)

    def outside(key: str, made_from: Iterable[object], read: Callable[[], Iterable[Labelled]]) -> Part:
        return part(key, (*made_from, own.safety.model_dump_json()), functools.partial(_from_outside, inputs, read))

    yield part(
        SUITE_ITEMS.full_name,
        (suite.content(), own.thinking_share),
        functools.partial(from_suite.conversations, suite, own.thinking_share),
    )
    for table in inputs.sft_tables(own.sft):
        yield part(table.reader.table.full_name, table.made_from, functools.partial(from_sft.conversations, table))
    made = functools.partial(from_tools.conversations, own.tools, share)
    yield part(from_tools.PART, (own.tools.model_dump_json(),), made)
    if own.tools.playing:
        yield part(f"{from_tools.PART}-played", (own.tools.model_dump_json(),), functools.partial(_played, inputs))
    if own.own:
        yield outside(OWN, (inputs.own_hash,), inputs.own)
    for key, made_from, read in inputs.local():
        yield outside(key, (made_from,), read)
    for source in own.hub:
        read = functools.partial(inputs.hub, source, "align.conversations.hub")
        yield outside(part_of(source), (source.model_dump_json(),), read)


def _played(inputs: Inputs) -> Iterator[Conversation]:
    """Tasks with tools that a language model plays."""
    own, share = inputs.recipe.align.conversations.tools, inputs.recipe.align.prompts.held_out_share
    writer = inputs.writer(own.playing.model)
    with writer.device():
        yield from playing.played(own, share, writer, inputs.rejects.add)


def _from_outside(inputs: Inputs, read: Callable[[], Iterable[Labelled]]) -> Iterator[Conversation]:
    """Conversations from outside of the lake: without held-out questions, filtered for safety, without benchmark
    items."""
    reject: Rejecting = inputs.rejects.add
    safety = inputs.recipe.align.conversations.safety
    writer = inputs.writer(safety.judge) if safety.judge else None
    with writer.device() if writer else contextlib.nullcontext():
        found = kept(without_asked(read(), inputs.recipe.align.prompts.held_out_share), safety, writer, reject)
        yield from inputs.screen.clean(found, reject)


# -- prompts -----------------------------------------------------------------------------------------------------------


def prompt_parts(inputs: Inputs) -> Iterator[Part]:
    """The parts of align.prompts: one per source and kind."""
    own, suite = inputs.recipe.align.prompts, inputs.suite_items
    yield _part(
        PROMPTS,
        SUITE_ITEMS.full_name,
        (suite.content(), own.thinking_share),
        functools.partial(from_suite.prompts, suite, own.thinking_share),
    )
    for table in inputs.sft_tables(own.sft):
        made_from = (*table.made_from, own.no_think_share)
        make = functools.partial(asking.verifiable, table, own.no_think_share)
        yield _part(PROMPTS, table.reader.table.full_name, made_from, make)
    made = functools.partial(from_tools.prompts, own.tools, own.held_out_share)
    yield _part(PROMPTS, from_tools.PART, (own.tools.model_dump_json(), own.held_out_share), made)
    numbers = own.model_dump_json(exclude={"sft", "tools"})
    yield _part(
        PROMPTS, "instructions", (numbers, *_read_of(inputs, own.instructions.requests)), lambda: _instructed(inputs)
    )
    yield _part(PROMPTS, "contexts", (numbers, *_read_of(inputs, own.contexts)), lambda: _contexts(inputs))


def _read_of(inputs: Inputs, hub: tuple) -> tuple[str, ...]:
    """What prompts of conversations depend on: the hub's names are part of the numbers."""
    return (inputs.screened,) if hub else (inputs.screened, inputs.own_hash)


def _requests(inputs: Inputs, hub: tuple, key: str) -> Iterator[Conversation]:
    """The conversations of data sets of the hub, or the project's own, without benchmark items."""
    read = (inputs.hub(source, key, answered=False) for source in hub) if hub else [inputs.own()]
    found = (one for one, _ in itertools.chain.from_iterable(read))
    yield from inputs.screen.clean(found, inputs.rejects.add)


def _instructed(inputs: Inputs) -> Iterator[Prompt]:
    own, grading = inputs.recipe.align.prompts, inputs.recipe.grading
    requests = _requests(inputs, own.instructions.requests, "align.prompts.instructions.requests")
    chats = (one for one in requests if one.domain == "chat")
    yield from asking.instructed(chats, own, grading, "instructions", inputs.rejects.add)


def _contexts(inputs: Inputs) -> Iterator[Prompt]:
    own = inputs.recipe.align.prompts
    yield from asking.contexts(_requests(inputs, own.contexts, "align.prompts.contexts"), own, "contexts")
