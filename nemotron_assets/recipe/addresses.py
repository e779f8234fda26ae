"""Keeps secrets out of sight: the user, password and query of an address, API keys, and secrets in the environment.

A recipe may name `http://user:password@host/crawl?token=...`. `public` splits such an address as soon as the recipe is
read: every value that is stored, hashed, logged or shown is `http://host/crawl`. The rest stays in the memory of this
process, where `access_to` finds it for a request. `redacted` removes secrets from texts that come from elsewhere, such
as the answer of a server; the errors that derive from `WithoutSecrets` do so themselves.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_SHORTEST, _SHORTEST_PASSWORD = 8, 4  # characters; a shorter value may be an ordinary word
#: Schemes whose addresses may hold secrets. A folder or a name is left as it is.
_SCHEMES = ("http", "https", "s3", "gs")
_USER = re.compile(r"([a-z][a-z0-9+.-]{0,20}://)(?:[^\s/?#'\"<>]*|[^\s/?#'\"<>:]*:(?!\d+[/?#])[^\s'\"<>@]*)@", re.I)
_QUERY = re.compile(r"([a-z][a-z0-9+.-]{0,20}://[^\s?#'\"<>]*)[?#][^\s'\"<>]*", re.I)
_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^\s/:@]*:([^\s/@]+)@", re.I)
#: Names of query parameters and of environment variables whose values are secrets.
_SECRET_NAME = re.compile(
    r"secret|token|passw|credential|signature|\bsig\b|auth(?!or(?!iz))|api_?key|access_?key", re.I
)

_ACCESS: dict[str, Access] = {}
_SECRETS: set[str] = set()


@dataclass(frozen=True)
class Access:
    """What a request to an address needs beside its public part. `user` and `password` are not percent-encoded."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    query: str = field(default="", repr=False)

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password for HTTP's basic authentication, or None."""
        return None if self.user is None else (self.user, self.password or "")


def public(address: str) -> str:
    """The address without user, password, query and fragment, which are kept for `access_to`. Of two addresses that
    differ only in these parts, those of the last one are kept.

    Raises a pydantic error, which does not quote the address, if the parts cannot be told apart.
    """
    scheme = address.partition("://")[0].lower()
    if "://" not in address or scheme not in _SCHEMES:
        return address
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts = port = None
    if parts is None or not parts.hostname or port == 0 or ("@" in parts.netloc and "@" in parts.path):
        raise PydanticCustomError(
            "address",
            "this address cannot be read: expected {scheme}://host:port/path; in a user or password write '@' as %40, "
            "'/' as %2F and ':' as %3A",
            {"scheme": scheme},
        )
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{scheme}://{host}{parts.path}"
    if at or parts.query:
        if scheme in ("s3", "gs"):
            raise PydanticCustomError(
                "address",
                "an address of an object store must not hold a key or a query: set the provider's environment "
                "variables instead (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, ...)",
            )
        name, _, password = user.partition(":")
        _ACCESS[shown] = Access(unquote(name) if at else None, unquote(password) if at else None, parts.query)
        _keep_parts(name, password, parts.query)
    return shown


#: A recipe value that may hold an address with secrets: only its public part becomes part of the recipe.
Address = Annotated[str, AfterValidator(public)]


def access_to(address: str) -> Access:
    """What `public` split off from the address that is public as `address`; nothing for other addresses."""
    return _ACCESS.get(address, Access())


def keep_secret(value: str, shortest: int = _SHORTEST) -> None:
    """Let `redacted` remove this value from texts, if it has at least `shortest` characters."""
    forms = (value, quote(value, safe=""), quote(value), unquote(value))
    _SECRETS.update(form for form in forms if len(form) >= shortest)


def redacted(text: str) -> str:
    """The text without the secrets that this process knows, and without user, password and query of addresses."""
    return without_known_secrets(_QUERY.sub(r"\1", _USER.sub(r"\1", text)))


def without_known_secrets(text: str, shortest: int = 0) -> str:
    """The text with *** for every secret of at least `shortest` characters that this process knows. Addresses are left
    as they are. In texts that are data, a short secret may be an ordinary word."""
    for secret in sorted({*_SECRETS, *_secrets_of_the_environment()}, key=len, reverse=True):
        if len(secret) >= shortest:
            text = text.replace(secret, "***")
    return text


class WithoutSecrets(Exception):
    """An exception whose message holds no secret, whatever text it was made from."""

    def __init__(self, message: object = "") -> None:
        super().__init__(redacted(str(message)))


def _keep_parts(user: str, password: str, query: str) -> None:
    """Remember the parts of an address that are secret. A user name without a password counts as a
    secret, because some services take a token in its place."""
    if password:
        keep_secret(password, _SHORTEST_PASSWORD)
    else:
        keep_secret(user)
    if user or password:
        keep_secret(base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode())
    keep_secret(query)
    for name, value in parse_qsl(query):
        keep_secret(value, _SHORTEST_PASSWORD if _SECRET_NAME.search(name) else _SHORTEST)


def _secrets_of_the_environment() -> Iterator[str]:
    """The values of environment variables that are named as secrets, and passwords in the addresses of others."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and not value.startswith("/"):  # else the path of a file
            secret = value
        elif address := _WITH_PASSWORD.match(value):
            secret = address[1]
        else:
            continue
        if len(secret) >= _SHORTEST:
            yield secret
