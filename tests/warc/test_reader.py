"""The parser of WARC files: broken records are skipped, offsets are right, every fate occurs."""

from __future__ import annotations

import gzip
import io
import random

import pytest
from fastwarc.stream_io import zstd_train_dictionary_from_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.warc.reader import BROKEN, KEPT, Limits, NotWarc, OverLimit, WarcFile, host_of
from resources.crawl import SAMPLE
from tests.warc.records import HTML, dictionary_frame, frame, member, parse, record


def good(number: int) -> bytes:
    return record(f"http://a.example/{number}", HTML.replace(b"some", str(number).encode() * 50))


@pytest.mark.parametrize(
    ("data", "fate"),
    [
        (record(), "page"),
        (record(kind="resource"), "page"),
        (
            record(headers=[("Content-Type", "text/html; charset=ascii")], body=HTML + "é€".encode()),
            "charset_corrected",
        ),
        (record(kind="metadata", body=b"fetchTimeMs: 1"), "other_record"),
        (record(kind="revisit", body=b""), "revisit"),
        (record(status="nonsense"), "malformed"),
        (record(url=""), "malformed"),
        (record(date="yesterday"), "malformed"),
        (record(headers=[("Content-Type", "text/html"), ("Content-Encoding", "zip")]), "page"),
        (record(headers=[("Content-Type", "text/html"), ("Content-Encoding", "zip")], body=b"PK\x03\x04"), "malformed"),
        (record(status="301 Moved"), "redirect"),
        (record(status="404 Not Found"), "not_200"),
        (record(body=HTML + b" " * (1 << 16)), "too_large"),
        (record(body=b""), "empty"),
        (record(body=b" \r\n\t"), "empty"),
        (record(headers=[("Content-Type", "application/pdf")], body=b"%PDF-1.4"), "not_html"),
        (record(body=b"%PDF-1.4 declared as text/html"), "not_html"),
        (record(headers=[], body=b"just words"), "not_html"),
        (record(headers=[("Content-Type", "application/octet-stream")]), "page"),
        (record(headers=[]), "page"),
        (record(extra=[("WARC-Truncated", "length")]), "truncated"),
    ],
)
@pytest.mark.parametrize("pack", [member, frame, bytes], ids=["gzip", "zstd", "plain"])
def test_each_fate(data, fate, pack):
    around = pack(good(1)), pack(good(2))
    pages, counts, broken = parse(around[0] + pack(data) + around[1], Limits(max_body=1 << 16))
    expected = {"page": 2}
    expected[fate] = expected.get(fate, 0) + 1
    assert counts == expected
    assert len(pages) == 2 + (fate in KEPT)
    assert [fate for _, fate, _ in broken] == (["malformed"] if fate == "malformed" else [])


def test_truncated_pages_may_be_kept():
    data = member(record(extra=[("WARC-Truncated", "length")]))
    assert parse(data, Limits(keep_truncated=True))[1] == {"page": 1}


DAMAGE = {
    "flipped bits": lambda m: m[:30] + b"\xff" * 20 + m[50:],
    "no magic": lambda m: b"\0\0\0\0" + m[4:],
    "wrong checksum": lambda m: m[:-8] + b"\0\0\0\0" + m[-4:],
    "cut short": lambda m: m[: len(m) // 2],
    "declares more than it has": lambda m: member(record(length=100_000)),
    "declares less than it has": lambda m: member(record(length=60)),
    "declares an absurd length": lambda m: member(record(length=1 << 60)),
    "declares no number": lambda m: member(record(length="much")),
    "no WARC header": lambda m: member(b"JUNK" * 100),
    "endless header": lambda m: member(record(extra=[("X-Long", "a" * 200_000)])),
    "not gzip": lambda m: b"some text between the members\n" * 20,
    "invalid UTF-8 in the header": lambda m: member(record().replace(b"http://a.example/", b"http://\xff\xfe/")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_broken_member_costs_only_itself(damage):
    members = [member(good(number)) for number in range(6)]
    offsets = [sum(map(len, members[:n])) for n in range(3)]
    broken_member = damage(members[3])
    tail = offsets[2] + len(members[2]) + len(broken_member)
    pages, counts, broken = parse(b"".join(members[:3]) + broken_member + b"".join(members[4:]))
    urls = [page.url for page in pages if page.url.startswith("http://a.example/") and page.url[-1].isdigit()]
    assert urls == [f"http://a.example/{number}" for number in (0, 1, 2, 4, 5)]
    places = {page.url: (page.offset, page.length) for page in pages}
    assert places["http://a.example/2"] == (offsets[2], len(members[2]))
    assert places["http://a.example/4"] == (tail, len(members[4]))
    assert sum(counts.values()) == 6 and len(broken) <= 1
    if broken:
        assert broken[0][0] == offsets[2] + len(members[2])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=64)), max_size=4), st.booleans())
def test_offsets_are_right_after_any_damage(changes, cut):
    """Whatever bytes are overwritten, the parser ends, and every page can be read again at its offset."""
    rng = random.Random(1)
    members = [member(good(n) + b"") for n in range(30)] + [member(record(body=HTML + rng.randbytes(3000)))]
    data = bytearray(b"".join(members))
    for place, junk in changes:
        place %= len(data)
        data[place : place + len(junk)] = junk
    data = bytes(data[: len(data) * 2 // 3] if cut else data)
    try:
        pages, _, _ = parse(data)
    except NotWarc:
        return
    for page in pages:
        again, _, _ = parse(data[page.offset : page.offset + page.length])
        assert [p.html for p in again[:1]] == [page.html]


@pytest.mark.parametrize("pack", [member, frame], ids=["gzip", "zstd"])
@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.sampled_from([0, 70_000]))
def test_records_that_share_a_member_have_places_of_their_own(pack, groups, size):
    """The first record of a member has the member's offset alone, as if it had the member for itself."""
    filler = random.Random(1).randbytes(size).hex().encode()
    numbers = iter(range(sum(groups)))
    members = [
        pack(b"".join(record(f"http://a.example/{next(numbers)}", HTML + filler) for _ in range(n))) for n in groups
    ]
    data = b"".join(members)
    pages, counts, broken = parse(data)
    assert [page.url for page in pages] == [f"http://a.example/{n}" for n in range(sum(groups))]
    assert (counts, broken) == ({"page": len(pages)}, [])
    assert len({(page.offset, page.inner_offset) for page in pages}) == len(pages)
    starts = [sum(map(len, members[:n])) for n in range(len(members))]
    assert [page.offset for page in pages if page.inner_offset is None] == starts
    for page in pages:
        piece = data[page.offset : page.offset + page.length]
        again = WarcFile(io.BytesIO(piece), Limits(), is_piece=True).pages()
        assert page.url in [other.url for other in again if other.inner_offset == page.inner_offset]


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 5_000), st.binary(min_size=1, max_size=40)), max_size=2),
)
def test_reading_as_one_stream_and_member_by_member_find_the_same(groups, changes):
    """The first is fast, and gives way to the second wherever it is not sure."""
    numbers = iter(range(sum(groups)))
    members = [member(b"".join(good(next(numbers)) for _ in range(n))) for n in groups]
    data = bytearray(b"".join([member(good(99)), *members]))
    for place, junk in changes:
        place %= len(data)
        data[place : place + len(junk)] = junk

    def found(slowly: bool):
        broken = []
        try:
            file = WarcFile(io.BytesIO(bytes(data)), Limits(), lambda *what: broken.append(what[:2]))
        except NotWarc as problem:
            return str(problem)
        file._by_member = file._by_member or slowly
        pages = [(page.url, page.offset, page.length, page.inner_offset) for page in file.pages()]
        return pages, file.counts.records, broken

    assert found(False) == found(True)


def test_damage_in_a_member_of_several_records_costs_the_records_behind_it():
    filler = random.Random(1).randbytes(50_000)
    shared = member(b"".join(record(f"http://a.example/{n}", HTML + filler) for n in range(4)))
    shared = shared[: len(shared) // 2] + b"\0" * 50 + shared[len(shared) // 2 + 50 :]
    pages, counts, broken = parse(member(good(7)) + shared + member(good(8)))
    assert [page.url[-1] for page in pages] == ["7", "0", "1", "8"] or [page.url[-1] for page in pages] == [
        "7",
        "0",
        "8",
    ]
    assert counts["damaged"] == 1 == len(broken)
    assert all(page.length > 0 for page in pages)


def test_zstandard_files_with_a_dictionary():
    records = [good(number) for number in range(40)]
    dictionary = zstd_train_dictionary_from_samples(records * 20, 4_096)
    start, frames = dictionary_frame(dictionary), [frame(each, dictionary) for each in records]
    pages, counts, broken = parse(start + b"".join(frames))
    assert (counts, broken) == ({"page": 40}, [])
    assert [(page.offset, page.length) for page in pages] == [
        (len(start) + sum(map(len, frames[:n])), len(frames[n])) for n in range(40)
    ]
    flipped = bytearray(b"".join(frames))
    flipped[len(frames[0]) + 20] ^= 0xFF
    pages, counts, broken = parse(start + bytes(flipped))
    assert counts in ({"page": 39, "damaged": 1}, {"page": 40}) and len(pages) == counts["page"]
    for wrong in (start[:100], b"\x5d\x2a\x4d\x18\xff\xff\xff\xff" + start[8:] + frames[0]):
        with pytest.raises(NotWarc):
            WarcFile(io.BytesIO(wrong), Limits())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (gzip.compress(b""), "empty after decompression"),
        (b"<html>" * 500, "no WARC record"),
        (gzip.compress(b"<html>" * 500), "no WARC record"),
        (gzip.compress(good(1) + good(2)), "compressed as a whole"),
        (frame(good(1) + good(2)), "compressed as a whole"),
        # Its first record alone is longer than what is looked at first.
        (gzip.compress(record(body=HTML + random.Random(1).randbytes(200_000)) + good(2)), "compressed as a whole"),
        # As bgzip does: a new member after every so many bytes, in the middle of a record.
        (b"".join(member((good(1) * 9)[at : at + 700]) for at in range(0, 9 * len(good(1)), 700)), "begin anywhere"),
    ],
)
def test_unusable_files_are_refused(data, message):
    with pytest.raises(NotWarc, match=message):
        WarcFile(io.BytesIO(data), Limits())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_records=3), "more than 3 records.*max_file_records"),
        (Limits(max_unpacked=1_000), "more than 1,000 bytes.*max_file_mb"),
        (Limits(max_damaged=2), "more than 2 damaged places.*max_file_damaged"),
        (Limits(max_seconds=0.0), "more than 0.0 seconds.*max_file_s"),
    ],
)
@pytest.mark.parametrize("pack", [member, bytes], ids=["gzip", "plain"])
def test_limits_on_a_file(limits, message, pack):
    """The pages before the limit are kept."""
    junk = b"text between records\n" if pack is bytes else member(b"no record")
    data = b"".join(pack(good(n)) + junk * (n > 1) for n in range(6))
    file = WarcFile(io.BytesIO(data), limits)
    pages = []
    with pytest.raises(OverLimit, match=message):
        for page in file.pages():
            pages.append(page)
    assert len(pages) == file.counts.records.get("page", 0) < 6

    batches = []
    with pytest.raises(OverLimit, match=message):
        for batch in WarcFile(io.BytesIO(data), limits).batches():
            batches += batch
    if "seconds" not in message:  # how far a file is read in no time differs
        assert [page.url for page in batches] == [page.url for page in pages]


def test_places_that_only_look_like_records_are_bounded():
    data = member(good(1)) + b"\x1f\x8b\x08\x00" * 5_000 + member(good(2))
    assert len(parse(data)[0]) == 2
    with pytest.raises(OverLimit, match=r"more than 2,000 places only look like .*max_file_damaged"):
        parse(data, Limits(max_damaged=2))


def test_padding_after_the_last_record_is_not_damage():
    pages, counts, broken = parse(member(good(1)) + b"\0" * 10_000)
    assert (len(pages), counts, broken) == (1, {"page": 1}, [])


def test_batches_are_bounded_in_rows_and_bytes():
    data = b"".join(member(record(f"http://a.example/{n}", HTML + b" " * (n % 7) * 1000)) for n in range(100))
    file = WarcFile(io.BytesIO(data), Limits(batch_rows=8, batch_bytes=20_000))
    batches = list(file.batches())
    assert sum(map(len, batches)) == 100
    assert all(len(batch) <= 8 for batch in batches)
    assert all(len(batch) == 1 or sum(len(p.html) for p in batch) <= 20_000 for batch in batches)


def test_sample_file_has_no_damage():
    for path in SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz"):
        with path.open("rb") as stream:
            pages, counts, broken = parse(stream.read())
        assert not broken and len(pages) > 200 and not set(counts) & set(BROKEN)


def test_host_of():
    assert host_of("https://user@WWW.Example.COM.:8080/x") == "www.example.com"
    assert host_of("http://[::1/") == "" == host_of("not a url")
