"""Trains an n-gram model of characters: interpolated modified Kneser-Ney (Chen & Goodman 1998) in back-off form.

In back-off form the longest known n-gram gives the probability of a symbol, and each symbol dropped from the context
multiplies it by the context's back-off weight.

The model reads a text as symbols, one byte each: lower case, every digit as 0, each run of white space as one blank,
and one shared symbol for all characters that are rare in the training texts. "The  Cat 7" is read as "the cat 0".

Worker processes use this module, so it does not import Dagster.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SETTINGS, TABLES = "model.json", "ngrams.safetensors"

#: Symbols every model has: the start of a text, and any character that has no symbol of its own.
START, UNKNOWN = 0, 1
#: The first symbol that stands for one character.
FIRST = 2
#: Largest absolute logarithm that is used: exp(690) is still a finite float64.
LARGEST_LOG = 690.0
_SYMBOLS = 256
# The key of an n-gram is 64 bits: its length in the top byte, its symbols in the others, the last symbol lowest.
_ORDER_SHIFT = 56
#: From this code point on, no character is upper case, a digit or white space.
CASED = 0x20000


class PerplexityError(RuntimeError):
    """A model that cannot be made or used; the message says why and what to do."""


# -- symbols -----------------------------------------------------------------------------------------------------------


def normalise(character: str) -> str:
    """Simplify a character: every digit becomes "0", white space becomes " ", and a letter becomes lower case, unless
    its lower case has several characters."""
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Nd":
        return "0"
    lower = character.lower()
    return lower if len(lower) == 1 else character


@functools.cache
def _normalised_code_points() -> np.ndarray:
    """For every code point, the code point of its normalised character."""
    points = np.arange(0x110000, dtype=np.int32)
    points[:CASED] = [ord(normalise(chr(point))) for point in range(CASED)]
    return points


def code_points(text: str) -> np.ndarray:
    """The code points of a normalised text: one blank per run of white space, and no blanks at the ends."""
    points = _normalised_code_points()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
    blank = points == ord(" ")
    points = points[~(blank & np.concatenate(([True], blank[:-1])))] if len(points) else points
    return points[:-1] if len(points) and points[-1] == ord(" ") else points


def _alphabet(texts: Sequence[np.ndarray], min_count: int) -> list[int]:
    """The code points that get a symbol of their own: the most frequent ones, sorted."""
    counts: Counter[int] = Counter()
    for points in texts:
        counts.update(dict(zip(*(a.tolist() for a in np.unique(points, return_counts=True)), strict=True)))
    frequent = [point for point, count in counts.items() if count >= min_count]
    return sorted(sorted(frequent, key=lambda point: (-counts[point], point))[: _SYMBOLS - FIRST])


def symbol_table(alphabet: Sequence[int]) -> np.ndarray:
    """For every normalised code point, its symbol."""
    table = np.full(0x110000, UNKNOWN, np.uint8)
    table[list(alphabet)] = np.arange(FIRST, FIRST + len(alphabet))
    return table


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NGrams:
    """A back-off model. For every n-gram, in the order of the sorted `keys`: the log probability of its last symbol
    after the other symbols, and the log back-off weight of the n-gram as a context. Logarithms are natural."""

    order: int
    alphabet: list[int]
    keys: np.ndarray
    log_probability: np.ndarray
    log_backoff: np.ndarray


def train(texts: Sequence[str], order: int, min_count: int) -> NGrams:
    """Fit a model with n-grams of up to `order` symbols. Characters that occur fewer than `min_count` times share one
    symbol. N-grams do not reach from one text into the next. Raises `PerplexityError` without any text."""
    points = [found for found in map(code_points, texts) if len(found)]
    if not points:
        raise PerplexityError(
            "there is no reference text to train the n-gram model on: name some in web.quality.scorers.references"
        )
    alphabet = _alphabet(points, min_count)
    table = symbol_table(alphabet)
    symbols = np.concatenate([part for p in points for part in (np.array([START], np.uint8), table[p])])
    grams, counts = _count_ngrams(symbols, order)
    return _kneser_ney(grams, counts, order, alphabet)


def _count_ngrams(symbols: np.ndarray, order: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Keys (without the length) and Kneser-Ney counts of the n-grams of each length, sorted by key. No n-gram ends with
    START."""
    keys = wide = symbols.astype(np.uint64)
    grams, counts = [], []
    for n in range(1, order + 1):
        if n == 1:
            valid = wide[symbols != START]
        else:
            keys = (keys[:-1] << np.uint64(8)) | wide[n - 1 :]
            valid = keys[_within_one_text(symbols, n)]
        found, times = np.unique(valid, return_counts=True)
        if n > 1:
            # The count of a shorter n-gram is the number of different symbols before it. An n-gram at the start of a
            # text has none before it and keeps its number of occurrences.
            ends, after = np.unique(found & _symbols_mask(n - 1), return_counts=True)
            counts[-1][np.searchsorted(grams[-1], ends)] = after
        grams.append(found)
        counts.append(times)
    return grams, counts


def _symbols_mask(n: int) -> np.uint64:
    """A mask of the last n symbols of a key."""
    return np.uint64((1 << 8 * n) - 1)


def _within_one_text(symbols: np.ndarray, n: int) -> np.ndarray:
    """Whether each n-gram lies within one text: START is not behind its first symbol."""
    starts = np.concatenate(([0], np.cumsum(symbols == START)))
    return starts[n : len(symbols) + 1] - starts[1 : len(symbols) - n + 2] == 0


def _kneser_ney(grams: list[np.ndarray], counts: list[np.ndarray], order: int, alphabet: list[int]) -> NGrams:
    keys, probabilities, backoffs = [], [], []
    lower: np.ndarray | None = None  # probabilities of the n-grams with one symbol less, in the order of their keys
    for n in range(1, order + 1):
        found, times = grams[n - 1], counts[n - 1].astype(np.float64)
        first, second, more = _discounts(times)
        discount = np.select([times == 1, times == 2], [first, second], more)
        contexts, begin = np.unique(found >> np.uint64(8), return_index=True)
        which = np.repeat(np.arange(len(contexts)), np.diff(np.append(begin, len(found))))
        total, withheld = np.add.reduceat(times, begin), np.add.reduceat(discount, begin)
        weight = withheld / total
        if n == 1:
            shorter = np.full(len(found), 1.0 / (len(alphabet) + 1))
        else:
            shorter = lower[np.searchsorted(grams[n - 2], found & _symbols_mask(n - 1))]
        probability = (times - discount) / total[which] + weight[which] * shorter
        if n == 1:
            # A symbol that occurs in no text (UNKNOWN, say) gets its share of the withheld probability.
            missing = np.setdiff1d(np.arange(UNKNOWN, FIRST + len(alphabet), dtype=np.uint64), found)
            unseen = np.full(len(missing), weight[0] / (len(alphabet) + 1))
            probability = np.concatenate([probability, unseen])[np.argsort(np.concatenate([found, missing]))]
            found = grams[0] = np.sort(np.concatenate([found, missing]))
        else:
            _store_backoff(keys, backoffs, n - 1, contexts, np.log(weight))
        lower = probability
        keys.append(found | np.uint64(n << _ORDER_SHIFT))
        probabilities.append(np.log(probability))
        backoffs.append(np.zeros(len(found)))
        if n == 1:  # START is a context, but never follows another symbol
            keys[0] = np.concatenate([[np.uint64((1 << _ORDER_SHIFT) | START)], keys[0]])
            probabilities[0] = np.concatenate([[-LARGEST_LOG], probabilities[0]])
            backoffs[0] = np.zeros(len(keys[0]))
    every = [np.concatenate(part) for part in (keys, probabilities, backoffs)]
    return NGrams(order, alphabet, every[0].astype(np.uint64), *(part.astype(np.float32) for part in every[1:]))


def _store_backoff(
    keys: list[np.ndarray], backoffs: list[np.ndarray], n: int, contexts: np.ndarray, log_weight: np.ndarray
) -> None:
    """Store the back-off weights of contexts of n symbols at the n-grams with these symbols."""
    at = np.searchsorted(keys[n - 1], contexts | np.uint64(n << _ORDER_SHIFT))
    backoffs[n - 1][at] = log_weight


def _discounts(times: np.ndarray) -> tuple[float, float, float]:
    """The discounts of n-grams that occur once, twice and more often. What they take away is left for n-grams that were
    not seen."""
    n1, n2, n3, n4 = (int((times == k).sum()) for k in range(1, 5))
    if not (n1 and n2 and n3):
        return 0.5, 1.0, 1.5
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return tuple(min(max(d, 0.05), k - 0.05) for d, k in zip(found, (1, 2, 3), strict=True))


def save(model: NGrams, folder: Path) -> None:
    """Write a model to a folder, as JSON and safetensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(json.dumps({"order": model.order, "alphabet": model.alphabet}))
    names = ("keys", "log_probability", "log_backoff")
    save_file({name: np.ascontiguousarray(getattr(model, name)) for name in names}, folder / TABLES)


def load(folder: Path) -> NGrams:
    """Read a model that `save` wrote."""
    from safetensors.numpy import load_file

    settings = json.loads((folder / SETTINGS).read_text())
    return NGrams(settings["order"], settings["alphabet"], **load_file(folder / TABLES))
