"""Tombstones: they fit what was forgotten and nothing else, in every way of writing it, and they hold no address."""

import pyarrow as pa
import pytest

from nemotron_assets.rights.targets import targets
from nemotron_assets.rights.tombstones import PAGE_COLUMNS, Tombstones, address_of, tombstones

SALT = "0123456789abcdef0123456789abcdef"
WORDS = [
    "example.org",
    "https://other.example/a?b=1",
    "Owner/Name",
    "ab" * 16,
    "http://[::1]/x",
    "ingest:own/t.jsonl#4",
]


@pytest.fixture(scope="module")
def forgotten() -> Tombstones:
    contents = [("", "made-up"), ("other.example/moved", "same")]
    contents += [(address_of(url), "odd") for url in ("http://a:99999/", "https://b.example\\x")]
    return Tombstones(tombstones(targets(WORDS), contents, salt=SALT))


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (("", "https://www.example.org/x", "www.example.org", ""), "host"),
        (("", "https://EXAMPLE.org/x", "", ""), "host"),
        (("", "https://sub.example.org/x", "sub.example.org", ""), None),
        (("", "http://www.other.example:80/a?b=1#c", "www.other.example", ""), "url"),
        (("", "https://other.example/a?b=2", "other.example", ""), None),
        (("", "https://other.example/moved", "other.example", "same"), "content"),
        (("", "https://other.example/moved", "other.example", "another"), None),
        (("", "https://third.example/", "third.example", "same"), None),
        (("ab" * 16, "https://third.example/", "third.example", ""), "id"),
        (("", "http://[::1]/x", "::1", ""), "url"),
        (("", "ingest:own/t.jsonl#4", "ingest:own/t.jsonl#0", ""), "url"),
        (("", "ingest:new/u.jsonl#9", "ingest:new/u.jsonl#0", "made-up"), "content"),
        (("", "ingest:new/u.jsonl#9", "ingest:new/u.jsonl#0", "other"), None),
        (("", "http://a:99999/", "a", ""), None),
        (("", "http://a:99999/", "a", "odd"), "content"),
        (("", "http://a:99999/", "a", "other"), None),
        (("", "https://b.example\\x", "ingest:own/t.jsonl#0", "odd"), "content"),
    ],
)
def test_a_page_fits_its_tombstone_alone(forgotten, page, kind):
    assert forgotten.page(*page) == kind


def test_a_repository_fits_whatever_its_case(forgotten):
    assert forgotten.repository("", "owner/NAME") == "repository"
    assert forgotten.repository("", "owner/name2") is None
    assert not Tombstones()


def test_a_batch_is_split_in_order(forgotten):
    rows = [("1", "https://example.org/", "example.org", ""), ("2", "https://a.example/", "a.example", "")]
    kept, gone = forgotten.split(
        pa.RecordBatch.from_pylist([dict(zip(PAGE_COLUMNS, row, strict=True)) for row in rows])
    )
    assert (kept["id"].to_pylist(), gone["id"].to_pylist()) == (["2"], ["1"])


def test_rows_hold_no_address_and_another_lake_has_other_hashes():
    rows = tombstones(targets(WORDS), [("secret.example/page", "x")], salt=SALT)
    assert not any(word in str(rows) for word in ("example", "Owner", "owner", "own/t"))
    other = tombstones(targets(WORDS), [("secret.example/page", "x")], salt="f" * 32)
    assert not {row["hash"] for row in rows} & {row["hash"] for row in other}
