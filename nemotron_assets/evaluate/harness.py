"""Runs lm-evaluation-harness on benchmark items from a frame, with the task files beside this module, without network.

The last items of a benchmark serve as worked examples and are never scored, because its files have no training split.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TASKS = Path(__file__).with_name("tasks")


@dataclass(frozen=True)
class Score:
    """One metric of one task. `metric` includes the answer filter of the harness if there is one:
    "exact_match,strict-match". `length` is the length of the prompts of a task that is scored at several lengths.

    A score in bits per byte has two figures of simple models for the same bytes: `unigram` is the entropy of single
    bytes, `gzip` the bits per byte that gzip -9 needs for all texts together.
    """

    task: str
    metric: str
    value: float
    stderr: float | None
    random_baseline: float | None
    samples: int
    shots: int
    length: int | None = None
    unigram: float | None = None
    gzip: float | None = None


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


def evaluate(lm: LM, configs: list[dict[str, Any]], log_samples: bool = False) -> dict[str, Any]:
    """The results of the harness for these tasks.

    This does not call `simple_evaluate`, which seeds all global random generators and spends seconds on listing the
    machine and its packages. Greedy answers and fixed examples need no seed.
    """
    import lm_eval

    return lm_eval.evaluate(
        lm,
        lm_eval.tasks.TaskManager(include_defaults=False).load(configs),
        bootstrap_iters=1_000,  # used only for metrics whose standard error has no closed formula
        log_samples=log_samples,
        verbosity="ERROR",
    )


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: pl.DataFrame,
    shots: dict[str, int],
    max_items: int | None,
    max_output_tokens: int,
    batch_size: int,
    log_samples: bool = False,
) -> tuple[list[Score], dict[str, list[dict[str, Any]]]]:
    """Score the tasks in `shots` (task name: number of worked examples) on their items. The result is deterministic.

    Returns the scores and, with `log_samples`, the records of the harness for every item by task.
    """
    from lm_eval.models.huggingface import HFLM

    parts = {name: split(items.filter(pl.col("benchmark") == name), count, max_items) for name, count in shots.items()}
    configs = [task_config(name, *part, max_output_tokens) for name, part in parts.items()]
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns about settings that are intended here
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, add_bos_token=False)
    for method in ("loglikelihood", "generate_until"):
        setattr(lm, method, functools.partial(getattr(lm, method), disable_tqdm=True))
    results = evaluate(lm, configs, log_samples)
    scores = []
    for name, (scored, examples) in parts.items():
        found = results["results"][name]
        for key, value in found.items():
            metric, _, filter_ = key.partition(",")
            if metric in ("acc", "acc_norm", "exact_match"):
                stderr = found.get(f"{metric}_stderr,{filter_}")
                scores.append(
                    Score(
                        task=name,
                        metric=metric if filter_ == "none" else key,
                        value=float(value),
                        stderr=float(stderr) if isinstance(stderr, int | float) else None,
                        random_baseline=_score_of_guessing(scored),
                        samples=len(scored),
                        shots=len(examples),
                    )
                )
    return scores, results.get("samples", {})


def _score_of_guessing(scored: pl.DataFrame) -> float:
    """The expected share of right answers when guessing: 1/choices, and 0 for free answers."""
    choices = scored["choices"].list.len()
    return float(choices.map_elements(lambda n: 1 / n if n else 0.0, return_dtype=pl.Float64).mean())
