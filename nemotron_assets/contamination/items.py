"""Benchmark items in pages: found by the words they share, and by the likeness of passages (Nemotron-CC-Math §2.6).

Words are runs of letters or of digits, folded, super- and subscripts as digits, so that notation does not hide an item:
x^2, x² and $x^{2}$ are the same two words. Three rules find an item in a page:

- overlap: the page has n-grams of the item, at least one and the recipe's share of them. Of an item are looked for its
  question, its question with the choices, and a worked answer (not code, whose n-grams are anybody's).
- whole_question: a question shorter than an n-gram stands there word for word, and behind it its choices or its answer.
- cosine: a passage of a rendered page has an embedding nearer to the item's than the recipe's bar. Where the embedding
  is weak the recipe asks for support, a run of words in common; what has none is listed and kept.

All rendered pages are judged, before any cut, and so are the snapshot's other documents: an item in plain words stands
in a page that shows no mathematics, and whoever trains on the web wants to know.

Precision comes first: a page that is like an item, but in other words and numbers, is kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nemotron_assets.contamination.words import SHOWN, Words, runs, words
from nemotron_assets.recipe.math.corpus import MathContamination

Embed = Callable[[Sequence[str]], np.ndarray]

#: What is read of `evaluate.benchmarks`.
ITEMS = ("id", "benchmark", "item", "question", "choices", "answer", "entry_point", "tests")

_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>|####")  # GSM8K's notes for a calculator


@dataclass(frozen=True)
class Field:
    """A text of an item that is looked for."""

    item: int
    name: str
    words: Words


@dataclass(frozen=True)
class Match:
    """An item in a page. `first` and `last`: the page's words from the first that match to behind the last."""

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
        return self.matched / self.of if self.of else 0.0


class Items:
    """The benchmarks' items, made ready to be looked for. `embed` is only called when there are passages."""

    def __init__(self, rows: Iterable[dict], recipe: MathContamination, embed: Embed | None = None) -> None:
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
        self._known = np.fromiter(sorted(self._grams), np.uint64, len(self._grams))

    def _add(self, number: int, row: dict) -> None:
        n, question = self.recipe.ngram, words(row["question"])
        choices = row["choices"] or []
        if len(question) >= n:
            self._field(Field(number, "question", question))
        elif len(question) >= self.recipe.min_words:
            behind = [words(choice).hashes for choice in choices] or [words(_worked(row)).hashes]
            if behind := [hashes for hashes in behind if len(hashes)]:
                (whole,) = runs(question.hashes, len(question))
                self._short[len(question)][int(whole)].append((number, behind))
        else:
            self.too_short += 1
        if choices and len(question) < n:
            joined = words("\n".join([row["question"], *choices]))
            if len(joined) >= n:
                self._field(Field(number, "question_choices", joined))
        if not (choices or row["entry_point"] or row["tests"]):
            answer = words(_worked(row))
            if len(answer) >= n:
                self._field(Field(number, "answer", answer))

    def _field(self, field: Field) -> None:
        grams = set(runs(field.words.hashes, self.recipe.ngram).tolist())
        for gram in grams:
            self._grams[gram].append(len(self.fields))
        self.fields.append(field)
        self._sizes.append(len(grams))

    # -- looking -------------------------------------------------------------------------------------------------------

    def find(self, text: str) -> list[Match]:
        """The items in a page's text, one match per item: removals first, then what is only alike."""
        page = words(text)
        found: dict[int, Match] = {}
        for match in (*self._overlaps(page), *self._whole_questions(page)):
            known = found.get(match.item)
            if known is None or (match.removed, match.share) > (known.removed, known.share):
                found[match.item] = match
        if self.embed is not None:
            for match in self._alike(page):
                known = found.get(match.item)
                if known is None or (match.removed and not known.removed):
                    found[match.item] = match
        return sorted(found.values(), key=lambda m: (not m.removed, self.rows[m.item]["id"]))

    def _overlaps(self, page: Words) -> Iterator[Match]:
        n = self.recipe.ngram
        grams = runs(page.hashes, n)
        places = _places(grams, self._known)
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
                page.shown(first, max(where.values()) + n),
                field.words.text[:SHOWN],
            )

    def _whole_questions(self, page: Words) -> Iterator[Match]:
        for length, questions in self._short.items():
            here = runs(page.hashes, length)
            for place in _places(here, np.sort(np.fromiter(questions, np.uint64, len(questions)))).tolist():
                for number, behind in questions[int(here[place])]:
                    last = min(len(page), place + length + self.recipe.answer_words)
                    rest = page.hashes[place + length : last]
                    if all(_stands_in(answer, rest) for answer in behind):
                        yield Match(
                            number,
                            True,
                            "whole_question",
                            "question",
                            length,
                            length,
                            page.shown(place, last),
                            self.rows[number]["question"][:SHOWN],
                        )

    def _alike(self, page: Words) -> Iterator[Match]:
        """The best passage for every item whose likeness reaches the bar."""
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
                page.shown(first, last),
                self.rows[item]["question"][:SHOWN],
                round(cosine, 6),
            )

    def _support(self, page: Words, bounds: tuple[int, int], item: int) -> int:
        """Words in a row that a passage and an item's question or answer share: the recipe's number, or 0."""
        length = self.recipe.support
        if not length:
            return 0
        passage = runs(page.hashes[bounds[0] : bounds[1]], length)
        row = self.rows[item]
        mine = np.concatenate([runs(words(text).hashes, length) for text in (row["question"], _worked(row))])
        return length if np.isin(passage, mine).any() else 0

    def _embedded(self) -> tuple[np.ndarray, list[int]]:
        """A vector per text of every item, and the items: the question, and with what answers it."""
        if self._vectors is None:
            texts, owners = [], []
            for number, row in enumerate(self.rows):
                # Two or three words are like a thousand others.
                if len(words(row["question"])) >= self.recipe.min_words:
                    texts += [row["question"], "\n".join([row["question"], *(row["choices"] or [_worked(row)])])]
                    owners += [number, number]
            self._vectors = self.embed(texts), owners
        return self._vectors


def _places(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where the hashes are that are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(0, np.int64)
    return np.flatnonzero(known[np.searchsorted(known, hashes).clip(max=len(known) - 1)] == hashes)


def _worked(row: dict) -> str:
    return _CALCULATION.sub(" ", row["answer"])


def _stands_in(run: np.ndarray, text: np.ndarray) -> bool:
    (wanted,) = runs(run, len(run))
    return bool((runs(text, len(run)) == wanted).any())
