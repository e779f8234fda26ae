"""Finds benchmark items in pages by common words and by similar passages (Nemotron-CC-Math §2.6).

A word is a run of letters or of digits; notation does not matter (see `words`). Three rules find an item in a page:

- overlap: the page has n-grams of the item, at least one and at least the recipe's share of them. The n-grams are those
  of the question, of the question with its choices, and of a worked answer. Code is not a worked answer, because its
  n-grams are too common: "for i in range(len(x))".
- whole_question: a question shorter than an n-gram occurs word for word, followed by its choices or its answer.
- cosine: the embedding of a passage of a rendered page is more similar to that of the item than the recipe's threshold.
  If the embedding is weak, the recipe also asks for support, a run of words that both have. A passage without support
  is reported, but the page is kept.

All rendered pages are judged before any filter, and so are the other documents of the snapshot: an item in plain words
may be in a page without mathematics, and the report is useful to everybody who trains on the web.

Precision comes first: a page with a problem similar to an item, but in other words and numbers, is kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nemotron_assets.contamination.words import MAX_EXCERPT, Words, runs, words
from nemotron_assets.recipe.contamination import Overlap

Embed = Callable[[Sequence[str]], np.ndarray]

#: The columns of `evaluate.benchmarks` that are read.
ITEMS = ("id", "benchmark", "item", "question", "choices", "answer", "entry_point", "tests")

_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>|####")  # GSM8K's annotations for a calculator: <<24*2=48>>


@dataclass(frozen=True)
class Field:
    """A text of an item that is searched for; `item` is the number of the item."""

    item: int
    name: str
    words: Words


@dataclass(frozen=True)
class Match:
    """An item found in a page; `removed` says whether the page counts as contaminated.

    `matched` of the `of` n-grams of the item's text `field` are in the page. For the rule whole_question they count
    words, and for the rule cosine `matched` is the support and `of` the number of words of the passage. `page_text` and
    `item_text` are excerpts of both texts as evidence. `cosine` is the similarity of the embeddings, None for other
    rules.
    """

    item: int
    removed: bool
    rule: str
    field: str
    matched: int
    of: int
    page_text: str
    item_text: str
    cosine: float | None = None

    @property
    def share(self) -> float:
        """The matched share of the item's text, 0 to 1."""
        return self.matched / self.of if self.of else 0.0


class Items:
    """An index of benchmark items. `find` searches a page for them.

    `rows` have the columns `ITEMS`. `embed` gives texts' embeddings for the rule cosine; without it the rule is off,
    and a recipe with the numbers of the words is enough. n-grams that more than `max_items` items have, such as
    "Choose the correct option", do not count; None: all count. An item with a key `max_items` of its own, where that is
    not None, has a limit of its own: programs make items from templates, and two of them share no more.
    `too_short` counts the items whose question has fewer words than the recipe's `min_words`, `too_common` those that
    have a text of which no n-gram counts.
    """

    def __init__(
        self, rows: Iterable[dict], recipe: Overlap, embed: Embed | None = None, max_items: int | None = None
    ) -> None:
        self.recipe, self.embed = recipe, embed
        self.rows = list(rows)
        self.fields: list[Field] = []
        self._grams: dict[int, list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        self._short: dict[int, dict[int, list[tuple[int, list[np.ndarray]]]]] = defaultdict(lambda: defaultdict(list))
        self.too_short = 0
        self._vectors: tuple[np.ndarray, list[int]] | None = None
        for number, row in enumerate(self.rows):
            self._add(number, row)
        if max_items is not None:
            self._drop_common(max_items)
        self.too_common = len({f.item for f, size in zip(self.fields, self._sizes, strict=True) if not size})
        self._known = np.fromiter(sorted(self._grams), np.uint64, len(self._grams))

    def _add(self, number: int, row: dict) -> None:
        n, question = self.recipe.ngram, words(row["question"])
        choices = row["choices"] or []
        if len(question) >= n:
            self._add_field(Field(number, "question", question))
        elif len(question) >= self.recipe.min_words:
            answers = [words(choice).hashes for choice in choices] or [words(_worked_answer(row)).hashes]
            if answers := [hashes for hashes in answers if len(hashes)]:
                (whole,) = runs(question.hashes, len(question))
                self._short[len(question)][int(whole)].append((number, answers))
        else:
            self.too_short += 1
        if choices and len(question) < n:
            joined = words("\n".join([row["question"], *choices]))
            if len(joined) >= n:
                self._add_field(Field(number, "question_choices", joined))
        if not (choices or row["entry_point"] or row["tests"]):
            answer = words(_worked_answer(row))
            if len(answer) >= n:
                self._add_field(Field(number, "answer", answer))

    def _add_field(self, field: Field) -> None:
        grams = set(runs(field.words.hashes, self.recipe.ngram).tolist())
        for gram in grams:
            self._grams[gram].append(len(self.fields))
        self.fields.append(field)
        self._sizes.append(len(grams))

    def _drop_common(self, max_items: int) -> None:
        """Forget the n-grams that more than `max_items` items have, or more than the limit of one of these items."""
        for gram, fields in list(self._grams.items()):
            items = {self.fields[field].item for field in fields}
            if len(items) > min(self.rows[item].get("max_items") or max_items for item in items):
                del self._grams[gram]
                for field in fields:
                    self._sizes[field] -= 1

    # -- search --------------------------------------------------------------------------------------------------------

    def find(self, text: str) -> list[Match]:
        """The items in a page's text, one match per item: those that remove the page first, then near misses."""
        page = words(text)
        found: dict[int, Match] = {}
        for match in (*self._overlaps(page), *self._whole_questions(page)):
            known = found.get(match.item)
            if known is None or (match.removed, match.share) > (known.removed, known.share):
                found[match.item] = match
        if self.embed is not None:
            for match in self._similar_passages(page):
                known = found.get(match.item)
                if known is None or (match.removed and not known.removed):
                    found[match.item] = match
        return sorted(found.values(), key=lambda m: (not m.removed, self.rows[m.item]["id"]))

    def matched_words(self, text: str, match: Match, most: int) -> list[str]:
        """What a page has of the item of a `match`, as words: the first `most` n-grams, or the whole question."""
        if match.rule != "overlap":
            return [" ".join(words(self.rows[match.item]["question"]).folded)]
        page, n = words(text), self.recipe.ngram
        (number,) = (k for k, f in enumerate(self.fields) if (f.item, f.name) == (match.item, match.field))
        found = (
            " ".join(page.folded[place : place + n])
            for place, gram in enumerate(runs(page.hashes, n).tolist())
            if number in self._grams.get(gram, ())
        )
        return list(dict.fromkeys(found))[:most]

    def _overlaps(self, page: Words) -> Iterator[Match]:
        n = self.recipe.ngram
        grams = runs(page.hashes, n)
        places = _positions(grams, self._known)
        hits: dict[int, dict[int, int]] = defaultdict(dict)
        for place in places.tolist():
            gram = int(grams[place])
            for field in self._grams[gram]:
                hits[field].setdefault(gram, place)
        for number, where in hits.items():
            field, first = self.fields[number], min(where.values())
            matched, of = len(where), self._sizes[number]
            yield Match(
                field.item,
                matched >= self.recipe.min_share * of,
                "overlap",
                field.name,
                matched,
                of,
                page.excerpt(first, max(where.values()) + n),
                field.words.text[:MAX_EXCERPT],
            )

    def _whole_questions(self, page: Words) -> Iterator[Match]:
        for length, questions in self._short.items():
            here = runs(page.hashes, length)
            for place in _positions(here, np.sort(np.fromiter(questions, np.uint64, len(questions)))).tolist():
                for number, answers in questions[int(here[place])]:
                    last = min(len(page), place + length + self.recipe.answer_words)
                    rest = page.hashes[place + length : last]
                    if all(_contains(rest, answer) for answer in answers):
                        yield Match(
                            number,
                            True,
                            "whole_question",
                            "question",
                            length,
                            length,
                            page.excerpt(place, last),
                            self.rows[number]["question"][:MAX_EXCERPT],
                        )

    def _similar_passages(self, page: Words) -> Iterator[Match]:
        """The best passage of the page for every item with a cosine above the recipe's threshold."""
        recipe = self.recipe
        if not len(page) or not self.rows:
            return
        starts = range(0, max(1, len(page) - recipe.window_words + recipe.window_step), recipe.window_step)
        bounds = [(start, min(len(page), start + recipe.window_words)) for start in starts]
        vectors, owners = self._embedded()
        passages = [page.text[page.spans[first][0] : page.spans[last - 1][1]] for first, last in bounds]
        cosines = self.embed(passages) @ vectors.T
        best: dict[int, tuple[bool, float, int, int]] = {}
        for passage, text in zip(*np.nonzero(cosines > recipe.cosine), strict=True):
            item, cosine = owners[text], float(cosines[passage, text])
            support = self._support(page, bounds[passage], item)
            candidate = (support >= recipe.support, cosine, support, int(passage))
            if item not in best or candidate > best[item]:
                best[item] = candidate
        for item, (removed, cosine, support, passage) in best.items():
            first, last = bounds[passage]
            yield Match(
                item,
                removed,
                "cosine",
                "question",
                support,
                last - first,
                page.excerpt(first, last),
                self.rows[item]["question"][:MAX_EXCERPT],
                round(cosine, 6),
            )

    def _support(self, page: Words, bounds: tuple[int, int], item: int) -> int:
        """The recipe's number of consecutive words if a passage shares so many with an item's question or answer, else
        0."""
        length = self.recipe.support
        if not length:
            return 0
        passage = runs(page.hashes[bounds[0] : bounds[1]], length)
        row = self.rows[item]
        of_item = np.concatenate([runs(words(text).hashes, length) for text in (row["question"], _worked_answer(row))])
        return length if np.isin(passage, of_item).any() else 0

    def _embedded(self) -> tuple[np.ndarray, list[int]]:
        """(a vector per text of every item, the item of each vector). The texts of an item are its question, and its
        question with the choices or the answer."""
        if self._vectors is None:
            texts, owners = [], []
            for number, row in enumerate(self.rows):
                # A question of two or three words would be similar to very many passages.
                if len(words(row["question"])) >= self.recipe.min_words:
                    answers = row["choices"] or [_worked_answer(row)]
                    texts += [row["question"], "\n".join([row["question"], *answers])]
                    owners += [number, number]
            self._vectors = self.embed(texts), owners
        return self._vectors


def _positions(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The positions in `hashes` of the hashes that are in `known`, which must be sorted."""
    if not len(known):
        return np.zeros(0, np.int64)
    return np.flatnonzero(known[np.searchsorted(known, hashes).clip(max=len(known) - 1)] == hashes)


def _worked_answer(row: dict) -> str:
    """The answer of an item without annotations for a calculator."""
    return _CALCULATION.sub(" ", row["answer"])


def _contains(text: np.ndarray, run: np.ndarray) -> bool:
    """Whether the words of `run` occur in `text` one after the other; both are hashes of words."""
    (wanted,) = runs(run, len(run))
    return bool((runs(text, len(run)) == wanted).any())
