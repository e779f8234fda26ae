"""What can go wrong when a crawl is read. No message holds a user, a password or the query of an address."""

from __future__ import annotations

from nemotron_assets.recipe.addresses import WithoutSecrets


class CrawlError(WithoutSecrets, RuntimeError):
    """The crawl or a file of it could not be read. The message names the file."""


class Missing(CrawlError):
    """The source does not have the file, or does not allow to read it."""


class Oversized(CrawlError):
    """The file is larger than the recipe allows. No part of it was kept."""


class Unavailable(CrawlError):
    """The source did not deliver the file within the retries and the time of the recipe; a later attempt may."""


class Unreachable(Unavailable):
    """The source has never answered this process. The message says what to check."""


class Interrupted(WithoutSecrets):
    """One request failed in a way that another request may not. Never leaves this package.

    `wait` is the number of seconds the server asked to wait before the next request; None if it did not ask.
    `reached` says whether there was a connection to the server.
    """

    def __init__(self, reason: str, wait: float | None = None, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.reached = wait, reached


def check_size(location: str, size: int, max_mb: int) -> None:
    """Raise `Oversized` if a file of `size` bytes is larger than `max_mb` MB (2**20 bytes)."""
    if size > max_mb << 20:
        raise Oversized(f"{location} has {size} bytes, more than the {max_mb} MB allowed")
