"""Chooses the rows of each supervised stage and puts them into sequences, as an index.

In a packed stage, a sequence holds rows of one shard, and no row sees another (see nemotron_assets/model/packing.py).
In the others, each row is a sequence of its own. No row is cut: without its end, an answer would not teach where to
end.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import polars as pl

from nemotron_assets.align.tuning.tables import SEQUENCES
from nemotron_assets.recipe.align.tuning import Chosen, Stage, Tuning
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part
from nemotron_assets.training.packing import Packed, pack
from resources.lakehouse import Reader

#: The part of stage 3 with whole thoughts in the place of the cut ones.
UNTRUNCATED = "sft_3_untruncated"
#: What is read of align.token_shards: everything but the tokens.
_READ = ("id", "part", "category", "variant", "original", "held_out", "position", "length")


def parts_of(recipe: Tuning) -> dict[str, Stage]:
    """The parts of `align.sequences` with the stage that each is for."""
    stages = recipe.stages()
    compared = {UNTRUNCATED: recipe.sft_3} if recipe.without_truncated else {}
    distilled = {
        f"{name}_{length}": stages[name].model_copy(update={"sequence_length": length, "packed": True})
        for name, lengths in recipe.distilled_lengths.items()
        for length in lengths
    }
    return stages | compared | distilled


def sequence_parts(shards: Reader, recipe: Tuning) -> Iterator[Part]:
    """The parts of `align.sequences`, made again when a shard or the choice of the stage has changed."""
    contents = content_hash(repr(sorted(shards.parts().items())).encode())
    for name, stage in parts_of(recipe).items():
        decides = (stage.sequence_length, stage.packed, stage.chosen.variants, stage.chosen.domains, recipe.seed)
        make = functools.partial(_frames, shards, name, stage, recipe.seed)
        yield Part(name, content_hash(repr((contents, *decides)).encode()), make)


def _frames(shards: Reader, name: str, stage: Stage, seed: int) -> Iterator[pl.DataFrame]:
    wanted = _wanted(name, stage.chosen, shards.scan()) & (pl.col("length") <= stage.sequence_length)
    made = False
    for shard in shards.parts():
        read = [pl.DataFrame(pl.from_arrow(batch)) for batch in shards.part(shard).batches(_READ, keep_memory=True)]
        rows = pl.concat(read).filter(wanted, part=shard).sort("position")
        if len(rows):
            made = True
            yield shard_frame(rows, name, stage, seed)
    if not made:
        yield SEQUENCES.empty()


def _wanted(name: str, choice: Chosen, rows: pl.LazyFrame) -> pl.Expr:
    """Which of `rows` the part of a stage reads. For the stage without cut thoughts, the originals of the truncated
    conversations stand in their place."""
    wanted = _within(choice)
    if name == UNTRUNCATED:
        cut = choice.model_copy(update={"variants": {"truncated": choice.variants.get("truncated", 0.0)}})
        # The ids of the conversations with a cut thought: a share of one data set, which the recipe sets.
        originals = rows.filter(_within(cut)).select("original").collect(engine="streaming")["original"]
        is_original = (pl.col("variant") == "full") & pl.col("original").is_in(originals.unique().to_list())
        wanted = (wanted & (pl.col("variant") != "truncated")) | is_original
    return wanted & ~pl.col("held_out")


def _within(choice: Chosen) -> pl.Expr:
    """Whether the share of a row's variant or domain takes it. The first digits of the original's id decide, so all
    rows and copies of a conversation are taken together, and a larger share contains a smaller one."""
    share = pl.col("variant").replace_strict(choice.variants, default=0.0, return_dtype=pl.Float64)
    if choice.domains:
        of_domain = pl.col("category").replace_strict(choice.domains, default=None, return_dtype=pl.Float64)
        named = pl.col("variant").is_in(list(choice.variants))
        share = pl.when(named & of_domain.is_not_null()).then(of_domain).otherwise(share)
    return pl.col("original").str.head(8).str.to_integer(base=16, dtype=pl.Int64) < share * 16**8


def shard_frame(rows: pl.DataFrame, name: str, stage: Stage, seed: int) -> pl.DataFrame:
    """The rows of `align.sequences` for the chosen rows of one shard (the columns `_READ`)."""
    lengths = rows["length"].to_numpy()
    if stage.packed:
        packed = pack(lengths, stage.sequence_length, seed)
    else:
        packed = Packed(np.arange(len(rows) + 1), np.arange(len(rows)), np.zeros(len(rows), np.int64), lengths)
    members = packed.documents
    pieces = pl.DataFrame(
        {
            "sequence": np.repeat(np.arange(packed.count), np.diff(packed.bounds)),
            "parents": rows["id"].gather(members),
            "documents": rows["position"].gather(members),
            "piece_offsets": packed.offsets,
            "piece_lengths": packed.lengths.astype(np.int32),
        }
    )
    shard = rows["part"][0]
    made = pieces.group_by("sequence", maintain_order=True).agg(pl.all()).sort("sequence")
    return made.select(
        pl.Series("id", [row_id(SEQUENCES.full_name, name, shard, number) for number in range(packed.count)]),
        "parents",
        pl.lit(name).alias("part"),
        pl.lit(rows["category"][0]).alias("category"),
        pl.lit(f"{rows['category'][0]}/{rows['variant'][0]}").alias("data_set"),
        pl.lit(shard).alias("shard"),
        pl.col("sequence").alias("position"),
        "documents",
        "piece_offsets",
        "piece_lengths",
        tokens=pl.Series(packed.tokens()),
    )


def left_out(rows: pl.LazyFrame, recipe: Tuning) -> dict[str, int]:
    """How many chosen rows each part leaves out because they are longer than its sequences."""
    found = {}
    for name, stage in parts_of(recipe).items():
        long = _wanted(name, stage.chosen, rows) & (pl.col("length") > stage.sequence_length)
        found[name] = rows.filter(long).select(pl.len()).collect(engine="streaming").item()
    return found
