"""What can become of a record of a WARC file, or of a row of another file, and how many had each fate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: {fate: what it means}, in the order in which the fates are tested. Records with the first two fates become pages.
FATES = {
    "page": "the record is kept as a page",
    "charset_corrected": "the record is kept as a page; its bytes contradict the declared character encoding",
    "other_record": "the record is not a response: warcinfo, request, metadata or conversion",
    "revisit": "the body of this response stands in an earlier record",
    "malformed": "the record lacks a valid header, URL or date, or its body is undecodable or shorter than declared",
    "redirect": "the HTTP status is 3xx",
    "not_200": "the HTTP status is neither 200 nor 3xx",
    "too_large": "the body exceeds the recipe's size limit, before or after decoding",
    "empty": "the body is empty or only white space",
    "not_html": "the recipe does not take the body's media type, as declared or as seen in its bytes",
    "truncated": "the crawler cut the body off (WARC-Truncated), and the recipe does not keep such pages",
    "damaged": "the bytes are not a readable record; counted once for each place where reading had to start again",
    "broken_file": "the file could not be fetched, it cannot be read, or the rest of it exceeds a limit",
    "forgotten": "the page was forgotten on request (`nemotron forget`), and is not stored again",
    "empty_file": "the file holds no records or rows at all",
}
KEPT = ("page", "charset_corrected")
#: Fates that mean that the WARC data is broken.
BROKEN = ("malformed", "damaged", "broken_file")


@dataclass
class Counts:
    """{fate: records} and {fate: bytes}. The bytes are those of the bodies (the declared number where a body was not
    read); for damaged data, those in the file."""

    records: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, fate: str, size: int) -> None:
        """Count one record."""
        self.records[fate] = self.records.get(fate, 0) + 1
        self.bytes[fate] = self.bytes.get(fate, 0) + size

    def merge(self, records: Mapping[str, int], bytes_: Mapping[str, int]) -> None:
        """Count the records of another piece of the file."""
        for fate, number in records.items():
            self.records[fate] = self.records.get(fate, 0) + number
            self.bytes[fate] = self.bytes.get(fate, 0) + bytes_[fate]

    def move(self, fate: str, to: str, size: int) -> None:
        """Count a record of `size` bytes, which was counted with the one fate, with another."""
        self.records[fate] -= 1
        self.bytes[fate] -= size
        if not self.records[fate]:
            del self.records[fate], self.bytes[fate]
        self.add(to, size)
