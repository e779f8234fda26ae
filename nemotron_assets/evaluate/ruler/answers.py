"""Has a model answer RULER items, and grades the answers by recall: the share of the right answers that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.ruler.tasks import RulerError, answer_tokens
from nemotron_assets.text.tokenizer import encode

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

#: Answers a prompt with at most so many tokens.
Answering = Callable[[str, int], str]


@dataclass(frozen=True)
class Answer:
    """What a model has answered to an item, and the share of the right answers that it names."""

    item: dict[str, Any]
    text: str
    recall: float


def recall(text: str, answers: Sequence[str]) -> float:
    """The share of `answers` that stand in the text as whole words, upper and lower case alike. "12" does not stand in
    "the number 512", but in "(12)."."""
    found = [bool(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE)) for answer in answers]
    return sum(found) / len(found)


def answered(
    items: pl.DataFrame, answer: Answering, tokenizer: Tokenizer, context: int, budget: int
) -> Iterator[Answer]:
    """The answers of a model to the items that its `context` has room for, from the shortest to the longest.

    `tokenizer` is the one of the model, `budget` the room for an answer in tokens. Raises `RulerError` when a prompt
    and the budget do not fit the length of the item, or a right answer does not fit the budget: the answer would be
    cut, and the model graded wrong.
    """
    for item in items.filter(items["length"] <= context).sort("length", "task", "number").iter_rows(named=True):
        tokens, needed = len(encode(tokenizer, item["prompt"])), answer_tokens(tokenizer, item["answers"])
        if tokens + budget > item["length"] or needed > budget:
            raise RulerError(
                f"the item {item['id']} ({item['task']}) has a prompt of {tokens} tokens and an answer of {needed} by "
                f"the tokenizer of this model, which do not fit {item['length']} tokens with {budget} for the answer "
                "(evaluate.ruler.max_output_tokens): materialise evaluate/ruler_items with that tokenizer"
            )
        text = answer(item["prompt"], budget)
        yield Answer(item, text, recall(text, item["answers"]))


def answering(model: PreTrainedModel, tokenizer: Tokenizer) -> Answering:
    """The function by which a transformers model answers: its most likely tokens, until EOS or the budget."""
    import torch

    def answer(prompt: str, budget: int) -> str:
        ids = encode(tokenizer, prompt)
        given = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            made = model.generate(
                given, attention_mask=torch.ones_like(given), max_new_tokens=budget, do_sample=False, num_beams=1
            )
        return tokenizer.decode(made[0, len(ids) :].tolist())

    return answer


def rows_of(folder: Path, items: pl.DataFrame, budget: int, device: str) -> list[dict[str, Any]]:
    """The answers of the Hugging Face model in a folder as columns of `evaluate.ruler_answers`, up to the context that
    its configuration states."""
    from transformers import AutoModelForCausalLM

    from nemotron_assets.text.tokenizer import load

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()
    tokenizer, context = load(folder), model.config.max_position_embeddings
    return [
        {
            "parents": [found.item["id"]],
            "item": found.item["id"],
            "task": found.item["task"],
            "length": found.item["length"],
            "answer": found.text,
            "recall": found.recall,
        }
        for found in answered(items, answering(model, tokenizer), tokenizer, context, budget)
    ]


def summary(made: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new answers: the mean recall of every model by length."""
    from nemotron_assets.plots import lines

    if not made:
        return {"models": "none: the lake holds the answers of all models in use"}
    means = {
        name: rows.select("length", "recall").group_by("length").mean().sort("length") for name, rows in made.items()
    }
    series = {name: (rows["length"].to_list(), rows["recall"].to_list()) for name, rows in means.items()}
    return {
        "models": ", ".join(made),
        "recall": lines(series, "recall of RULER's answers by length", "tokens of prompt and answer", "recall"),
    }
