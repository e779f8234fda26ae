"""Several endpoints of one model: requests are spread by room, asked elsewhere after a failure, and paid for once."""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from resources.endpoint import EngineError, NoAnswer
from resources.endpoints import Endpoints, EndpointSettings, Patience, _Asked, _Place, _Run
from resources.generations import GENERATIONS, Ledger, Request, Sampling
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint

REQUEST = Request("test", (("user", "What is water?"),), Sampling(0.5, 0.9, 48))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))


def requests(number: int) -> list[Request]:
    return [replace(REQUEST, messages=(("user", str(i)),)) for i in range(number)]


def pairs(number: int) -> dict[str, Request]:
    return {f"{i:032x}": request for i, request in enumerate(requests(number))}


def echo(body: dict) -> str:
    time.sleep(0.005)
    return body["messages"][0]["content"]


def failing(body: dict) -> tuple:
    return 500, {}, b"out of order"


@contextlib.contextmanager
def serving(folder, *endpoints: Endpoint, log=lambda message: None, **options):
    """The engine over endpoints that are named a, b, ... and may have 2 requests in flight each."""
    with contextlib.ExitStack() as stack:
        named = [
            {"name": "abc"[i], "base_url": stack.enter_context(one.serve()), "concurrency": 2}
            for i, one in enumerate(endpoints)
        ]
        options = {"backoff_s": 0.01, "pause_s": 0.05, "retries": 2, "timeout_s": 5} | options
        yield Gpu(backend="openai", endpoints=named, **options).engine(folder, "canned", log=log)


def asked(*endpoints: Endpoint) -> Counter:
    return Counter(body["messages"][0]["content"] for one in endpoints for body in one.bodies)


def test_requests_are_spread_in_order_and_the_endpoint_is_stored(tmp_path):
    a, b = Endpoint(echo, ["canned"]), Endpoint(echo)
    lake, said = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), []
    with serving(tmp_path, a, b, log=said.append) as engine:
        texts = [made.text for made in Ledger(lake).generate(engine, requests(40))]
        again = [made.new for made in Ledger(lake).generate(engine, requests(40))]
    assert texts == [str(i) for i in range(40)] and not any(again)
    assert a.most <= 2 and b.most <= 2 and asked(a, b) == Counter(texts)
    stored = Counter(lake.read(GENERATIONS).scan().collect()["endpoint"])
    assert stored == {"a": len(a.bodies), "b": len(b.bodies)} and min(stored.values()) > 3
    assert said == ["endpoint b does not say which models it serves: it is trusted to serve canned"]


def test_an_endpoint_without_a_name_is_stored_by_its_address_without_secrets(tmp_path):
    with Endpoint(echo).serve() as url:
        address = url.replace("://", "://reader:never-seen@") + "?key=never-seen"
        ((_, answer),) = Gpu(backend="openai", base_url=address).engine(tmp_path, "canned").run(pairs(1).items())
    assert answer.endpoint == url


@pytest.mark.parametrize("answer", [failing, lambda body: (200, {}, b"<html>"), lambda body: (401, {}, b"no")])
def test_what_an_endpoint_does_not_answer_is_asked_elsewhere(tmp_path, answer):
    good, bad, said = Endpoint(echo), Endpoint(answer), []
    with serving(tmp_path, good, bad, log=said.append, pause_s=60, backoff_s=30) as engine:
        answers = dict(engine.run(pairs(30).items()))
    assert {key: made.text for key, made in answers.items()} == {k: r.messages[0][1] for k, r in pairs(30).items()}
    assert {made.endpoint for made in answers.values()} == {"a"} and len(good.bodies) == 30
    assert len(bad.bodies) <= 4  # two at first, then one at a time until it is left alone
    assert any("endpoint b does not answer (" in line and "again in 60 s" in line for line in said)


def test_an_endpoint_that_comes_back_gets_requests_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    late, back, said = Endpoint(echo), threading.Event(), []

    def answer(body):
        back.wait(0.05)
        return echo(body)

    with Endpoint(answer).serve() as url, contextlib.ExitStack() as stack:
        ends = [
            {"name": "up", "base_url": url, "concurrency": 1},
            {"name": "late", "base_url": f"http://127.0.0.1:{port}/v1", "concurrency": 1},
        ]
        gpu = Gpu(backend="openai", endpoints=ends, backoff_s=0.01, pause_s=0.02, timeout_s=5)
        seen = Counter()

        def endless():
            for number in range(10**6):
                if seen["late"] >= 3:
                    return
                yield f"{number:032x}", replace(REQUEST, messages=(("user", str(number)),))

        for _, made in gpu.engine(tmp_path, "canned", log=said.append).run(endless()):
            seen[made.endpoint] += 1
            if seen["up"] == 3 and not seen["late"]:
                stack.enter_context(late.serve(port))
    assert seen["late"] >= 3
    assert any("endpoint late does not answer (no connection (connection refused))" in line for line in said)
    assert "endpoint late answers again" in said


def test_nothing_that_answers_is_an_error_that_names_all(tmp_path):
    ends = [{"base_url": f"http://127.0.0.1:{port}/v1"} for port in (7, 9)]
    with pytest.raises(EngineError, match=r":7/v1.*; .*:9/v1.*: no connection\. Check the addresses in llm\.endpoints"):
        list(Gpu(backend="openai", endpoints=ends).engine(tmp_path, "canned").run(pairs(1).items()))
    with (
        serving(tmp_path, Endpoint(failing), Endpoint(failing)) as engine,
        pytest.raises(EngineError, match=r"no endpoint answered .* last: HTTP 500: out of order"),
    ):
        list(engine.run(pairs(4).items()))


def test_a_request_waits_for_an_endpoint_that_is_left_alone(tmp_path):
    """The other one is asked so often as the recipe allows, and then no more."""
    good, bad = Endpoint(echo), Endpoint(failing)
    with serving(tmp_path, good, bad, retries=1) as engine:
        engine._endpoints._places[0].opens = time.monotonic() + 0.5
        ((_, made),) = engine.run(pairs(1).items())
    assert made.endpoint == "a" and len(bad.bodies) == 2


def test_a_missing_key_is_that_of_its_endpoint(tmp_path):
    ends = [{"base_url": f"http://127.0.0.1:{port}/v1"} for port in (7, 9)]
    ends[1] |= {"name": "b", "api_key_env": "NO_KEY"}
    with pytest.raises(EngineError, match=r"NO_KEY \(api_key_env of b in llm\.endpoints\) is not set"):
        list(Gpu(backend="openai", endpoints=ends).engine(tmp_path, "canned").run(pairs(1).items()))


def test_a_request_that_is_wrong_is_not_asked_elsewhere(tmp_path):
    a, b = Endpoint(lambda body: (400, {}, b"too long")), Endpoint(lambda body: (400, {}, b"too long"))
    with serving(tmp_path, a, b) as engine, pytest.raises(EngineError, match="HTTP 400: too long"):
        list(engine.run(pairs(1).items()))
    assert len(a.bodies) + len(b.bodies) == 1


def test_all_endpoints_must_serve_the_model_unless_the_recipe_names_it(tmp_path):
    a, b = Endpoint(echo, ["canned", "other"]), Endpoint(echo, ["canned-fp8"])
    with serving(tmp_path, a, b) as engine:
        with pytest.raises(EngineError, match=r"endpoint b .* serves 'canned-fp8', not 'canned'.*`models` of the end"):
            list(engine.run(pairs(9).items()))
        assert not a.bodies + b.bodies
        own = replace(engine._endpoints._places[1].settings, model="canned-fp8")
        places = [engine._endpoints._places[0].settings, own]
        named = [{"base_url": p.base_url, "models": {"canned": p.model}, "concurrency": 1} for p in places]
        made = dict(Gpu(backend="openai", endpoints=named).engine(tmp_path, "canned").run(pairs(9).items()))
    assert len(made) == 9 and {body["model"] for body in b.bodies} == {"canned-fp8"}


# -- the share of an endpoint ------------------------------------------------------------------------------------------


def place(name: str, concurrency: int, seconds: float | None = None) -> _Place:
    made = _Place(EndpointSettings(name, "http://127.0.0.1:9/v1", "m", concurrency=concurrency))
    made.seconds = seconds
    return made


def run(left: int | None, *places: _Place) -> _Run:
    endpoints = Endpoints([], Patience(), None, print)
    endpoints._places = list(places)
    source = pairs(left).items() if left is not None else (pair for pair in [])
    return _Run(endpoints, source, None)


@pytest.mark.parametrize(("left", "slow"), [(0, True), (3, True), (60, False), (None, False)])
def test_near_the_end_a_slow_endpoint_is_not_asked(left, slow):
    """The fast one answers 10 requests a second. The slow one takes 5 seconds, in which the fast one answers 50."""
    fast, late = place("fast", 2, 0.2), place("slow", 2, 5.0)
    assert run(left, fast, late)._is_too_slow(late, [fast, late]) is slow
    assert not run(left, fast, late)._is_too_slow(fast, [fast, late])
    assert not run(left, late)._is_too_slow(late, [late])


def test_requests_wait_while_all_endpoints_are_left_alone(tmp_path):
    """Nothing is in flight then, and no request was asked before."""
    with serving(tmp_path, Endpoint(echo)) as engine:
        (late,) = engine._endpoints._places
        late.opens = time.monotonic() + 0.2
        assert len(list(engine.run(pairs(3).items()))) == 3


def test_a_request_that_may_go_on_between_two_looks_is_not_forgotten(monkeypatch):
    """Nothing is in flight then: nothing would end a wait without a limit."""
    one = place("one", 1, None)
    asking = run(None, one)
    asking._all_sent, asking._again = True, [_Asked("0" * 32, None, waits={one: 5.0})]
    clock = itertools.count(4.9, 0.2)  # goes on while somebody looks at it
    monkeypatch.setattr("resources.endpoints.time", SimpleNamespace(monotonic=lambda: next(clock)))
    waited = []

    def get(timeout):
        waited.append(timeout)
        raise queue.Empty

    monkeypatch.setattr(asking, "_done", SimpleNamespace(get=get))
    monkeypatch.setattr(asking, "_submit", lambda item, place: setattr(asking, "_failure", EngineError("asked")))
    with pytest.raises(EngineError, match="asked"):
        list(asking.answers())
    assert waited == [0.001]


def test_the_share_follows_failures_and_answers():
    patience, one = Patience(backoff_s=1, pause_s=8), place("a", 16)
    one.endpoint = type("Known", (), {"url": "http://127.0.0.1:9/v1"})
    fail = NoAnswer("HTTP 500")
    assert one.failed(time.monotonic(), fail, patience) == 0 and one.share == 8
    assert one.failed(0.0, fail, patience) == 0 and one.share == 8  # it was in flight when the first one failed
    pauses = [one.failed(math.inf, fail, patience) for _ in range(4)]
    assert pauses == [2, 4, 8, 8] and one.share == 1 and one.opens > time.monotonic()
    assert [one.answered(0.1) for _ in range(20)] == [True] + [False] * 19
    assert (one.share, one.opens, one.seconds) == (16, 0.0, pytest.approx(0.1))
    assert one.failed(math.inf, NoAnswer("HTTP 429", 0.5), patience) == 0.5
    assert one.failed(math.inf, NoAnswer("HTTP 429", 1e9), patience) == 300
