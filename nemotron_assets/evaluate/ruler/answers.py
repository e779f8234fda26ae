"""Has a model answer RULER items, and grades the answers by recall: the share of the right answers that they name."""

from __future__ import annotations

import itertools
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

    from nemotron_assets.recipe.evaluate import Ruler

#: Answers prompts, each with at most so many tokens.
Answering = Callable[[Sequence[str], int], list[str]]


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
    items: pl.DataFrame, answer: Answering, tokenizer: Tokenizer, context: int, budget: int, batch_tokens: int
) -> Iterator[Answer]:
    """The answers of a model to the items that its `context` has room for, from the shortest to the longest. Items of
    one length are asked together, as many as their lengths sum up to `batch_tokens`, and at least one.

    `tokenizer` is the tokenizer of the model, `budget` the room for an answer in tokens. Raises `RulerError` when a
    prompt and the budget do not fit the length of the item, or a right answer does not fit the budget: the answer
    would be cut, and the model would be graded wrong.
    """
    fitting = items.filter(items["length"] <= context).sort("length", "task", "number")
    for (length,), of_length in fitting.group_by("length", maintain_order=True):
        for batch in of_length.iter_slices(max(1, batch_tokens // length)):
            rows = batch.to_dicts()
            for item in rows:
                _check_room(item, tokenizer, budget)
            texts = answer([item["prompt"] for item in rows], budget)
            yield from (
                Answer(item, text, recall(text, item["answers"])) for item, text in zip(rows, texts, strict=True)
            )


def _check_room(item: Mapping[str, Any], tokenizer: Tokenizer, budget: int) -> None:
    tokens, needed = len(encode(tokenizer, item["prompt"])), answer_tokens(tokenizer, item["answers"])
    if tokens + budget > item["length"] or needed > budget:
        raise RulerError(
            f"the item {item['id']} of evaluate.ruler_items ({item['task']}) does not fit its length of "
            f"{item['length']} tokens: with the tokenizer of the model its prompt has {tokens} tokens and its "
            f"right answer {needed}, and the answer of the model may have {budget} tokens "
            "(evaluate.ruler.max_output_tokens). The items were made with another tokenizer or another "
            "max_output_tokens: materialise evaluate/ruler_items again"
        )


def answering(model: PreTrainedModel, tokenizer: Tokenizer) -> Answering:
    """The function by which a transformers model answers: its most likely tokens, until EOS or the budget.

    Shorter prompts are padded on the left. The attention mask keeps the padding out of the attention and of the states
    of the Mamba layers, so an answer does not depend on the other prompts.
    """
    import torch

    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])

    def answer(prompts: Sequence[str], budget: int) -> list[str]:
        ids = [encode(tokenizer, prompt) for prompt in prompts]
        longest = max(map(len, ids))
        given = torch.tensor([[0] * (longest - len(one)) + one for one in ids], device=model.device)
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in ids], device=model.device)
        with torch.inference_mode():
            made = model.generate(
                given, attention_mask=mask, max_new_tokens=budget, do_sample=False, num_beams=1, pad_token_id=0
            )
        tokens = (row[longest:].tolist() for row in made)
        return [tokenizer.decode(list(itertools.takewhile(lambda token: token not in ends, row))) for row in tokens]

    return answer


def made_with(tokenizer: Tokenizer, items: pl.DataFrame) -> bool:
    """Whether the tokenizer gives every prompt the length that its item states, as the one does that the items were
    made with."""
    rows = items.select("prompt", "tokens").sort("tokens").iter_rows()
    return all(len(encode(tokenizer, prompt)) == tokens for prompt, tokens in rows)


def rows_of(
    folder: Path, items: pl.DataFrame, settings: Ruler, device: str, model_id: str, log: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The answers of the Hugging Face model in a folder as columns of `evaluate.ruler_answers`, up to the context that
    its configuration states.

    There are no answers of a model that has another tokenizer than the one that the items were made with: the lengths
    of the items would not be those that the model sees. `log` is told.
    """
    from transformers import AutoModelForCausalLM

    from nemotron_assets.text.tokenizer import load

    tokenizer = load(folder)
    if not made_with(tokenizer, items):
        log(
            f"the model {model_id} is not asked the items of evaluate.ruler_items: they were made with another "
            "tokenizer, so their lengths are not those that this model sees. Its name keeps no recall until a version "
            "of it is trained with the tokenizer in use (blend.tokenizer)"
        )
        return []
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()
    context, room = model.config.max_position_embeddings, (settings.max_output_tokens, settings.batch_tokens)
    return [
        {
            "parents": [found.item["id"]],
            "item": found.item["id"],
            "task": found.item["task"],
            "length": found.item["length"],
            "answer": found.text,
            "recall": found.recall,
        }
        for found in answered(items, answering(model, tokenizer), tokenizer, context, *room)
    ]


def summary(made: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the UI shows of new answers: the mean recall of every model by length."""
    from nemotron_assets.plots import lines

    if not made:
        return {"models": "none: the lake holds the answers of all models in use"}
    means = {
        name: rows.select("length", "recall").group_by("length").mean().sort("length")
        for name, rows in made.items()
        if not rows.is_empty()
    }
    silent = [name for name in made if name not in means]
    shown = {"not_asked": f"{', '.join(silent)}: no item fits its context and tokenizer"} if silent else {}
    if not means:
        return {"models": "none", **shown}
    series = {name: (rows["length"].to_list(), rows["recall"].to_list()) for name, rows in means.items()}
    return shown | {
        "models": ", ".join(means),
        "recall": lines(series, "recall of RULER's answers by length", "tokens of prompt and answer", "recall"),
    }
