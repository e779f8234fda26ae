"""Token shards in files: sequences come back as they were, from the lake too, and a foreign file is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.blend.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.text.tokenizer import EOS
from nemotron_assets.training.mapped import Shard, ShardFiles
from nemotron_assets.training.packing import pack
from nemotron_assets.training.plan import shards_config
from nemotron_assets.training.worker import shards_of
from resources.lakehouse import Lakehouse, commits
from resources.lakehouse.changes import compact
from tests.blend.packed_lake import documents, write_packed


def shard_of(sizes: list[int], length: int) -> Shard:
    packed = pack(np.array(sizes), length, seed=0)
    first = np.cumsum([0, *sizes])
    return Shard(
        np.arange(sum(sizes), dtype=np.int32), packed.bounds, first[packed.documents] + packed.offsets, packed.lengths
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 20))
@settings(max_examples=60)
def test_a_file_has_every_token_once(tmp_path_factory, sizes, length):
    shard, path = shard_of(sizes, length), tmp_path_factory.mktemp("shards") / "0.tokens"
    shard.save(path)
    mapped, seen = Shard.map(path), []
    for row in range(len(mapped.bounds) - 1):
        one, same = mapped.read(row), shard.read(row)
        assert one.tokens.dtype == np.int32 and len(one.tokens) == sum(one.lengths) <= length
        assert one.tokens.tolist() == same.tokens.tolist() and one.lengths == same.lengths
        seen += one.tokens.tolist()
    assert sorted(seen) == list(range(sum(sizes)))


def test_a_shard_is_made_once_and_an_unfinished_file_is_not_seen(tmp_path):
    made = []

    def make(number):
        made.append(number)
        return shard_of([number + 1, 7], 8)

    files = ShardFiles(tmp_path / "new", make)
    assert files[3].read(0).lengths == files[3].read(0).lengths
    assert sum(ShardFiles(tmp_path / "new", make)[3].read(0).lengths) > 0 and made == [3]
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["00000003.tokens"]
    with pytest.raises(ValueError, match="broken"):
        Shard(np.arange(3), "broken", np.arange(1), np.arange(1)).save(tmp_path / "new" / "4.tokens")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["00000003.tokens"]


class Made(list):
    """Makes shards of the same size, and remembers which."""

    def __call__(self, number: int) -> Shard:
        self.append(number)
        return dataclasses.replace(shard_of([50, 50], 64), tokens=np.full(100, number, np.int32))


def size_of_a_file(folder) -> int:
    ShardFiles(folder, Made())[0]
    return next(folder.glob("*.tokens")).stat().st_size


def test_files_beyond_the_limit_are_deleted_those_read_longest_ago_first(tmp_path):
    size, made = size_of_a_file(tmp_path / "one"), Made()
    files = ShardFiles(tmp_path / "many", made, most_bytes=3 * size)
    for number in (0, 1, 2, 0, 3):  # 1 was read longest ago
        files[number]
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == [f"{n:08d}.tokens" for n in (0, 2, 3)]
    assert [files[number].read(0).tokens[0] for number in (0, 2, 3, 1)] == [0, 2, 3, 1]
    assert made == [0, 1, 2, 3, 1] and len(list((tmp_path / "many").iterdir())) == 3


def test_a_deleted_file_stays_readable_where_it_is_mapped(tmp_path):
    """Two processes share the folder: one deletes what the other one reads."""
    size = size_of_a_file(tmp_path / "one")
    first, second = (ShardFiles(tmp_path / "both", Made(), most_bytes=size) for _ in range(2))
    held = first[0]
    assert second[1].read(0).tokens[0] == 1, "it takes the only place"
    assert [path.name for path in (tmp_path / "both").iterdir()] == ["00000001.tokens"]
    assert held.read(0).tokens[0] == 0 and first[0].read(0).tokens[0] == 0


def test_a_limit_smaller_than_a_shard_keeps_the_newest(tmp_path):
    made = Made()
    files = ShardFiles(tmp_path, made, most_bytes=1)
    assert [files[number].read(0).tokens[0] for number in (0, 0, 1, 0)] == [0, 0, 1, 0]
    assert made == [0, 1, 0] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 64])
def test_a_foreign_file_is_refused(tmp_path, damage):
    path = tmp_path / "0.tokens"
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"0\.tokens is not a token shard"):
        Shard.map(path)


def test_sequences_of_any_length_are_read_from_the_lake(tmp_path):
    recipe = load_recipe("laptop").with_sections({"blend.sequence_length": 64})
    rng = np.random.default_rng(0)
    names = ["code.qa/-/000000", "code.qa/-/000001", "web.nemotron_cc_v2/High-Quality/a long name of a snapshot/000000"]
    shards = {n: documents(n, [rng.integers(9, 99, k % 150).tolist() for k in range(1, 60)]) for n in names}
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    write_packed(lake, shards, recipe)
    expected = sorted(tuple(ids) for rows in shards.values() for ids in rows["tokens"].to_list())
    before = lake.read(SEQUENCES)
    assert compact(lake, SEQUENCES, None, 1 << 27, commits.properties("")) == (4, 1)
    compacted = {"path": lake.path(SEQUENCES), "version": lake.read(SEQUENCES).version}
    for length in (64, recipe.blend.long_context.sequence_length):
        config = shards_config(lake, lake.read(TOKEN_SHARDS), before, length)
        found = shards_of({"shards": config, "folder": str(tmp_path / str(length))})
        assert [(source.name, source.category, len(source.sizes)) for source in found.sources] == [
            ("code.qa", "code", 2),
            ("web.nemotron_cc_v2/High-Quality", "crawl-high", 1),
        ]
        pieces = []
        for number, source in enumerate(found.sources):
            for shard, size in enumerate(source.sizes):
                for row in range(size):
                    sequence, at = found.read(number, shard, row), 0
                    assert len(sequence.tokens) <= length
                    for piece in sequence.lengths:
                        pieces.append(tuple(sequence.tokens[at : at + piece].tolist()))
                        at += piece
        whole = [piece for piece in pieces if len(piece) < 64 and piece[-1] == EOS] if length == 64 else pieces
        assert sum(map(len, pieces)) == sum(map(len, expected))
        assert sorted(pieces) == expected if length > 150 else {p for p in expected if len(p) < 64} <= set(whole)
        joined = shards_of({"shards": {**config, "sequences": compacted}, "folder": str(tmp_path / f"joined-{length}")})
        assert joined.sources == found.sources, "a compacted file has sequences of every length"
        assert np.array_equal(joined.read(0, 1, 0).tokens, found.read(0, 1, 0).tokens)
        config |= {"left_out": ["code.qa"]}
        rest = shards_of({"shards": config, "folder": str(tmp_path / f"rest-{length}")})
        assert [source.name for source in rest.sources] == ["web.nemotron_cc_v2/High-Quality"]
        assert rest.shard_name(0, 0) == names[2], "what is left keeps its shards"
        assert np.array_equal(rest.read(0, 0, 0).tokens, found.read(1, 0, 0).tokens)
