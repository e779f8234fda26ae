"""Asks an OpenAI-compatible endpoint for a chat completion, and believes nothing that it answers.

resources/endpoints.py decides which endpoint is asked, and asks again after a failure. Every exchange has a limit of
time and of bytes. What an answer says is checked before it leaves this module: text that cannot be stored is mended, a
number of tokens that cannot be true is left out, and anything but a completion is set aside in a file, because it was
paid for.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemotron_assets.recipe.addresses import (
    WithoutSecrets,
    access_to,
    keep_secret,
    public,
    redacted,
    without_known_secrets,
)
from nemotron_assets.table.storable import storable
from resources.home import cache_dir
from resources.http_session import ANSWERED, CONNECT_S, TimeLimit, connection_problem, http_session, retry_after

_CHUNK = 1 << 16
_LIST_S = 10.0  # longest wait for the list of models
_TRY_LATER = (408, 409, 429)  # and every 5xx
_OWN_FAULT = (401, 402, 403, 404, 405, 407)  # about the key, the account or the address: any request would get them
_ERROR_BYTES = 1 << 14  # of an answer that is an error, so much is read
#: Bytes of an answer: room for its frame, and for every token. The longest tokens have about 130 characters, each of
#: which JSON may write with 6 bytes.
_FRAME_BYTES, _TOKEN_BYTES = 1 << 20, 1 << 10
_MOST_TOKENS = 2**31 - 1
_SHORTEST_SECRET = 16  # characters of a secret that is removed even from an answer: no ordinary word has so many


class EngineError(WithoutSecrets, RuntimeError):
    """A model cannot be loaded or reached, or did not finish an answer. The message says which and why."""


@dataclass(frozen=True)
class Reply:
    """A checked completion. The numbers of tokens are None if the endpoint gave none that can be true."""

    text: str
    prompt_tokens: int | None
    output_tokens: int | None
    finish_reason: str


class EndpointFault(EngineError):
    """The endpoint is at fault, not the request: another endpoint may answer it."""


class NoAnswer(WithoutSecrets):
    """One exchange failed in a way that another one may not. `wait`: seconds that the endpoint asked to wait."""

    def __init__(self, problem: str, wait: float | None = None, *, reached: bool = True) -> None:
        super().__init__(problem)
        self.wait, self.reached = wait, reached


class Endpoint:
    """The endpoint at `base_url`. Several threads may ask at once.

    The key comes from the environment variable `api_key_env` and is sent only to `base_url`: redirects are not
    followed. `key_place` is where the recipe names this variable. `timeout_s` is the limit of one whole exchange, in
    seconds.
    """

    def __init__(
        self, base_url: str, *, api_key_env: str | None, timeout_s: float, key_place: str = "llm.api_key_env"
    ) -> None:
        base_url = public(base_url)
        access = access_to(base_url)
        self._query = f"?{access.query}" if access.query else ""
        self._base = base_url.rstrip("/")
        self.url = f"{self._base}/chat/completions"
        self._login, self._timeout = access.login, timeout_s
        self._key_env, self._key_place = api_key_env, key_place
        self._stopped = threading.Event()
        self._open: set[TimeLimit] = set()

    def headers(self) -> dict[str, str]:
        """The headers of a request. Raises `EngineError` when the variable with the key is not set."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if not self._key_env:
            return headers
        key = os.environ.get(self._key_env)
        if not key:
            raise EngineError(
                f"{self._key_env} ({self._key_place}) is not set: set this environment variable to the endpoint's key"
            )
        if not key.isascii() or not key.isprintable():
            raise EngineError(
                f"the key in {self._key_env} ({self._key_place}) holds a line break or another character that a key "
                "cannot have: set the environment variable again"
            )
        keep_secret(key)
        return headers | {"Authorization": f"Bearer {key}"}

    def stop(self) -> None:
        """End all exchanges and waits now: whoever asks gets an `EngineError`."""
        self._stopped.set()
        for limit in tuple(self._open):
            limit.hang_up()

    def complete(self, body: dict[str, Any], key: str, prompt: str, max_tokens: int) -> Reply:
        """The completion of a request with this body, of at most `max_tokens` tokens. `key` names the request in the
        file of an answer that is set aside, `prompt` in messages. Raises `NoAnswer` or `EngineError`."""
        most = _FRAME_BYTES + _TOKEN_BYTES * max_tokens
        if self._stopped.is_set():
            raise EngineError(f"{self.url}: the request was stopped")
        status, answer, wait = self._exchange("POST", self.url, json.dumps(body).encode(), most, self._timeout)
        if status != 200:
            self._refuse(status, answer, wait, prompt)
        return self._completion(answer, key)

    def models(self) -> list[str] | None:
        """The names of the models that the endpoint lists; None if it does not list them. Raises `NoAnswer` when it
        cannot be reached, is busy or broken, and `EngineError` when the key is missing."""
        url, limit = f"{self._base}/models", min(self._timeout, _LIST_S)
        status, answer, wait = self._exchange("GET", url, None, _FRAME_BYTES, limit)
        if status in _TRY_LATER or (status >= 500 and status != 501):
            raise NoAnswer(f"HTTP {status} when asked for its models", wait)
        try:
            names = [model["id"] for model in json.loads(answer)["data"]] if status == 200 else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return names if names and all(isinstance(name, str) for name in names) else None

    def _exchange(
        self, method: str, url: str, data: bytes | None, most: int, seconds: float
    ) -> tuple[int, bytes, float | None]:
        """The status of an answer, its body (of an error its beginning), and the seconds that it asks to wait."""
        import requests
        import urllib3

        session, timeouts = http_session(environment=False), (min(CONNECT_S, seconds), seconds)
        login, headers = _Login(self._login) if self._login else None, self.headers()
        with TimeLimit(seconds) as limit:
            self._open.add(limit)
            if self._stopped.is_set():  # `stop` may have looked at the open exchanges before this one was among them
                limit.hang_up()
            try:
                with session.request(
                    method,
                    url + self._query,
                    data=data,
                    headers=headers,
                    auth=login,
                    timeout=timeouts,
                    stream=True,
                    allow_redirects=False,
                ) as reply:
                    ANSWERED.add(self.url)
                    if reply.status_code != 200:
                        said = reply.raw.read1(_ERROR_BYTES, decode_content=False)
                        return reply.status_code, said, retry_after(reply.headers.get("Retry-After"))
                    answer = _body(reply, most, url)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # The errors of requests quote the address with its query, so they do not become causes of ours.
                problem, reached = connection_problem(error)
                # A silent connection may be noticed a moment before the limit, which is as long.
                late = limit.passed or isinstance(
                    error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError
                )
                raise NoAnswer(_too_late(seconds) if late else problem, reached=reached) from None
            finally:
                self._open.discard(limit)
        if limit.passed:  # the end of a body without a length looks like a connection that was hung up
            raise NoAnswer(_too_late(seconds))
        return 200, answer, None

    def _refuse(self, status: int, answer: bytes, wait: float | None, prompt: str) -> None:
        """Raise for an answer whose status is not 200."""
        problem = f"HTTP {status}: {redacted(answer.decode('utf-8', 'replace'))[:300]}"
        if status in _TRY_LATER or status >= 500:
            raise NoAnswer(problem, wait)
        fault = EndpointFault if status in _OWN_FAULT or 300 <= status < 400 else EngineError
        raise fault(f"{self.url} refused a request of prompt {prompt}: {problem}")

    def _completion(self, answer: bytes, key: str) -> Reply:
        try:
            body = json.loads(answer)
            choice, usage = body["choices"][0], body.get("usage")
            text, reason = choice["message"]["content"] or "", choice["finish_reason"]
            if not isinstance(text, str) or reason not in ("stop", "length", "content_filter"):
                raise ValueError(f"finish_reason {str(reason)[:50]!r}, content of type {type(text).__name__}")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            problem = f"{type(error).__name__} {str(error)[:200]}"
            raise EndpointFault(
                f"{self.url} did not answer with a chat completion: {problem}; its answer is in "
                f"{_set_aside(answer, key)}"
            ) from None
        usage = usage if isinstance(usage, dict) else {}
        tokens = _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
        return Reply(without_known_secrets(storable(text), _SHORTEST_SECRET), *tokens, reason)


class _Login:
    """Basic authentication for requests, which replaces no Authorization header that is there already."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._login = login

    def __call__(self, request: Any) -> Any:
        from requests.auth import HTTPBasicAuth

        return request if "Authorization" in request.headers else HTTPBasicAuth(*self._login)(request)


def _too_late(seconds: float) -> str:
    return f"no whole answer within {seconds:g} s (llm.timeout_s)"


def _tokens(value: Any) -> int | None:
    """A number of tokens, or None for anything that cannot be one, such as 1e30, -1, "7" or true."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def _body(reply: Any, most: int, url: str) -> bytes:
    """The body of an answer. Raises `EndpointFault` when it has more than `most` bytes."""
    data = bytearray()
    while chunk := reply.raw.read1(_CHUNK, decode_content=False):
        data += chunk
        if len(data) > most:
            raise EndpointFault(
                f"{url} sent more than {most} bytes as one answer, which no completion of the requested length has"
            )
    return bytes(data)


def _set_aside(answer: bytes, key: str) -> Path:
    """Store an answer that is not a completion, and return its file. A later answer to the request replaces it."""
    path = cache_dir("set_aside") / f"{key}.json"
    path.write_text(without_known_secrets(answer.decode("utf-8", "replace")))
    return path
