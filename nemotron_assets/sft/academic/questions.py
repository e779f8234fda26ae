"""Writes questions about passages of academic documents, and finds out whether their answers are right.

The model answers a multiple-choice question several times, with the passage and with the options in other orders: if
most votes give the question's answer, its status is `majority`. Of a free question, the model judges whether the
passage supports the answer: then the status is `judged`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.academic import AcademicQa, Kind
from nemotron_assets.sft import answers, options, voting
from nemotron_assets.sft.academic import prompts
from nemotron_assets.sft.academic.prompts import Question
from nemotron_assets.sft.academic.snippets import Passage, Snippet, embedding_of, passages
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS, ACADEMIC_QA
from nemotron_assets.sft.answers import Fault
from nemotron_assets.sft.rows import Maker, Origin
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome
from nemotron_assets.table.parts import Batches, Reject
from resources.generations import Completion, Request

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.generation.writing import Writer

SUBSET, CATEGORY = "General", "stem-sft"
_BATCH = 256  # questions whose answers are verified together
_OPTIONS = 4


@dataclass(frozen=True)
class _Job:
    """A question of a kind to be written about a passage; `shown` are the similar snippets that its prompt has."""

    passage: Passage
    kind: Kind
    shown: list[tuple[Snippet, float]]

    @property
    def parents(self) -> tuple[str, ...]:
        """The documents that the question is written from, the one of the passage first."""
        return tuple(dict.fromkeys([self.passage.snippet.document, *(snippet.document for snippet, _ in self.shown)]))


@dataclass(frozen=True)
class _Draft:
    """A question that can be used, with its options in order; its answer is not verified yet."""

    job: _Job
    completion: Completion
    question: Question
    options: list[str]

    @property
    def text(self) -> str:
        """The question as it is asked."""
        return options.with_options(self.question.question, self.options)


def write(documents: pl.LazyFrame, recipe: AcademicQa, writer: Writer) -> tuple[Batches, Tally]:
    """Have the model write questions about academic documents: (rows and rejects, counts)."""
    tally = Tally()

    def rows(reject: Callable[[Reject], None]) -> Iterable[dict[str, Any]]:
        tally.reject = reject
        found = passages(documents, recipe, writer.count, embed)
        return tally.counted(question_rows(found, writer, recipe, tally))

    with embedding_of(recipe) as embed:
        return writer.write(ACADEMIC_QA, rows), tally


def question_rows(
    passages: Iterable[Passage], writer: Writer, recipe: AcademicQa, tally: Tally
) -> Iterator[dict[str, Any]]:
    """Yield rows of `sft.academic_qa`, one per passage and kind. Answers that cannot be used go to the tally."""
    maker = Maker(ACADEMIC_QA, SUBSET, CATEGORY, writer.name, writer.count)
    jobs = _jobs(passages, writer, recipe, tally)
    while batch := list(itertools.islice(jobs, _BATCH)):
        drafts = list(_drafts(batch, writer, recipe, tally))
        for draft, completions in answered(((d, _checks(d, recipe)) for d in drafts), writer.ask):
            tally.answered(completions)
            yield _row(draft, completions, maker, recipe, writer)


def _jobs(
    passages: Iterable[Passage], writer: Writer, recipe: AcademicQa, tally: Tally
) -> Iterator[tuple[_Job, list[Request]]]:
    """Every question with its request. The prompt shows as many similar snippets as it has room for."""
    most = min(recipe.max_input_tokens, writer.window - recipe.max_output_tokens)
    for passage in passages:
        texts = [snippet.text for snippet, _ in passage.similar]
        sizes = writer.count(texts) if texts else []
        for kind in recipe.kinds:
            room = most - writer.prompt_tokens(_request(_Job(passage, kind, []), recipe))
            if room < 0:
                tally.rejected[f"academic_{kind}", "too_long"] += 1
                tally.reject(
                    Reject(passage.snippet.document, "too_long", f"no room for snippet {passage.snippet.name}")
                )
                continue
            used = itertools.accumulate(size + 16 for size in sizes)  # 16: the line above a snippet
            shown = [pair for pair, total in zip(passage.similar, used, strict=True) if total <= room]
            job = _Job(passage, kind, shown)
            yield job, [_request(job, recipe)]


def _request(job: _Job, recipe: AcademicQa) -> Request:
    similar = [snippet.text for snippet, _ in job.shown]
    level, text = job.passage.document["level"], job.passage.snippet.text
    return prompts.request(job.kind, text, recipe, level=level, similar=similar, parents=job.parents)


def _drafts(
    batch: Iterable[tuple[_Job, list[Request]]], writer: Writer, recipe: AcademicQa, tally: Tally
) -> Iterator[_Draft]:
    """The questions that can be used."""
    for job, (completion,) in answered(batch, writer.ask):
        tally.answered([completion])
        made = _draft(job, completion, recipe)
        if isinstance(made, Fault):
            tally.refuse(completion, made, f"snippet {job.passage.snippet.name}")
        else:
            yield made


def _draft(job: _Job, completion: Completion, recipe: AcademicQa) -> _Draft | Fault:
    """The question in an answer, with its options in order, or why the answer cannot be used."""
    text = answers.read(completion, recipe, job.passage.document["language"])
    made = text if isinstance(text, Fault) else prompts.parse(job.kind, text, recipe)
    if isinstance(made, Fault):
        return made
    if job.kind == "free_response":
        return _Draft(job, completion, made, [])
    arranged = options.arranged(made.answer, made.wrong, _OPTIONS, f"{recipe.seed} {completion.id}")
    if arranged is None:
        return Fault("same_options", f"two options are the same: {made.answer[:80]!r}, {made.wrong!r}"[:300])
    return _Draft(job, completion, made, arranged)


def _checks(draft: _Draft, recipe: AcademicQa) -> list[Request]:
    """The requests that verify the answer of a draft."""
    text, parents = draft.job.passage.snippet.text, draft.job.parents
    if draft.options:
        turns = range(recipe.votes)
        asked = [options.with_options(draft.question.question, options.turned(draft.options, turn)) for turn in turns]
        return [
            prompts.vote(text, question, _OPTIONS, recipe, turn, parents)
            for turn, question in zip(turns, asked, strict=True)
        ]
    return [prompts.judge(text, draft.text, draft.question.answer, parents)] if recipe.judge else []


def _row(
    draft: _Draft, completions: Sequence[Completion], maker: Maker, recipe: AcademicQa, writer: Writer
) -> dict[str, Any]:
    job, document = draft.job, draft.job.passage.document
    outcome = _voted(draft, completions, recipe) if draft.options else judged(completions, writer.name)
    final = draft.question.answer
    if draft.options:
        final = f"{options.LETTERS[draft.options.index(final.strip())]}. {final}"
    origin = Origin(
        job.parents, (ACADEMIC_DOCUMENTS.full_name,) * len(job.parents), document["origin_hash"], document["language"]
    )
    snippet = job.passage.snippet
    return maker.row(
        (snippet.document, snippet.number, job.kind),
        origin,
        prompt=draft.completion.request.prompt,
        question=draft.text,
        answer=f"{draft.question.justification}\n\nAnswer: {final}",
        outcome=outcome,
        generation_ids=[draft.completion.id, *(completion.id for completion in completions)],
        kind=job.kind,
        subject=document["subject"],
        level=document["level"],
        passage=snippet.number,
        options=draft.options,
        final_answer=draft.question.answer,
        justification=draft.question.justification,
        snippets=[shown.name for shown, _ in job.shown],
        similarities=[cosine for _, cosine in job.shown],
    )


def _voted(draft: _Draft, completions: Sequence[Completion], recipe: AcademicQa) -> Outcome:
    """The status of a multiple-choice answer by the votes on it."""
    if not completions:
        return Outcome("unverified", None, "the recipe asks for no votes")
    keys: list[str | None] = []
    for turn, completion in enumerate(completions):
        number = options.chosen(completion.text, _OPTIONS)
        keys.append(None if number is None else options.key(options.turned(draft.options, turn)[number]))
    vote = voting.majority(keys, recipe.min_vote_share)
    if vote.winner is None or vote.winner == options.key(draft.question.answer):
        return vote.outcome
    return Outcome("failed", None, f"{vote.outcome.by} choose {str(vote.winner)[:80]!r}, not the question's own answer")


def judged(completions: Sequence[Completion], judge: str) -> Outcome:
    """The status of a free answer by the verdict of a judge, if one was asked for."""
    if not completions:
        return Outcome("unverified", None, "the recipe asks for no judge")
    approves = prompts.verdict(completions[0].text)
    if approves is None:
        return Outcome("unverified", None, f"the judge says neither Yes nor No: {completions[0].text[:80]!r}")
    if not approves:
        return Outcome("failed", None, f"the judge {judge} says that the passage does not support the answer")
    return Outcome("judged", judge)
