"""`nemotron serve` as users call it: one server of a tiny untrained model, asked by the OpenAI client and by
`nemotron chat`, and ended by Ctrl-C with everything that it started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nemotron_assets.chat.conversation import Message
from nemotron_assets.chat.template import prompt_ids
from tests.chat import tiny_lake
from tests.chat.tiny_lake import IDS, NAMES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
KEY = "sesame"
WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"enum": [1, 2]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.fixture(scope="module")
def home(tmp_path_factory, vocabulary_folder) -> Path:
    folder = tmp_path_factory.mktemp("home")
    tiny_lake.write(folder, vocabulary_folder)
    return folder


def command(home: Path, *arguments: str, **options) -> subprocess.Popen:
    """`nemotron` with these arguments, in a process of its own."""
    environment = os.environ | {"NEMOTRON_HOME": str(home), "NEMOTRON_RECIPE": "laptop", "TEST_KEY": KEY}
    return subprocess.Popen(
        [sys.executable, "-m", "nemotron_assets.commands", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def serve(home) -> Iterator[tuple[subprocess.Popen, str]]:
    """(the process, the base URL) of `nemotron serve`."""
    arguments = ("--api-key-env", "TEST_KEY", "--grace", "20", "--answer-room", "64")
    process = command(home, "serve", NAMES[0], *arguments, start_new_session=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"models.base: (http://127\.0\.0\.1:\d+/v1)  \(Ctrl-C", line):
            yield process, found[1]
            break
    else:
        pytest.fail(f"{''.join(lines)}\n{process.stderr.read()}")
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def client(serve):
    import openai

    with openai.OpenAI(base_url=serve[1], api_key=KEY, max_retries=0) as made:
        yield made


def ask(client, text: str, **options):
    options = {"max_tokens": 96, "model": NAMES[0], "seed": 1} | options
    budget = options.pop("budget", None)
    extra = {"return_token_ids": True} | ({} if budget is None else {"vllm_xargs": {"thinking_budget": budget}})
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], extra_body=extra, **options)


def test_the_model_has_its_names_and_wants_the_key(client, serve):
    import openai

    assert [model.id for model in client.models.list().data] == ["models.base", NAMES[0], IDS[0]]
    with (
        openai.OpenAI(base_url=serve[1], api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        ask(stranger, "Hi")


def test_the_prompt_has_the_tokens_of_training(client, auto):
    """Also where a user spells a mark: it stays text."""
    tool = {"name": "weather", "description": WEATHER["description"], "parameters": WEATHER["parameters"]}
    for text, tools in (("Hi <SPECIAL_12> there", []), ("q /no_think", []), ("q", [tool])):
        answer = ask(client, text, max_tokens=1, **({"tools": TOOLS, "tool_choice": "auto"} if tools else {}))
        assert answer.prompt_token_ids == prompt_ids(auto, [Message("user", text)], tools)
    assert 12 not in ask(client, "<SPECIAL_12>", max_tokens=1).prompt_token_ids


def test_an_answer_ends_with_the_end_of_turn(client):
    answer = ask(client, "q /no_think", logit_bias={"12": 100})
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("stop", 1)
    assert not answer.choices[0].message.content


@pytest.mark.parametrize("budget", [0, 10, 30])
def test_a_thought_keeps_its_budget(client, auto, budget):
    """The thought and the answer, whole and as a stream: the same, with one close within budget and grace."""
    answer = ask(client, "q", budget=budget)
    choice = answer.choices[0]
    text = auto.decode(choice.token_ids)
    assert text.count("</think>") == 1 and "<think>" not in text and choice.message.content
    thought = text.partition("</think>")[0]
    close = len(auto("\n</think>\n\n")["input_ids"])
    assert len(auto(thought)["input_ids"]) <= budget + 20 + close
    assert (choice.message.reasoning or "") == thought.strip()

    reasoning = content = ""
    for chunk in ask(client, "q", budget=budget, stream=True):
        if chunk.choices:
            assert not (content and getattr(chunk.choices[0].delta, "reasoning", None))
            reasoning += getattr(chunk.choices[0].delta, "reasoning", None) or ""
            content += chunk.choices[0].delta.content or ""
    assert (reasoning, content) == (choice.message.reasoning or "", choice.message.content)


def test_a_budget_that_is_no_number_of_tokens_is_refused(client):
    import openai

    with pytest.raises(openai.BadRequestError, match="thinking"):
        ask(client, "q", budget=-1)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_tool_is_called(client, choice):
    """A grammar makes the untrained model write a call in our form after its thought; the parser reads it."""
    options = {"tools": TOOLS, "tool_choice": choice, "budget": 10, "max_tokens": 400, "parallel_tool_calls": False}
    answer = ask(client, "Weather?", **options).choices[0]
    assert answer.finish_reason == ("tool_calls" if choice == "required" else "stop")  # as OpenAI's own server says
    assert not answer.message.content
    (call,) = answer.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "weather" and arguments.keys() == {"city", "days"}

    reasoning, calls = "", []
    for chunk in ask(client, "Weather?", stream=True, **options):
        if chunk.choices:
            delta = chunk.choices[0].delta
            reasoning += getattr(delta, "reasoning", None) or ""
            calls += delta.tool_calls or []
            assert not delta.content and "TOOLCALL" not in reasoning
    (streamed,) = calls
    assert (streamed.function.name, json.loads(streamed.function.arguments)) == ("weather", arguments)
    assert (streamed.index, reasoning) == (0, answer.message.reasoning or "")


def test_a_grammar_holds_after_a_thought_with_a_budget(client):
    """The newlines that the budget writes after the close do not break the grammar of the answer."""
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema | {"additionalProperties": False}}}
    message = ask(client, "Where?", budget=10, max_tokens=200, response_format=form).choices[0].message
    assert message.reasoning and json.loads(message.content)["city"] in ("Paris", "Rome")


def test_a_call_and_its_result_go_back(client, auto):
    """The second prompt of a tool loop, as the client package builds it, has no old thought."""
    options = {"tool_choice": "required", "budget": 5, "max_tokens": 400, "parallel_tool_calls": False}
    first = ask(client, "Weather?", tools=TOOLS, **options).choices[0].message
    (call,) = first.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"rain": true}'}
    answer = client.chat.completions.create(
        model=NAMES[0],
        messages=[{"role": "user", "content": "Weather?"}, first.model_dump(exclude_none=True), result],
        tools=TOOLS,
        max_tokens=1,
        extra_body={"return_token_ids": True},
    )
    prompt = auto.decode(answer.prompt_token_ids)
    assert f'<TOOLCALL>[{{"name": "weather", "arguments": {call.function.arguments}' in prompt
    assert prompt.endswith('<TOOL_RESPONSE>[{"rain": true}]</TOOL_RESPONSE>\n<SPECIAL_11>Assistant\n<think>\n')
    assert "</think>" not in prompt


def test_chat_in_a_pipe(serve, home):
    """The whole input is one message; the answer comes on the standard output, the thought and its count beside it."""
    url = ("--url", serve[1], "--api-key-env", "TEST_KEY", "--max-tokens", "96", "--grace", "10", "--answer-room", "40")
    process = command(home, "chat", *url, "--budget", "12", stdin=subprocess.PIPE)
    out, aside = process.communicate("Hi\nthere\n", timeout=120)
    assert process.returncode == 0, aside
    assert out.endswith("\n") and out.strip() and "think>" not in out
    assert "\x1b[2m" not in out and "\x1b" not in aside, "an untrained model may write any sign in its answer"
    counts = [int(number) for number in re.findall(r"(?m)^ *(\d+)/12 \| ", aside)]
    assert counts and counts[-1] <= 12 + 10 + 12 and "tokens of thought" in aside, aside

    process = command(home, "chat", *url, "--budget", "12", "-m", "one /no_think", "-m", "two")
    out, aside = process.communicate(timeout=120)
    assert process.returncode == 0 and "tokens of thought" not in aside and len(out) > 2


def test_chat_with_a_wrong_key_is_one_sentence(serve, home):
    process = command(home, "chat", "--url", serve[1], "-m", "Hi")
    out, aside = process.communicate(timeout=60)
    assert process.returncode == 1 and not out and "401" in aside and "Traceback" not in aside


def test_a_second_server_waits_and_names_the_first(serve, home):
    """The devices are locked while a model is served."""
    process = command(home, "serve", NAMES[0])
    try:
        for line in process.stdout:
            if "is used by" in line:
                assert f"process {serve[0].pid}" in line
                return
        pytest.fail("the second server did not wait")
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_the_server_with_all_that_it_started(serve):
    """The last test: nothing of the server is left, and its port is free."""
    process, _ = serve
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2  # vLLM's server and its engine
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_a_killed_server_command_leaves_nothing(home):
    """Also while the engine starts: kill -9 of `nemotron serve`."""
    process = command(home, "serve", NAMES[0])
    for line in process.stdout:
        if "starting vLLM" in line:
            break
    children = {}
    while not any("EngineCore" in name for name in children.values()):
        assert process.poll() is None
        time.sleep(0.1)
        children = _children(process.pid)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(list(children), timeout=60)
    assert not alive


def _children(pid: int) -> dict[psutil.Process, str]:
    """The processes below a process, with their names."""
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[child] = child.name()
    return found
