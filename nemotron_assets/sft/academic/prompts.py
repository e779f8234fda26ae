"""The prompts of academic questions: what is asked, the form of an answer, and how an answer is read.

A right option has no letter yet when the model writes it: the options are put in an order that follows from a hash, so
that the place of the right one says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nemotron_assets.generation.answers import ends_abruptly, line_pattern
from nemotron_assets.generation.degenerate import echo, loop
from nemotron_assets.recipe.sft.academic import Kind
from nemotron_assets.recipe.sft.sampling import Sampled
from nemotron_assets.sft.answers import Fault
from resources.generations import OutputFormat, Request, Sampling

_SYSTEM = "You write exam questions for students, and you are careful that every answer is right."
_RULES = """\
- Whoever answers it does not see the passage: name everything that the question needs, and do not mention the passage.
- It must have one right answer, which follows from the passage.
- The justification gives the reason in one or two sentences, step by step."""
_TASKS: dict[str, str] = {
    "multiple_choice": f"""\
Write one multiple-choice question of the level {{level}} about the passage below.
{_RULES}
- The wrong answers must be plausible, different from each other, and clearly wrong.
Write six lines and nothing else:
Question: ...
Answer: the right answer
Wrong: ...
Wrong: ...
Wrong: ...
Justification: ...
""",
    "free_response": f"""\
Write one question of the level {{level}} about the passage below that is answered freely, in one sentence.
{_RULES}
Write three lines and nothing else:
Question: ...
Answer: ...
Justification: ...
""",
    "longdoc_qa": """\
Write one question about the passage below, which is a piece of a long document, and its answer.
- The answer must stand in the passage, and the question must name what it asks about, so that a reader of the whole \
document knows which place is meant. Do not mention the passage.
Write two lines and nothing else:
Question: ...
Answer: ...
""",
}
_LABELS: dict[str, tuple[str, ...]] = {
    "multiple_choice": ("Question", "Answer", "Wrong", "Wrong", "Wrong", "Justification"),
    "free_response": ("Question", "Answer", "Justification"),
    "longdoc_qa": ("Question", "Answer"),
}
_JUDGE_SYSTEM = "You check exam questions. You answer with one word."
_JUDGE = """\
Does the passage show that the answer to the question is right? Write Yes or No and nothing else.

Passage:
{passage}

Question: {question}
Answer: {answer}"""
_VOTE_SYSTEM = "You answer exam questions."
_VOTE = """\
Answer the question about the passage. Write "Answer: " and the letter of the right option, and nothing else.

Passage:
{passage}

{question}"""
_SHORT_ANSWER = 16  # tokens of a letter or a verdict
_OF_A_PASSAGE = re.compile(
    r"\b(?:the|this|above|given|provided) (?:text|document|paragraph|article|passage|snippet|excerpt)s?\b", re.I
)


@dataclass(frozen=True)
class Question:
    """A question as the model wrote it. `wrong` and `justification` are empty where the form has none."""

    question: str
    answer: str
    wrong: tuple[str, ...] = ()
    justification: str = ""


def request(kind: Kind | str, passage: str, limits: Sampled, *, level: str = "", similar: Sequence[str] = (),
            parents: tuple[str, ...] = ()) -> Request:  # fmt: skip
    """The request for a question of a kind about a passage, with `similar` snippets of other documents below it."""
    task = f"{_TASKS[kind].format(level=level)}\nPassage:\n{passage}"
    for snippet in similar:
        task += f"\n\nFor comparison, from another document:\n{snippet}"
    messages = ("system", _SYSTEM), ("user", task)
    sampling = Sampling(limits.temperature, limits.top_p, limits.max_output_tokens)
    name = kind if kind == "longdoc_qa" else f"academic_{kind}"
    return Request(name, messages, sampling, output_format(kind, limits), parents=parents)


def output_format(kind: Kind | str, limits: Sampled) -> OutputFormat:
    """The grammar of an answer: its lines, each with its label."""
    lines = (
        f"{label}: {line_pattern(1 if label in ('Answer', 'Wrong') else 8, limits.max_line)}" for label in _LABELS[kind]
    )
    return OutputFormat("regex", "\n".join(lines))


def parse(kind: Kind | str, text: str, limits: Sampled) -> Question | Fault:
    """The question in an answer, or why the answer cannot be used."""
    labels, lines = _LABELS[kind], [line.strip() for line in text.strip().split("\n") if line.strip()]
    values = []
    for label, line in zip(labels, lines, strict=False):
        if not line.startswith(f"{label}: ") or not (value := line.removeprefix(f"{label}:").strip()):
            return Fault("unparsable", f"no line {label}: {line[:200]!r}")
        if len(value) > limits.max_line or ends_abruptly(value, limits.max_line):
            return Fault("truncated", f"the line {label} has {len(value)} characters of at most {limits.max_line}")
        if what := echo(value, _TASKS[kind]) or loop(value):
            return Fault("degenerate", f"the line {label}: {what}")
        values.append(value)
    if len(lines) != len(labels):
        return Fault("unparsable", f"{len(lines)} lines instead of {len(labels)}: {text[:200]!r}")
    if values[1].removeprefix("Question:").strip().casefold() == values[0].casefold():
        return Fault("unparsable", f"the answer is the question: {values[0][:200]!r}")
    if found := _OF_A_PASSAGE.search(values[0]):
        return Fault("not_self_contained", f"the question speaks of {found[0]!r}: {values[0][:200]!r}")
    made = Question(values[0], values[1], tuple(values[2:5]) if "Wrong" in labels else ())
    return Question(made.question, made.answer, made.wrong, values[-1] if "Justification" in labels else "")


def judge(passage: str, question: str, answer: str, parents: tuple[str, ...] = ()) -> Request:
    """The request for a verdict on an answer. `verdict` reads it."""
    task = _JUDGE.format(passage=passage, question=question, answer=answer)
    messages = ("system", _JUDGE_SYSTEM), ("user", task)
    return Request(
        "academic_judge", messages, Sampling(0.0, 1.0, _SHORT_ANSWER), OutputFormat("regex", "Yes|No"), parents=parents
    )


def verdict(text: str) -> bool | None:
    """Whether a judge approves; None for an answer that is not a single Yes or No."""
    return {"yes": True, "no": False}.get(text.strip().rstrip(".").casefold())


def vote(
    passage: str, question: str, options: int, limits: Sampled, sample: int, parents: tuple[str, ...] = ()
) -> Request:
    """The request for one vote on a question with options. `options.chosen` reads it."""
    messages = ("system", _VOTE_SYSTEM), ("user", _VOTE.format(passage=passage, question=question))
    letters = "ABCDEFGHIJ"[:options]
    sampling = Sampling(limits.temperature, limits.top_p, _SHORT_ANSWER)
    form = OutputFormat("regex", f"Answer: [{letters}]")
    return Request("academic_vote", messages, sampling, form, sample=sample, parents=parents)
