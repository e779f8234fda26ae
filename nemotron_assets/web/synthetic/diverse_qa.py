"""Diverse QA (Nemotron-CC §2.4): questions of several kinds and their answers, appended to the text they are about.

A document is cut into segments of whole lines; a language model writes question/answer pairs about each; the training
sample is the segment, a blank line and some of the pairs. The prompt is worded here; its intent, the token limits and
the post-processing are those of the published recipe (NeMo Curator). Token counts are the generator's.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from nemotron_assets.recipe import DiverseQa
from nemotron_assets.table import Reject, row_id
from resources.generations import Completion, OutputFormat, Request, Sampling

PROMPT = "diverse_qa"
HEADER = "Questions and answers about the passage:"

_SYSTEM = "You are a helpful assistant."
_TASK = """\
Read the passage below and write up to {n} questions about it, each with its answer.
- Test different skills, and vary the form of the questions: yes or no; open questions (what, who, when, where, why, \
how); multiple choice with the options listed in the question; comparison; reading comprehension; problem solving.
- Use only what the passage says. Be concise, clear and complete: each pair must make sense without the others.
- Write plain text without Markdown.
Begin with the line "{header}" and then give every pair as:
- Question: the question
  Answer: the answer

Passage:
{passage}"""

_PAIR = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])?[ \t]*Question[ \t]*\d*[ \t]*:[ \t]*(.*)$", re.I)
_ANSWER = re.compile(r"^[ \t]*(?:[-*•][ \t]*)?Answer[ \t]*\d*[ \t]*:[ \t]*(.*)$", re.I)
_ENDS = (".", "!", "?", ")", '"', "'", "”", "’", "%", "]", ":")

CountTokens = Callable[[Sequence[str]], list[int]]
Generate = Callable[[Iterable[Request]], Iterator[Completion]]

LANGUAGE = "en"  # the prompt is English
_ROWS = 512  # samples in one frame


@dataclass(frozen=True)
class Segment:
    """Some adjacent lines of a document. `tokens` counts the lines and the line breaks between them."""

    document: str
    number: int
    text: str
    tokens: int


@dataclass(frozen=True)
class Sample:
    """A segment with its question/answer pairs, as a model is trained on it; `tokens` of the whole text."""

    segment: Segment
    text: str
    questions: int
    tokens: int
    generation_id: str


@dataclass
class Tally:
    """What became of the segments: counted while `samples` runs."""

    documents: int = 0
    segments: int = 0
    accepted: int = 0
    questions: int = 0
    tokens: int = 0
    output_tokens: int = 0
    new_generations: int = 0
    rejected: Counter = field(default_factory=Counter)
    example: str = ""

    def facts(self) -> dict[str, int]:
        """The counts as metadata of the asset."""
        causes = {f"rejected_{cause}": self.rejected[cause] for cause in ("truncated", "unparsable", "too_short")}
        names = ("documents", "segments", "accepted", "questions", "tokens", "output_tokens", "new_generations")
        return {name: getattr(self, name) for name in names} | causes


class Progress:
    """Says how far the model is, at most every ten seconds."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log, self._started, self._said = log, time.monotonic(), time.monotonic()

    def __call__(self, finished: int, new: int, tokens: int) -> None:
        now = time.monotonic()
        if now - self._said >= 10:
            self._said = now
            rate = tokens / (now - self._started)
            self._log(f"{finished} segments answered, {new} of them now, {rate:.0f} tokens/s")


def choose(documents: pl.LazyFrame, recipe: DiverseQa) -> pl.LazyFrame:
    """The English documents to write about: all, or the `max_documents` with the lowest content hash."""
    columns = ("id", "snapshot", "language", "text", "content_hash")
    wanted = documents.filter(pl.col("language") == LANGUAGE).select(columns)
    return wanted if recipe.max_documents is None else wanted.bottom_k(recipe.max_documents, by=["content_hash", "id"])


def samples(
    documents: Iterable[pl.DataFrame],
    recipe: DiverseQa,
    *,
    generator: str,
    count: CountTokens,
    room: int,
    generate: Generate,
    reject: Callable[[Reject], None],
    tally: Tally,
) -> Iterator[pl.DataFrame]:
    """Rows of web.diverse_qa for a stream of documents (id, snapshot, language, text), some hundred at a time.

    `room` is how many tokens a segment may have, `generate` answers requests in order, `reject` takes the segments
    without a sample.
    """
    waiting: deque[tuple[Segment, str, str]] = deque()

    def ask() -> Iterator[Request]:
        for frame in documents:
            for document in frame.iter_rows(named=True):
                found = segments(
                    document["id"], document["text"], count, room, recipe.min_document_tokens, recipe.min_segment_tokens
                )[: recipe.max_segments]
                tally.documents += bool(found)
                for part in found:
                    waiting.append((part, document["snapshot"], document["language"]))
                    yield _request(recipe, part.text, (part.document,))

    rows = []
    for completion in generate(ask()):
        part, snapshot, language = waiting.popleft()
        made = sample(part, completion, recipe, count)
        tally.segments += 1
        tally.output_tokens += completion.output_tokens
        tally.new_generations += completion.new
        if isinstance(made, Reject):
            tally.rejected[made.cause] += 1
            reject(made)
            continue
        tally.accepted += 1
        tally.questions += made.questions
        tally.tokens += made.tokens
        tally.example = tally.example or made.text
        rows.append(
            {
                "id": row_id("web.diverse_qa", part.document, part.number), "parents": [part.document],
                "snapshot": snapshot, "text": made.text, "question_count": made.questions, "prompt": PROMPT,
                "generator": generator, "generation_id": made.generation_id, "language": language,
                "tokens": made.tokens,
            }
        )  # fmt: skip
        if len(rows) == _ROWS:
            yield _frame(rows)
            rows = []
    yield _frame(rows)


def prompt_room(recipe: DiverseQa, count_prompt: Callable[[Request], int]) -> int:
    """Tokens a segment may have: what the prompt without a passage, and two tokens of slack, leave of the input."""
    return recipe.max_input_tokens - count_prompt(_request(recipe, "", ())) - 2


def segments(
    document: str, text: str, count: CountTokens, limit: int, min_document_tokens: int, min_segment_tokens: int
) -> list[Segment]:
    """Cut a document into segments of at most `limit` tokens (rules 1-5 of the recipe's pre-processing).

    Blank lines and lines longer than `limit` are dropped; adjacent lines are joined while they fit; documents and
    segments below their minimum are dropped.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    counts = count(lines)
    if sum(counts) + len(lines) - 1 < min_document_tokens:
        return []
    found: list[tuple[list[str], int]] = []
    for line, tokens in zip(lines, counts, strict=True):
        if tokens > limit:
            continue
        if found and found[-1][1] + 1 + tokens <= limit:
            found[-1] = ([*found[-1][0], line], found[-1][1] + 1 + tokens)
        else:
            found.append(([line], tokens))
    kept = [(lines, tokens) for lines, tokens in found if tokens >= min_segment_tokens]
    return [Segment(document, number, "\n".join(part), tokens) for number, (part, tokens) in enumerate(kept)]


def output_format(recipe: DiverseQa) -> OutputFormat:
    """The grammar of an answer: the header line, then one to `max_questions` pairs of bounded length."""
    question, answer = recipe.max_question_characters - 1, recipe.max_answer_characters - 1
    pair = rf"\n- Question: [^\s][^\n]{{7,{question}}}\n  Answer: [^\s][^\n]{{0,{answer}}}"
    return OutputFormat("regex", rf"{re.escape(HEADER)}({pair}){{1,{recipe.max_questions}}}".replace(r"\ ", " "))


def parse(answer: str, recipe: DiverseQa) -> list[tuple[str, str]]:
    """The question/answer pairs of an answer, without Markdown and without repeated questions.

    A pair cut at its length limit in the middle of a sentence is left out. Empty when there is no pair.
    """
    pairs: dict[str, tuple[str, str]] = {}
    question: str | None = None
    for line in answer.replace("\r\n", "\n").replace("**", "").replace("__", "").split("\n"):
        if asked := _PAIR.match(line):
            question = asked[1].strip()
        elif question and (answered := _ANSWER.match(line)):
            if (reply := answered[1].strip()) and not (
                _cut(question, recipe.max_question_characters) or _cut(reply, recipe.max_answer_characters)
            ):
                pairs.setdefault(question.casefold(), (question, reply))
            question = None
        elif question and line.strip():  # options of a multiple-choice question
            question = f"{question} {line.strip()}"
    return list(pairs.values())[: recipe.max_questions]


def keep(pairs: list[tuple[str, str]], segment: Segment, recipe: DiverseQa) -> list[tuple[str, str]]:
    """Shuffle the pairs and keep randint(1, max(1, floor(10 * tokens / 150))) of them; the same in every run."""
    draw = random.Random(f"{recipe.seed}:{segment.document}:{segment.number}")
    pairs = draw.sample(pairs, len(pairs))
    return pairs[: draw.randint(1, max(1, 10 * segment.tokens // recipe.tokens_per_ten_pairs))]


def sample(segment: Segment, completion: Completion, recipe: DiverseQa, count: CountTokens) -> Sample | Reject:
    """The training sample of a completion, or why there is none: truncated, unparsable or too_short."""

    def reject(cause: str, detail: str) -> Reject:
        return Reject(segment.document, cause, f"segment {segment.number}, generation {completion.id}: {detail}")

    if completion.finish_reason == "length" or completion.output_tokens > recipe.max_output_tokens - 2:
        return reject("truncated", f"{completion.output_tokens} tokens of at most {recipe.max_output_tokens - 2}")
    pairs = parse(completion.text, recipe)
    if not pairs:
        return reject("unparsable", f"no complete pair in: {completion.text[:300]!r}")
    kept = keep(pairs, segment, recipe)
    text = "\n\n".join([segment.text, *(f"Question: {question}\nAnswer: {answer}" for question, answer in kept)])
    tokens = count([text])[0]
    if tokens < recipe.min_tokens_after:
        return reject("too_short", f"{tokens} tokens of at least {recipe.min_tokens_after}")
    return Sample(segment, text, len(kept), tokens, completion.id)


def _request(recipe: DiverseQa, passage: str, parents: tuple[str, ...]) -> Request:
    task = _TASK.format(n=recipe.max_questions, header=HEADER, passage=passage)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens)
    return Request(PROMPT, (("system", _SYSTEM), ("user", task)), sampling, output_format(recipe), parents=parents)


def _frame(rows: list[dict]) -> pl.DataFrame:
    schema = {
        "id": pl.String, "parents": pl.List(pl.String), "snapshot": pl.String, "text": pl.String,
        "question_count": pl.Int32, "prompt": pl.String, "generator": pl.String, "generation_id": pl.String,
        "language": pl.String, "tokens": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def _cut(text: str, limit: int) -> bool:
    """Whether the grammar's limit ended this text rather than the model."""
    return len(text) >= limit - 1 and not text.endswith(_ENDS)
