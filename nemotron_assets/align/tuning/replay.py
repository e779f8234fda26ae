"""Texts of the pretraining as rows of align.token_shards: a stage that reads them too forgets less of them.

Of each document that the recipe takes, one window of tokens is a row. Every token is predicted but the first of the
row, as in the pretraining.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import polars as pl

from nemotron_assets.align.tuning.tables import REPLAY, TOKEN_SHARDS
from nemotron_assets.blend.tables import TOKEN_SHARDS as TEXTS
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe.align.tuning import Replay
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part
from resources.lakehouse import Reader

_READ = ("id", "data_set", "tokens", "length")


def replay_parts(texts: Reader, replay: Replay | None) -> Iterator[Part]:
    """The parts of `align.token_shards` with texts: one per shard of blend.token_shards."""
    if replay is None:
        return
    for shard, content in sorted(texts.parts().items()):
        name = f"{REPLAY}/full/{shard.replace('/', '-')}"
        make = functools.partial(_frame, name, texts, shard, replay)
        yield Part(name, content_hash(f"{content} {replay.model_dump_json()}"), make)


def _frame(name: str, texts: Reader, shard: str, replay: Replay) -> pl.DataFrame:
    found = TOKEN_SHARDS.empty()
    for batch in texts.part(shard).batches(_READ):
        rows = pl.DataFrame(pl.from_arrow(batch)).filter(is_held_out(replay.share, "id"))
        made = (_row(name, row, replay.tokens, texts.input_version) for row in rows.iter_rows(named=True))
        found.extend(pl.DataFrame(list(made), schema=found.schema))
    return found.sort("id").with_columns(position=pl.int_range(pl.len()))


def _row(name: str, document: dict, window: int, version: str) -> dict:
    """A window of the document, whose place follows from the document's id."""
    places = max(0, document["length"] - window) + 1
    first = int(content_hash(document["id"])[-12:], 16) % places
    tokens = document["tokens"][first : first + window]
    return {
        "id": row_id(TOKEN_SHARDS.full_name, document["id"]),
        "parents": [document["id"]],
        "sources": [TEXTS.full_name],
        "part": name,
        "category": REPLAY,
        "data_set": document["data_set"],
        "variant": "full",
        "original": document["id"],
        "answer": 0,
        "held_out": False,
        "position": 0,
        "tokens": tokens,
        "trained": [False] + [True] * (len(tokens) - 1),
        "length": len(tokens),
        "answer_length": len(tokens) - 1,
        "read_versions": [version],
    }
