"""Runs lm-evaluation-harness on benchmark items from a frame, with the task files beside this module, without network.

The last items of a benchmark serve as worked examples and are never scored, because its files have no training split.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from nemotron_assets.evaluate.results.result import ItemResult

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TASKS = Path(__file__).with_name("tasks")
#: The metrics of the harness that are stored.
METRICS = ("acc", "acc_norm", "exact_match")


def split(items: pl.DataFrame, shots: int, max_items: int | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split the items of one benchmark into (items to score, worked examples).

    The last `shots` items are the examples. Of the other items the first `max_items` are scored, or all if it is None.
    Raises ValueError when no item is left to score.
    """
    items = items.sort("position")
    if shots >= len(items):
        raise ValueError(
            f"{shots} worked examples leave nothing to score of {len(items)} items: lower evaluate.tasks.shots or "
            "bring more items"
        )
    return items.head(len(items) - shots).head(max_items or len(items)), items.tail(shots)


def task_config(name: str, scored: pl.DataFrame, shots: pl.DataFrame, max_output_tokens: int) -> dict[str, Any]:
    """The task file `name` as a configuration of the harness that uses these items."""
    import datasets

    config = yaml.safe_load((TASKS / f"{name}.yaml").read_text("utf-8"))
    config["num_fewshot"] = len(shots)
    columns = ["item", "question", "choices", "answer_index", "answer"]
    documents = {
        "test": datasets.Dataset.from_list(scored.select(columns).to_dicts()),
        "shots": datasets.Dataset.from_list(shots.select(columns).to_dicts()),
    }
    config["custom_dataset"] = lambda **_: documents
    if config["output_type"] == "generate_until":
        config["generation_kwargs"]["max_gen_toks"] = max_output_tokens
    return config


def evaluate(lm: LM, configs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The records of the harness for every item, by task.

    This does not call `simple_evaluate`, which seeds all global random generators and spends seconds on listing the
    machine and its packages. Greedy answers and fixed examples need no seed.
    """
    import lm_eval

    found = lm_eval.evaluate(
        lm,
        lm_eval.tasks.TaskManager(include_defaults=False).load(configs),
        bootstrap_iters=0,  # scores and their intervals are computed from the results of the items
        log_samples=True,
        verbosity="ERROR",
    )
    return found["samples"]


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: pl.DataFrame,
    shots: dict[str, int],
    max_items: int | None,
    max_output_tokens: int,
    batch_size: int,
) -> list[ItemResult]:
    """The result of every item of the tasks in `shots` (task name: number of worked examples). It is the same in every
    run on one device."""
    from lm_eval.models.huggingface import HFLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns about settings that are intended here
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, add_bos_token=False)
    for method in ("loglikelihood", "generate_until"):
        setattr(lm, method, functools.partial(getattr(lm, method), disable_tqdm=True))
    parts = {name: split(items.filter(pl.col("benchmark") == name), count, max_items) for name, count in shots.items()}
    samples = evaluate(lm, [task_config(name, *part, max_output_tokens) for name, part in parts.items()])
    return [
        result
        for name, (scored, examples) in parts.items()
        for result in results(name, scored, len(examples), samples[name])
    ]


def results(task: str, scored: pl.DataFrame, shots: int, samples: Sequence[Mapping[str, Any]]) -> Iterator[ItemResult]:
    """The results in the harness's records of the items of a task, one per metric and answer filter."""
    rows = scored.to_dicts()
    for sample in samples:
        item = rows[sample["doc_id"]]
        for metric in sample["metrics"]:
            if metric in METRICS:
                yield ItemResult(
                    task=task,
                    item=item["id"],
                    metric=metric if sample["filter"] == "none" else f"{metric},{sample['filter']}",
                    score=float(sample[metric]),
                    guessing=1 / len(item["choices"]) if item["choices"] else 0.0,
                    shots=shots,
                    answer=_answer(item, sample),
                )


def _answer(item: Mapping[str, Any], sample: Mapping[str, Any]) -> str:
    """What the model wrote, or the choice that it finds most likely."""
    if len(sample["arguments"]) == 1:
        return sample["resps"][0][0]
    likelihoods = [float(response[0]) for response in sample["filtered_resps"]]
    return item["choices"][max(range(len(likelihoods)), key=likelihoods.__getitem__)]
