"""Spreads requests over the endpoints that serve one language model, by the room that each of them has.

Each endpoint has a limit of its own for the requests in flight. A free endpoint takes the next request, so that a slow
one gets few, and near the end none that the others would have answered sooner. An endpoint that fails may have half as
many requests in flight; its requests are asked elsewhere. One that goes on failing is left alone for a while, and then
tried with one request. With every answer its share grows again. The log says all of this.
"""

from __future__ import annotations

import operator
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from resources.endpoint import ANSWERED, Endpoint, EndpointFault, EngineError, NoAnswer, Reply
from resources.generations import Request

_LONGEST_WAIT_S = 300.0  # for which an endpoint may ask
_SMOOTHING = 0.2  # share of the newest answer in the mean time of an answer


@dataclass(frozen=True)
class EndpointSettings:
    """One endpoint. `name` is stored with its answers, `model` is the model's name there, `structured_outputs` the
    dialect of its output grammars, `concurrency` the most requests in flight. `key_place` is where the recipe names the
    variable with its key."""

    name: str
    base_url: str
    model: str
    api_key_env: str | None = None
    structured_outputs: str = "vllm"
    concurrency: int = 16
    key_place: str = "llm.api_key_env"


@dataclass(frozen=True)
class Patience:
    """When an endpoint is given up. `timeout_s` is the limit of one exchange, `retries` the retries of one request at
    one endpoint, `backoff_s` the wait before the first retry, which doubles each time up to `pause_s`. In seconds."""

    timeout_s: float = 300
    retries: int = 5
    backoff_s: float = 1.0
    pause_s: float = 60.0

    def wait(self, failures: int, asked: float | None) -> float:
        """The seconds to wait after so many failures, or that the endpoint asked for."""
        if asked is not None:
            return min(asked, _LONGEST_WAIT_S)
        return min(self.backoff_s * 2.0 ** min(failures - 1, 30), max(self.pause_s, self.backoff_s))


@dataclass(frozen=True)
class Answered:
    """An endpoint's reply to a request, the seconds that it took, and the name of the endpoint."""

    key: str
    request: Request
    reply: Reply
    seconds: float
    endpoint: str


class _Place:
    """An endpoint and how it does. `share` requests may be in flight, none before the time `opens`. `seconds` is the
    mean time of an answer."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings, self.share, self.in_flight = settings, settings.concurrency, 0
        self.failures, self.failed_at, self.opens, self.lost = 0, 0.0, 0.0, False
        self.seconds: float | None = None
        self.checked = False  # whether it serves the model
        self.endpoint: Endpoint | None = None

    def answered(self, seconds: float) -> bool:
        """Count an answer; returns whether it is the first one after a pause."""
        again = self.opens > 0
        self.failures, self.opens, self.lost = 0, 0.0, False
        self.share = min(self.share + 1, self.settings.concurrency)
        self.seconds = seconds if self.seconds is None else self.seconds + _SMOOTHING * (seconds - self.seconds)
        return again

    def failed(self, sent: float, failure: NoAnswer, patience: Patience) -> float:
        """Count the failure of a request sent at this time; returns the seconds of the pause that it begins. Requests
        that were in flight together fail together, and count once."""
        if sent < self.failed_at:
            return 0.0
        self.failed_at, self.failures, self.share = time.monotonic(), self.failures + 1, max(1, self.share // 2)
        self.lost = not failure.reached and self.endpoint.url not in ANSWERED
        if self.failures == 1 and failure.reached and failure.wait is None:
            return 0.0
        self.share = 1
        pause = patience.wait(self.failures, failure.wait)
        self.opens = self.failed_at + pause
        return pause


@dataclass(eq=False)
class _Asked:
    """A request, how often each endpoint failed to answer it, and the time before which it is not asked there again."""

    key: str
    request: Request
    failures: dict[_Place, int] = field(default_factory=dict)
    waits: dict[_Place, float] = field(default_factory=dict)


class Endpoints:
    """Endpoints that serve one model. What is known of them stays from one call of `ask` to the next."""

    def __init__(
        self,
        settings: Sequence[EndpointSettings],
        patience: Patience,
        body: Callable[[EndpointSettings, str, Request], dict[str, Any]],
        log: Callable[[str], None],
    ) -> None:
        self._places, self._patience, self._body, self._log = [_Place(one) for one in settings], patience, body, log

    def ask(self, requests: Iterable[tuple[str, Request]]) -> Iterator[Answered]:
        """The answers to (key, request) pairs, in the order in which they come.

        Raises `EngineError` for a request that no endpoint answers; answers that are in flight then come first. Raises
        it before any request when a key is missing, or when an endpoint serves another model.
        """
        for place in self._places:
            one = place.settings
            place.in_flight = 0
            place.endpoint = Endpoint(
                one.base_url,
                api_key_env=one.api_key_env,
                timeout_s=self._patience.timeout_s,
                key_place=one.key_place,
            )
            place.endpoint.headers()
        with ThreadPoolExecutor(sum(place.settings.concurrency for place in self._places)) as pool:
            try:
                if len(self._places) > 1:
                    self._check_models(pool)
                yield from _Run(self, requests, pool).answers()
            finally:  # ends what is still in flight when this is interrupted
                for place in self._places:
                    place.endpoint.stop()
                pool.shutdown(wait=False, cancel_futures=True)

    def _check_models(self, pool: ThreadPoolExecutor) -> None:
        """Ask all endpoints for their models. One that cannot be reached is asked again before its first request."""
        unchecked = [place for place in self._places if not place.checked and place.opens <= time.monotonic()]
        for place, made in [(place, pool.submit(self._check_model, place)) for place in unchecked]:
            sent = time.monotonic()
            try:
                made.result()
            except NoAnswer as failure:
                self._note(place, sent, failure)
        if all(place.lost for place in self._places):
            raise self._unreachable()

    def _check_model(self, place: _Place) -> None:
        one, served = place.settings, place.endpoint.models()
        if served is not None and one.model not in served:
            names = ", ".join(repr(name[:100]) for name in served[:5])
            raise EngineError(
                f"endpoint {one.name} ({place.endpoint.url}) serves {names}, not "
                f"{one.model!r}: all endpoints must serve the same model. If it serves this model under another name, "
                "write this name under `models` of the endpoint in llm.endpoints."
            )
        if served is None:
            self._log(f"endpoint {one.name} does not say which models it serves: it is trusted to serve {one.model}")
        place.checked = True

    def _exchange(self, place: _Place, item: _Asked) -> tuple[Reply, float]:
        """The reply to a request, and the seconds that it took. Raises `NoAnswer` or `EngineError`."""
        if len(self._places) > 1 and not place.checked:
            self._check_model(place)
        started, request = time.perf_counter(), item.request
        body = self._body(place.settings, item.key, request)
        reply = place.endpoint.complete(body, item.key, request.prompt, request.sampling.max_tokens)
        return reply, time.perf_counter() - started

    def _note(self, place: _Place, sent: float, failure: NoAnswer) -> None:
        """Count a failure, and say what follows from it."""
        one, pause = place.settings, place.failed(sent, failure, self._patience)
        if pause and len(self._places) > 1:
            self._log(f"endpoint {one.name} does not answer ({failure}): others are asked, and it again in {pause:g} s")

    def _unreachable(self) -> EngineError:
        tried = "; ".join(place.endpoint.url for place in self._places)
        return EngineError(
            f"{tried}: no connection. Check the addresses in llm.endpoints, and whether the endpoints are up"
        )


class _Run:
    """The requests of one call: those that wait, those in flight, and those that are asked again."""

    def __init__(self, endpoints: Endpoints, requests: Iterable[tuple[str, Request]], pool: ThreadPoolExecutor) -> None:
        self._of, self._places, self._pool = endpoints, endpoints._places, pool
        self._source, self._again = iter(requests), []
        self._done: queue.SimpleQueue[tuple[_Asked, _Place, float, Future]] = queue.SimpleQueue()
        self._in_flight, self._failure, self._all_sent = 0, None, False

    def answers(self) -> Iterator[Answered]:
        while True:
            # One time for the whole round: what is too early to be sent at this time is awaited from this time on. A
            # later look at the clock would miss what opens in between, and wait without an end.
            now = time.monotonic()
            if self._failure is None:  # else no new request is sent, but answers in flight are paid for and kept
                self._send(now)
            if not self._in_flight and (self._failure or (self._all_sent and not self._again)):
                break
            try:
                item, place, sent, future = self._done.get(timeout=self._until_one_opens(now))
            except queue.Empty:
                continue
            self._in_flight -= 1
            place.in_flight -= 1
            if answer := self._ended(item, place, sent, future):
                yield answer
        if self._failure:
            raise self._failure

    def _send(self, now: float) -> None:
        """Give requests to all endpoints that have room for them at this time."""
        for item in tuple(self._again):
            if place := self._place_for(item, now):
                self._again.remove(item)
                self._submit(item, place)
        while not self._all_sent and (place := self._place_for(None, now)):
            if pair := next(self._source, None):
                self._submit(_Asked(*pair), place)
            else:
                self._all_sent = True

    def _submit(self, item: _Asked, place: _Place) -> None:
        sent = time.monotonic()
        self._in_flight += 1
        place.in_flight += 1
        future = self._pool.submit(self._of._exchange, place, item)
        future.add_done_callback(lambda done: self._done.put((item, place, sent, done)))

    def _place_for(self, item: _Asked | None, now: float) -> _Place | None:
        """The endpoint with the most room, of those that failed this request least often, and not too often. A new
        request does not go to an endpoint that would answer it after the others have answered all that is left."""
        places = [place for place in self._places if place.opens <= now]
        if item is None:
            places = [place for place in places if not self._is_too_slow(place, places)]
        else:
            places = [place for place in places if item.failures.get(place, 0) <= self._of._patience.retries]
            fewest = min((item.failures.get(place, 0) for place in places), default=0)
            places = [p for p in places if item.failures.get(p, 0) == fewest and item.waits.get(p, 0.0) <= now]
        free = [place for place in places if place.in_flight < place.share]
        return min(free, key=lambda place: place.in_flight / place.share, default=None)

    def _is_too_slow(self, place: _Place, open_now: Sequence[_Place]) -> bool:
        others = [other for other in open_now if other is not place and other.seconds]
        left = operator.length_hint(self._source, -1)
        if left < 0 or not others or not place.seconds:
            return False
        left += len(self._again) + sum(other.in_flight for other in others)
        until_all = left / sum(other.share / other.seconds for other in others)
        return place.seconds > max(until_all, min(other.seconds for other in others))

    def _until_one_opens(self, now: float) -> float | None:
        """The seconds until a request that waits, or an endpoint that is left alone, may go on; None if both could
        go on at the time `now`."""
        times = [place.opens for place in self._places if place.opens > now]
        times += [at for item in self._again for at in item.waits.values() if at > now]
        return max(min(times) - time.monotonic(), 0.001) if times and self._failure is None else None

    def _ended(self, item: _Asked, place: _Place, sent: float, future: Future) -> Answered | None:
        try:
            reply, seconds = future.result()
        except NoAnswer as failure:
            self._failed(item, place, sent, failure)
        except EndpointFault as fault:
            if len(self._places) > 1:
                self._failed(item, place, sent, NoAnswer(str(fault)))
            else:
                self._failure = self._failure or fault
        except EngineError as error:
            self._failure = self._failure or error
        else:
            if place.answered(seconds) and len(self._places) > 1:
                self._of._log(f"endpoint {place.settings.name} answers again")
            return Answered(item.key, item.request, reply, seconds, place.settings.name)
        return None

    def _failed(self, item: _Asked, place: _Place, sent: float, failure: NoAnswer) -> None:
        """Ask again, or give up: an endpoint after all retries, and the request when all endpoints are given up. It
        waits for an endpoint that is left alone for a while."""
        self._of._note(place, sent, failure)
        patience, now = self._of._patience, time.monotonic()
        item.failures[place] = failures = item.failures.get(place, 0) + 1
        item.waits[place] = now + patience.wait(failures, failure.wait)
        hopeful = any(item.failures.get(p, 0) <= patience.retries for p in self._places)
        if all(p.lost for p in self._places):
            self._failure = self._failure or self._lost(place, failure)
        elif not hopeful:
            attempts = sum(item.failures.values())
            url = place.endpoint.url if len(self._places) == 1 else "no endpoint answered a request; the last one asked"
            self._failure = self._failure or EngineError(
                f"{url} did not answer after {attempts} attempts; last: {failure}"
            )
        else:
            self._again.append(item)

    def _lost(self, place: _Place, failure: NoAnswer) -> EngineError:
        if len(self._places) > 1:
            return self._of._unreachable()
        return EngineError(
            f"{place.endpoint.url}: {failure}. Check llm.base_url in the recipe, whether the endpoint is up, and the "
            "network on the way to it."
        )
