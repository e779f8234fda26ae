"""Asks an OpenAI-compatible endpoint for chat completions, one at a time, and believes nothing that it answers.

Every exchange has a limit of time and of bytes. What an answer says is checked before it leaves this module: text that
cannot be stored is mended, a number of tokens that cannot be true is left out, and anything but a completion is set
aside in a file, because it was paid for.
"""

from __future__ import annotations

import json
import logging
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

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
_LONGEST_WAIT_S = 300
_TRY_LATER = (408, 409, 429)  # and every 5xx
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


class _NoAnswer(WithoutSecrets):
    """One exchange failed in a way that another one may not. `wait`: seconds that the endpoint asked to wait."""

    def __init__(self, problem: str, wait: float | None = None, *, reached: bool = True) -> None:
        super().__init__(problem)
        self.wait, self.reached = wait, reached


class Endpoint:
    """The endpoint at `base_url`. Several threads may ask at once.

    The key comes from the environment variable `api_key_env` and is sent only to `base_url`: redirects are not
    followed. The statuses 408, 409, 429 and 5xx and connection errors are retried, after a wait that doubles each time
    or that the server sets (Retry-After). `timeout_s` (of one whole exchange) and `backoff_s` are in seconds.
    """

    def __init__(
        self, base_url: str, *, api_key_env: str | None, timeout_s: float, retries: int, backoff_s: float
    ) -> None:
        base_url = public(base_url)
        access = access_to(base_url)
        self.url = f"{base_url.rstrip('/')}/chat/completions"
        self._address = f"{self.url}?{access.query}" if access.query else self.url
        self._login, self._key_env = access.login, api_key_env
        self._timeout, self._retries, self._backoff = timeout_s, retries, backoff_s
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
                f"{self._key_env} (llm.api_key_env) is not set: set this environment variable to the endpoint's key"
            )
        if not key.isascii() or not key.isprintable():
            raise EngineError(
                f"the key in {self._key_env} (llm.api_key_env) holds a line break or another character that a key "
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
        file of an answer that is set aside, `prompt` in messages. Raises `EngineError`."""
        data, headers, pause = json.dumps(body).encode(), self.headers(), self._backoff
        most = _FRAME_BYTES + _TOKEN_BYTES * max_tokens
        problem = "it was not asked"
        for attempt in range(self._retries + 1):
            if attempt:
                self._stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_WAIT_S)
            if self._stopped.is_set():
                raise EngineError(f"{self.url}: the request was stopped")
            try:
                return self._completion(self._exchange(data, headers, prompt, most), key)
            except _NoAnswer as failure:
                problem = str(failure)
                if not failure.reached and self.url not in ANSWERED:
                    raise EngineError(
                        f"{self.url}: {problem}. Check llm.base_url in the recipe, whether the endpoint is up, and the "
                        "network on the way to it."
                    ) from None
                pause = pause if failure.wait is None else min(failure.wait, _LONGEST_WAIT_S)
        raise EngineError(f"{self.url} did not answer after {self._retries + 1} attempts; last: {problem}")

    def _exchange(self, data: bytes, headers: dict[str, str], prompt: str, most: int) -> bytes:
        """The body of the answer to one POST, if its status is 200. Raises `_NoAnswer` or `EngineError`."""
        import requests
        import urllib3

        session, timeouts = http_session(environment=False), (min(CONNECT_S, self._timeout), self._timeout)
        login = _Login(self._login) if self._login else None
        with TimeLimit(self._timeout) as limit:
            self._open.add(limit)
            if self._stopped.is_set():  # `stop` may have looked at the open exchanges before this one was among them
                limit.hang_up()
            try:
                with session.post(
                    self._address,
                    data=data,
                    headers=headers,
                    auth=login,
                    timeout=timeouts,
                    stream=True,
                    allow_redirects=False,
                ) as reply:
                    ANSWERED.add(self.url)
                    if reply.status_code != 200:
                        self._refuse(reply, prompt)
                    answer = _body(reply, most, self.url)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # The errors of requests quote the address with its query, so they do not become causes of ours.
                problem, reached = connection_problem(error)
                # A silent connection may be noticed a moment before the limit, which is as long.
                late = limit.passed or isinstance(
                    error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError
                )
                raise _NoAnswer(self._too_late() if late else problem, reached=reached) from None
            finally:
                self._open.discard(limit)
        if limit.passed:  # the end of a body without a length looks like a connection that was hung up
            raise _NoAnswer(self._too_late())
        return answer

    def _too_late(self) -> str:
        return f"no whole answer within {self._timeout:g} s (llm.timeout_s)"

    def _refuse(self, reply: Any, prompt: str) -> None:
        """Raise for an answer whose status is not 200."""
        said = reply.raw.read1(_ERROR_BYTES, decode_content=False).decode("utf-8", "replace")
        problem = f"HTTP {reply.status_code}: {redacted(said)[:300]}"
        if reply.status_code in _TRY_LATER or reply.status_code >= 500:
            raise _NoAnswer(problem, retry_after(reply.headers.get("Retry-After")))
        raise EngineError(f"{self.url} refused a request of prompt {prompt}: {problem}")

    def _completion(self, answer: bytes, key: str) -> Reply:
        try:
            body = json.loads(answer)
            choice, usage = body["choices"][0], body.get("usage")
            text, reason = choice["message"]["content"] or "", choice["finish_reason"]
            if not isinstance(text, str) or reason not in ("stop", "length", "content_filter"):
                raise ValueError(f"finish_reason {str(reason)[:50]!r}, content of type {type(text).__name__}")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            problem = f"{type(error).__name__} {str(error)[:200]}"
            raise EngineError(
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


def _tokens(value: Any) -> int | None:
    """A number of tokens, or None for anything that cannot be one, such as 1e30, -1, "7" or true."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def _body(reply: Any, most: int, url: str) -> bytes:
    """The body of an answer. Raises `EngineError` when it has more than `most` bytes."""
    data = bytearray()
    while chunk := reply.raw.read1(_CHUNK, decode_content=False):
        data += chunk
        if len(data) > most:
            raise EngineError(
                f"{url} sent more than {most} bytes as one answer, which no completion of the requested length has"
            )
    return bytes(data)


def _set_aside(answer: bytes, key: str) -> Path:
    """Store an answer that is not a completion, and return its file. A later answer to the request replaces it."""
    path = cache_dir("set_aside") / f"{key}.json"
    path.write_text(without_known_secrets(answer.decode("utf-8", "replace")))
    return path
