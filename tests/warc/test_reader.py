"""The parser of WARC files: broken records are skipped, offsets are right, every fate occurs."""

from __future__ import annotations

import gzip
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.warc.reader import BROKEN, KEPT, Limits, NotWarc, WarcFile, host_of
from resources.crawl import SAMPLE
from tests.warc.records import HTML, member, parse, record


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
        (record(headers=[("Content-Type", "text/html"), ("Content-Encoding", "zip")]), "malformed"),
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
@pytest.mark.parametrize("pack", [member, bytes], ids=["gzip", "plain"])
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


def test_unusable_files_are_refused():
    whole = gzip.compress(good(1) + good(2))
    for data, message in ((b"", "empty"), (b"<html>" * 500, "no WARC record"), (whole, "compressed as a whole")):
        with pytest.raises(NotWarc, match=message):
            WarcFile(io.BytesIO(data), Limits())


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
