"""Finds items of benchmarks (HumanEval, MBPP) in source files and in texts that a language model writes about code.

Texts are compared by n-grams, that is by runs of n consecutive words (nemotron_assets/contamination/words.py). The
rules are stricter than those for web pages, because it costs little to drop one file or sample too many:

- A text contains an item if it has one n-gram of the item's question. At least half of the words of this n-gram must
  begin with a letter, because the numbers of tables ("0 1 2 3 ...") occur in many texts. A question of fewer than n
  words must be in the text as a whole; questions of fewer words than the recipe's `min_words` are not searched for.
- A text also contains an item if it has all n-grams of the item's reference code. Single n-grams of code, such as
  "for i in range n", are common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nemotron_assets.contamination.words import runs, words
from nemotron_assets.recipe.code.qa import CodeQa

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = ("benchmark", "item", "question", "answer")


class Items:
    """An index of the items of the recipe's benchmarks. `rows` have the columns benchmark, item, question, answer."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], recipe: CodeQa) -> None:
        self._ngram = recipe.ngram
        self._questions: dict[int, dict[int, str]] = defaultdict(dict)  # n -> {hash of an n-gram: item}
        # Hash of one n-gram of a reference code -> [(item, hashes of all its n-grams)].
        self._codes: dict[int, list[tuple[str, set[int]]]] = defaultdict(list)
        for row in rows:
            if row["benchmark"] not in recipe.benchmarks:
                continue
            name = f"{row['benchmark']} {row['item']}"
            question, code = words(row["question"]), words(row["answer"]).hashes
            length = min(recipe.ngram, len(question.hashes))
            if length >= recipe.min_words:
                lettered = np.cumsum([0, *(not word[0].isdigit() for word in question.folded)])
                enough = 2 * (lettered[length:] - lettered[:-length]) >= length
                for gram in runs(question.hashes, length)[enough].tolist():
                    self._questions[length].setdefault(gram, name)
            if len(code) >= recipe.ngram:
                grams = set(runs(code, recipe.ngram).tolist())
                self._codes[min(grams)].append((name, grams))

    def find(self, text: str) -> str:
        """The first item that a text contains, and why: "humaneval HumanEval/3: 13 words of its question". "" if the
        text contains no item."""
        hashes = words(text).hashes
        for length, known in sorted(self._questions.items(), reverse=True):
            for gram in runs(hashes, length).tolist():
                if gram in known:
                    return f"{known[gram]}: {length} words of its question"
        grams = set(runs(hashes, self._ngram).tolist())
        found = [name for gram in grams & self._codes.keys() for name, code in self._codes[gram] if code <= grams]
        return f"{min(found)}: its reference code" if found else ""


def read_items(benchmarks: pl.LazyFrame, recipe: CodeQa) -> Items:
    """The index of the items in `evaluate.benchmarks`."""
    return Items(benchmarks.select(_COLUMNS).collect().iter_rows(named=True), recipe)
