"""Runs the trainers of TRL by the rules of this project: no telemetry, rows of metrics, checkpoints that resume.

A trainer class takes `HouseRules` as its first parent. `arguments` gives the settings that all trainings share,
`Reporter` passes metrics on, and `trained` trains: it goes on from the newest complete checkpoint, and ends with a
folder of weights and a `result.json` beside it, as `loop.train` does.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model
from nemotron_assets.training import checkpoint
from nemotron_assets.training.conditions import kind_of
from nemotron_assets.training.job import FromFolder

Emit = Callable[[list[dict[str, Any]]], None]

#: Written into a checkpoint when all of its files are complete.
COMPLETE = "complete"


class HouseRules:
    """First parent of the trainers: they report to nobody, write no model cards, and read their own checkpoints."""

    def _send_telemetry(self) -> None: ...

    def create_model_card(self, *args: Any, **kwargs: Any) -> None: ...

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Fill the weights. transformers saves those of NemotronH as backbone.*, looks for model.* when it resumes, and
        goes on with the starting weights after a warning. Raises ValueError for weights that do not fit."""
        parameters = dict(self.model.named_parameters())
        for name, value in FromFolder(Path(resume_from_checkpoint)).weights(parameters, self.model.config, 0):
            checkpoint.put(parameters[name], value)


def quiet() -> None:
    """Switch off the progress bars of libraries: they would end up in log files."""
    from datasets import disable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    os.environ["TQDM_DISABLE"] = "1"
    disable_progress_bars()
    disable_progress_bar()


def arguments(run: Any, folder: Path, steps: int, batch: int, micro: int) -> dict[str, Any]:
    """The arguments of a trainer's configuration for `steps` steps of `batch` samples, `micro` in a forward pass.

    `run` has peak_lr, min_lr_ratio, warmup_share, weight_decay, beta1, beta2, adam_eps, grad_clip, precision,
    recompute, log_every, checkpoint_every, checkpoints_kept and seed. Raises ValueError when the batch cannot be split
    over the devices.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    if batch % (micro * world):
        raise ValueError(
            f"a batch of {batch} samples cannot be split over {world} devices in micro-batches of {micro}: make it a "
            f"multiple of {micro * world}"
        )
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": micro,
        "gradient_accumulation_steps": batch // (micro * world),
        "learning_rate": run.peak_lr,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": run.min_lr_ratio},
        "warmup_steps": math.ceil(run.warmup_share * steps),
        "weight_decay": run.weight_decay,
        "adam_beta1": run.beta1,
        "adam_beta2": run.beta2,
        "adam_epsilon": run.adam_eps,
        "max_grad_norm": run.grad_clip,
        "bf16": run.precision == "bf16",
        "gradient_checkpointing": run.recompute,
        "logging_steps": run.log_every,
        "logging_nan_inf_filter": False,  # it would show the mean of earlier steps in the place of a NaN
        "save_steps": run.checkpoint_every,
        "save_total_limit": run.checkpoints_kept,
        "seed": run.seed,
        "data_seed": run.seed,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "remove_unused_columns": False,
    }


class Reporter(TrainerCallback):
    """Passes the logs of a trainer on as rows of `models.training_metrics`, marks complete checkpoints, and stops a
    training whose loss is not a finite number. `measures` are the names of the logs that go into the rows too."""

    def __init__(self, emit: Emit, phase: str, section: str, measures: Sequence[str] = ()) -> None:
        self._emit, self._phase, self._section, self._measures = emit, phase, section, measures
        self._clock, self._tokens = time.perf_counter(), 0

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Send the rows of the steps before a resume again: the process that stores them may have been killed too."""
        self._clock = time.perf_counter()
        if rows := [self._row(logs) for logs in state.log_history if "loss" in logs]:
            self._emit(rows)

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"the loss of step {state.global_step} is {logs['loss']}: lower {self._section}.peak_lr"
            )
        now, tokens = time.perf_counter(), int(logs.get("num_tokens", 0))
        speed = max(0, tokens - self._tokens) / max(now - self._clock, 1e-9)
        self._clock, self._tokens = now, tokens
        self._emit([self._row(logs | {"step": state.global_step}, speed)])

    def on_save(self, args, state, control, **kwargs) -> None:
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    def _row(self, logs: dict[str, Any], speed: float = 0.0) -> dict[str, Any]:
        more = {name: float(logs[name]) for name in self._measures if math.isfinite(logs.get(name, math.nan))}
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        cuda = device.type == "cuda"
        return {
            "step": int(logs["step"]),
            "tokens": int(logs.get("num_tokens", 0)),
            "phase": self._phase,
            "loss": float(logs["loss"]),
            "lr": float(logs.get("learning_rate", 0.0)),
            "grad_norm": float(logs.get("grad_norm", 0.0)),
            "tokens_per_second": speed,
            "peak_memory_bytes": torch.cuda.max_memory_allocated()
            if cuda
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "devices": f"{os.environ.get('WORLD_SIZE', 1)} x {kind_of(device)}",
            "at": datetime.now(UTC).isoformat(),
            "measures": list(more),
            "measured": list(more.values()),
        }


def newest_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint of a trainer in `folder`, or None. Others, left by a killed process, are
    deleted."""
    found = []
    for path in folder.glob("checkpoint-*"):
        if (path / COMPLETE).exists():
            found.append(path)
        else:
            shutil.rmtree(path)
    return str(max(found, key=lambda path: int(path.name.rpartition("-")[2]))) if found else None


def finished(folder: Path) -> dict[str, Any] | None:
    """The result of a training that has ended in `folder`, or None."""
    path = folder / "result.json"
    return json.loads(path.read_text()) if path.exists() else None


def trained(
    trainer: Any,
    folder: Path,
    config: Any,
    precision: str,
    more: Callable[[], dict[str, Any]] = dict,
    empty: Callable[[Any], Any] = empty_model,
) -> dict[str, Any]:
    """Train, and write the weights and the result into `folder`; `config` is the model's configuration, and `empty`
    gives a model of its class (see `export.save`). Returns steps,
    tokens, parameters, final_loss, weights and precision, and what `more` tells of the finished model."""
    trainer.train(resume_from_checkpoint=newest_checkpoint(folder))
    measured = more()
    names = {name for name, _ in trainer.model.named_parameters()}
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        weights = {name: value for name, value in state.items() if name in names}
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        export.save(folder / "weights", config, weights, dtype, empty=empty)
        losses = [logs for logs in trainer.state.log_history if "loss" in logs]
        result = {
            "steps": trainer.state.global_step,
            "tokens": int(losses[-1].get("num_tokens", 0)) if losses else 0,
            "parameters": sum(value.numel() for value in weights.values()),
            "final_loss": losses[-1]["loss"] if losses else math.nan,
            "weights": str(folder / "weights"),
            "precision": precision,
            **measured,
        }
        temporary = folder / "partial-result.json"
        temporary.write_text(json.dumps(result))
        temporary.rename(folder / "result.json")
        for old in folder.glob("checkpoint-*"):
            shutil.rmtree(old)
    trainer.accelerator.wait_for_everyone()
    return finished(folder)
