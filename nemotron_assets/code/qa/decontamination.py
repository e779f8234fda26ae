"""Benchmark items in what a model wrote about code: by the words in a row that they share (words as everywhere in the
search for contamination: nemotron_assets/math/corpus/contamination.py).

Stricter than for pages of the web, as a sample that is dropped here costs little: one n-gram of an item's question is
enough, and of a short question all of its words. Of an item's reference code all n-grams must be there, since a few of
them are anybody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nemotron_assets.math.corpus.contamination import runs, words
from nemotron_assets.recipe.code_qa import CodeQa

#: What is read of `evaluate.benchmarks`.
READ = ("id", "benchmark", "item", "question", "answer")


class Items:
    """The items of the recipe's benchmarks, made ready to be looked for."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], recipe: CodeQa) -> None:
        self._ngram = recipe.ngram
        self._questions: dict[int, dict[int, str]] = defaultdict(dict)  # length -> hash of the run -> item
        self._codes: list[tuple[np.ndarray, str]] = []
        for row in rows:
            if row["benchmark"] not in recipe.benchmarks:
                continue
            name = f"{row['benchmark']} {row['item']}"
            question, code = words(row["question"]).hashes, words(row["answer"]).hashes
            length = min(recipe.ngram, len(question))
            if length >= recipe.min_words:
                for gram in runs(question, length).tolist():
                    self._questions[length].setdefault(gram, name)
            if len(code) >= recipe.ngram:
                self._codes.append((np.unique(runs(code, recipe.ngram)), name))

    def find(self, text: str) -> str:
        """The first item in a text, as "humaneval HumanEval/3: 13 words of its question", or ""."""
        hashes = words(text).hashes
        for length, known in sorted(self._questions.items(), reverse=True):
            for gram in runs(hashes, length).tolist():
                if gram in known:
                    return f"{known[gram]}: {length} words of its question"
        grams = runs(hashes, self._ngram)
        for code, name in self._codes:
            if np.isin(code, grams).all():
                return f"{name}: its reference code"
        return ""
