"""Perplexity of texts under an n-gram model of good text (Nemotron-CC §2.3: KenLM on Wikipedia and books).

A text that resembles the training texts has a low perplexity, noise has a high one. A model is a folder, of one of two
kinds: a KenLM model with its SentencePiece pieces, as published, or a model of characters (see ngrams.py) that is
trained here on the reference texts of the quality ensemble.

KenLM's perplexity is per piece. The character model's is per `token_characters` characters, so that it has a similar
scale.

Worker processes use this module, so it does not import Dagster. Nothing in a model's folder is executed.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

from nemotron_assets.recipe.web.heuristics import Perplexity
from nemotron_assets.table.ids import content_hash
from nemotron_assets.web.quality import ngrams
from nemotron_assets.web.quality.ngrams import LARGEST_LOG, SETTINGS, START, NGrams, PerplexityError

KENLM, PIECES = "en.arpa.bin", "en.sp.model"

# -- the two kinds of model --------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _slot(key, size):
    key = (key ^ (key >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((key ^ (key >> np.uint64(29))) & np.uint64(size - 1))


@njit(cache=True, nogil=True)
def _hash_table(keys, size):
    """An open-addressing hash table: (key per slot, index of that key in `keys` per slot). An empty slot has key 0."""
    slots, places = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for place in range(keys.size):
        slot = _slot(keys[place], size)
        while slots[slot] != np.uint64(0):
            slot = (slot + 1) & (size - 1)
        slots[slot], places[slot] = keys[place], place
    return slots, places


@njit(cache=True, nogil=True)
def _look_up(key, slots, places):
    """The index of a key in the list of keys; -1 if it is not there."""
    slot = _slot(key, slots.size)
    while slots[slot] != np.uint64(0):
        if slots[slot] == key:
            return places[slot]
        slot = (slot + 1) & (slots.size - 1)
    return -1


@njit(cache=True, nogil=True)
def _log_likelihood(symbols, order, slots, places, log_probability, log_backoff):
    """Log probability of a text's symbols."""
    history, known = np.uint64(START), 1  # the last symbols, and how many of them can be the context of an n-gram
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
    """The model of characters, loaded into a hash table."""

    def __init__(self, model: NGrams, token_characters: float) -> None:
        self._model, self._token_characters = model, token_characters
        self._symbols = ngrams.symbol_table(model.alphabet)
        size = 1 << max(4, (2 * len(model.keys)).bit_length())
        self._slots, self._places = _hash_table(model.keys, size)

    @classmethod
    def load(cls, folder: Path, token_characters: float) -> CharacterModel:
        return cls(ngrams.load(folder), token_characters)

    def log_likelihood(self, text: str) -> tuple[float, int]:
        """(natural logarithm of the text's probability, number of its symbols)."""
        symbols, m = self._symbols[ngrams.code_points(text)], self._model
        return (
            _log_likelihood(symbols, m.order, self._slots, self._places, m.log_probability, m.log_backoff),
            len(symbols),
        )

    def perplexity(self, text: str) -> float | None:
        """Perplexity per `token_characters` characters; None for a text without characters other than white space."""
        log, symbols = self.log_likelihood(text)
        return math.exp(min(-log / symbols * self._token_characters, LARGEST_LOG)) if symbols else None


# The published KenLM models know typographic marks by their plain form (cc_net): a curly quote is a straight one.
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
    """A KenLM model over SentencePiece pieces, as CCNet publishes them."""

    def __init__(self, folder: Path) -> None:
        try:
            import kenlm
        except ImportError:
            raise PerplexityError(
                "a KenLM model needs the package kenlm, which compiles from source: pip install --no-deps kenlm==0.3.0 "
                "(it is in requirements/gpu.lock), or set web.perplexity.model: embedded"
            ) from None
        from sentencepiece import SentencePieceProcessor

        for name in (KENLM, PIECES):
            if not (folder / name).is_file():
                raise PerplexityError(
                    f"the KenLM model in {folder} has no {name}: name a folder with {KENLM} and {PIECES} in "
                    "web.perplexity.model"
                )
        self._model = kenlm.Model(str(folder / KENLM))
        self._pieces = SentencePieceProcessor(model_file=str(folder / PIECES))

    def perplexity(self, text: str) -> float | None:
        """Perplexity per piece, with the end of the text as one piece; None for an empty text."""
        plain = "".join("0" if unicodedata.category(c) == "Nd" else c for c in text.strip()).translate(_PLAIN)
        if not plain:
            return None
        pieces = self._pieces.encode(plain, out_type=str)
        log10 = self._model.score(" ".join(pieces))
        return math.exp(min(-log10 * math.log(10) / (len(pieces) + 1), LARGEST_LOG))


@functools.lru_cache(maxsize=1)
def load(folder: Path, token_characters: float) -> CharacterModel | KenLm:
    """The model in a folder, loaded once per process."""
    if (folder / SETTINGS).is_file():
        return CharacterModel.load(folder, token_characters)
    return KenLm(folder)


# -- from the recipe to a folder ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelFolder:
    """A model in a folder. `ngrams` is the number of its n-grams, None for KenLM."""

    name: str
    kind: str
    folder: Path
    ngrams: int | None
    metrics: dict[str, float]


def make(recipe: Perplexity, references: Sequence[str], scratch: Path) -> ModelFolder:
    """The model that the recipe names: trained in `scratch` on reference texts, an existing folder, or downloaded."""
    if recipe.model != "embedded":
        folder = _fetch(recipe.model)
        KenLm(folder)  # raises at once if something is missing
        return ModelFolder(recipe.model, "kenlm", folder, None, {})
    training, held_out = split_texts(references, recipe)
    model = ngrams.train(training, recipe.order, recipe.min_count)
    ngrams.save(model, scratch / "model")
    judge = CharacterModel(model, recipe.token_characters)
    shuffled = [" ".join(sorted(text.split(), key=lambda word: content_hash(text + word))) for text in held_out]
    metrics = {
        "texts": float(len(training)),
        "characters": float(sum(map(len, training))),
        "held_out_perplexity": _mean_perplexity(judge, held_out, recipe.token_characters),
        "held_out_words_shuffled": _mean_perplexity(judge, shuffled, recipe.token_characters),
    }
    return ModelFolder("embedded", "characters", scratch / "model", len(model.keys), metrics)


def split_texts(references: Sequence[str], recipe: Perplexity) -> tuple[list[str], list[str]]:
    """(texts to train on, held-out texts). The hash of a text decides, so the order of the texts does not matter."""
    training, held_out, room = [], [], recipe.max_megabytes * 1_000_000
    for key, text in sorted({(content_hash(text), text) for text in references}):
        if int(key[:8], 16) < recipe.held_out_share * 2**32:
            held_out.append(text)
        elif room > 0:
            training.append(text)
            room -= len(text.encode())
    return training, held_out


def _mean_perplexity(model: CharacterModel, texts: Sequence[str], token_characters: float) -> float:
    found = [model.log_likelihood(text) for text in texts]
    log, symbols = sum(log for log, _ in found), sum(symbols for _, symbols in found)
    return math.exp(min(-log / symbols * token_characters, LARGEST_LOG)) if symbols else float("nan")


def _fetch(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from resources.home import cache_dir

    parts = name.strip("/").split("/")
    if len(parts) < 2 or Path(name).is_absolute():
        raise PerplexityError(
            f"web.perplexity.model = {name!r} names no model: give 'embedded', a folder, or owner/repository/folder on "
            "Hugging Face"
        )
    repository, inside = "/".join(parts[:2]), "/".join(parts[2:])
    target = cache_dir("hub") / repository.replace("/", "--") / "main"
    wanted = [f"{inside}/{file}".lstrip("/") for file in (KENLM, PIECES)]
    try:
        snapshot_download(repository, allow_patterns=wanted, local_dir=target)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise PerplexityError(
            f"web.perplexity.model = {name!r} could not be downloaded: {error}. Without a network, give 'embedded' "
            "or a folder"
        ) from error
    return target / inside
