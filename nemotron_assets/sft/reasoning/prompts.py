"""The prompts of fundamental reasoning: a new question with options, and its solution (own words)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nemotron_assets.generation.answers import cut_sentence, ended_pattern, line_pattern
from nemotron_assets.recipe.sft.reasoning import Kind
from nemotron_assets.recipe.sft.sampling import Sampled
from nemotron_assets.sft.answers import Fault, text_fault
from nemotron_assets.sft.options import LETTERS, distinct, with_options
from nemotron_assets.sft.solving import Question, reasoned_pattern, request
from resources.generations import Request

_AUTHOR = "You are an author of admission tests. Your questions are fair: exactly one option is right."
_NEW: dict[Kind, str] = {
    "logical": """\
Write a new question of the kind that the examples show: a short argument or a few statements, and a question about \
what follows from them, what they take for granted, or what would make them weaker or stronger.""",
    "analytical": """\
Write a new question of the kind that the examples show: a few rules about an order, a choice or a distribution of \
some people or things, and a question that can be decided from the rules alone.""",
    "reading": """\
Write a new question about the passage at the end, of the kind that the examples show. It can be answered from the \
passage alone, but not by copying one sentence of it.""",
}
_FORM = """\
It has {count} options, and exactly one of them is right. Use other names, things and numbers than the examples.
Write {parts}, and nothing else: no answer and no explanation."""
_SOLVE = """\
Answer the question below. First think step by step between <think> and </think>. Then write one line: "Answer:" and \
the letter of the right option.

{question}"""

_SHORTEST_FACTS, _SHORTEST_QUESTION = 30, 10


@dataclass(frozen=True)
class Item:
    """A question with its facts (or its passage) and its options."""

    facts: str
    question: str
    options: tuple[str, ...]

    def shown(self, options: Sequence[str]) -> str:
        """The item as text, with its options in this order."""
        return with_options(f"{self.facts}\n\n{self.question}", options)


def new_item(
    kind: Kind, examples: Sequence[Item], passage: str | None, count: int, limits: Sampled, sample: int, parents: tuple
) -> Request:
    """The request for a new item of a kind, with or without a passage that it is about."""
    given = passage is not None
    parts = ("a line" if given else 'a line that begins with "Facts:", a line') + ' that begins with "Question:", and '
    parts += f"the options as lines that begin with {', '.join(f'{letter}.' for letter in LETTERS[:count])}"
    shown = "\n\n".join(f"Example:\n{_written(example, passage=given)}" for example in examples)
    task = f"{_NEW[kind]}\n{_FORM.format(count=count, parts=parts)}\n\n{shown}"
    task += f"\n\nPassage:\n{passage}" if given else ""
    return request(
        f"reasoning_{kind}", task, limits, _grammar(given, count, limits), sample=sample, parents=parents,
        system=_AUTHOR,
    )  # fmt: skip


def _written(example: Item, passage: bool) -> str:
    """An example in the form that an answer has; an example about a passage shows its passage first."""
    facts = f"Passage:\n{example.facts}\n" if passage else f"Facts: {example.facts}\n"
    return facts + with_options(f"Question: {example.question}", example.options)


def _grammar(given: bool, count: int, limits: Sampled) -> str:
    question = ended_pattern("[A-Z]", _SHORTEST_QUESTION, limits.max_line - 2, "?")
    facts = "" if given else "Facts: " + ended_pattern("[A-Z]", _SHORTEST_FACTS, 2 * limits.max_line - 2, ".") + r"\n"
    options = "".join(rf"\n{letter}\. {line_pattern(2, limits.max_line)}" for letter in LETTERS[:count])
    return rf"{facts}Question: {question}{options}"


def parse_item(text: str, passage: str | None, count: int, limits: Sampled | None = None) -> Item | Fault:
    """The item in an answer, or why there is none. With `limits`, whose form the answer was made in, the grammar must
    not have ended the facts or the question."""
    options = "".join(rf"\s*\n{letter}\. (?P<{letter}>[^\n]+)" for letter in LETTERS[:count])
    facts = r"Facts:\s*(?P<facts>.+?)\s*\n+" if passage is None else ""
    found = re.fullmatch(rf"{facts}Question:\s*(?P<question>.+?){options}", text.strip(), re.S)
    if found is None:
        return Fault("unparsable", f"not a question with {count} options: {text[:200]!r}")
    question, facts = found["question"].strip(), passage if passage is not None else found["facts"].strip()
    choices = [found[letter].strip() for letter in LETTERS[:count]]
    if any(mark in question + facts for mark in ("Question:", "Facts:", "Answer:", "\nA. ")):
        return Fault("unparsable", f"a second question or an answer: {text[:200]!r}")
    if len(distinct(choices)) < count:
        return Fault("unparsable", f"two options are the same: {choices!r}"[:300])
    if limits is not None and limits.enforce_form:
        cut_facts = passage is None and cut_sentence(facts, 2 * limits.max_line, ".")
        if cut_facts or cut_sentence(question, limits.max_line, "?"):
            return Fault("truncated", f"a limit of the grammar ended: {(facts if cut_facts else question)[-80:]!r}")
    if len(question) < _SHORTEST_QUESTION or len(facts) < _SHORTEST_FACTS:
        return Fault("too_short", f"{len(facts)} characters of facts, {len(question)} of the question")
    fault = next(filter(None, (text_fault(choice, 4_000) for choice in choices)), None)
    return fault or Item(facts, question, tuple(choices))


def solution(question: Question, options: Sequence[str], sample: int, limits: Sampled) -> Request:
    """The request for an answer, with the options in this order."""
    task = _SOLVE.format(question=question.more.item.shown(options))
    grammar = reasoned_pattern(limits, f"Answer: [{LETTERS[0]}-{LETTERS[len(options) - 1]}]")
    return request("reasoning_answer", task, limits, grammar, sample=sample, parents=question.origin.parents)
