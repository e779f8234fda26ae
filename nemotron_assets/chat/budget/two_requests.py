"""The thinking budget for any endpoint that completes text: the client of the published model card.

The published client asks for B tokens of thought. If the thought is not closed then, it appends a full stop, a newline
and the close of the thought, and asks for the answer in a second request. `turn` does the same with the meaning of
`automaton`: it asks for B + grace tokens (grace 0: the published client), cuts the text where the automaton closes the
thought, and lets a tool call end first. What a client cannot do is ban tokens. With `keep_one_pair` it ends the answer
where the model would open or close a second thought; without, the answer shows what the model does by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from nemotron_assets.chat.budget.automaton import Budget, Phase, Thought
from nemotron_assets.chat.budget.tags import CALL_END, CLOSE, OPEN, Tags

_FULL_STOP = "."
_THINKING_TAG = re.compile(f"{OPEN}|{CLOSE}")


@dataclass(frozen=True)
class Ask:
    """One request: complete the prompt and what is `written` of the turn by at most `max_tokens` tokens; stop before
    one of the `stops`."""

    written: str
    max_tokens: int
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """The answer to a request. `finish_reason` is "length", or "stop": at an end of turn, or before a stop string."""

    text: str
    finish_reason: str


@dataclass(frozen=True)
class Answer:
    """A turn after its prompt, thought and answer. `closed_by` says who closed the thought: "model" or "budget"."""

    text: str
    finish_reason: str
    closed_by: str
    requests: int


def ask(
    complete: Callable[[Ask], Completion],
    tags: Tags,
    encode: Callable[[str], list[int]],
    prompt: Sequence[int],
    budget: Budget,
    total: int,
    *,
    keep_one_pair: bool = True,
) -> Answer:
    """The answer of an endpoint that `complete` asks; see `turn`."""
    asking = turn(tags, encode, prompt, budget, total, keep_one_pair=keep_one_pair)
    request = next(asking)
    while True:
        try:
            request = asking.send(complete(request))
        except StopIteration as end:
            return end.value


def turn(
    tags: Tags,
    encode: Callable[[str], list[int]],
    prompt: Sequence[int],
    budget: Budget,
    total: int,
    *,
    keep_one_pair: bool = True,
) -> Generator[Ask, Completion, Answer]:
    """The requests for one turn, one after the other. The prompt is tokens that end inside a thought, as the chat
    template leaves it; `total` tokens are for thought and answer. `encode` gives the tokens of what the model writes,
    `tags` reads them.

    Usually there are two requests: for the thought, and for the answer. There is one where the model ends its answer in
    the first, or where the budget has no token of thought, and one more for a tool call that is open at the budget.
    """
    room = total - len(encode(_FULL_STOP))  # which this client writes before it closes the thought
    thought, text, requests = Thought(tags, budget, prompt, room), "", 0
    finish, closed_by = "length", "model"
    stops = (OPEN,) if keep_one_pair else ()
    while thought.phase is Phase.THOUGHT and thought.forced is None and thought.most > 0:
        made = yield Ask(text, thought.most, (CALL_END,) if requests else stops)
        requests, finish, more = requests + 1, made.finish_reason, made.text
        if requests > 1 and finish == "stop":
            more, finish = more + CALL_END, "length"
        kept = _followed(thought, tags, encode(more), more, keep_one_pair)
        text += kept
        if finish == "stop" or kept != more or not thought.in_call or requests == 2:
            break  # the thought goes on only for a tool call, in a second request
    if thought.phase is Phase.THOUGHT:
        text, finish, closed_by = text + thought.close(full_stop=_FULL_STOP), "length", "budget"
    left = total - len(encode(text))
    if finish == "length" and left > 0 and not (keep_one_pair and _second_pair(text)):
        made = yield Ask(text, left, (OPEN, CLOSE) if keep_one_pair else ())
        text, finish, requests = text + made.text, made.finish_reason, requests + 1
    # A stop string does not see a tag whose beginning is in the prompt of its request.
    if keep_one_pair and (second := _second_pair(text)):
        text, finish = text[:second], "stop"
    return Answer(text, finish, closed_by, requests)


def _followed(thought: Thought, tags: Tags, tokens: list[int], text: str, strict: bool) -> str:
    """The part of the text `tokens` up to where the budget closes the thought and the model does not; with `strict`
    also only up to a token that the budget makes impossible."""
    for place, token in enumerate(tokens):
        if thought.forced not in (None, token) or (
            strict and thought.phase is Phase.THOUGHT and token in thought.banned()
        ):
            return tags.decode(tokens[:place]).rstrip("\ufffd")  # a letter that was cut in two
        thought.feed(token)
    return text


def _second_pair(text: str) -> int | None:
    """Where a second thinking tag begins. The text is a thought that the prompt opened, and an answer."""
    places = [found.start() for found in _THINKING_TAG.finditer(text)]
    return places[1] if len(places) > 1 else None
