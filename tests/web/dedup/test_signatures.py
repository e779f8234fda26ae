"""Signatures in the lake: one per text, written part by part; only parts that changed are made again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from nemotron_assets.dedup.signatures import signature_parts, signed
from nemotron_assets.dedup.sorted_bands import forget_all, ranges, sorted_bands
from nemotron_assets.recipe.dedup import Signatures
from nemotron_assets.web.dedup.tables import SIGNATURES
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse
from tests.web.dedup.lake import RECIPE, SIGNED, documents, put

PROSE = "the lake lies between two ranges of hills and the road that leads to it is closed in the winter"
ROWS = [
    ("a", "S", 1, PROSE, "en"),
    ("b", "S", 0, PROSE, "en"),
    ("c", "S", 2, PROSE + " every year", "en"),
    ("d", "S", 3, "... --- ...", "en"),
    ("e", "S", 4, "日本語の文章はスペースで区切られていないので文字で数えます", "ja"),
]


def write(lake: Lakehouse, rows) -> tuple[int, int]:
    put(lake, rows, "S")
    result = lake.write(SIGNATURES, signature_parts(lake.read(DOCUMENTS, "S"), RECIPE, SIGNATURES), "S")
    return result.parts_written, result.parts_skipped


def test_one_signature_per_text_at_its_earliest_document(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    assert write(lake, ROWS) == (2, 0)
    rows = lake.read(SIGNATURES).scan().collect()
    assert sorted(rows["parents"].list.first()) == ["b", "c", "d", "e"]
    by = {row["parents"][0]: row for row in rows.iter_rows(named=True)}
    assert {by[i]["unit"] for i in "bcd"} == {"words"} and by["e"]["unit"] == "characters"
    assert by["d"]["bands"] == b"" and len(by["b"]["bands"]) == 8 * SIGNED.bands
    assert all(len(row["signature"]) == 4 * SIGNED.permutations for row in by.values())
    assert set(np.frombuffer(by["b"]["bands"], "<i8")) & set(np.frombuffer(by["c"]["bands"], "<i8"))


def test_only_files_that_change_are_signed_again(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    write(lake, ROWS)
    assert write(lake, ROWS) == (0, 2)
    # The file with "a" changes; "b" in the other one stays the earliest of its text.
    assert write(lake, [("a", "S", 1, PROSE + " again", "en"), *ROWS[1:]]) == (1, 1)
    # "a" is now earlier than "b", so both files change.
    assert write(lake, [("a", "S", -1, PROSE, "en"), *ROWS[1:]]) == (2, 0)
    left = lake.read(SIGNATURES).scan().select(pl.col("parents").list.first()).collect()["parents"]
    assert sorted(left) == list("acde")


def test_a_file_whose_texts_are_all_elsewhere_has_no_part(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    write(lake, ROWS[:2])
    assert lake.read(SIGNATURES, "S").parts().keys() == {"g"}
    assert write(lake, ROWS[:2]) == (0, 1)


def test_the_published_scheme():
    recipe = Signatures(unit="characters", permutations=260, bands=20, rows=13)
    rows = pl.from_arrow(signed(documents(ROWS), recipe, SIGNATURES))
    assert set(rows["unit"]) == {"characters"}
    assert rows["bands"].bin.size().to_list() == [8 * 20] * 5  # dots and dashes are characters
    assert np.frombuffer(rows["signature"][0], "<u4").size == 260
    assert "characters 24" in rows["scheme"][0] and "20 x 13" in rows["scheme"][0]


def test_bands_must_fit_the_permutations():
    with pytest.raises(ValidationError, match="21 bands of 13 rows need 273 permutations, there are 260"):
        Signatures(unit="characters", permutations=260, bands=21, rows=13)


def test_columns_that_are_scanned_often_are_not_compressed(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    write(lake, ROWS)
    (path, *_) = lake.read(SIGNATURES).files()
    group = pq.read_metadata(path).row_group(0)
    found = {column.path_in_schema: column.compression for column in map(group.column, range(group.num_columns))}
    plain = {name for name, compression in found.items() if compression == "UNCOMPRESSED"}
    assert plain == {"parents.list.element", "content_hash", "signature", "bands"}
    assert found["scheme"] == "ZSTD"


def test_bands_are_sorted_again_when_the_texts_change(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    write(lake, ROWS)
    first = sorted_bands(lake.read(SIGNATURES, "S"), 64)
    assert (first.texts, first.bands) == (4, 3 * SIGNED.bands)
    hashes, texts = first.run("bands", *ranges(1)[0])
    assert (np.diff(hashes) >= 0).all() and set(texts) == {0, 1, 3}  # the third text has no shingles
    stamp = os.stat(f"{first.folder}/bands.parquet").st_mtime_ns
    assert sorted_bands(lake.read(SIGNATURES, "S"), 64) == first
    assert os.stat(f"{first.folder}/bands.parquet").st_mtime_ns == stamp
    os.unlink(f"{first.folder}/sorted.json")  # as if the process was killed before the end
    assert sorted_bands(lake.read(SIGNATURES, "S"), 64) == first
    for left in (b"", None):  # as if it was killed while it wrote or deleted the files
        if left is None:
            os.unlink(f"{first.folder}/texts.parquet")
        else:
            Path(first.folder, "bands.parquet").write_bytes(left)
        assert sorted_bands(lake.read(SIGNATURES, "S"), 64) == first
        assert len(first.run("bands", *ranges(1)[0])[0]) == first.bands
        assert len(first.documents(np.arange(first.texts))) == first.texts
    Path(first.folder, "sorted.json").write_text("")
    assert sorted_bands(lake.read(SIGNATURES, "S"), 64) == first
    write(lake, ROWS[:3])
    second = sorted_bands(lake.read(SIGNATURES, "S"), 64)
    assert second.texts == 2 and not os.path.exists(first.folder)
    forget_all(lake)
    assert not os.path.exists(second.folder)
    forget_all(lake)  # there is nothing left to delete
