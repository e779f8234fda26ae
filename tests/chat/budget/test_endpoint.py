"""The client of two requests through the OpenAI package, against a server that writes canned streams."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from openai import APIError, OpenAI
from transformers import PreTrainedTokenizerFast

from nemotron_assets.chat.budget.automaton import Budget
from nemotron_assets.chat.budget.endpoint import answer
from nemotron_assets.chat.budget.two_requests import Ask
from nemotron_assets.chat.conversation import Message
from nemotron_assets.chat.template import prompt_ids
from tests.chat.budget.streams import END
from tests.chat.budget.test_two_requests import Endpoint

ASKED = [Message("user", "hi <SPECIAL_12>")]


@pytest.fixture
def tokenizer(letters):
    return PreTrainedTokenizerFast(tokenizer_object=letters, unk_token="<unk>", eos_token="</s>")


@pytest.fixture
def served(letters, tokenizer):
    """(client, bodies of the requests) of a server that writes "abcdefgabc" for the model "letters"."""
    endpoint, bodies, prompt = Endpoint("abcdefgabc" + END, letters), [], prompt_ids(tokenizer, ASKED)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            assert body["prompt"][: len(prompt)] == prompt
            written = "".join(letters.id_to_token(token) for token in body["prompt"][len(prompt) :])
            made = endpoint(Ask(written, body["max_tokens"], tuple(body.get("stop") or ())))
            known = body["model"] == "letters"
            choice = {"index": 0, "text": made.text, "finish_reason": made.finish_reason, "logprobs": None}
            said = {"id": "1", "object": "text_completion", "created": 0, "model": "letters", "choices": [choice]}
            data = json.dumps(said if known else {"error": {"message": "no such model"}}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none", max_retries=0), bodies
    server.shutdown()
    server.server_close()
    thread.join()


def test_two_requests_over_http(served, tokenizer):
    client, bodies = served
    made = answer(client, "letters", tokenizer, ASKED, Budget(4, 0), 50, temperature=0.0)
    assert (made.text, made.closed_by, made.requests) == ("abcd.\n</think>\n\nefgabc", "budget", 2)
    assert [body["max_tokens"] for body in bodies] == [4, 50 - len("abcd.\n</think>\n\n")]
    assert all(body["temperature"] == 0 and body["model"] == "letters" for body in bodies)
    assert bodies[0]["stop"] == ["<think>"] and bodies[1]["stop"] == ["<think>", "</think>"]


def test_errors_of_the_endpoint_are_raised(served, tokenizer):
    with pytest.raises(APIError, match="no such model"):
        answer(served[0], "other", tokenizer, ASKED, Budget(4, 0), 50)
