"""Engines: an OpenAI-compatible endpoint that answers well and badly, and vLLM with the embedded model."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import pytest

from resources.engines import EngineError, OpenAiEngine
from resources.generations import OutputFormat, Request, Sampling
from resources.gpu import Gpu
from resources.weights import folder_sha256
from tests.resources.endpoint import Endpoint, completion

REQUEST = Request("test", (("system", "Be brief."), ("user", "What is water?")), Sampling(0.5, 0.9, 48))


def _engine(url: str, folder, **options) -> OpenAiEngine:
    options = {"backoff_s": 0.01, "retries": 3, "timeout_s": 5} | options
    return Gpu(backend="openai", base_url=url, **options).engine(folder, "canned")


def _pairs(number: int) -> list[tuple[str, Request]]:
    return [(f"{i:032x}", replace(REQUEST, messages=(("user", str(i)),))) for i in range(number)]


def test_endpoint_gets_the_request_and_the_key_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sesame")
    endpoint = Endpoint(lambda body: "wet")
    with endpoint.serve() as url:
        ((key, answer),) = _engine(url, tmp_path, api_key_env="TEST_KEY").run([("ab" * 16, REQUEST)])
    assert key == "ab" * 16
    assert (answer.text, answer.prompt_tokens, answer.output_tokens, answer.finish_reason) == ("wet", 11, 20, "stop")
    (body,) = endpoint.bodies
    assert body["messages"] == REQUEST.chat()
    assert (body["model"], body["temperature"], body["top_p"], body["max_tokens"]) == ("canned", 0.5, 0.9, 48)
    assert endpoint.headers[0]["Authorization"] == "Bearer sesame"


def test_a_missing_key_is_named_before_any_request(tmp_path):
    endpoint = Endpoint(lambda body: "wet")
    with endpoint.serve() as url, pytest.raises(EngineError, match="NO_SUCH_KEY"):
        list(_engine(url, tmp_path, api_key_env="NO_SUCH_KEY").run([("0" * 32, REQUEST)]))
    assert not endpoint.bodies


@pytest.mark.parametrize(
    ("server", "output", "expected"),
    [
        ("vllm", OutputFormat("regex", "a+"), {"structured_outputs": {"regex": "a+"}}),
        ("sglang", OutputFormat("regex", "a+"), {"regex": "a+"}),
        ("nim", OutputFormat("regex", "a+"), {"nvext": {"guided_regex": "a+"}}),
        ("none", OutputFormat("regex", "a+"), {}),
        ("vllm", OutputFormat("json", '{"type": "object"}'), {"response_format": {
            "type": "json_schema", "json_schema": {"name": "test", "strict": True, "schema": {"type": "object"}}}}),
    ],
)  # fmt: skip
def test_endpoint_gets_the_grammar(tmp_path, server, output, expected):
    endpoint = Endpoint(lambda body: "aaa")
    with endpoint.serve() as url:
        engine = _engine(url, tmp_path, structured_outputs=server)
        list(engine.run([("0" * 32, REQUEST), ("1" * 32, replace(REQUEST, output_format=output))]))
    plain, constrained = sorted(endpoint.bodies, key=lambda body: body["seed"])
    assert {name: value for name, value in constrained.items() if name not in plain} == expected


def test_temporary_errors_are_retried_and_requests_in_flight_are_bounded(tmp_path):
    failures = iter([(503, {}, b"busy"), (429, {"Retry-After": "0.02"}, b"slow down"), (500, {}, b"")])

    def answer(body):
        time.sleep(0.02)
        return next(failures, None) or body["messages"][0]["content"]

    endpoint = Endpoint(answer)
    with endpoint.serve() as url:
        answers = dict(_engine(url, tmp_path, concurrency=3).run(_pairs(12)))
    assert {key: a.text for key, a in answers.items()} == {f"{i:032x}": str(i) for i in range(12)}
    assert len(endpoint.bodies) == 15 and endpoint.most <= 3


def test_a_refusal_is_not_retried_and_does_not_show_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sesame")
    endpoint = Endpoint(lambda body: (401, {}, b"wrong key"))
    with endpoint.serve() as url, pytest.raises(EngineError, match="HTTP 401: wrong key") as error:
        list(_engine(url, tmp_path, api_key_env="TEST_KEY").run([("0" * 32, REQUEST)]))
    assert len(endpoint.bodies) == 1 and "sesame" not in str(error.value)


def test_an_endpoint_that_does_not_answer_is_a_clear_error(tmp_path):
    endpoint = Endpoint(lambda body: time.sleep(0.5))
    with (
        endpoint.serve() as url,
        pytest.raises(EngineError, match=r"after 2 attempts; last: no whole answer"),
    ):
        list(_engine(url, tmp_path, timeout_s=0.1, retries=1).run([("0" * 32, REQUEST)]))


@pytest.mark.parametrize("payload", [b"<html>", b"[]", b"{}", completion("x", "tool_calls"), {"choices": []}])
def test_anything_but_a_completion_is_refused(tmp_path, payload):
    endpoint = Endpoint(lambda body: (200, {}, payload))
    with endpoint.serve() as url, pytest.raises(EngineError, match="did not answer with a chat completion"):
        list(_engine(url, tmp_path).run([("0" * 32, REQUEST)]))


def test_answers_in_flight_are_kept_when_one_request_fails(tmp_path):
    def answer(body):
        if body["messages"][0]["content"] == "0":
            return 400, {}, b"no"
        time.sleep(0.2)
        return "late"

    with Endpoint(answer).serve() as url:
        kept = []
        with pytest.raises(EngineError, match="HTTP 400"):
            for key, _ in _engine(url, tmp_path, concurrency=3).run(_pairs(9)):
                kept.append(key)
    assert kept and set(kept) <= {f"{i:032x}" for i in range(1, 9)}


def test_tokens_of_an_endpoint_are_counted_with_the_local_tokenizer(embedded_tokenizer):
    engine = Gpu(backend="openai", base_url="http://127.0.0.1:9/v1").engine(embedded_tokenizer, "canned")
    assert engine.count_tokens([]) == []
    short, long = engine.count_tokens(["water", "water is wet\nand so on"])
    assert 0 < short < long < 12
    assert len(engine.prompt_ids(REQUEST)) > 10
    assert not list(embedded_tokenizer.glob("*.safetensors"))


def test_the_hash_of_weights_is_that_of_their_manifest(tmp_path):
    from resources.lakehouse import Lakehouse

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    uri, sha256 = Lakehouse(root=str(tmp_path / "lake")).put_weights(folder, "model")
    assert folder_sha256(folder) == sha256 == folder_sha256(tmp_path / "lake" / uri)
    (folder / "config.json").write_text("{ }")
    assert folder_sha256(folder) != sha256


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vllm_answers_within_the_grammar(embedded_model):
    """Every answer matches its grammar, the same seed gives the same answer, and threads can still be set."""
    import torch

    gpu = Gpu(max_model_len=384, max_num_seqs=4, kv_cache_gb=0.1, cpu_threads=1)
    engine = gpu.engine(embedded_model, "SmolLM2", "hash of the weights")
    assert gpu.engine("another folder", "SmolLM2", "hash of the weights") is engine
    pattern = r"Answer: (yes|no), because [a-z ]{5,20}\."
    schema = {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]}
    schema["additionalProperties"] = False
    asked = {
        "1" * 32: replace(REQUEST, output_format=OutputFormat("regex", pattern)),
        "2" * 32: replace(REQUEST, output_format=OutputFormat("json", json.dumps(schema))),
        "3" * 32: replace(REQUEST, sampling=Sampling(0.5, 0.9, 5)),
        # Prompts that do not fit into one step together: reading one in chunks would fail (see engines.py).
        **{
            c * 32: replace(REQUEST, messages=(("user", c + " wet" * 200),), sampling=Sampling(0.5, 0.9, 2))
            for c in "45"
        },
    }
    threads = torch.get_num_threads()
    try:
        answers = dict(engine.run(asked.items()))
        assert re.fullmatch(pattern, answers["1" * 32].text)
        assert json.loads(answers["2" * 32].text)["kind"] in ("a", "b")
        assert (answers["3" * 32].finish_reason, answers["3" * 32].output_tokens) == ("length", 5)
        assert all(answer.prompt_tokens > 10 and answer.seconds > 0 for answer in answers.values())
        abandoned = engine.run(asked.items())
        next(abandoned)
        abandoned.close()
        ((_, repeated),) = engine.run([("1" * 32, asked["1" * 32])])
        assert repeated.text == answers["1" * 32].text
        with pytest.raises(EngineError, match="max_model_len"):
            list(engine.run([("6" * 32, replace(REQUEST, sampling=Sampling(0.5, 0.9, 512)))]))
        assert torch.get_num_threads() == threads
        torch.set_num_threads(threads + 1)
        assert torch.get_num_threads() == threads + 1
        torch.set_num_threads(threads)
    finally:
        gpu.release()


def test_vllm_searches_for_kernels_in_its_own_modules_only():
    # Modules of numba hold objects that raise when vLLM reads their attributes.
    import llvmlite.binding.ffi as ffi
    from vllm.triton_utils import dispatcher

    from resources.engines import keep_to_own_modules

    keep_to_own_modules()
    names = dispatcher.sys.modules
    assert "vllm.triton_utils.dispatcher" in names and ffi.__name__ not in names
    assert all(name.partition(".")[0] == "vllm" for name in names)
    dispatcher._rebind_kernels([])
