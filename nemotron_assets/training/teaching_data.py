"""The data of a distillation: conversations and texts of the pretraining, in shares of tokens.

Nemotron Nano 2 report §4.3 and table 11: 70% SFT data and 30% pretraining data were best for the aligned model; the
base model reads pretraining data alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.tuning import tables as tuning
from nemotron_assets.blend import tables as blend
from nemotron_assets.training.mixture import Entry
from nemotron_assets.training.plan import TrainingError, shards_config

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse, Reader

#: The names of the streams.
SFT, PRETRAINING = "sft", "pretraining"


@dataclass(frozen=True)
class Stream:
    """One of the streams: its part of a table of sequences, and the share of the tokens that it gives. `weights` are
    the shares of its categories within it; they add up to 1, and each category has sequences. Data sets in `left_out`
    are not read."""

    name: str
    tokens: Reader
    sequences: Reader
    part: str
    share: float
    weights: dict[str, float]
    tokens_per_sequence: float
    left_out: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """As in models.training_events: align.sequences/sft_1."""
        return f"{self.sequences.table.full_name}/{self.part}"

    def contents(self) -> tuple[str, ...]:
        """What tells the data from other data: hashes of the shards and of the part of the sequences."""
        shards = (f"{key}={content}" for key, content in self.tokens.parts().items())
        return (self.named, self.sequences.parts()[self.part], *shards, *self.left_out)


@dataclass(frozen=True)
class TeachingData:
    """All streams of a distillation."""

    streams: tuple[Stream, ...]

    @property
    def readers(self) -> list[Reader]:
        """The tables that are read."""
        return [reader for stream in self.streams for reader in (stream.tokens, stream.sequences)]

    @property
    def named(self) -> str:
        """The parts of the tables of sequences, for the column `sequences` of models.training_events."""
        return " + ".join(stream.named for stream in self.streams)

    def contents(self) -> tuple[str, ...]:
        """What decides the data: for the id of a model."""
        return tuple(content for stream in self.streams for content in stream.contents())

    def entries(self) -> list[Entry]:
        """One entry, with the weights of all categories. Weights are shares of sequences, and a sequence of
        conversations may have fewer tokens than one of the pretraining."""
        of = {stream.name: stream.share / stream.tokens_per_sequence for stream in self.streams}
        total = sum(of.values())
        weights = {
            f"{stream.name}/{category}": of[stream.name] / total * weight
            for stream in self.streams
            for category, weight in stream.weights.items()
        }
        return [Entry("distillation", 1, weights)]

    def config(self, lake: Lakehouse) -> dict[str, Any]:
        """The keys streams, entries and sequences of a plan's config."""
        return {
            "streams": {s.name: shards_config(lake, s.tokens, s.sequences, s.part, s.left_out) for s in self.streams},
            "entries": [entry.as_dict() for entry in self.entries()],
            "sequences": self.named,
        }


def teaching_data(
    recipe: Recipe, lake: Lakehouse, length: int, sft: str | None = None, sft_share: float = 0.0
) -> TeachingData:
    """The data for sequences of `length` tokens: the share `sft_share` of the tokens from the conversations of the
    supervised stage `sft`, the rest from blend.sequences in the shares of the last phase of the
    pretraining, or of the phase for long context if `length` is its length. Raises `TrainingError` for missing data."""
    streams = [_pretraining(recipe, lake, length, 1 - sft_share)] if sft_share < 1 else []
    if sft is not None and sft_share > 0:
        streams.insert(0, _conversations(recipe, lake, length, sft, sft_share))
    return TeachingData(tuple(streams))


def _pretraining(recipe: Recipe, lake: Lakehouse, length: int, share: float) -> Stream:
    import polars as pl

    tokens, sequences, phases = (_there(lake, table) for table in (blend.TOKEN_SHARDS, blend.SEQUENCES, blend.PHASES))
    rows = phases.scan().filter(pl.col("steps") > 0).collect()
    own = pl.col("phase") == blend.LONG_CONTEXT
    wanted = rows.filter(own if length == recipe.blend.long_context.sequence_length else ~own)
    last = wanted.filter(pl.col("number") == pl.col("number").max())
    weights = dict(last.select("category", "share").unique().iter_rows())
    left_out = tuple(sorted(recipe.blend.left_out))
    return _stream(PRETRAINING, tokens, sequences, str(length), share, weights, "blend.further_lengths", left_out)


def _conversations(recipe: Recipe, lake: Lakehouse, length: int, sft: str, share: float) -> Stream:
    """The conversations of a stage, packed for this length; or as the stage reads them, if these are not longer."""
    own = recipe.align.tuning
    stage, part = own.stages()[sft], f"{sft}_{length}" if length in own.distilled_lengths.get(sft, ()) else sft
    if part == sft and stage.sequence_length > length:
        raise TrainingError(
            f"a distillation with sequences of {length} tokens cannot read those of {sft}, which have up to "
            f"{stage.sequence_length} (align.tuning.{sft}.sequence_length): name the length in "
            f"align.tuning.distilled_lengths.{sft}"
        )
    tokens, sequences = (_there(lake, table) for table in (tuning.TOKEN_SHARDS, tuning.SEQUENCES))
    return _stream(SFT, tokens, sequences, part, share, stage.chosen.weights, "align.tuning.distilled_lengths")


def _stream(
    name: str,
    tokens: Reader,
    sequences: Reader,
    part: str,
    share: float,
    weights: dict[str, float],
    said_by: str,
    left_out: tuple[str, ...] = (),
) -> Stream:
    import polars as pl

    if part not in sequences.parts():
        raise TrainingError(
            f"{sequences.table.full_name} has no part {part} to distil with ({said_by}): materialise "
            f"{sequences.table.asset_key.to_user_string()} again"
        )
    sizes = _sizes(sequences.part(part).scan().filter(~pl.col("data_set").is_in(left_out)))
    found = {category: count for category, (count, _) in sizes.items()}
    if weights:
        found = {category: weights.get(category, 0.0) for category in found if weights.get(category)}
    if not found:
        raise TrainingError(
            f"{sequences.table.full_name}/{part} has no sequences of {', '.join(weights) or 'any kind'}"
        )
    total = sum(found.values())
    found = {category: weight / total for category, weight in sorted(found.items())}
    mean = sum(weight * sizes[category][1] for category, weight in found.items())
    return Stream(name, tokens, sequences, part, share, found, mean, left_out)


def _sizes(sequences: pl.LazyFrame) -> dict[str, tuple[int, float]]:
    """{category: its sequences, and the mean number of their tokens}."""
    import polars as pl

    rows = sequences.group_by("category").agg(pl.len(), pl.col("tokens").mean()).collect(engine="streaming")
    return {category: (count, mean) for category, count, mean in rows.iter_rows()}


def _there(lake: Lakehouse, table: Any) -> Reader:
    reader = lake.read(table)
    if not reader.exists:
        raise TrainingError(f"there is nothing to distil with: materialise {table.asset_key.to_user_string()} first")
    return reader
