"""An endpoint that stalls, floods, lies about numbers or repeats the key costs no memory, no hour and no answer."""

from __future__ import annotations

import base64
import json
import socket
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe.addresses import public
from resources import endpoint as endpoint_module
from resources import endpoints
from resources.engines import EngineError, OpenAiEngine
from resources.generations import GENERATIONS, Ledger, Request, Sampling
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import completion
from tests.resources.hostile_endpoint import HostileEndpoint, answering, http

REQUEST = Request("test", (("user", "What is water?"),), Sampling(0.5, 0.9, 48))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))


def engine(url: str, folder, **options) -> OpenAiEngine:
    options = {"backoff_s": 0.01, "retries": 1, "timeout_s": 0.5} | options
    return Gpu(backend="openai", base_url=url, **options).engine(folder, "canned")


def ask(url: str, folder, number: int = 1, **options) -> list:
    """The answers to `number` different requests."""
    pairs = [(f"{i:032x}", replace(REQUEST, messages=(("user", str(i)),))) for i in range(number)]
    return [answer for _, answer in engine(url, folder, **options).run(pairs)]


def drip(start: bytes, then: bytes):
    """Answers with `start`, and goes on with `then`, again and again, ten times a second."""

    def answer(send, request):
        send(start)
        while send(then) and not threading.Event().wait(0.1):
            pass

    return answer


@pytest.mark.faults
@pytest.mark.parametrize(
    ("start", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b""),
        (b"", b""),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 9999\r\n\r\n", b" "),
    ],
    ids=["header", "headers", "body", "body-without-length", "chunks", "silence-in-the-body", "silence", "error"],
)
def test_an_answer_that_drips_has_a_limit_of_time_as_a_whole(tmp_path, start, then):
    hostile = HostileEndpoint(drip(start, then))
    with (
        hostile.serve() as url,
        pytest.raises(EngineError, match=r"after 2 attempts; last: (no whole|HTTP 500)"),
    ):
        ask(url, tmp_path)
    assert len(hostile.requests) in (1, 2)  # on a busy machine the second may end before it has come


@pytest.mark.faults
@pytest.mark.parametrize("framing", ["Content-Length: 99999999999", "Transfer-Encoding: chunked", "Connection: close"])
def test_a_flood_is_cut_off(tmp_path, framing):
    data = b"x" * 65_536

    def answer(send, request):
        send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        while send(b"10000\r\n" + data + b"\r\n" if "chunked" in framing else data):
            pass

    hostile = HostileEndpoint(answer)
    with hostile.serve() as url, pytest.raises(EngineError, match="more than 1097728 bytes as one answer"):
        ask(url, tmp_path, timeout_s=60)
    assert hostile.sent < 16 << 20  # what was read, and what the kernel had buffered
    assert len(hostile.requests) == 1


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-5", "1e9", "soon", "", "٧", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_no_retry_after_makes_the_wait_invalid(tmp_path, value):
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: " + value.encode() + b"\r\n\r\n"
    with answering(busy).serve() as url:
        assert [answer.text for answer in ask(url, tmp_path)] == ["good"]


@pytest.mark.parametrize("value", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_retry_after_is_cut(tmp_path, monkeypatch, value):
    monkeypatch.setattr(endpoints, "_LONGEST_WAIT_S", 0.01)
    with answering(http(b"", "429 Busy", retry_after=value)).serve() as url:
        assert [answer.text for answer in ask(url, tmp_path)] == ["good"]


@pytest.mark.parametrize("said", [1e30, 10**40, -1, 2**31, True, "7", None, [], {}, float("nan"), float("inf")])
def test_a_number_of_tokens_that_cannot_be_true_is_not_believed(said):
    assert endpoint_module._tokens(said) is None
    assert [endpoint_module._tokens(n) for n in (0, 7, 7.0, 2**31 - 1)] == [0, 7, 7, 2**31 - 1]


def test_tokens_that_no_column_holds_are_counted_again_and_the_answer_is_kept(tmp_path, embedded_tokenizer):
    body = completion("water is wet") | {"usage": {"prompt_tokens": 1e30, "completion_tokens": 1e30}}
    lake, hostile = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), answering(body)
    with hostile.serve() as url:
        model = engine(url, embedded_tokenizer)
        (first,) = Ledger(lake).generate(model, [REQUEST])
        (again,) = Ledger(lake).generate(model, [REQUEST])
    assert (first.text, first.output_tokens, first.prompt_tokens) == ("water is wet", 3, len(model.prompt_ids(REQUEST)))
    assert not again.new and len(hostile.requests) == 1


@pytest.mark.parametrize("usage", [None, [], "many", 3])
def test_usage_may_have_any_form(tmp_path, usage):
    with answering(completion("wet") | {"usage": usage}).serve() as url:
        (answer,) = ask(url, tmp_path, timeout_s=60)  # a folder without a tokenizer
    assert (answer.text, answer.prompt_tokens, answer.output_tokens) == ("wet", 0, 0)


def test_a_lone_surrogate_is_replaced_and_the_answer_kept(tmp_path):
    body = json.dumps(completion("\ud83d\ude00 is fine, \ud800 is not, nor is \udfff")).encode()
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    with answering(http(body)).serve() as url:
        (first,) = Ledger(lake).generate(engine(url, tmp_path), [REQUEST])
    assert first.text == "😀 is fine, \ufffd is not, nor is \ufffd"
    assert lake.read(GENERATIONS).scan().collect()["text"].to_list() == [first.text]


@pytest.mark.parametrize("answer", [b"[" * 100_000, b'{"choices": ' + b"9" * 5_000 + b"}", b"\xff\xfe", b"", b"null"])
def test_an_answer_that_is_not_a_completion_is_set_aside(tmp_path, answer):
    with (
        answering(http(answer)).serve() as url,
        pytest.raises(EngineError, match="not answer with") as error,
    ):
        ask(url, tmp_path)
    path = tmp_path / "home" / "cache" / "set_aside" / f"{0:032x}.json"
    assert str(path) in str(error.value)
    assert path.read_text() == answer.decode("utf-8", "replace")


@pytest.mark.parametrize("form", ["error", "answer", "not a completion"])
def test_a_key_that_the_endpoint_repeats_stays_secret(tmp_path, monkeypatch, form):
    key = "sk-never-to-be-seen-1234"
    monkeypatch.setenv("TEST_KEY", key)
    body = {"error": http({"error": f"Bearer {key} is wrong"}, "401 No"), "answer": completion(f"it is {key}")}
    hostile = answering(body.get(form, {"key": key}))
    with hostile.serve() as url:
        if form == "answer":
            (answer,) = ask(url, tmp_path, api_key_env="TEST_KEY")
            assert answer.text == "it is ***"
        else:
            with pytest.raises(EngineError) as error:
                ask(url, tmp_path, api_key_env="TEST_KEY")
            assert key not in str(error.value)
    assert f"Authorization: Bearer {key}" in hostile.requests[0]
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and key in p.read_text(errors="replace")]


@pytest.mark.parametrize("key", ["sk-never-to-be-seen\n", "sk-never-to-be-séen"])
def test_a_key_that_no_header_can_hold_is_not_quoted(tmp_path, monkeypatch, key):
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(EngineError, match=r"the key in TEST_KEY \(llm\.api_key_env\) holds a line break") as error:
        ask("http://127.0.0.1:9/v1", tmp_path, api_key_env="TEST_KEY")
    assert "never" not in str(error.value)


def test_user_and_query_of_the_address_reach_the_endpoint_alone(tmp_path, caplog):
    caplog.set_level("DEBUG")
    hostile = answering(http(b"no", "403 No"))
    with hostile.serve() as url:
        address = url.replace("://", "://reader:pass%2Fword-1@") + "?signature=abcdefghij"
        assert public(address) == url
        with pytest.raises(EngineError, match="HTTP 403") as error:
            ask(address, tmp_path)
    login = base64.b64encode(b"reader:pass/word-1").decode()
    assert f"Authorization: Basic {login}" in hostile.requests[0]
    assert hostile.requests[0].startswith("POST /v1/chat/completions?signature=abcdefghij ")
    for text in (str(error.value), caplog.text):
        assert not [secret for secret in ("word-1", "reader", "abcdefghij", login) if secret in text]


def test_an_endpoint_that_is_down_is_named_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EngineError, match=rf":{port}/v1.*no connection \(connection refused\)\. Check llm\.base_url"):
        ask(f"http://127.0.0.1:{port}/v1", tmp_path, backoff_s=300, retries=50)


def test_an_endpoint_that_drops_connections_is_asked_again(tmp_path):
    dropped = []

    def answer(send, request):
        if len(dropped) < 3:
            dropped.append(send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"))
            raise OSError("drop the connection")
        send(http(completion("at last")))

    with HostileEndpoint(answer).serve() as url:
        assert [a.text for a in ask(url, tmp_path, retries=3, timeout_s=5)] == ["at last"]
    assert len(dropped) == 3


def test_connections_are_kept_and_used_again(tmp_path):
    hostile = answering()
    with hostile.serve() as url:
        assert len(ask(url, tmp_path, number=6, concurrency=1, timeout_s=5)) == 6
    assert len(hostile.requests) == 6 and hostile.connections == 1


def test_leaving_early_does_not_wait_for_answers_in_flight(tmp_path):
    def answer(send, request):
        if '"1"' in request:
            send(http(completion("quick")))
        else:
            threading.Event().wait(600)

    with HostileEndpoint(answer).serve() as url:
        pairs = [(f"{i:032x}", replace(REQUEST, messages=(("user", str(i)),))) for i in range(4)]
        answers = engine(url, tmp_path, timeout_s=600, concurrency=4).run(pairs)
        assert next(answers)[1].text == "quick"
        answers.close()


def test_a_stop_ends_exchanges_that_have_just_begun(tmp_path, monkeypatch):
    """The exchange begins before the stop, and is among the open ones only after the stop has looked at them."""
    from resources import endpoint as module

    monkeypatch.setattr(module, "cache_dir", lambda name: tmp_path)
    asked = module.Endpoint("http://127.0.0.1:1", api_key_env=None, timeout_s=600)

    class Late(module.TimeLimit):
        def __enter__(self):
            asked.stop()
            return super().__enter__()

    def answer(send, request):
        threading.Event().wait(600)

    monkeypatch.setattr(module, "TimeLimit", Late)
    with HostileEndpoint(answer).serve() as url:
        asked.url = f"{url}/chat/completions"
        with pytest.raises(module.NoAnswer, match="no whole answer"):
            asked.complete({}, "0" * 32, "test", 10)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=_JSON | st.text(st.characters(codec=None), max_size=30),
    reason=st.sampled_from(["stop", "length", "content_filter"]) | _JSON,
    usage=st.fixed_dictionaries({"prompt_tokens": _JSON, "completion_tokens": _JSON}) | _JSON,
    other=st.none() | _JSON,
)
def test_whatever_an_endpoint_says_is_a_completion_that_can_be_stored_or_an_error(text, reason, usage, other):
    body = {"choices": [{"message": {"content": text}, "finish_reason": reason}], "usage": usage}
    try:
        answer = json.dumps(body if other is None else other).encode()
        reply = endpoint_of("http://127.0.0.1:9/v1")._completion(answer, "0")
    except EngineError as error:
        assert "did not answer with a chat completion" in str(error)
        return
    assert reply.text.encode().decode() == reply.text and reply.finish_reason in ("stop", "length", "content_filter")
    assert all(n is None or 0 <= n < 2**31 for n in (reply.prompt_tokens, reply.output_tokens))


def endpoint_of(url: str) -> endpoint_module.Endpoint:
    return endpoint_module.Endpoint(url, api_key_env=None, timeout_s=1)
