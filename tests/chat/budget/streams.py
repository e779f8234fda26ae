"""Canned token streams: what a model would write, and what it must have written under a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nemotron_assets.chat.budget.automaton import Budget

END = "<SPECIAL_12>"
PROMPT = "<SPECIAL_11>User\nIs <think> a tag?\n<SPECIAL_11>Assistant\n<think>\n"


@dataclass(frozen=True)
class Case:
    """The `pieces` of a stream are encoded one by one: with a tokenizer of single letters, n letters are n tokens.
    A letter of "think" after a forced close would be taken for a part of it, so streams have other letters there."""

    name: str
    pieces: tuple[str, ...]
    budget: Budget
    total: int
    expected: str
    prompt: str = PROMPT

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def _case(name: str, text: str, budget: Budget, expected: str, total: int = 400, prompt: str = PROMPT) -> Case:
    return Case(name, tuple(text.split("|")), budget, total, expected, prompt)


#: With the tokenizer of single letters (`letters`), so that budgets are counted by eye.
CASES = [
    _case("natural close", "abc\n</think>\n\nyes|" + END, Budget(20, 10), "abc\n</think>\n\nyes" + END),
    _case("newline close", "abcdef\nghij\nk|" + END, Budget(4, 10), "abcdef\n</think>\n\nghij\nk" + END),
    _case("newline at the budget", "abc\ndef|" + END, Budget(4, 10), "abc\n</think>\n\ndef" + END),
    _case("newline before the budget", "abc\ndefg\nb|" + END, Budget(5, 10), "abc\ndefg\n</think>\n\nb" + END),
    _case("forced close", "abcdefgabcde|" + END, Budget(4, 3), "abcdefg\n</think>\n\nabcde" + END),
    _case("close begun at the limit", "abcde</think>x|" + END, Budget(4, 3), "abcde</think>\n\nx" + END),
    _case("reopened tag", "ab</think>c<think>d</think>e|" + END, Budget(9, 9), "ab</think>c<think.d</think.e" + END),
    _case("second open in the thought", "a<think>b</think>c|" + END, Budget(20, 9), "a<think.b</think>c" + END),
    _case("end inside the thought", "ab|" + END + "|cd\ne|" + END, Budget(4, 9), "ab.cd\n</think>\n\ne" + END),
    _case(
        "tool call open at the budget",
        "a<TOOLCALL>[\n1]</TOOLCALL>bc\nd|" + END,
        Budget(12, 2),
        "a<TOOLCALL>[\n1]</TOOLCALL>\n</think>\n\nbc\nd" + END,
    ),
    _case(
        "close inside a tool call",
        "<TOOLCALL>[</think>]</TOOLCALL>\na</think>b|" + END,
        Budget(50, 2),
        "<TOOLCALL>[</think.]</TOOLCALL>\na</think>b" + END,
    ),
    _case(
        "tool call after the budget", "abcd<TOOLCALL>e\nf|" + END, Budget(4, 90), "abcd<TOOLCALL.e\n</think>\n\nf" + END
    ),
    _case("budget 0", "abc\ndef|" + END, Budget(0, 10), "</think>\n\nabc\ndef" + END),
    _case(
        "budget beyond the context", "abcdefghijklmnop" * 9, Budget(900, 5, 6), "abcdefghijkl\n</think>\n\nmnopab", 29
    ),
    _case(
        "newline before the end of the context",
        "abcdefghi\n" * 9,
        Budget(900, 5, 6),
        "abcdefghi\n</think>\n\nabcdefghi",
        29,
    ),
    _case(
        "tool call open at the end of the context",
        "a<TOOLCALL>" + "b" * 90,
        Budget(900, 5, 6),
        "a<TOOLCALL>bbbbbbbbbbb</TOOLCALL>\n</think>\n\nbbbbbb",
        50,
    ),
    _case(
        "no thought",
        "abc</think>d|" + END,
        Budget(2, 2),
        "abc</think.d" + END,
        prompt=PROMPT[:-9] + "\n<think></think>",
    ),
]


class Model:
    """Writes a stream as far as the budget lets it: a token that is impossible is left out, and "." stands for it."""

    def __init__(self, ids: Sequence[int], filler: int, vocabulary: int) -> None:
        self.ids, self.filler, self.vocabulary, self.place = list(ids), filler, vocabulary, 0

    def logits(self) -> torch.Tensor:
        wanted = self.ids[self.place] if self.place < len(self.ids) else self.filler
        logits = torch.zeros(self.vocabulary)
        logits[self.filler] = 5.0
        logits[wanted] = 10.0
        return logits

    def choose(self, masked: torch.Tensor) -> int:
        token = int(masked.argmax())
        forced = bool((masked == -float("inf")).sum() == self.vocabulary - 1)
        if not forced or self.ids[self.place : self.place + 1] == [token]:
            self.place += 1
        return token


def write(model: Model, masking: Callable[[list[int], torch.Tensor], torch.Tensor], total: int, end: int) -> list[int]:
    """The tokens of an answer. `masking` gets the tokens so far and the logits, and returns the masked logits."""
    made: list[int] = []
    while len(made) < total and (not made or made[-1] != end):
        made.append(model.choose(masking(made, model.logits())))
    return made
