"""Writes questions that test reasoning, answers each several times, and keeps those whose answers agree.

Every sample of a question sees its options in another order, and answers are compared by the option, not by the letter.
So a model that likes a letter does not agree with itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.reasoning import Kind, Reasoning, ReasoningKind
from nemotron_assets.recipe.sft.stem import NearQuestions
from nemotron_assets.sft.answers import Fault, Thought, read
from nemotron_assets.sft.near import repeats
from nemotron_assets.sft.options import LETTERS, chosen, key, turned
from nemotron_assets.sft.reasoning.prompts import Item, new_item, parse_item, solution
from nemotron_assets.sft.reasoning.tables import FUNDAMENTAL_REASONING
from nemotron_assets.sft.rows import Maker, of_seeds
from nemotron_assets.sft.solving import Question, Sample, fitting, solved
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import majority
from nemotron_assets.table.ids import content_hash, row_id
from resources.generations import Request

if TYPE_CHECKING:
    from nemotron_assets.generation.several import Writers
    from nemotron_assets.generation.writing import Writer

_Seed = dict[str, Any]

#: The letter that reasoning comes to: "Answer: B", "the answer is (B)".
_CONCLUDES = re.compile(r"\b[Aa]nswer(?: is)?:? \(?([A-J])\b")


class ReasoningWriter:
    """Writes the rows of `sft.fundamental_reasoning`. `seeds` has the seeds of every set that the recipe names."""

    def __init__(self, recipe: Reasoning, writers: Writers, tally: Tally, seeds: dict[str, list[_Seed]]) -> None:
        self._recipe, self._writers, self._tally, self._seeds = recipe, writers, tally, seeds
        self._written: set[str] = set()  # hashes of all questions so far: near-duplicates are looked for in a batch

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, by every model of the recipe. All kinds are asked for together, so that the engine's batches are
        full."""
        for _, writer in self._writers.each(self._recipe.generators):
            kinds = (self._asked(kind, numbers, writer.name) for kind, numbers in self._recipe.kinds.items())
            asked = itertools.chain.from_iterable(kinds)
            while batch := list(itertools.islice(asked, self._recipe.batch_questions)):
                yield from self._tally.counted(self._batch(batch, writer))

    def _asked(self, kind: Kind, numbers: ReasoningKind, model: str) -> Iterator[Question]:
        """For every item that the recipe wants: what it is written from, with its kind and the request for it."""
        examples = [seed for seed in self._seeds[numbers.examples] if seed["text"] and seed["choices"]]
        longest = self._recipe.max_passage_characters
        passages = [s for s in self._seeds.get(numbers.passages or "", ()) if s["text"] and len(s["text"]) <= longest]
        if not examples or (numbers.passages and not passages):
            return
        for number in range(numbers.items):
            shots = [examples[(number * self._recipe.shots + k) % len(examples)] for k in range(self._recipe.shots)]
            shots = list({seed["id"]: seed for seed in shots}.values())
            passage = passages[number % len(passages)] if passages else None
            used = [passage, *shots] if passage else shots
            ids = tuple(seed["id"] for seed in used)
            text = passage["text"] if passage else None
            wanted = [Item(seed["text"], seed["question"], tuple(seed["choices"])) for seed in shots]
            request = new_item(kind, wanted, text, self._recipe.options, self._recipe.writing, number, ids)
            id_ = row_id(FUNDAMENTAL_REASONING.full_name, model, kind, number)
            yield Question(id_, of_seeds(*used), text or "", more=(kind, request))

    def _batch(self, batch: list[Question], writer: Writer) -> Iterator[dict[str, Any]]:
        limits, vote = self._recipe.solving, self._recipe.vote
        maker = Maker(FUNDAMENTAL_REASONING, "General", "stem-sft", writer.name, writer.count)
        questions = list(self._new(batch, writer))

        def ask(question: Question, number: int) -> Request:
            return solution(question, turned(question.options, number), number, limits)

        for question, samples in solved(questions, writer, limits, vote.samples, ask, _understand, self._tally):
            row = self._row(question, samples, maker)
            if row is not None:
                yield row

    def _new(self, batch: list[Question], writer: Writer) -> Iterator[Question]:
        """The new items of a batch that repeat no seed and no item before them."""
        jobs = fitting(batch, lambda question: [question.more[1]], writer, self._tally)
        drafts = []
        for question, (completion,) in answered(jobs, writer.ask):
            self._tally.answered([completion])
            text = read(completion, self._recipe.writing)
            limits, count = self._recipe.writing, self._recipe.options
            item = text if isinstance(text, Fault) else parse_item(text, question.text or None, count, limits)
            if isinstance(item, Fault):
                self._tally.refuse(completion, item, f"item {question.id}")
                continue
            drafts.append((question, completion, item))
        sets = {numbers.examples for numbers in self._recipe.kinds.values()}
        examples = [seed for name in sorted(sets) for seed in self._seeds[name]]
        # A passage has many questions, so of a reading item only the question is compared.
        known = [f"{seed['text']} {seed['question']}" for seed in examples if seed["text"] and seed["question"]]
        texts = [item.question if question.text else f"{item.facts} {item.question}" for question, _, item in drafts]
        repeated = repeats(known, texts, NearQuestions())
        for at, (question, completion, item) in enumerate(drafts):
            name = content_hash(key(f"{item.facts} {item.question}"))
            if at in repeated or name in self._written:
                other, similarity = repeated.get(at, (texts[at], 1.0))
                fault = Fault("duplicate", f"similarity {similarity:.2f} to {other[:200]!r}")
                self._tally.refuse(completion, fault, f"item {question.id}")
                continue
            self._written.add(name)
            asked = _Asked(question.more[0], item, completion.id)
            yield Question(question.id, question.origin, item.question, item.options, more=asked)

    def _row(self, question: Question, samples: list[Sample], maker: Maker) -> dict[str, Any] | None:
        """The row of a question; None if no sample can be used. The sample that is shown is drawn by a hash."""
        vote = majority([sample.key for sample in samples], self._recipe.vote.min_share)
        if not vote.members:
            return None
        at = vote.members[int(question.id[:8], 16) % len(vote.members)]
        sample, options = samples[at], turned(question.options, at)
        place = [key(option) for option in options].index(sample.key)
        return maker.row(
            (question.id,),
            question.origin,
            prompt=f"reasoning_{question.more.kind}",
            question=sample.asked,
            answer=sample.answer,
            reasoning=sample.reasoning,
            outcome=vote.outcome,
            generation_ids=[question.more.generation, *(s.completion.id for s in samples if s.key is not None)],
            kind=question.more.kind,
            choices=options,
            result=options[place],
            place=place,
        )


@dataclass(frozen=True)
class _Asked:
    """An item that is answered: its kind, and the id of the answer that it was in."""

    kind: Kind
    item: Item
    generation: str


def _understand(question: Question, number: int, said: Thought) -> tuple[str, Hashable, str] | Fault:
    """What an answer says: the letter, the option as its key, and the question with the options in this order."""
    options = turned(question.options, number)
    place = chosen(said.answer, len(options))
    if place is None:
        letters = LETTERS[: len(options)]
        return Fault("unparsable", f"not a line with one of the letters {letters}: {said.answer[:200]!r}")
    if any(letter != LETTERS[place] for letter in _CONCLUDES.findall(said.reasoning)[-1:]):
        return Fault(
            "contradiction", f"the reasoning ends with another letter than {said.answer!r}: {said.reasoning[-200:]!r}"
        )
    return f"Answer: {LETTERS[place]}", key(options[place]), question.more.item.shown(options)
