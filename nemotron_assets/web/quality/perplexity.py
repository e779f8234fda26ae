"""How much a text surprises an n-gram model of good text (Nemotron-CC §2.3: KenLM on Wikipedia and books).

Two kinds of model, each a folder: a KenLM model with its SentencePiece pieces, as published, or one of characters that
is trained here on the reference texts of the quality ensemble: interpolated modified Kneser-Ney (Chen & Goodman 1998),
kept in back-off form, where the longest known n-gram decides and each shortening of the context costs its weight.

The embedded model reads a text as symbols: lower case, every digit 0, runs of white space one blank, characters that
are rare in its references one symbol. Its perplexity is that of `token_characters` characters.

Worker processes use this module, so it does not import Dagster. Nothing in a model's folder is executed.
"""

from __future__ import annotations

import functools
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

from nemotron_assets.recipe.web.heuristics import Perplexity
from nemotron_assets.table.ids import content_hash

KENLM, PIECES = "en.arpa.bin", "en.sp.model"
SETTINGS, TABLES = "model.json", "ngrams.safetensors"

#: Symbols every model has: before a text, and any character it does not know.
START, UNKNOWN = 0, 1
_FIRST = 2
_SYMBOLS = 256
_ORDER_SHIFT = 56  # the top byte of a key is the length of its n-gram, the others are its symbols, the last one lowest
_LARGEST_LOG = 690.0  # e to it is still a float64
_CASED = 0x20000  # no code point from here on is upper case, a digit or white space


class PerplexityError(RuntimeError):
    """A model that cannot be made or used; the message says why and what to do."""


# -- symbols -----------------------------------------------------------------------------------------------------------


def normal(character: str) -> str:
    """What a character counts as: its lower case if that is one character, 0 for a digit, a blank for white space."""
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Nd":
        return "0"
    lower = character.lower()
    return lower if len(lower) == 1 else character


@functools.cache
def _normal_points() -> np.ndarray:
    """Code point -> code point it counts as."""
    points = np.arange(0x110000, dtype=np.int32)
    points[:_CASED] = [ord(normal(chr(point))) for point in range(_CASED)]
    return points


def _points(text: str) -> np.ndarray:
    """The code points of a text as they count, runs of blanks as one, none at the ends."""
    points = _normal_points()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
    blank = points == ord(" ")
    points = points[~(blank & np.concatenate(([True], blank[:-1])))] if len(points) else points
    return points[:-1] if len(points) and points[-1] == ord(" ") else points


def _alphabet(texts: Sequence[np.ndarray], min_count: int) -> list[int]:
    """The code points that get a symbol of their own, the most frequent ones."""
    counts: Counter[int] = Counter()
    for points in texts:
        counts.update(dict(zip(*(a.tolist() for a in np.unique(points, return_counts=True)), strict=True)))
    frequent = [point for point, count in counts.items() if count >= min_count]
    return sorted(sorted(frequent, key=lambda point: (-counts[point], point))[: _SYMBOLS - _FIRST])


def _symbol_table(alphabet: Sequence[int]) -> np.ndarray:
    """Code point as it counts -> symbol."""
    table = np.full(0x110000, UNKNOWN, np.uint8)
    table[list(alphabet)] = np.arange(_FIRST, _FIRST + len(alphabet))
    return table


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NGrams:
    """A back-off model: sorted keys of n-grams, the log probability of the last symbol after the others, and the log
    weight of the n-gram as a context. Natural logarithms."""

    order: int
    alphabet: list[int]
    keys: np.ndarray
    log_probability: np.ndarray
    log_backoff: np.ndarray


def train(texts: Sequence[str], order: int, min_count: int) -> NGrams:
    """Fit a model; each text begins anew. Raises `PerplexityError` without any text."""
    points = [found for found in map(_points, texts) if len(found)]
    if not points:
        raise PerplexityError("there is no text to learn from: see web.quality.scorers.references")
    alphabet = _alphabet(points, min_count)
    table = _symbol_table(alphabet)
    symbols = np.concatenate([part for p in points for part in (np.array([START], np.uint8), table[p])])
    grams, counts = _counted(symbols, order)
    return _kneser_ney(grams, counts, order, alphabet)


def _counted(symbols: np.ndarray, order: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Keys (without length) and Kneser-Ney counts of the n-grams of each length, sorted; START is never the last."""
    keys = wide = symbols.astype(np.uint64)
    grams, counts = [], []
    for n in range(1, order + 1):
        if n == 1:
            valid = wide[symbols != START]
        else:
            keys = (keys[:-1] << np.uint64(8)) | wide[n - 1 :]
            valid = keys[_one_text(symbols, n)]
        found, times = np.unique(valid, return_counts=True)
        if n > 1:
            # A shorter n-gram counts by the symbols it is found after, unless it begins its text: nothing is before it.
            ends, after = np.unique(found & _symbols_mask(n - 1), return_counts=True)
            counts[-1][np.searchsorted(grams[-1], ends)] = after
        grams.append(found)
        counts.append(times)
    return grams, counts


def _symbols_mask(n: int) -> np.uint64:
    """The bits of a key that are its last n symbols."""
    return np.uint64((1 << 8 * n) - 1)


def _one_text(symbols: np.ndarray, n: int) -> np.ndarray:
    """Which n-grams lie within one text: START is nowhere but possibly first."""
    starts = np.concatenate(([0], np.cumsum(symbols == START)))
    return starts[n : len(symbols) + 1] - starts[1 : len(symbols) - n + 2] == 0


def _kneser_ney(grams: list[np.ndarray], counts: list[np.ndarray], order: int, alphabet: list[int]) -> NGrams:
    keys, probabilities, backoffs = [], [], []
    lower: np.ndarray | None = None  # probabilities of the n-grams one shorter, in the order of their keys
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
            # What no text held is as likely as the weight of the shorter context, none, makes it.
            missing = np.setdiff1d(np.arange(UNKNOWN, _FIRST + len(alphabet), dtype=np.uint64), found)
            unseen = np.full(len(missing), weight[0] / (len(alphabet) + 1))
            probability = np.concatenate([probability, unseen])[np.argsort(np.concatenate([found, missing]))]
            found = grams[0] = np.sort(np.concatenate([found, missing]))
        else:
            _put_backoff(keys, backoffs, n - 1, contexts, np.log(weight))
        lower = probability
        keys.append(found | np.uint64(n << _ORDER_SHIFT))
        probabilities.append(np.log(probability))
        backoffs.append(np.zeros(len(found)))
        if n == 1:  # the beginning of a text is a context, but no symbol that could follow another
            keys[0] = np.concatenate([[np.uint64((1 << _ORDER_SHIFT) | START)], keys[0]])
            probabilities[0] = np.concatenate([[-_LARGEST_LOG], probabilities[0]])
            backoffs[0] = np.zeros(len(keys[0]))
    every = [np.concatenate(part) for part in (keys, probabilities, backoffs)]
    return NGrams(order, alphabet, every[0].astype(np.uint64), *(part.astype(np.float32) for part in every[1:]))


def _put_backoff(
    keys: list[np.ndarray], backoffs: list[np.ndarray], n: int, contexts: np.ndarray, log_weight: np.ndarray
) -> None:
    """Note the weights of contexts of n symbols with their n-grams."""
    at = np.searchsorted(keys[n - 1], contexts | np.uint64(n << _ORDER_SHIFT))
    backoffs[n - 1][at] = log_weight


def _discounts(times: np.ndarray) -> tuple[float, float, float]:
    """What is taken from n-grams that occur once, twice and more often, so that unseen ones have a chance."""
    n1, n2, n3, n4 = (int((times == k).sum()) for k in range(1, 5))
    if not (n1 and n2 and n3):
        return 0.5, 1.0, 1.5
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return tuple(min(max(d, 0.05), k - 0.05) for d, k in zip(found, (1, 2, 3), strict=True))


# -- the two kinds of model --------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _slot(key, size):
    key = (key ^ (key >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((key ^ (key >> np.uint64(29))) & np.uint64(size - 1))


@njit(cache=True, nogil=True)
def _hash_table(keys, size):
    """(keys by slot, their places in the list) in open addressing."""
    slots, places = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for place in range(keys.size):
        slot = _slot(keys[place], size)
        while slots[slot] != np.uint64(0):
            slot = (slot + 1) & (size - 1)
        slots[slot], places[slot] = keys[place], place
    return slots, places


@njit(cache=True, nogil=True)
def _look_up(key, slots, places):
    slot = _slot(key, slots.size)
    while slots[slot] != np.uint64(0):
        if slots[slot] == key:
            return places[slot]
        slot = (slot + 1) & (slots.size - 1)
    return -1


@njit(cache=True, nogil=True)
def _log_likelihood(symbols, order, slots, places, log_probability, log_backoff):
    """Log probability of all symbols, one after the other, after the beginning of a text."""
    history, known = np.uint64(START), 1  # the last symbols, and how many of them may be the context of an n-gram
    total = 0.0
    for symbol in symbols:
        history = (history << np.uint64(8)) | np.uint64(symbol)
        n = min(known + 1, order)
        while True:
            key = (history & ((np.uint64(1) << np.uint64(8 * n)) - np.uint64(1))) | (np.uint64(n) << np.uint64(56))
            place = _look_up(key, slots, places)
            if place >= 0:
                total += log_probability[place]
                break
            n -= 1
            context = (history >> np.uint64(8)) & ((np.uint64(1) << np.uint64(8 * n)) - np.uint64(1))
            place = _look_up(context | (np.uint64(n) << np.uint64(56)), slots, places)
            if place >= 0:
                total += log_backoff[place]
        known = n
    return total


class CharacterModel:
    """The embedded model, ready to judge texts."""

    def __init__(self, model: NGrams, token_characters: float) -> None:
        self._model, self._token_characters = model, token_characters
        self._symbols = _symbol_table(model.alphabet)
        size = 1 << max(4, (2 * len(model.keys)).bit_length())
        self._slots, self._places = _hash_table(model.keys, size)

    @classmethod
    def load(cls, folder: Path, token_characters: float) -> CharacterModel:
        from safetensors.numpy import load_file

        facts, tables = json.loads((folder / SETTINGS).read_text()), load_file(folder / TABLES)
        return cls(NGrams(facts["order"], facts["alphabet"], **tables), token_characters)

    def log_likelihood(self, text: str) -> tuple[float, int]:
        """(natural logarithm of the text's probability, its symbols)."""
        symbols, m = self._symbols[_points(text)], self._model
        return (
            _log_likelihood(symbols, m.order, self._slots, self._places, m.log_probability, m.log_backoff),
            len(symbols),
        )

    def perplexity(self, text: str) -> float | None:
        """Perplexity per `token_characters` characters; None for a text without any."""
        log, symbols = self.log_likelihood(text)
        return math.exp(min(-log / symbols * self._token_characters, _LARGEST_LOG)) if symbols else None


def save(model: NGrams, folder: Path) -> None:
    """Write a model as JSON and safetensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(json.dumps({"order": model.order, "alphabet": model.alphabet}))
    names = ("keys", "log_probability", "log_backoff")
    save_file({name: np.ascontiguousarray(getattr(model, name)) for name in names}, folder / TABLES)


# Typographic marks that the published KenLM models know by their plain form (cc_net).
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("„“”«»「」《》", '"'),
        **dict.fromkeys("，、", ","),
        **dict.fromkeys("∶：", ":"),
        **dict.fromkeys("–━►", "-"),
        "。": ".",
        "．": ". ",
        "´": "'",
        "’": "'",
        "‘": "'",
        "？": "?",
        "！": "!",
        "（": "(",
        "）": ")",
        "；": ";",
        "—": " - ",
        "～": "~",
        "…": "...",
        "〈": "<",
        "〉": ">",
        "【": "[",
        "】": "]",
        "％": "%",
    }
    | dict.fromkeys([*range(32), *range(127, 160)])
)


class KenLm:
    """A KenLM model over SentencePiece pieces, as CCNet publishes them; perplexity per piece."""

    def __init__(self, folder: Path) -> None:
        try:
            import kenlm
        except ImportError:
            raise PerplexityError(
                "a KenLM model needs the package kenlm, which compiles from source: pip install --no-deps kenlm==0.3.0 "
                "(requirements/gpu.lock), or say web.perplexity.model: embedded"
            ) from None
        from sentencepiece import SentencePieceProcessor

        for name in (KENLM, PIECES):
            if not (folder / name).is_file():
                raise PerplexityError(f"the KenLM model {folder} has no {name}")
        self._model = kenlm.Model(str(folder / KENLM))
        self._pieces = SentencePieceProcessor(model_file=str(folder / PIECES))

    def perplexity(self, text: str) -> float | None:
        """Perplexity per piece, the end counting as one; None for an empty text."""
        plain = "".join("0" if unicodedata.category(c) == "Nd" else c for c in text.strip()).translate(_PLAIN)
        if not plain:
            return None
        pieces = self._pieces.encode(plain, out_type=str)
        log10 = self._model.score(" ".join(pieces))
        return math.exp(min(-log10 * math.log(10) / (len(pieces) + 1), _LARGEST_LOG))


@functools.lru_cache(maxsize=1)
def load(folder: Path, token_characters: float) -> CharacterModel | KenLm:
    """The model in a folder."""
    if (folder / SETTINGS).is_file():
        return CharacterModel.load(folder, token_characters)
    return KenLm(folder)


# -- from the recipe to a folder ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A model in a folder, and what is known of it."""

    name: str
    kind: str
    folder: Path
    ngrams: int | None
    metrics: dict[str, float]


def make(recipe: Perplexity, references: Sequence[str], scratch: Path) -> Made:
    """The model the recipe names: trained in `scratch` on reference texts, a folder, or downloaded."""
    if recipe.model != "embedded":
        folder = _fetch(recipe.model)
        KenLm(folder)  # says at once what is missing
        return Made(recipe.model, "kenlm", folder, None, {})
    learnt, held_out = split(references, recipe)
    model = train(learnt, recipe.order, recipe.min_count)
    save(model, scratch / "model")
    judge = CharacterModel(model, recipe.token_characters)
    shuffled = [" ".join(sorted(text.split(), key=lambda word: content_hash(text + word))) for text in held_out]
    metrics = {
        "texts": float(len(learnt)),
        "characters": float(sum(map(len, learnt))),
        "held_out_perplexity": _mean_perplexity(judge, held_out, recipe.token_characters),
        "held_out_words_shuffled": _mean_perplexity(judge, shuffled, recipe.token_characters),
    }
    return Made("embedded", "characters", scratch / "model", len(model.keys), metrics)


def split(references: Sequence[str], recipe: Perplexity) -> tuple[list[str], list[str]]:
    """(texts to learn from, texts kept aside), by the hash of each text: the same whatever the order."""
    learnt, held_out, room = [], [], recipe.max_megabytes * 1_000_000
    for key, text in sorted({(content_hash(text), text) for text in references}):
        if int(key[:8], 16) < recipe.held_out_share * 2**32:
            held_out.append(text)
        elif room > 0:
            learnt.append(text)
            room -= len(text.encode())
    return learnt, held_out


def _mean_perplexity(model: CharacterModel, texts: Sequence[str], token_characters: float) -> float:
    found = [model.log_likelihood(text) for text in texts]
    log, symbols = sum(log for log, _ in found), sum(symbols for _, symbols in found)
    return math.exp(min(-log / symbols * token_characters, _LARGEST_LOG)) if symbols else float("nan")


def _fetch(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from resources.home import cache_dir

    parts = name.strip("/").split("/")
    if len(parts) < 2 or Path(name).is_absolute():
        raise PerplexityError(
            f"web.perplexity.model {name!r} is neither 'embedded' nor a folder nor owner/repository/folder on Hugging Face"
        )
    repository, inside = "/".join(parts[:2]), "/".join(parts[2:])
    target = cache_dir("hub") / repository.replace("/", "--") / "main"
    wanted = [f"{inside}/{file}".lstrip("/") for file in (KENLM, PIECES)]
    try:
        snapshot_download(repository, allow_patterns=wanted, local_dir=target)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise PerplexityError(f"web.perplexity.model {name!r} could not be downloaded: {error}") from error
    return target / inside
