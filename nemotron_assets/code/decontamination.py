"""Benchmark items in source files and in what a model wrote about code: by the words in a row that they share (words
as everywhere in the search for contamination: nemotron_assets/contamination/words.py).

Stricter than for pages of the web, as a file or sample that is dropped here costs little: one n-gram of an item's
question is enough, if at least half of its words have letters (tables have runs of numbers, too), and of a short
question all of its words. Of an item's reference code all n-grams must be there, since a few of them are anybody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nemotron_assets.contamination.words import runs, words
from nemotron_assets.recipe.code.qa import CodeQa

#: What is read of `evaluate.benchmarks`.
READ = ("id", "benchmark", "item", "question", "answer")


class Items:
    """The items of the recipe's benchmarks, made ready to be looked for."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], recipe: CodeQa) -> None:
        self._ngram = recipe.ngram
        self._questions: dict[int, dict[int, str]] = defaultdict(dict)  # length -> hash of the run -> item
        self._codes: dict[int, list[tuple[str, set[int]]]] = defaultdict(list)  # one of its runs -> item, all runs
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
        """The first item in a text, as "humaneval HumanEval/3: 13 words of its question", or ""."""
        hashes = words(text).hashes
        for length, known in sorted(self._questions.items(), reverse=True):
            for gram in runs(hashes, length).tolist():
                if gram in known:
                    return f"{known[gram]}: {length} words of its question"
        grams = set(runs(hashes, self._ngram).tolist())
        found = [name for gram in grams & self._codes.keys() for name, code in self._codes[gram] if code <= grams]
        return f"{min(found)}: its reference code" if found else ""
