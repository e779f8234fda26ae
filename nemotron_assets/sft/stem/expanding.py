"""Makes new science questions from seeds, in rounds: every model writes one for every question and mode of a round.

A round begins with the questions that the round before it kept. Questions that repeat a seed or an earlier question,
exactly or nearly, are rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.stem import Stem
from nemotron_assets.sft.answers import Fault, cut_question, read
from nemotron_assets.sft.near import repeats
from nemotron_assets.sft.rows import Origin, of_seeds
from nemotron_assets.sft.solving import Question, fitting
from nemotron_assets.sft.stem.prompts import new_question
from nemotron_assets.sft.stem.tables import STEM_EXPANSIONS
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.table.ids import row_id
from resources.generations import Completion

if TYPE_CHECKING:
    from nemotron_assets.generation.several import Writers

_MARK = "Question:"
_NOT_OF_A_QUESTION = ("Answer:", "Solution:", "Explanation:")


def seed_question(seed: dict[str, Any]) -> Question:
    """A row of `sft.seeds` as a question. Its facts, if there are any, stand before it."""
    text = "\n\n".join(filter(None, (seed["text"], seed["question"])))
    return Question(seed["id"], of_seeds(seed), text, tuple(seed["choices"]), seed["answer"], seed)


def parse(completion: Completion, recipe: Stem) -> str | Fault:
    """The new question in an answer, or why there is none."""
    text = read(completion, recipe.expansion)
    if isinstance(text, Fault):
        return text
    if not text.startswith(_MARK):
        return Fault("unparsable", f"the answer does not begin with {_MARK!r}: {text[:200]!r}")
    question = text[len(_MARK) :].strip()
    if found := next((mark for mark in (*_NOT_OF_A_QUESTION, _MARK, "<think>") if mark in question), ""):
        return Fault("unparsable", f"{found!r} in the question: {question[:200]!r}")
    if len(question) < recipe.expansion.min_characters:
        return Fault("too_short", f"{len(question)} characters of at least {recipe.expansion.min_characters}")
    return cut_question(question, recipe.expansion) or question


def rows(seeds: list[dict[str, Any]], recipe: Stem, writers: Writers, tally: Tally) -> Iterator[dict[str, Any]]:
    """Rows of `sft.stem_expansions`. Answers that give no new question go to the tally."""
    current = [seed_question(seed) for seed in seeds]
    known = [question.text for question in current]
    for number in range(1, recipe.expansion.rounds + 1):
        current = sorted(current, key=lambda question: question.id)[: recipe.expansion.max_questions]
        drafts = list(_drafts(current, number, recipe, writers, tally))
        repeated = repeats(known, [row["question"] for row, _ in drafts], recipe.near)
        current = []
        for at, (row, completion) in enumerate(drafts):
            if at in repeated:
                other, similarity = repeated[at]
                detail = f"similarity {similarity:.2f} to {other[:200]!r}: {row['question'][:200]!r}"
                tally.refuse(completion, Fault("duplicate", detail), row["made_from"])
                continue
            known.append(row["question"])
            origin = Origin(tuple(row["parents"]), tuple(row["sources"]), row["origin_hash"], row["language"])
            current.append(Question(row["id"], origin, row["question"], more=row))
            tally.expanded(row)
            yield row


def _drafts(
    questions: list[Question], number: int, recipe: Stem, writers: Writers, tally: Tally
) -> Iterator[tuple[dict[str, Any], Completion]]:
    """Every new question of a round, as a row, with the answer that it was in."""
    for name, writer in writers.each(recipe.generators):

        def ask(question: Question) -> list:
            return [new_question(question, mode, recipe.expansion) for mode in recipe.expansion.modes]

        for question, completions in answered(fitting(questions, ask, writer, tally), writer.ask):
            tally.answered(completions)
            for mode, completion in zip(recipe.expansion.modes, completions, strict=True):
                text = parse(completion, recipe)
                size = 0 if isinstance(text, Fault) else writer.count([text])[0]
                if size > recipe.expansion.max_tokens:
                    text = Fault("too_long", f"{size} tokens of at most {recipe.expansion.max_tokens}")
                if isinstance(text, Fault):
                    tally.refuse(completion, text, question.id)
                    continue
                yield (
                    {
                        "id": row_id(STEM_EXPANSIONS.full_name, question.id, mode, name, number),
                        "parents": list(question.origin.parents),
                        "sources": list(question.origin.sources),
                        "made_from": question.id,
                        "question": text,
                        "topic": question.more["topic"],
                        "mode": mode,
                        "round": number,
                        "language": question.origin.language,
                        "prompt": completion.request.prompt,
                        "generator": writer.name,
                        "recipe_name": name,
                        "generation_id": completion.id,
                        "origin_hash": question.origin.content_hash,
                        "tokens": size,
                    },
                    completion,
                )
