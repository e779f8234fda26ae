"""Which failures of the crawl's source Dagster tries again: only those that may pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import dagster as dg

from nemotron_assets.table.parts import Part
from resources.crawl import CrawlError, Unavailable, Unreachable


@contextlib.contextmanager
def final_unless_it_may_pass() -> Iterator[None]:
    """Fail at once when the source has never answered or lacks a file. An asset's retry policy would wait minutes for
    what only a person can mend; a transfer that broke off is left to the policy."""
    try:
        yield
    except CrawlError as error:
        if isinstance(error, Unavailable) and not isinstance(error, Unreachable):
            raise
        raise dg.Failure(str(error), allow_retries=False) from None


def each_final_unless_it_may_pass(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts; a failure to find the next one is treated in the same way."""
    with final_unless_it_may_pass():
        yield from parts
