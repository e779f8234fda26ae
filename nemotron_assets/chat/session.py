"""A talk with a served model: streams its thought and its answer as text, and keeps what was said.

Beside each line of a thought stands how many tokens of it were written, and the budget: "  37/512 | so x = 3".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from nemotron_assets.chat.parsing import CLOSE

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import CompletionUsage

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
#: Signs by which a text could steer a terminal: all control characters but tab and newline.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass
class Display:
    """Where a talk is shown: answers on `out`, thoughts and notes on `aside`, which never steer a terminal. `dim` says
    that both are a terminal: thoughts are dimmed, and an answer cannot steer it either. Else an answer is data, and is
    written as it came."""

    out: TextIO
    aside: TextIO
    dim: bool = False
    _line: str = field(default="", init=False)  # what stands in the open line of the thought

    def thought(self, text: str, used: int, budget: int | None) -> None:
        """More of a thought, of which `used` tokens were written by now."""
        of = f"/{budget}" if budget is not None else ""
        for piece in text.splitlines(keepends=True):
            gutter = "" if self._line else f"{used:>6}{of} | "
            self._write(self.aside, gutter + piece)
            self._line = "" if piece.endswith("\n") else self._line + piece

    def note(self, text: str) -> None:
        """A line about the talk."""
        self._write(self.aside, ("\n" if self._line else "") + f"{text}\n")
        self._line = ""

    def answer(self, text: str) -> None:
        """More of the answer."""
        self.out.write(_CONTROL.sub("", text) if self.dim else text)
        self.out.flush()

    def _write(self, stream: TextIO, text: str) -> None:
        text = _CONTROL.sub("", text)
        stream.write(f"{_DIM}{text}{_PLAIN}" if self.dim else text)
        stream.flush()


class Talk:
    """A conversation with the model `name` of a server. `budget` is in tokens of thought, None for no limit; `limits`
    are further arguments of a request with a budget, and `sampling` those of every request."""

    def __init__(
        self,
        client: OpenAI,
        name: str,
        display: Display,
        budget: int | None = None,
        limits: Mapping[str, int] = MappingProxyType({}),
        **sampling: Any,
    ) -> None:
        self.budget, self.messages = budget, []
        self._client, self._name, self._display, self._limits = client, name, display, limits
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._switch = ""

    def say(self, text: str) -> str:
        """Send a message, show the answer while it comes, and return it. An answer that is interrupted is kept as far
        as it came. Raises `openai.OpenAIError` if the server refuses; then the message is forgotten."""
        self.messages.append({"role": "user", "content": f"{text} {self._switch}".rstrip()})
        said: list[str] = []
        try:
            for piece in self._stream():
                said.append(piece)
                self._display.answer(piece)
        finally:
            answer = "".join(said)
            if answer:
                self.messages.append({"role": "assistant", "content": answer})
                self._display.answer("\n")
                self._switch = ""
            else:
                self.messages.pop()
        return answer

    def command(self, line: str) -> str | None:
        """Carry out a command, and return what to tell about it; None if the line is a message for the model."""
        word, *values = line.split()
        if word in ("/think", "/no_think") and not values:
            self._switch = word
            return f"thinking is {'on' if word == '/think' else 'off'} from your next message on"
        if word == "/budget" and len(values) == 1 and (values[0] == "off" or values[0].isdecimal()):
            self.budget = None if values[0] == "off" else int(values[0])
            return f"thoughts have at most {values[0]} tokens" if values[0] != "off" else "thoughts have no limit"
        if word == "/clear" and not values:
            self.messages.clear()
            return "the conversation begins anew"
        if word.startswith("/") and word in ("/help", "/budget", "/clear"):
            return "commands: /think, /no_think, /budget N, /budget off, /clear, /exit; anything else goes to the model"
        return None

    def _stream(self) -> Iterator[str]:
        """The pieces of the answer; the thought is shown on the way."""
        budget = {"thinking_budget": self.budget, **self._limits}
        stream = self._client.chat.completions.create(
            model=self._name,
            messages=self.messages,
            stream=True,
            # vLLM counts tokens with each piece; of other servers, pieces are counted.
            stream_options={"include_usage": True, "continuous_usage_stats": True},
            extra_body={} if self.budget is None else {"vllm_xargs": budget},
            **self._sampling,
        )
        used, thought, ending = 0, False, None
        with closing(stream):
            for chunk in stream:
                if not chunk.choices:
                    continue
                delta, ending = chunk.choices[0].delta, chunk.choices[0].finish_reason or ending
                more = getattr(delta, "reasoning", None) or getattr(delta, "reasoning_content", None)
                if more:
                    used = _thought_tokens(chunk.usage, used)
                    self._display.thought(more, used, self.budget)
                    thought = True
                if delta.content:
                    if thought:
                        self._display.note(f"{used} tokens of thought\n")
                        thought = False
                    yield delta.content
        if thought:
            self._display.note(f"the answer ended after {used} tokens of thought, before {CLOSE}")
        if ending == "length":
            self._display.note("the answer was cut: it had no more room (--max-tokens, or the model's context)")


def _thought_tokens(usage: CompletionUsage | None, before: int) -> int:
    """The tokens of thought by now. A piece may hold the close of the thought and more, so the server's own count of
    the thought is taken where it gives one."""
    if usage is None:
        return before + 1
    details = usage.completion_tokens_details
    known = details.reasoning_tokens if details else None
    return usage.completion_tokens if known is None else known
