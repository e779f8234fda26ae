"""Audits of the suite's items: answers worked out again from the questions, tokens, and what the pretraining reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.align.conversations.tables import SPLITS, SUITE_ITEMS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def solve(question: str) -> str:
    """The answer to a question of the suite, worked out from its words. Raises ValueError for another question."""
    asked, _, signs = question.partition(": ")
    each = signs.split(" ")
    match asked.split(" "):
        case ["first", "word"]:
            return each[0]
        case ["last", "word"]:
            return each[-1]
        case ["copy"]:
            return signs
        case ["reverse"]:
            return " ".join(reversed(each))
        case ["count", letter]:
            return " ".join(str(each.count(letter)))
        case ["max"]:
            return str(max(map(int, each)))
        case ["sum"]:
            return " ".join(str(sum(int(number.replace(" ", "")) for number in signs.split(" + "))))
    raise ValueError(f"{question!r} is not a question of the suite")


def faults(items: pl.DataFrame) -> dict[str, int]:
    """{kind of fault: number of items}: questions that stand twice, wrong answers, answers that are not the end of the
    steps, and unknown splits."""
    wrong = sum(solve(question) != answer for question, answer in items.select("question", "answer").iter_rows())
    return {
        "repeated_questions": items.height - items["content_hash"].n_unique(),
        "wrong_answers": wrong,
        "without_steps": items.filter(pl.col("reasoning") == "").height,
        "unknown_splits": items.filter(~pl.col("split").is_in(SPLITS)).height,
    }


def split_signs(items: pl.DataFrame, tokenizer: Tokenizer) -> list[str]:
    """Texts of items in which some letter or digit is not one token, with the token that holds it."""
    found = []
    for texts in items.select("question", "answer", "reasoning").iter_rows():
        for text in texts:
            encoding = tokenizer.encode(text, add_special_tokens=False)
            tokens = [text[start:end].strip() for start, end in encoding.offsets]
            if missing := [sign for sign in _signs(text) if sign not in tokens]:
                found.append(f"{text!r}: {missing[0]!r} is not a token of its own")
    return found


def _signs(text: str) -> Iterator[str]:
    """The single letters and digits of an item's text, without the words of its task."""
    return (word for line in text.split("\n") for word in line.rpartition(": ")[2].split(" ") if len(word) == 1)


def in_the_blend(items: pl.LazyFrame, shards: pl.LazyFrame, procedural: pl.LazyFrame) -> dict[str, int]:
    """{kind of fault: number}: documents of the blend that were made from items of the suite, and items whose question
    is one of sft.procedural, which the blend reads."""
    sources = shards.select(pl.col("sources").explode().unique()).collect(engine="streaming")["sources"]
    hashes = items.select(origin_hash="content_hash")
    return {
        "documents_from_the_suite": int((sources == SUITE_ITEMS.full_name).sum()),
        "questions_in_sft_procedural": procedural.join(hashes, on="origin_hash", how="semi")
        .select(pl.len())
        .collect()
        .item(),
    }
