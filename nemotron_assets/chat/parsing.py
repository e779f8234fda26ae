"""From the text that a model wrote to its thought, its answer and its tool calls.

The readers take the text in pieces of any size, so a streaming server and a grader read the same. They never raise,
and their work grows with the length of the text alone. They are strict: what is not exactly in the form of the chat
template stays text and is named as a problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.chat.template import END_OF_TURN

OPEN, CLOSE = "<think>", "</think>"
CALLS, END_OF_CALLS = "<TOOLCALL>", "</TOOLCALL>"
#: A longer list of calls stays text. In characters, and in calls.
MAX_CALLS_TEXT, MAX_CALLS = 1_000_000, 128


@dataclass(frozen=True)
class Parsed:
    """What a model wrote. `reasoning` is None where it did not think; `problems` say what is not well-formed."""

    reasoning: str | None
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    problems: tuple[str, ...] = ()


def parse(text: str, thinking: bool = True) -> Parsed:
    """Read a whole answer, as a model writes it after its prompt: the opening of the thought stands in the prompt.

    `thinking` is false where the prompt ends with an empty thought. An end-of-turn token at the end is left out.
    """
    rest: str | None = text.removesuffix(END_OF_TURN)
    thought, first, answer, pieces = None, ThoughtReader(), AnswerReader(), []
    if thinking:
        thought, rest = first.feed(rest)
        thought += first.end()
    if rest is not None:
        pieces = [answer.feed(rest), answer.end()]
    content = "".join(piece.content for piece in pieces)
    calls = tuple(call for piece in pieces for call in piece.calls)
    return Parsed(thought, content, calls, (*first.problems, *answer.problems))


class ThoughtReader:
    """Reads a thought up to its close."""

    def __init__(self) -> None:
        self.closed = False
        self.problems: dict[str, None] = {}  # in the order in which they were found, each once
        self._text, self._signs = _Trimmed(), _Signs(OPEN, CLOSE)

    def feed(self, text: str) -> tuple[str, str | None]:
        """(more of the thought, what follows its close, or None while it is open). Not to be called after the close."""
        thought = []
        for sign, piece in self._signs.feed(text):
            if sign == CLOSE:
                self.closed = True
                return "".join(thought), self._signs.rest()
            if sign == OPEN:
                self.problems["<think> stands inside the thought"] = None
            thought.append(self._text.add(piece))
        return "".join(thought), None

    def end(self) -> str:
        """What is still to be given out when the text ends here."""
        if self.closed:
            return ""
        self.problems["the thought has no </think>"] = None
        return self._text.add(self._signs.rest())


@dataclass(frozen=True)
class Piece:
    """More of an answer: text, and the calls of a list that is complete."""

    content: str = ""
    calls: tuple[ToolCall, ...] = ()


class AnswerReader:
    """Reads what follows the thought: a text, and at its end possibly one list of calls.

    Calls are given out together when their list is complete and well-formed. Any other list is given out as text, and
    so is every list without `calls`.
    """

    def __init__(self, calls: bool = True) -> None:
        self.problems: dict[str, None] = {}
        self._text, self._signs = _Trimmed(), _Signs(OPEN, CLOSE, CALLS, END_OF_CALLS)
        self._list: list[str] | None = None  # the pieces of an open list of calls
        self._calls, self._called = calls, False

    def feed(self, text: str) -> Piece:
        """More of the answer, and the calls if their list ended."""
        content, calls = [], ()
        for sign, piece in self._signs.feed(text):
            if self._list is not None:
                self._list.append(piece)
                if sign == END_OF_CALLS:
                    calls = self._end_of_list()
                    content.append("" if calls else self._as_text())
                    self._list = None
            elif sign == CALLS and self._calls and not self._called:
                self._list = [piece]
            else:
                content.append(self._add(sign, piece))
        return Piece("".join(content), calls)

    def end(self) -> Piece:
        """What is still to be given out when the text ends here."""
        rest = self._signs.rest()
        if self._list is None:
            return Piece(self._add(None, rest))
        self.problems["the list of calls has no </TOOLCALL>"] = None
        self._list.append(rest)
        return Piece(self._as_text())

    def _add(self, sign: str | None, piece: str) -> str:
        if sign:
            self.problems[f"{sign} stands in the answer"] = None
        elif self._called and piece.strip():
            self.problems["there is text after the calls"] = None
        return self._text.add(piece)

    def _as_text(self) -> str:
        return self._text.add("".join(self._list or ()))

    def _end_of_list(self) -> tuple[ToolCall, ...]:
        said = "".join(self._list or ())[len(CALLS) : -len(END_OF_CALLS)]
        try:
            calls = read_calls(said)
        except ValueError as error:
            self.problems[f"the calls are not in the form of the template: {error}"] = None
            return ()
        self._called = True
        return calls


def read_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls in a JSON list of {"name", "arguments"}. Raises ValueError, and nothing else, for any other text."""
    if len(text) > MAX_CALLS_TEXT:
        raise ValueError(f"the list has {len(text)} characters, more than {MAX_CALLS_TEXT}")
    try:
        calls = json.loads(text, parse_constant=_no_number, object_pairs_hook=_no_key_twice)
        text.encode()
        json.dumps(calls, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("the list is nested too deeply") from error
    if not isinstance(calls, list) or not 1 <= len(calls) <= MAX_CALLS:
        raise ValueError(f"it is not a list of 1 to {MAX_CALLS} calls")
    for call in calls:
        if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
            raise ValueError("a call is not an object with name and arguments and nothing else")
        if not isinstance(call["name"], str) or not call["name"]:
            raise ValueError("the name of a call is not a text")
        if not isinstance(call["arguments"], dict):
            raise ValueError("the arguments of a call are not an object")
    return tuple(ToolCall(call["name"], call["arguments"]) for call in calls)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


class _Signs:
    """Finds signs in a text that comes in pieces. An end that could become a sign is kept back."""

    def __init__(self, *signs: str) -> None:
        self._find = re.compile("|".join(map(re.escape, signs)))
        starts = {sign[:length] for sign in signs for length in range(1, len(sign))}
        self._start = re.compile(f"(?:{'|'.join(sorted(map(re.escape, starts), key=len, reverse=True))})$")
        self._longest = max(map(len, signs)) - 1
        self._kept, self._at = "", 0

    def feed(self, text: str) -> Iterator[tuple[str | None, str]]:
        """(sign, its text) and (None, the text between signs), in order."""
        text = self.rest() + text
        for found in self._find.finditer(text):
            begin, self._kept, self._at = self._at, text, found.end()
            if begin < found.start():
                yield None, text[begin : found.start()]
            yield found[0], found[0]
        end = re.search(self._start, text[max(self._at, len(text) - self._longest) :])
        stop = len(text) - (len(end[0]) if end else 0)
        begin, self._kept, self._at = self._at, text, stop
        if begin < stop:
            yield None, text[begin:stop]

    def rest(self) -> str:
        """What was not given out yet; it is taken."""
        rest, self._kept, self._at = self._kept[self._at :], "", 0
        return rest


class _Trimmed:
    """Text without white space at both ends, in pieces: white space waits until a word follows it."""

    def __init__(self) -> None:
        self._begun = False
        self._space: list[str] = []

    def add(self, text: str) -> str:
        body = text.rstrip()
        if not body:
            self._space += [text] if self._begun and text else []
            return ""
        before = "".join(self._space)
        self._space = [text[len(body) :]]
        if not self._begun:
            self._begun = True
            return body.lstrip()
        return before + body
