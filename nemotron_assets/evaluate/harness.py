"""Runs lm-evaluation-harness on benchmark items from a frame, with the task files beside this module, without network.

The harness makes the prompts and compares the likelihood of choices. Written answers come from the engine of the
project (`answering`), in batches and through the ledger, and are graded by its graders (`graded`).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.answering import Answering, Wanted
from nemotron_assets.evaluate.graded import Graded, Written
from nemotron_assets.evaluate.results.result import ItemResult
from nemotron_assets.evaluate.suites import Group, groups

if TYPE_CHECKING:
    import polars as pl
    from lm_eval.api.model import LM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nemotron_assets.recipe.evaluate import ChatTask, Task


def likelihoods(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> LM:
    """The model for the harness, as far as it compares the likelihood of choices."""
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, add_bos_token=False)
    lm.loglikelihood = functools.partial(lm.loglikelihood, disable_tqdm=True)
    return lm


def evaluate(lm: LM, configs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The records of the harness for every item, by task.

    This does not call `simple_evaluate`, which seeds all global random generators and spends seconds on listing the
    machine and its packages. Greedy answers and fixed examples need no seed.
    """
    import lm_eval
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns about settings that are intended here
    found = lm_eval.evaluate(
        lm,
        TaskManager(include_defaults=False).load(list(configs)),
        bootstrap_iters=0,  # scores and their intervals are computed from the results of the items
        log_samples=True,
        verbosity="ERROR",
    )
    return found["samples"]


def choice_results(lm: LM, items: pl.DataFrame, tasks: Sequence[Task], most: int | None) -> Iterator[ItemResult]:
    """The results of a model on the tasks whose choices are compared by their likelihood."""
    asked = [group for task in tasks for group in groups(task.name, items, task.shots, most) if not group.suite.grade]
    samples = evaluate(lm, [group.config() for group in asked]) if asked else {}
    for group in asked:
        yield from recorded(group, samples[group.task])


def written_results(
    answering: Answering, items: pl.DataFrame, tasks: Sequence[Task], most: int | None, max_tokens: int, by: Graded
) -> Iterator[ItemResult]:
    """The results of a model on the tasks whose answers are written, without a chat template: as many answers to every
    item as the task has runs. An answer has at most `max_tokens` tokens, and `by` grades it."""
    asked = [(task, one) for task in tasks for one in groups(task.name, items, task.shots, most) if one.suite.grade]
    prompts = [
        (task, group, item, text, run)
        for task, group in asked
        for item, text in written_prompts(group)
        for run in range(task.runs)
    ]
    wanted = [
        Wanted(tuple(answering.encode(text)), text, max_tokens, item["id"],
               temperature=task.temperature, top_p=task.top_p, sample=run)
        for task, _, item, text, run in prompts
    ]  # fmt: skip
    yield from by.results(
        [
            Written(group.suite, item, cut(answer.text, group.suite.file["until"]), run, len(group.examples))
            for (_, group, item, _, run), answer in zip(prompts, answering.answers(wanted), strict=True)
        ]
    )


def chat_results(
    answering: Answering, items: pl.DataFrame, tasks: Sequence[ChatTask], most: int | None, by: Graded
) -> Iterator[ItemResult]:
    """The results of a chat model on tasks, asked in its chat template: several answers to every item."""
    for task in tasks:
        asked = [(group.suite, item) for group in groups(task.name, items, 0, most) for item in group.scored.to_dicts()]
        wanted = []
        for suite, item in asked:
            question, tools = suite.conversation(item)
            ids, text = answering.prompt(question, task.thinking, tools)
            one = functools.partial(Wanted, ids, text, task.max_output_tokens, item["id"])
            sampled = {"temperature": task.temperature, "top_p": task.top_p}
            wanted += [one(**sampled, sample=run) for run in range(task.runs)]
        answers = iter(list(answering.answers(wanted)))
        yield from by.results(
            [
                Written(suite, item, next(answers).text, run, chat=True, thinking=task.thinking)
                for suite, item in asked
                for run in range(task.runs)
            ]
        )


def written_prompts(group: Group) -> list[tuple[dict[str, Any], str]]:
    """(item, prompt) of every item of a group whose answers are written."""
    from lm_eval.tasks import TaskManager

    (task,) = TaskManager(include_defaults=False).load([group.config()])["tasks"].values()
    task.build_all_requests(rank=0, world_size=1)
    prompts = {instance.doc_id: instance.args[0] for instance in task.instances}
    return [(item, prompts[number]) for number, item in enumerate(group.scored.to_dicts())]


def cut(text: str, ends: Iterable[str]) -> str:
    """A text up to the first of the texts that end it."""
    return text[: min((place for end in ends if (place := text.find(end)) >= 0), default=len(text))]


def recorded(group: Group, samples: Sequence[Mapping[str, Any]]) -> Iterator[ItemResult]:
    """The results in the harness's records of items with choices, one per metric."""
    rows = group.scored.to_dicts()
    for sample in samples:
        item = rows[sample["doc_id"]]
        found = [float(response[0]) for response in sample["filtered_resps"]]
        for metric in group.suite.file["metrics"]:
            yield ItemResult(
                task=group.suite.name,
                item=item["id"],
                metric=metric,
                score=float(sample[metric]),
                guessing=1 / len(item["choices"]),
                shots=len(group.examples),
                answer=item["choices"][max(range(len(found)), key=found.__getitem__)],
            )
