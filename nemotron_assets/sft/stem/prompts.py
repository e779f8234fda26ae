"""The prompts of science questions: a new question, an answer, wrong options. Their words were not published."""

from __future__ import annotations

from nemotron_assets.generation.answers import ended_pattern, line_pattern, literal_pattern
from nemotron_assets.recipe.sft.sampling import Sampled
from nemotron_assets.recipe.sft.stem import Expansion, Mode, Recast
from nemotron_assets.sft.solving import Question, reasoned_pattern, request
from resources.generations import Request

_TEACHER = "You are a teacher of the sciences who writes questions for exams."
_NEW = """\
Below is a question from an exam. Write a new question {how}.
- It must be complete: somebody who does not see the old question can answer it.
- It asks for one thing, and its answer is a number, a name or a short phrase. It has no options to choose from.
- Write "Question:" and the new question, and nothing else: no answer, no explanation.

Old question:
{question}"""
_HOW: dict[Mode, str] = {
    "similar": "on the same topic that needs the same knowledge and is about as hard",
    "harder": "on the same topic that is clearly harder: it needs more steps, or knowledge that lies deeper",
    "varied": "on the same topic that is of another kind: something else is given, and something else is asked",
}

_SOLVE = """\
Answer the question below. First think step by step between {open} and {close}. Then write one line that begins with \
"Answer:" and gives only the answer{only}.

Question:
{question}"""
_WRONG = """\
Below are a question and its right answer. Write {count} wrong answers that a student may take for right. They differ \
from each other and from the right answer, and have the same form and about the same length.
Write every wrong answer in a line of its own that begins with "- ", and nothing else.

Question:
{question}

Right answer:
{answer}"""


def expand_prompt(mode: Mode) -> str:
    """The name of the prompt for a new question."""
    return f"stem_{mode}"


def new_question(question: Question, mode: Mode, limits: Expansion) -> Request:
    """The request for a new question made from this one."""
    task = _NEW.format(how=_HOW[mode], question=listed(question.text, question.options))
    line = ended_pattern("[A-Z]", limits.min_characters - 2, limits.max_line - 2)
    more = rf"(\n{line_pattern(2, limits.max_line)}){{0,{limits.max_lines - 1}}}" if limits.max_lines > 1 else ""
    return request(
        expand_prompt(mode), task, limits, f"Question: {line}{more}", parents=question.origin.parents, system=_TEACHER
    )


def solution(question: Question, options: list[str], sample: int, limits: Sampled, longest: int) -> Request:
    """The request for an answer. With options, the answer must be one of them, word for word."""
    only = ", which is one of the options, copied word for word" if options else ", as short as possible"
    answer = f"({'|'.join(map(literal_pattern, options))})" if options else line_pattern(1, longest)
    task = _SOLVE.format(open="<think>", close="</think>", only=only, question=listed(question.text, options))
    grammar = reasoned_pattern(limits, f"Answer: {answer}")
    return request("stem_answer", task, limits, grammar, sample=sample, parents=question.origin.parents)


def wrong_options(question: str, answer: str, limits: Recast, parents: tuple[str, ...]) -> Request:
    """The request for wrong answers to a question."""
    task = _WRONG.format(count=limits.wrong, question=question, answer=answer)
    line = f"- {line_pattern(1, limits.max_line)}"
    grammar = rf"{line}(\n{line}){{{limits.wrong - 1}}}"
    return request("stem_wrong_options", task, limits, grammar, parents=parents, system=_TEACHER)


def listed(question: str, options: tuple[str, ...] | list[str]) -> str:
    """A question with its options as a list without letters, so that an answer does not speak of letters."""
    return "\n".join([question, *(f"- {option}" for option in options)])
