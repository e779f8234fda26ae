"""Asks a model several times for the answer to each question: reasoning between its tags, then the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.answers import line_pattern
from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.sampling import Sampled
from nemotron_assets.sft.answers import Fault, Thought, read, thought
from nemotron_assets.sft.formats import THINK_CLOSE, THINK_OPEN
from nemotron_assets.sft.rows import Origin
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.table.parts import Reject
from resources.generations import Completion, OutputFormat, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

SYSTEM = "You are a helpful assistant who answers questions of students with care."


@dataclass(frozen=True)
class Question:
    """A question that is asked. `id` is the id of its row or of its answer, `truth` the known answer, `more` whatever
    its table wants to keep beside it."""

    id: str
    origin: Origin
    text: str
    options: tuple[str, ...] = ()
    truth: str | None = None
    more: Any = None


@dataclass(frozen=True)
class Sample:
    """One answer to a question. `key` is what makes two answers the same; it is None if the answer cannot be used, and
    `reasoning` and `answer` are empty then. `asked` is the question as this sample saw it."""

    completion: Completion
    reasoning: str = ""
    answer: str = ""
    key: Hashable | None = None
    asked: str = ""


#: Makes the request for sample number n of a question.
Ask = Callable[[Question, int], Request]
#: What the answer line of sample number n says: the sample's `answer`, `key` and `asked`, or why it says nothing.
Understand = Callable[[Question, int, Thought], tuple[str, Hashable, str] | Fault]


def lines_pattern(limits: Sampled, line: str | None = None) -> str:
    """The regular expression of one to `max_lines` lines. `line` is the expression of one line; without
    it every line is allowed."""
    line = line or line_pattern(2, limits.max_line, "<")
    return rf"{line}(\n{{1,2}}{line}){{0,{limits.max_lines - 1}}}" if limits.max_lines > 1 else line


def reasoned_pattern(limits: Sampled, answer: str, line: str | None = None) -> str:
    """The regular expression of reasoning between its tags, in lines of the form `line`, and an answer of the form
    `answer`."""
    return rf"{THINK_OPEN}\n{lines_pattern(limits, line)}\n{THINK_CLOSE}\n\n{answer}"


def request(
    prompt: str,
    task: str,
    limits: Sampled,
    grammar: str,
    *,
    sample: int = 0,
    parents: tuple[str, ...] = (),
    system: str = SYSTEM,
) -> Request:
    """A request for an answer of the form `grammar`, a regular expression."""
    return Request(
        prompt,
        (("system", system), ("user", task)),
        Sampling(limits.temperature, limits.top_p, limits.max_output_tokens),
        OutputFormat("regex", grammar) if limits.enforce_form else None,
        sample,
        parents,
    )


def fits(request: Request, writer: Writer) -> bool:
    """Whether a request and its longest answer fit into the model's context window."""
    return writer.prompt_tokens(request) + request.sampling.max_tokens <= writer.window


def fitting(
    questions: Iterable[Question], ask: Callable[[Question], list[Request]], writer: Writer, tally: Tally
) -> Iterator[tuple[Question, list[Request]]]:
    """Every question with its requests. A question that does not fit into the context window goes to the tally."""
    for question in questions:
        requests = ask(question)
        if all(fits(one, writer) for one in requests):
            yield question, requests
            continue
        prompt = requests[0].prompt
        tally.rejected[prompt, "too_long"] += 1
        detail = f"{prompt}: the request does not fit into the model's context window of {writer.window} tokens"
        tally.reject(Reject(question.id, "too_long", detail))


def solved(
    questions: Iterable[Question],
    writer: Writer,
    limits: Sampled,
    samples: int,
    ask: Ask,
    understand: Understand,
    tally: Tally,
) -> Iterator[tuple[Question, list[Sample]]]:
    """Every question with its `samples` samples, in order. Answers that cannot be used go to the tally."""
    jobs = fitting(questions, lambda question: [ask(question, n) for n in range(samples)], writer, tally)
    for question, completions in answered(jobs, writer.ask):
        tally.answered(completions)
        found = []
        for number, completion in enumerate(completions):
            made = _sample(question, number, completion, limits, understand)
            if isinstance(made, Fault):
                tally.refuse(completion, made, question.id)
                made = Sample(completion)
            found.append(made)
        yield question, found


def _sample(
    question: Question, number: int, completion: Completion, limits: Sampled, understand: Understand
) -> Sample | Fault:
    text = read(completion, limits, question.origin.language)
    parts = text if isinstance(text, Fault) else thought(text)
    said = parts if isinstance(parts, Fault) else understand(question, number, parts)
    return said if isinstance(said, Fault) else Sample(completion, parts.reasoning, *said)
