"""Numbers of things have the right form of the word."""

from nemotron_assets.table.counting import counted


def test_one_thing_and_many():
    assert [counted(n, "file") for n in (0, 1, 2, 1200)] == ["0 files", "1 file", "2 files", "1,200 files"]
    assert [counted(n, "entry", "entries") for n in (1, 3)] == ["1 entry", "3 entries"]
