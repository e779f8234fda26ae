"""Answers science questions, decides about the answers, and recasts the questions as multiple choice.

A seed comes with a known answer, which verifies or fails what most samples say. Other questions are decided by the
majority. A question of whose samples too few agree is kept as one failed row and is not recast. Wrong options come from
the seed, then from the model, then from answers to other questions on the same topic.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe.sft.stem import Stem
from nemotron_assets.sft.answers import Fault, Thought, read, text_fault
from nemotron_assets.sft.options import LETTERS, arranged, distinct, key, turned, with_options
from nemotron_assets.sft.rows import Maker, Origin
from nemotron_assets.sft.solving import Question, Sample, fits, solved
from nemotron_assets.sft.stem.expanding import seed_question
from nemotron_assets.sft.stem.prompts import listed, solution, wrong_options
from nemotron_assets.sft.stem.tables import STEM_QUESTIONS
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome, Vote, against, majority
from resources.generations import Completion

if TYPE_CHECKING:
    from nemotron_assets.generation.several import Writers
    from nemotron_assets.generation.writing import Writer

_MARK = "Answer:"
_LONGEST = 200  # characters of an answer without options
_SEED = {"mode": "seed", "round": 0}


def expansion_question(row: dict[str, Any]) -> Question:
    """A row of `sft.stem_expansions` as a question."""
    origin = Origin((row["id"],), ("sft.stem_expansions",), row["origin_hash"], row["language"])
    return Question(row["id"], origin, row["question"], more=row)


def questions_of(name: str, seeds: list[dict], expansions: Iterable[dict], recipe: Stem) -> Iterator[Question]:
    """The questions that the model answers which the recipe calls `name`: all seeds, and the questions it wrote. The
    first model also answers questions of models that the recipe no longer names."""
    for seed in seeds:
        question = seed_question(seed)
        yield Question(**{**vars(question), "more": {**seed, **_SEED}})
    for row in expansions:
        author = row["recipe_name"] if row["recipe_name"] in recipe.generators else recipe.generators[0]
        if author == name:
            yield expansion_question(row)


def understand(question: Question, number: int, said: Thought) -> tuple[str, Hashable, str] | Fault:
    """What an answer says: its text, and what makes it equal to others."""
    if not said.answer.startswith(_MARK):
        return Fault("unparsable", f"no line that begins with {_MARK!r}: {said.answer[:200]!r}")
    answer = said.answer[len(_MARK) :].strip()
    if not answer or "\n" in answer or len(answer) > _LONGEST:
        return Fault("unparsable", f"not an answer in one line of at most {_LONGEST} characters: {said.answer[:200]!r}")
    if question.options and key(answer) not in set(map(key, question.options)):
        return Fault("unparsable", f"the answer is not one of the options: {answer!r}")
    return answer, key(answer), question.text


@dataclass(frozen=True)
class Answered:
    """A question with the result of the vote; `sample` is the answer that stands for all that agree."""

    question: Question
    vote: Vote
    sample: Sample
    generations: tuple[str, ...]

    @property
    def result(self) -> str:
        """The answer alone; of a verified seed, in the words of the seed."""
        return self.question.truth if self.vote.outcome.status == "verified" else self.sample.answer


class Answering:
    """Answers the questions of one table with the recipe's models. `neighbours` has known answers by topic."""

    def __init__(self, recipe: Stem, writers: Writers, tally: Tally, seeds: Iterable[Mapping[str, Any]]) -> None:
        self._recipe, self._writers, self._tally = recipe, writers, tally
        self._neighbours: dict[str, list[str]] = defaultdict(list)
        for seed in seeds:
            if seed["answer"]:
                self._neighbours[seed["topic"]].append(seed["answer"])

    def rows(self, seeds: list[dict[str, Any]], expansions: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Rows of `sft.stem_questions`."""
        for name, writer in self._writers.each(self._recipe.generators):
            questions = questions_of(name, seeds, expansions, self._recipe)
            while batch := list(itertools.islice(questions, self._recipe.batch_questions)):
                yield from self._tally.counted(self._batch(batch, writer))

    def _batch(self, questions: list[Question], writer: Writer) -> Iterator[dict[str, Any]]:
        limits, vote = self._recipe.solving, self._recipe.vote
        maker = Maker(STEM_QUESTIONS, "General", "stem-sft", writer.name, writer.count)

        def ask(question: Question, number: int):
            options = turned(question.options, number) if question.options else []
            return solution(question, options, number, limits, _LONGEST)

        found = solved(questions, writer, limits, vote.samples, ask, understand, self._tally)
        decided = [answer for answer in itertools.starmap(self._decided, found) if answer is not None]
        good = [one for one in decided if one.vote.winner is not None]
        wrong = dict(zip((id(one) for one in good), self._wrong(good, writer), strict=True))
        for one in decided:
            yield from self._forms(one, wrong.get(id(one)), maker)

    def _decided(self, question: Question, samples: list[Sample]) -> Answered | None:
        """The vote on a question; None if no sample can be used, so that there is nothing to store."""
        keys, share = [sample.key for sample in samples], self._recipe.vote.min_share
        known = question.truth is not None
        vote = against(key(question.truth), keys, share, "seed answer") if known else majority(keys, share)
        if not vote.members:
            return None
        generations = tuple(sample.completion.id for sample in samples if sample.key is not None)
        return Answered(question, vote, samples[vote.members[0]], generations)

    def _wrong(self, answers: list[Answered], writer: Writer) -> Iterator[tuple[list[str], Completion | None]]:
        """For every answered question: wrong options in the model's words, and the answer that they were in."""
        limits, asked = self._recipe.recast, []
        for one in answers:
            asked.append(wrong_options(one.question.text, one.result, limits, one.question.origin.parents))
        fitting = [fits(request, writer) for request in asked]
        completions = writer.ask(request for request, fit in zip(asked, fitting, strict=True) if fit)
        for one, fit in zip(answers, fitting, strict=True):
            completion = next(completions) if fit else None
            yield (self._parsed(one, completion), completion) if completion else ([], None)

    def _parsed(self, one: Answered, completion: Completion) -> list[str]:
        self._tally.answered([completion])
        text = read(completion, self._recipe.recast)
        lines = [] if isinstance(text, Fault) else text.split("\n")
        if isinstance(text, str) and not all(line.startswith("- ") for line in lines):
            text = Fault("unparsable", f"not a list of wrong answers: {text[:200]!r}")
        if isinstance(text, Fault):
            self._tally.refuse(completion, text, one.question.id)
            return []
        options = [line[2:].strip() for line in lines]
        return [option for option in options if text_fault(option, self._recipe.recast.max_line + 1) is None]

    def _forms(
        self, one: Answered, wrong: tuple[list[str], Completion | None] | None, maker: Maker
    ) -> Iterator[dict[str, Any]]:
        """The rows of a question: the open question or the failed one, and one per number of options."""
        question = one.question
        if wrong is None or not question.options:
            yield self._row(one, maker, "open", listed(question.text, question.options), one.sample.answer, [])
        if wrong is None:
            return
        mine, completion = wrong
        used = set(map(key, (*question.options, *mine)))
        others = [answer for answer in self._neighbours[question.more["topic"]] if key(answer) not in used]
        pool = [*question.options, *mine, *others[: self._recipe.recast.neighbours]]
        pool = [option for option in distinct(pool) if key(option) != key(one.result)]
        for count in self._recipe.recast.options:
            options = arranged(one.result, pool, count, f"{question.id}/{count}")
            if options is None:
                self._few(one, count, len(pool) + 1, completion)
                continue
            letter = LETTERS[options.index(one.result)]
            asked, answer = with_options(question.text, options), f"Answer: {letter}. {one.result}"
            written = bool(completion) and any(option in mine for option in options)
            yield self._row(one, maker, f"choice_{count}", asked, answer, options, completion if written else None)

    def _few(self, one: Answered, count: int, found: int, completion: Completion | None) -> None:
        fault = Fault("too_few_options", f"{found} different options of {count}")
        if completion:
            self._tally.refuse(completion, fault, one.question.id)

    def _row(
        self,
        one: Answered,
        maker: Maker,
        form: str,
        asked: str,
        answer: str,
        options: list[str],
        completion: Completion | None = None,
    ) -> dict[str, Any]:
        question, outcome = one.question, one.vote.outcome
        ids = one.generations + ((completion.id,) if completion else ())
        return maker.row(
            (question.id, maker.generator, form),
            question.origin,
            prompt=f"stem_{form}",
            question=asked,
            answer=answer,
            reasoning=one.sample.reasoning,
            outcome=Outcome(outcome.status, outcome.by, outcome.detail),
            generation_ids=ids,
            topic=question.more["topic"],
            mode=question.more["mode"],
            round=question.more["round"],
            choices=options,
            result=one.result,
        )
