"""Each stage reads what its recipe chooses, packed or one by one, and never a held-out row."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.align.tuning import audit
from nemotron_assets.align.tuning.sequences import UNTRUNCATED, _wanted, left_out, sequence_parts, shard_frame
from nemotron_assets.align.tuning.tables import SEQUENCES
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.tuning import Chosen, Stage
from nemotron_assets.table.parts import Parts
from tests.align.tuning.conversations import several
from tests.align.tuning.test_shards import encoded, lake, tokenizer_folder  # noqa: F401 - fixtures

TUNING = load_recipe("laptop").align.tuning


def stage(packed: bool = True, length: int = 128, **chosen) -> Stage:
    return TUNING.sft_1.model_copy(
        update={"packed": packed, "sequence_length": length, "chosen": Chosen(**chosen or {"variants": {"full": 1.0}})}
    )


@pytest.fixture
def rows(lake, tokenizer_folder):  # noqa: F811
    return encoded(lake, tokenizer_folder, several(), held_out_share=0.1)[0]


def read(rows: pl.DataFrame, own: Stage, name: str = "sft_1") -> pl.DataFrame:
    return rows.filter(_wanted(name, own.chosen, rows.lazy()))


def test_variants_and_domains_decide_what_is_read(rows):
    trained = rows.filter(~pl.col("held_out"))
    assert read(rows, stage(variants={"full": 1.0}))["id"].to_list() == trained.filter(variant="full")["id"].to_list()
    only_tools = read(rows, stage(variants={"full": 0.0}, domains={"tools": 1.0}))
    assert set(only_tools["category"]) == {"tools"} and len(only_tools) == len(trained.filter(category="tools"))
    less = read(rows, stage(variants={"full": 0.3}))["id"]
    more = read(rows, stage(variants={"full": 0.6}))["id"]
    assert 0 < len(less) < len(more) < len(trained) and set(less) < set(more)


def test_without_truncated_thoughts_the_originals_stand_in_their_place(rows):
    choice = stage(variants={"truncated": 1.0})
    cut, whole = read(rows, choice), read(rows, choice, UNTRUNCATED)
    assert set(cut["variant"]) == {"truncated"} and set(whole["variant"]) == {"full"}
    assert sorted(cut["original"]) == sorted(whole["original"]) and len(cut) > 3


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 128), min_size=1, max_size=40), st.booleans())
def test_every_row_is_in_one_sequence_and_whole(lengths, packed):
    """Property: also of rows that fill a sequence alone."""
    count = len(lengths)
    rows = pl.DataFrame({
        "id": [f"r{k}" for k in range(count)], "part": "math/full/000000", "category": "math", "variant": "full",
        "position": range(count), "length": pl.Series(lengths, dtype=pl.Int64), "held_out": False,
    })  # fmt: skip
    own = stage(packed)
    made = shard_frame(rows, "sft_1", own, 7)
    assert made.schema == SEQUENCES.empty().schema and made["id"].n_unique() == len(made)
    assert made["position"].to_list() == list(range(len(made)))
    broken = audit.broken_sequences(made.lazy(), rows.lazy(), "sft_1", own)
    assert broken == {"too_long": 0, "joined": 0, "cut": 0, "twice": 0, "held_out": 0}
    assert sorted(made["parents"].explode()) == sorted(rows["id"])
    if not packed:
        assert made["documents"].list.len().to_list() == [1] * count
    assert set(made["data_set"]) == {"math/full"}


def test_errors_in_sequences_are_counted(rows):
    own = stage(False)
    made = shard_frame(rows.filter(part="math/full/000000"), "sft_1", own, 7)
    assert audit.broken_sequences(made.lazy(), rows.lazy(), "sft_1", own)["held_out"] > 0
    twice = pl.concat([made, made])
    assert audit.broken_sequences(twice.lazy(), rows.lazy(), "sft_1", own)["twice"] == len(made)
    packed = shard_frame(rows.filter(part="math/full/000000"), "sft_1", stage(True, length=1_000), 7)
    assert audit.broken_sequences(packed.lazy(), rows.lazy(), "sft_1", own)["joined"] > 0
    short = made.with_columns(pl.col("piece_lengths").list.eval(pl.element() - 1))
    assert audit.broken_sequences(short.lazy(), rows.lazy(), "sft_1", own)["cut"] == len(made)


def test_each_stage_has_a_part_and_long_rows_are_counted(lake, tokenizer_folder):  # noqa: F811
    from nemotron_assets.align.tuning.tables import TOKEN_SHARDS

    encoded(lake, tokenizer_folder, several())
    shards = lake.read(TOKEN_SHARDS)
    distilled = TUNING.model_copy(update={"distilled_lengths": {"sft_2": (4_096,)}})
    lake.write(SEQUENCES, Parts(sequence_parts(shards, distilled)))
    assert lake.read(SEQUENCES).parts().keys() == {"sft_1", "sft_2", "sft_3", UNTRUNCATED, "sft_2_4096"}
    assert not any(left_out(shards.scan(), distilled).values())
    one_by_one, packed = (lake.read(SEQUENCES).part(part).scan().collect() for part in ("sft_2", "sft_2_4096"))
    assert packed.height < one_by_one.height and packed["tokens"].sum() == one_by_one["tokens"].sum()
    longest = int(shards.scan().select(pl.col("length").max()).collect().item())
    shorter = TUNING.model_copy(
        update={"sft_1": stage(length=longest - 1), "without_truncated": False, "distilled_lengths": {}}
    )
    lake.write(SEQUENCES, Parts(sequence_parts(shards, shorter)))
    found = left_out(shards.scan(), shorter)
    assert found["sft_1"] > 0 and found["sft_3"] == 0
    kept = lake.read(SEQUENCES).part("sft_1").scan().select(pl.col("tokens").max()).collect().item()
    assert kept < longest
    assert lake.read(SEQUENCES).parts().keys() == {"sft_1", "sft_2", "sft_3"}
