"""Makes items in the manner of RULER (Hsieh et al. 2024) from texts of the lake, at every length that is asked for.

- needle_single, needle_multi_key, needle_multi_value, needle_multi_query: sentences such as "One of the special magic
  numbers for apple is: 1234567." are hidden among the sentences of documents. needle_single hides and asks for one
  number. needle_multi_key hides numbers for five words and asks for the number of one word. needle_multi_value hides
  and asks for four numbers of one word, needle_multi_query for one number of each of four words.
- variable_tracking: assignments such as "VAR X = 12345" and "VAR Y = VAR X" are hidden in the same way. The question
  asks for all variables with a given value; a second chain of variables has another value.
- common_words, frequent_words: the prompt is a list of words from the documents, and the question asks for the words
  that occur most often. In frequent_words the number of occurrences falls from word to word, as in a language.

The length of an item is the room for its prompt and its answer together. A prompt is filled up with text until the room
for the answer is left, so no answer is cut.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text.tokenizer import encode

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from tokenizers import Tokenizer

    from nemotron_assets.recipe.evaluate import Ruler

TABLE = "evaluate.ruler_items"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_WORD = re.compile(r"\b[a-z]{5,10}\b")
_SHORT_WORD = re.compile(r"\b[A-Z]{3}\b")
#: Words of the questions. They are never an answer: a model that repeats the question has not answered it.
_OF_QUESTIONS = frozenset(
    _WORD.findall(
        "above answer appear appeared assigned assignment below chains common following frequently hidden magic "
        "memorize mentioned numbers often provided question special track value variable variables within words"
    )
)
_NEEDLES = 4  # values of one word; words that are asked for; further words beside the word that is asked for
_HOPS = 4  # assignments from one variable to the next
_COMMON, _TIMES = 5, 4  # words that are asked for, and how often each occurs
_FREQUENT = 3  # words that are asked for
_HAYSTACK_DOCUMENTS = 1_024  # documents that are looked at first for the longest prompt
_TEXT_PER_TOKEN = 32  # bytes of documents to choose sentences and words from, for every token of the longest prompt


class RulerError(ValueError):
    """Items of a task cannot be made or asked. The message names the value of the recipe that has to change."""


@dataclass(frozen=True)
class Item:
    """One question. `tokens` is the length of its prompt, `length` the room for prompt and answer; `parents` are the
    documents whose sentences or words are in the prompt."""

    id: str
    task: str
    length: int
    number: int
    seed: int
    prompt: str
    answers: tuple[str, ...]
    tokens: int
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """What an item hides and asks. `prompt(filling)` is the prompt with so many pieces of text, and the documents that
    they are from. With more pieces it is longer."""

    prompt: Callable[[int], tuple[str, list[str]]]
    answers: tuple[str, ...]


class Texts:
    """Sentences and words of documents, given as (id, text); and `names` for variables.

    No name is a word of the documents: AND would stand in an answer that does not mean the variable.
    """

    def __init__(self, documents: Sequence[tuple[str, str]]) -> None:
        self.sentences = [
            (id_, sentence)
            for id_, text in documents
            for sentence in _SENTENCE.split(text)
            if 20 <= len(sentence) <= 400
        ]
        first: dict[str, str] = {}
        short: set[str] = set()
        for id_, text in documents:
            short.update(_SHORT_WORD.findall(text.upper()))
            for word in _WORD.findall(text.lower()):
                first.setdefault(word, id_)
        self.words = sorted((word, id_) for word, id_ in first.items() if word not in _OF_QUESTIONS)
        self.names = sorted({"".join(letters) for letters in itertools.product(ascii_uppercase, repeat=3)} - short)
        if not self.sentences or len(self.words) < 100:
            raise RulerError(
                f"the {len(documents)} English documents of web.unique_documents have {len(self.sentences)} sentences "
                f"and {len(self.words)} different words, too few for RULER items: ingest more English documents"
            )

    def piece(self, start: int, count: int) -> list[tuple[str, str]]:
        """`count` sentences from the one with the number `start` on; after the last comes the first again."""
        return [self.sentences[(start + k) % len(self.sentences)] for k in range(count)]


def make_items(
    documents: Sequence[tuple[str, str]],
    tokenizer: Tokenizer,
    lengths: Sequence[int],
    count: int,
    budget: int,
    seed: int,
) -> Iterator[Item]:
    """`count` items of every task and length. `budget` is the room for an answer, in tokens.

    An item depends on its seed and the documents alone. Raises `RulerError` when an answer needs more than `budget`
    tokens, and when a prompt without any filling does not fit.
    """
    texts = Texts(documents)
    for task, make in TASKS.items():
        for length in lengths:
            for number in range(count):
                own = int(row_id(TABLE, seed, task, length, number)[:8], 16)
                yield _item(task, make(texts, random.Random(own)), tokenizer, length, number, budget, own)


def _item(task: str, problem: Problem, tokenizer: Tokenizer, length: int, number: int, budget: int, seed: int) -> Item:
    def tokens(filling: int) -> int:
        return len(encode(tokenizer, problem.prompt(filling)[0]))

    needed = answer_tokens(tokenizer, problem.answers)
    if needed > budget:
        raise RulerError(
            f"the right answer to an item of {task} has {needed} tokens, but evaluate.ruler.max_output_tokens is "
            f"{budget}, so the answer would be cut: raise it to at least {needed}"
        )
    room = length - budget
    if tokens(0) > room:
        raise RulerError(
            f"the question of an item of {task} has {tokens(0)} tokens without any text, but a length of {length} "
            f"tokens leaves {room} tokens for the prompt, because {budget} are for the answer: raise the smallest of "
            "evaluate.ruler.lengths, or lower evaluate.ruler.max_output_tokens"
        )
    low, high = 0, 1  # the most pieces that fit: below `high` and at least `low`
    while tokens(high) <= room:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tokens(middle) <= room else (low, middle)
    prompt, parents = problem.prompt(low)
    return Item(
        id=row_id(TABLE, task, length, number, content_hash(prompt)),
        task=task,
        length=length,
        number=number,
        seed=seed,
        prompt=prompt,
        answers=problem.answers,
        tokens=len(encode(tokenizer, prompt)),
        parents=tuple(dict.fromkeys(parents)),
    )


def answer_tokens(tokenizer: Tokenizer, answers: Sequence[str]) -> int:
    """The length of an answer that gives all right answers and nothing else."""
    return len(encode(tokenizer, " " + ", ".join(answers)))


def _hidden(texts: Texts, rng: random.Random, needles: Sequence[str], before: str, after: str) -> Callable:
    """The prompt of a task that hides the sentences `needles`, in their order, among the sentences of documents."""
    start, places = rng.randrange(len(texts.sentences)), sorted(rng.random() for _ in needles)

    def prompt(filling: int) -> tuple[str, list[str]]:
        pieces = texts.piece(start, filling)
        lines = [sentence for _, sentence in pieces]
        for place, needle in reversed(list(zip(places, needles, strict=True))):
            lines.insert(round(place * len(pieces)), needle)
        return "\n".join([before, *lines, after]), [id_ for id_, _ in pieces]

    return prompt


def _needles(keys: int, values: int, asked: int) -> Callable[[Texts, random.Random], Problem]:
    def make(texts: Texts, rng: random.Random) -> Problem:
        words = [word for word, _ in rng.sample(texts.words, keys)]
        numbers = [str(n) for n in rng.sample(range(1_000_000, 10_000_000), keys * values)]
        pairs = [(word, numbers[k * values + v]) for k, word in enumerate(words) for v in range(values)]
        named = words[:asked]
        answers = tuple(number for word, number in pairs if word in named)
        hidden = [f"One of the special magic numbers for {word} is: {number}." for word, number in pairs]
        rng.shuffle(hidden)
        before = "Some special magic numbers are hidden within the following text. Make sure to memorize them."
        after = (
            f"What are all the special magic numbers for {' and '.join(named)} mentioned in the provided text?\n"
            f"The special magic numbers for {' and '.join(named)} mentioned in the provided text are"
        )
        return Problem(_hidden(texts, rng, hidden, before, after), answers)

    return make


def _variable_tracking(texts: Texts, rng: random.Random) -> Problem:
    names = rng.sample(texts.names, 2 * (_HOPS + 1))
    chains = [names[: _HOPS + 1], names[_HOPS + 1 :]]
    values = rng.sample(range(10_000, 100_000), 2)
    lines = [
        [f"VAR {chain[0]} = {value}", *(f"VAR {b} = VAR {a}" for a, b in itertools.pairwise(chain))]
        for chain, value in zip(chains, values, strict=True)
    ]
    # Each chain stays in its own order, so that a value is known before it is passed on.
    order = [0] * len(lines[0]) + [1] * len(lines[1])
    rng.shuffle(order)
    waiting = [iter(chain) for chain in lines]
    hidden = [next(waiting[chain]) for chain in order]
    before = "Memorize and track the chains of variable assignments that are hidden in the following text."
    after = (
        f"Question: Find all variables that are assigned the value {values[0]} in the text above.\n"
        f"Answer: The variables that are assigned the value {values[0]} are"
    )
    return Problem(_hidden(texts, rng, hidden, before, after), tuple(chains[0]))


def _listed(
    texts: Texts, rng: random.Random, words: Callable[[int], list[str]], asked: int, after: str
) -> Callable[[int], tuple[str, list[str]]]:
    documents, order = dict(texts.words), rng.randrange(2**32)

    def prompt(filling: int) -> tuple[str, list[str]]:
        listed = words(filling)
        random.Random(order).shuffle(listed)
        before = f"Below is a list of words. Memorize the {asked} words that appear most often."
        return "\n".join([before, " ".join(listed), after]), [documents[word] for word in listed]

    return prompt


def _common_words(texts: Texts, rng: random.Random) -> Problem:
    drawn = [word for word, _ in rng.sample(texts.words, len(texts.words))]
    common, others = drawn[:_COMMON], drawn[_COMMON:]

    def words(filling: int) -> list[str]:
        """Every other word occurs once. When the other words are used up, all words occur more often in proportion."""
        rounds = -(-max(filling, 1) // len(others))
        rare = [others[k % len(others)] for k in range(filling)]
        return common * (_TIMES * rounds) + rare

    after = (
        f"Question: What are the {_COMMON} most common words in the above list?\n"
        f"Answer: The {_COMMON} words that appear most often in the list are"
    )
    return Problem(_listed(texts, rng, words, _COMMON, after), tuple(common))


def _frequent_words(texts: Texts, rng: random.Random) -> Problem:
    drawn = [word for word, _ in rng.sample(texts.words, min(len(texts.words), 200))]

    def words(filling: int) -> list[str]:
        """The word of rank r occurs in proportion to 1 / r^2, those that are asked for at least twice."""
        times = [max(int((filling + 18) / (rank * rank)), 1) for rank in range(1, len(drawn) + 1)]
        shown = min(len(drawn), _FREQUENT + 1 + filling)
        return [word for word, count in zip(drawn[:shown], times, strict=False) for _ in range(count)]

    after = (
        f"Question: What are the {_FREQUENT} most frequently appeared words in the above text?\n"
        f"Answer: The {_FREQUENT} words that appear most often in the text are"
    )
    return Problem(_listed(texts, rng, words, _FREQUENT, after), tuple(drawn[:_FREQUENT]))


#: The tasks by name; each makes a problem from texts and a source of chance.
TASKS: dict[str, Callable[[Texts, random.Random], Problem]] = {
    "needle_single": _needles(1, 1, 1),
    "needle_multi_key": _needles(_NEEDLES + 1, 1, 1),
    "needle_multi_value": _needles(1, _NEEDLES, 1),
    "needle_multi_query": _needles(_NEEDLES, 1, _NEEDLES),
    "variable_tracking": _variable_tracking,
    "common_words": _common_words,
    "frequent_words": _frequent_words,
}


def item_rows(documents: pl.LazyFrame, tokenizer: Path, recipe: Ruler) -> pl.DataFrame:
    """Rows of `evaluate.ruler_items`, from rows of `web.unique_documents` and the folder of a tokenizer."""
    import polars as pl

    from nemotron_assets.evaluate.tables import RULER_ITEMS
    from nemotron_assets.text.tokenizer import load

    found = list(haystack(documents, _TEXT_PER_TOKEN * recipe.lengths[-1]))
    sizes = recipe.lengths, recipe.items, recipe.max_output_tokens, recipe.seed
    return pl.DataFrame([vars(item) for item in make_items(found, load(tokenizer), *sizes)], RULER_ITEMS.empty().schema)


def haystack(documents: pl.LazyFrame, size: int) -> Iterator[tuple[str, str]]:
    """English documents of at least `size` bytes together, as (id, text): those with the lowest content hashes, or all
    if there are fewer. Which documents are chosen does not depend on how the table is stored."""
    import polars as pl

    english = documents.filter(pl.col("language") == "en")
    sized = english.select("content_hash", size=pl.col("text").str.len_bytes().cast(pl.Int64))
    most = _HAYSTACK_DOCUMENTS
    while True:  # so many documents with the lowest hashes are in memory, twice as many as are needed
        sizes = sized.bottom_k(most, by="content_hash").collect(engine="streaming").sort("content_hash")
        if sizes.height < most or sizes["size"].sum() >= size:
            break
        most *= 2
    chosen = sizes.filter(pl.col("size").cum_sum().shift(1, fill_value=0) < size)["content_hash"]
    rows = english.filter(pl.col("content_hash").is_in(chosen.implode())).select("content_hash", "id", "text")
    yield from rows.collect(engine="streaming").sort("content_hash", "id").select("id", "text").iter_rows()
