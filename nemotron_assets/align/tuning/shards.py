"""Conversations as tokens: they are put in the order of a hash, cut into shards of one domain and variant, and
tokenised. Data sets of a domain are mixed in a shard, because a packed sequence holds rows of one shard.

A conversation gives a row per answer, because the template takes the thoughts out of earlier answers (see
nemotron_assets/chat/encoding.py). The row of an earlier answer is the conversation, cut at this turn. So of a
conversation that is too long, the rows of its first answers stay, and the others are rejected with the reason.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from nemotron_assets.align.tuning.tables import TOKEN_SHARDS
from nemotron_assets.chat.conversation import from_json, tools_from_json
from nemotron_assets.chat.encoding import TrainingRow, training_rows
from nemotron_assets.chat.template import source as template
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe.align.tuning import Tuning
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.ordering import GROUP, ID, PLACE, in_order
from nemotron_assets.table.parts import Part, Reject, Rejects
from nemotron_assets.text import tokenizer as bpe
from resources.lakehouse import Reader

#: The columns of align.conversations that decide the rows.
_READ = ("id", "domain", "data_set", "variant", "reasoning", "messages", "tools", "copy_of", "status")
_CHARACTERS_PER_TOKEN = 4  # to cut shards of about the recipe's number of tokens


@dataclass(frozen=True)
class Encoding:
    """How conversations become tokens: the folder of the tokenizer and its hash, the recipe, and the version of
    align.conversations that is read."""

    folder: Path
    sha256: str
    recipe: Tuning
    read_version: str

    @functools.cached_property
    def tokenizer(self) -> Any:
        return bpe.load(self.folder)

    @property
    def window(self) -> int:
        """Tokens of the longest sequence of any stage."""
        return max(stage.sequence_length for stage in self.recipe.stages().values())

    def fingerprint(self) -> str:
        """A hash of all that decides the rows of a conversation beside itself."""
        numbers = (self.recipe.concatenated_answers, self.recipe.held_out_share, self.window)
        return content_hash(repr((self.sha256, template(), numbers)).encode())


def shard_parts(conversations: Reader, encoding: Encoding, rejects: Rejects) -> Iterator[Part]:
    """The parts of `align.token_shards`. A shard whose conversations did not change is not made again."""
    ordered = in_order(_frames(conversations), encoding.recipe.sort_memory_mb)
    of_all = encoding.fingerprint()
    for part, rows in _shards(ordered, encoding.recipe.tokens_per_shard * _CHARACTERS_PER_TOKEN):
        own = content_hash("\x1f".join(map(repr, rows.iter_rows())).encode())
        yield Part(part, f"{own}:{of_all}", functools.partial(shard_frame, part, rows, encoding, rejects))


def _frames(conversations: Reader) -> Iterator[pl.DataFrame]:
    """The conversations that may be trained on, with the columns to sort by: group is domain/variant."""
    group = pl.concat_str("domain", "variant", separator="/")
    for batch in conversations.batches(_READ):
        rows = pl.DataFrame(pl.from_arrow(batch)).filter(pl.col("status") != "failed")
        places = [xxhash.xxh3_128_hexdigest(f"order:{id_}".encode()) for id_ in rows[ID]]
        yield rows.with_columns(group.alias(GROUP), pl.Series(PLACE, places, pl.String))


def _shards(ordered: Iterable[pl.DataFrame], characters: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Cut sorted rows into shards of about so many characters of one group: the name of each, and its rows."""
    name, number, held, size = None, 0, [], 0
    for rows in (part for frame in ordered for part in frame.partition_by(GROUP, maintain_order=True)):
        for piece in rows.iter_slices(256):
            if held and (piece[GROUP][0] != name or size >= characters):
                yield f"{name}/{number:06d}", pl.concat(held)
                number, held, size = number + 1, [], 0
            if piece[GROUP][0] != name:
                name, number = piece[GROUP][0], 0
            held.append(piece)
            size += int(piece["messages"].str.len_chars().sum())
    if held:
        yield f"{name}/{number:06d}", pl.concat(held)


def shard_frame(part: str, conversations: pl.DataFrame, encoding: Encoding, rejects: Rejects) -> pl.DataFrame:
    """The rows of `align.token_shards` of one shard, in the order of the conversations."""
    found = []
    for conversation in conversations.iter_rows(named=True):
        found += _rows(conversation, encoding, rejects)
    for position, row in enumerate(found):
        row |= {"part": part, "position": position, "read_versions": [encoding.read_version], "held_out": False}
    frame = pl.DataFrame(found, schema=TOKEN_SHARDS.empty().schema)
    return frame.with_columns(held_out=is_held_out(encoding.recipe.held_out_share, "original"))


def _rows(conversation: dict[str, Any], encoding: Encoding, rejects: Rejects) -> Iterator[dict[str, Any]]:
    """The rows of one conversation. What cannot be trained on is rejected, with the reason."""
    id_, variant = conversation["id"], conversation["variant"]
    try:
        made = _training_rows(conversation, encoding)
    except ValueError as error:
        rejects.add(Reject(id_, "not_a_conversation", str(error)))
        return
    for answer, row in enumerate(made):
        if len(row.ids) > encoding.window:
            detail = f"answer {answer} and what comes before it have {len(row.ids):,} tokens, but the longest sequence "
            rejects.add(Reject(id_, "longer_than_the_window", f"{detail}of the stages has {encoding.window:,}"))
            return  # later answers are longer
        yield {
            "id": row_id(TOKEN_SHARDS.full_name, id_, answer),
            "parents": [id_],
            "sources": ["align.conversations"],
            "category": conversation["domain"],
            "data_set": conversation["data_set"],
            "variant": variant,
            "original": conversation["copy_of"] or id_,
            "answer": answer,
            "tokens": row.ids,
            "trained": row.trained,
            "length": len(row.ids),
            "answer_length": sum(row.trained),
        }


def _training_rows(conversation: dict[str, Any], encoding: Encoding) -> list[TrainingRow]:
    last = encoding.recipe.concatenated_answers if conversation["variant"] == "concatenated" else None
    messages, tools = from_json(conversation["messages"]), tools_from_json(conversation["tools"])
    return training_rows(encoding.tokenizer, messages, tools, conversation["reasoning"] == "on", last)
