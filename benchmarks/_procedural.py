"""Fresh items of the procedural suite, which stand in no lake, and the answers of models to them.

The suite of a recipe has too few held-out items to tell two models apart. These are drawn with another seed; questions
that a model may have seen in training are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: The seed of the items.
_SEED = 20_261
#: Most tokens of an answer.
_ANSWER = 16


def fresh_items(lake: Any, recipe: Any, per_task: int) -> list[tuple[str, str, str]]:
    """(task, question, answer): of every task at most `per_task` items whose question is not in align.suite_items.
    Short tasks have few questions in all, so they may give fewer."""
    from nemotron_assets.align.conversations.suite import items
    from nemotron_assets.align.conversations.tables import SUITE_ITEMS
    from nemotron_assets.recipe.section import RecipeError

    known = set(lake.read(SUITE_ITEMS).scan().select("question").collect()["question"])
    made = []
    for task, own in recipe.align.suite.tasks.items():
        wanted = own.model_copy(update={"train_items": 0, "held_out_items": 8 * per_task})
        suite = recipe.align.suite.model_copy(update={"seed": _SEED, "tasks": {task: wanted}})
        found = []
        try:
            found.extend(item for _, _, item in items(task, suite) if item.question not in known)
        except RecipeError:  # it has no more questions
            pass
        made += [(task, item.question, item.answer) for item in found[:per_task]]
    return made


def right_answers(folder: Path, asked: list[tuple[str, str, str]], batch: int = 128) -> list[float]:
    """1 for every item that the model in the folder answers rightly, else 0; greedy, without a thought."""
    from transformers import AutoTokenizer

    from nemotron_assets.chat.conversation import Message
    from nemotron_assets.chat.parsing import parse
    from nemotron_assets.chat.template import prompt_ids
    from nemotron_assets.evaluate.suite.answering import is_right
    from nemotron_assets.rollouts.opening import ENDS
    from nemotron_assets.rollouts.transformers_engine import TransformersEngine, load
    from resources.generations import Request, Sampling

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    engine = TransformersEngine(load(folder), tokenizer, "model", "", ENDS, batch)
    sampling, requests = Sampling(0.0, 1.0, _ANSWER, sampler=engine.kind), []
    for number, (_, question, _) in enumerate(asked):
        ids = tuple(prompt_ids(tokenizer, [Message("user", question)], thinking=False))
        requests.append((f"{number:032x}", Request("benchmark", (("rendered", question),), sampling, prompt_ids=ids)))
    said = dict(engine.run(requests))
    made = (said[key] for key, _ in requests)
    return [
        float(is_right(parse(one.text, thinking=False).content, answer, one.finish_reason))
        for one, (_, _, answer) in zip(made, asked, strict=True)
    ]
