"""The meaning of a thinking budget, as an automaton over token ids (Nemotron Nano 2, section 3.4).

A budget of B tokens with a grace of G (published: 500):

- The thought is closed after the first token that contains a newline, from the B-th token of thought on. A budget of
  zero closes the thought at once.
- Without such a token the thought is closed by force after B + G tokens, on a line of its own.
- There is exactly one pair of tags. Inside the thought a second "<think>" is impossible, after it any further tag. The
  thought cannot end without its close: an end-of-turn token is impossible inside it.
- The close is never inside a tool call. A call that the model opened within the first B tokens of its thought may end
  first, then the thought closes as above. After B tokens no call can be opened inside the thought.
- The answer keeps its room. A budget that the context has no room for is cut, so that after the close `answer_room`
  tokens are left. A tool call that is still open at this point is closed first, by force.

A close that the model has begun is completed, instead of a second one. Tokens that were forced are known, because
nobody sampled them: training must leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from nemotron_assets.chat.budget.tags import CALL, CALL_END, CLOSE, CLOSE_TEXT, OPEN, Tags


class Phase(Enum):
    """Where an answer is."""

    BEFORE = "no thought has been opened"
    THOUGHT = "inside the thought"
    ANSWER = "after the close of the thought"
    ENDED = "after the end of the turn"


@dataclass(frozen=True)
class Budget:
    """At most `tokens` of thought, with `grace` tokens more to find a newline; `answer_room` tokens of the length that
    an answer may have are kept for what follows the thought. No budget (None) keeps only the room and the tags."""

    tokens: int | None
    grace: int
    answer_room: int = 0

    def __post_init__(self) -> None:
        for name in ("tokens", "grace", "answer_room"):
            value = getattr(self, name)
            if value is None and name == "tokens":
                continue
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} of a thinking budget is {value!r}: give a whole number from 0 on")


class Thought:
    """One answer under a budget: feed it the tokens one by one, and ask before each what is forced or impossible.

    `total` is the number of tokens that the answer may have with its thought; None if unknown.
    """

    def __init__(self, tags: Tags, budget: Budget, prompt: Iterable[int] = (), total: int | None = None) -> None:
        self.tags, self.budget, self.total = tags, budget, total
        self.phase, self.tokens, self.generated = Phase.BEFORE, 0, 0
        self._before_tag = 0  # tokens of thought before the tag that is unfinished now
        self.in_call, self._pending, self._last = False, "", ""
        self._queue: list[int] = []
        for token in _of_the_turn(list(prompt), tags.turn):
            # White space that the template writes after the tag is not a thought.
            self._read(token, counts=bool(self.tokens or tags.text(token).strip()))
            if self.phase is Phase.ENDED:  # an earlier turn
                self.phase, self.tokens, self.in_call = Phase.BEFORE, 0, False
        self._soft, self._hard = self._limits()
        self._decide()

    @property
    def forced(self) -> int | None:
        """The only token that may follow; None where the model chooses."""
        return self._queue[0] if self._queue else None

    def banned(self) -> Sequence[int]:
        """The tokens that must not follow, where nothing is forced."""
        if self.phase is Phase.ENDED:
            return ()
        late = self._left() <= self.tags.longest_call_end  # neither a thought nor a call can be opened any more
        late = late or (self.phase is Phase.THOUGHT and self.tokens >= self._soft)
        key, known = (self._pending, self.phase, self.in_call, late), self.tags.banned
        if key not in known:
            completing = self.tags.completing(self._pending)
            wrong = [token for token, found in completing if not _legal(found, self.phase, self.in_call, late)]
            ends = self.tags.ends if self.phase is Phase.THOUGHT else ()
            known[key] = tuple(sorted({*wrong, *ends}))
        return known[key]

    @property
    def most(self) -> int | float:
        """The most tokens that may still follow before the thought is closed by force; inf without any limit."""
        most = self._left() - self.tags.longest_call_end if self.in_call else self._hard - self.tokens
        return max(0, min(most, self._left()))

    def close(self, full_stop: str = "") -> str:
        """The text that closes the thought from here. The full stop ends an unfinished line, if it is not a tag."""
        text = "".join(map(self.tags.text, self._queue or self._closing()))
        return full_stop + text if text.startswith("\n") and not self._last.endswith(">") else text

    def feed(self, token: int) -> None:
        """Go on by the token that follows. A token other than the forced one is taken as it is."""
        self.generated += 1
        forced = bool(self._queue) and self._queue[0] == token
        self._queue = self._queue[1:] if forced else []
        if self.phase is not Phase.ENDED:
            self._read(token, counts=not forced)
            self._decide()

    def _read(self, token: int, counts: bool) -> None:
        self._pending, found = self.tags.read(self._pending, token)
        inside = self.phase is Phase.THOUGHT
        for tag in found:
            if tag == OPEN and self.phase is Phase.BEFORE:
                self.phase, self.in_call = Phase.THOUGHT, False
            elif tag == CLOSE and self.phase is Phase.THOUGHT:
                self.phase, self.tokens = Phase.ANSWER, self._before_tag  # its close is not a part of the thought
            elif tag in (CALL, CALL_END):
                self.in_call = tag == CALL
        if token in self.tags.ends:
            self.phase = Phase.ENDED
        if inside and counts and self.phase is not Phase.ANSWER:
            self.tokens += 1
        if not self._pending:
            self._before_tag = self.tokens
        self._last = self.tags.text(token)

    def _limits(self) -> tuple[float, float]:
        """The tokens of thought from which on a newline closes it, and after which it is closed by force."""
        soft = math.inf if self.budget.tokens is None else self.budget.tokens
        hard = soft + self.budget.grace
        room = self.tokens + max(0, self._left())
        return (soft, hard) if hard <= room else (min(soft, max(0, room - self.budget.grace)), room)

    def _left(self) -> float:
        """The tokens that are left for the thought: the others are for its close and for the answer."""
        if self.total is None:
            return math.inf
        return self.total - self.generated - self.tags.longest_close - self.budget.answer_room

    def _decide(self) -> None:
        """Force the close if it is due."""
        if self.phase is not Phase.THOUGHT or self._queue:
            return
        if self.in_call:
            due = self._left() <= self.tags.longest_call_end
        else:
            line_ends = "\n" in self._last or not self.tokens
            due = self._left() <= 0 or self.tokens >= (self._soft if line_ends else self._hard)
        if due:
            self._queue = list(self._closing())

    def _closing(self) -> tuple[int, ...]:
        """The tokens that close the thought from here, on a line of its own."""
        written, pending = self.tags.written, self._pending
        if self.in_call:
            end = CALL_END[len(pending) :] if CALL_END.startswith(pending) else CALL_END
            return written(end) + written("\n" + CLOSE_TEXT)
        if pending and CLOSE.startswith(pending):
            return written(CLOSE_TEXT[len(pending) :])
        return written(CLOSE_TEXT if self._last.endswith("\n") or not self.tokens else "\n" + CLOSE_TEXT)


def forced_tokens(
    tags: Tags, budget: Budget, prompt: Sequence[int], completion: Sequence[int], total: int | None
) -> list[bool]:
    """For every token of a completion that was made under a budget: whether the budget forced it."""
    thought, flags = Thought(tags, budget, prompt, total), []
    for token in completion:
        flags.append(thought.forced == token)
        thought.feed(token)
    return flags


def banned_tokens(
    tags: Tags, budget: Budget, prompt: Sequence[int], completion: Sequence[int], total: int | None
) -> list[Sequence[int]]:
    """For every token of a completion that was made under a budget: the tokens that could not follow in its place, of
    which it was therefore not chosen. None where the token was forced: nothing was chosen there."""
    thought, found = Thought(tags, budget, prompt, total), []
    for token in completion:
        found.append(thought.banned() if thought.forced is None else ())
        thought.feed(token)
    return found


def _of_the_turn(prompt: list[int], turn: int | None) -> list[int]:
    if turn is None or turn not in prompt:
        return prompt
    return prompt[len(prompt) - prompt[::-1].index(turn) :]


def _legal(found: Sequence[str], phase: Phase, in_call: bool, late: bool) -> bool:
    """Whether these tags may follow one another from here. `late`: nothing can be opened any more."""
    for tag in found:
        if tag == OPEN:
            if phase is not Phase.BEFORE or late:
                return False
            phase, in_call = Phase.THOUGHT, False
        elif tag == CLOSE:
            if phase is not Phase.THOUGHT or in_call:
                return False
            phase = Phase.ANSWER
        elif tag == CALL and phase is Phase.THOUGHT and late:
            return False
        else:
            in_call = tag == CALL
    return True
