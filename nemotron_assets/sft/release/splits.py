"""Says which split of its benchmark an item is in, so that test and train splits are told apart.

Nothing may be trained on a test split. The train split of a benchmark is a usual seed of SFT data, and `dev` holds the
worked examples that a prompt shows before the question.
"""

from __future__ import annotations

import re

from nemotron_assets.recipe.sft.release import Split

TEST: Split = "test"

#: The split that a benchmark file holds, if the names of its items do not say it. MMLU's dev split is its 285 examples.
_SPLITS: dict[str, Split] = {"mmlu_dev": "dev"}
#: MBPP names its items by numbers: 1 to 10 are examples for prompts, then come test, validation and train split.
_MBPP: tuple[tuple[int, Split], ...] = ((10, "dev"), (510, "test"), (600, "validation"), (974, "train"))
#: gsm8k-train-17, mmlu-val-anatomy-3
_NAMED = re.compile(r"(?<![a-z])(test|validation|valid|val|dev|train)(?![a-z])", re.I)
_SHORT: dict[str, Split] = {"valid": "validation", "val": "validation"}


def split_of(benchmark: str, item: str) -> Split:
    """The split of an item, by its benchmark and its name. An item that nothing is known about is in the test split,
    so that it is kept out of the data."""
    if benchmark == "mbpp" and item.isdecimal():
        return next((split for last, split in _MBPP if int(item) <= last), TEST)
    if named := _NAMED.search(item):
        word = named[1].lower()
        return _SHORT.get(word, word)
    return _SPLITS.get(benchmark, TEST)
