"""The training loop, to be read from top to bottom: from packed sequences to a Hugging Face folder of weights.

The same code runs in one process, or in every process of a torchrun; then weights, gradients and optimizer state are
sharded with FSDP2. The job decides the whole result: initial weights follow from the seed and their names, the data
from the seed and the position. So a training that is killed and started again ends with the same weights.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from nemotron_assets.model import export
from nemotron_assets.training import checkpoint, flops, guard, precision
from nemotron_assets.training.checkpoint_store import CheckpointStore
from nemotron_assets.training.conditions import conditions, difference, kind_of
from nemotron_assets.training.job import Job
from nemotron_assets.training.mixture import Mixture
from nemotron_assets.training.ranks import Ranks
from nemotron_assets.training.schedule import learning_rate, total_steps
from nemotron_assets.training.setup import Trainee, restore_random_numbers
from nemotron_assets.training.stream import PackedSequence, Shards, all_alike, read_rows
from nemotron_assets.training.tally import Tally

#: Number of rows of metrics in a checkpoint. It is larger than the number of rows that can be lost when the process
#: that stores them is killed.
ROWS_KEPT = 1_000


@dataclass(frozen=True)
class Trained:
    """A finished training. `weights` is the Hugging Face folder, `tokens` the number of tokens seen (padding included),
    `final_loss` the loss of the last step that was not left out, in nats per predicted token. `bf16_layers` are the
    linear layers that stayed in BF16 in a training in FP8, else None."""

    weights: Path
    steps: int
    tokens: int
    parameters: int
    final_loss: float
    precision: str = ""
    bf16_layers: list[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return self.__dict__ | {"weights": str(self.weights)}


def train(job: Job, shards: Shards, emit: Callable[[list[dict[str, Any]]], None]) -> Trained:
    """Train, or continue a training that was interrupted, and return the result. `emit` gets rows of metrics and events
    on rank 0; an event is a row with a `kind`.

    A row of metrics has step, tokens, phase, loss (of that step, in nats per predicted token), lr, grad_norm (before
    clipping), the speed since the last row (see `Speed`), at (UTC, ISO 8601), and what `tally.Tally.row` tells of the
    categories. A step whose batch was left out has an event instead (see `guard`).
    After a resume, rows and events of earlier steps are sent again.
    Raises ValueError for a job that cannot run, FloatingPointError when the training diverges, and
    `checkpoint.CheckpointError` when a checkpoint cannot be written.
    """
    if (job.folder / "result.json").exists():
        return _finished(job.folder)
    ranks = Ranks.join(job.settings.context_parallel, job.section)
    devices = [ranks.device] if ranks.device.type == "cuda" else []
    store = CheckpointStore(job.checkpoints) if job.checkpoints and ranks.rank == 0 else None
    if store:
        store.fetch(job.folder)
    checkpoint.barrier()
    kept = checkpoint.Checkpoints(job.folder, job.settings.checkpoints_kept, store)
    with torch.random.fork_rng(devices), kept as saved:
        torch.manual_seed(job.settings.seed + ranks.rank)  # for a loss that draws numbers
        return _train(job, shards, emit if ranks.rank == 0 else lambda rows: None, ranks, saved)


def _train(job: Job, shards: Shards, emit: Callable[..., None], ranks: Ranks, saved: checkpoint.Checkpoints) -> Trained:
    settings, length = job.settings, job.sequence_length
    own, first = _own_rows(job, ranks)
    config = job.start.config(length)
    trainee = Trainee.of(job, config, ranks)
    state = _load(job, trainee, config, ranks)
    if again := [*state["events"], *state["rows"]]:
        emit(again)

    steps, batch_tokens = total_steps(settings, length), settings.batch_sequences * length
    mixture = _mixture(job, shards)
    tally = Tally(mixture.categories, state["tally"], ranks)
    watch = guard.Watch(settings.guard, state["guard"])
    speed = Speed(ranks, settings.precision)
    for step in range(state["step"] + 1, steps + 1):
        saved.check()
        named = mixture.rows(step, first, first + own)
        rows, categories = read_rows(shards, named), mixture.categories_of(named)
        loss, by_row, computed = _gradients(job, trainee.model, shards, rows, ranks)
        norm = trainee.clip(settings.grad_clip)
        verdict = watch.judge(loss, norm, ranks)
        tally.add(categories, rows, by_row if verdict.kind is None else None, shards)
        speed.add(computed * ranks.readers, flops.of_training(config, _documents(rows)))
        if verdict.kind is None:
            watch.accept(verdict)
            trainee.update(learning_rate(settings, step * batch_tokens))
            state["updates"] += 1
            state["loss"] = loss
        else:
            within_limit = watch.leave_out(step)
            losses = _of_sequences(by_row, rows, shards, settings.batch_sequences, first, ranks)
            state["events"].append(guard.event(step, verdict, settings.guard.action, mixture, shards, losses))
            emit(state["events"][-1:])
            if not within_limit:
                raise FloatingPointError(_diverged(job, step, watch, state["events"][-1]["message"]))
            if settings.guard.action == "roll_back":
                saved.wait()
                checkpoint.barrier()  # rank 0 publishes a checkpoint; all ranks must find the same one
                state["updates"] = _roll_back(job, trainee, config, watch)
        trainee.optimizer.zero_grad(set_to_none=True)

        state["step"] = step
        if verdict.kind is None and (step % settings.log_every == 0 or step == steps):
            row = {
                "step": step,
                "tokens": step * batch_tokens,
                "phase": mixture.entries[mixture.entry_at(step)].name,
                "loss": loss,
                "lr": learning_rate(settings, step * batch_tokens),
                "grad_norm": norm,
                **speed.row(),
                "at": datetime.now(UTC).isoformat(),
                **tally.row(),
            }
            state["rows"].append(row)
            emit([row])
        if step % settings.checkpoint_every == 0 and step < steps:
            # The checkpoint holds the latest rows. If the process that stores them is killed first, a resume sends them
            # again.
            state["rows"], state["events"] = state["rows"][-ROWS_KEPT:], state["events"][-ROWS_KEPT:]
            saved.save(step, trainee.tensors(ranks.device), state)

    saved.wait()
    weights = {name: checkpoint.whole(parameter) for name, parameter in trainee.parameters.items()}
    if ranks.rank == 0:
        _finish(job, config, weights, state, trainee.bf16)
    checkpoint.barrier()
    return _finished(job.folder)


def _own_rows(job: Job, ranks: Ranks) -> tuple[int, int]:
    """How many sequences of a batch this rank reads, and the number of the first one."""
    settings = job.settings
    together = ranks.readers * settings.micro_batch_sequences
    if settings.batch_sequences % together:
        raise ValueError(
            f"a batch of {settings.batch_sequences} sequences cannot be split over {ranks.readers} devices in "
            f"micro-batches of {settings.micro_batch_sequences}: make {job.section}.batch_sequences a multiple of "
            f"{together}"
        )
    own = settings.batch_sequences // ranks.readers
    return own, ranks.reader * own


def _gradients(
    job: Job, model: torch.nn.Module, shards: Shards, rows: list[PackedSequence], ranks: Ranks
) -> tuple[float, torch.Tensor | None, int]:
    """Compute the gradients of a step. Returns its loss per target of the whole batch, the summed loss of each of
    `rows` (None if the loss does not tell), and the number of tokens of `rows` with their padding."""
    settings, device = job.settings, ranks.device
    # Every rank divides by the targets of the whole batch. The ranks of a group have read the same sequences.
    targets = ranks.summed(torch.tensor(float(shards.targets(rows)), device=device)).item() / ranks.context
    scale = 1 / max(1, targets)
    loss, by_row, computed = torch.zeros((), device=device), [], 0
    divided = shards.micro_batches(rows, settings.micro_batch_sequences)
    for number, numbers in enumerate(divided):
        micro = [rows[k] for k in numbers]
        padded = shards.padded(micro, job.sequence_length, ranks.context)
        computed += padded * len(micro)
        batch = shards.batch(micro, padded, device)
        if ranks.parallel:
            batch = batch.part(ranks.parallel)
        if isinstance(model, FSDPModule):  # gradients are exchanged once per step
            model.set_requires_gradient_sync(number + 1 == len(divided))
        with precision.autocast(settings, device):
            part = model(batch) * scale
        (part * ranks.world).backward()  # FSDP2 divides gradients by the number of ranks
        loss += part.detach()
        by_row.append(getattr(model, "by_row", None))
    if known := all(value is not None for value in by_row):
        places = torch.tensor([k for numbers in divided for k in numbers], device=device)
        by_row = torch.cat(by_row)[places.argsort()]
    return ranks.summed(loss).item(), by_row if known else None, computed


def _documents(rows: list[PackedSequence]) -> list[int]:
    return [length for row in rows for length in row.lengths]


def _of_sequences(
    by_row: torch.Tensor | None, rows: list[PackedSequence], shards: Shards, batch: int, first: int, ranks: Ranks
) -> list[float]:
    """The loss per target of every sequence of the batch, also of those of other ranks. Every rank must call this."""
    if by_row is None:
        return []
    losses, targets = torch.zeros(2, batch, dtype=torch.float64, device=ranks.device)
    losses[first : first + len(rows)] = by_row.double()
    targets[first : first + len(rows)] = torch.tensor([float(shards.targets([row])) for row in rows])
    return (ranks.summed(losses) / (ranks.summed(targets) / ranks.context).clamp(min=1)).tolist()


def _diverged(job: Job, step: int, watch: guard.Watch, message: str) -> str:
    return (
        f"training diverged at step {step}: {message}. {watch.left_out:,} batches of the last 1,000 steps were left "
        f"out, and {job.section}.guard.most_per_1000_steps is {job.settings.guard.most_per_1000_steps}. Lower "
        f"{job.section}.peak_lr ({job.settings.peak_lr}) or raise {job.section}.warmup_share; look at the batches in "
        f"models.training_events. Earlier checkpoints are in {job.folder}"
    )


class Speed:
    """Measures throughput between two rows of metrics."""

    def __init__(self, ranks: Ranks, used: str) -> None:
        self._ranks = ranks
        self._peak = flops.peak(ranks.device) if used != "fp32" else None
        self._clock, self._tokens, self._flops = time.perf_counter(), 0, 0

    def add(self, tokens: int, operations: int) -> None:
        """Count a step: the tokens of the whole batch, and the operations of this rank's sequences."""
        self._tokens += tokens
        self._flops += operations

    def row(self) -> dict[str, Any]:
        """Fields of a row of metrics, about the steps since the last row. Operations and memory are those of this rank,
        which has a share of the sequences like that of every other rank."""
        now = time.perf_counter()
        seconds, rate = now - self._clock, self._flops / self._ranks.context / (now - self._clock)
        row = {
            "tokens_per_second": self._tokens / seconds,
            "flops_per_second": rate * self._ranks.world,
            "mfu": rate / self._peak if self._peak else None,
            "peak_memory_bytes": flops.peak_memory(self._ranks.device),
            "devices": f"{self._ranks.world} x {kind_of(self._ranks.device)}",
        }
        self._clock, self._tokens, self._flops = now, 0, 0
        return row


def _mixture(job: Job, shards: Shards) -> Mixture:
    """The order of the data. Raises ValueError when there is nothing to read."""
    sources, settings = shards.sources, job.settings
    if not any(sum(source.sizes) for source in sources):
        raise ValueError(
            "the token shards are empty, so the training has nothing to read: materialise blend/token_shards"
        )
    entries = job.entries or all_alike(sources)
    return Mixture(settings.seed, entries, sources, settings.batch_sequences, settings.mixed_shards)


def _load(job: Job, trainee: Trainee, config: Any, ranks: Ranks) -> dict[str, Any]:
    """Fill weights and optimizer from the latest checkpoint of this job, or with the starting weights of the job.

    Returns the state of the training: the last step, the number of updates of the weights, the last loss, the
    configuration, the conditions, what guard and tally remember, and rows and events to send again.
    """
    now = conditions(job.settings, ranks)
    state = {"step": 0, "updates": 0, "loss": math.nan, "rows": [], "events": [], "tally": {}, "guard": {}}
    if (found := checkpoint.latest(job.folder)) is None:
        trainee.start(job, config)
        return state | {"config": config.to_dict(), "conditions": now}
    stored = checkpoint.read_state(found)
    state |= {"updates": stored["step"]} | stored
    trainee.resume(found, state["updates"])
    restored = restore_random_numbers(found, ranks.device)
    differs = difference(stored.get("conditions", {}), now)
    if differs or not restored:
        numbers = "" if restored else "; if the loss draws random numbers, it draws them from the start again"
        state["events"].append(
            {
                "step": state["step"],
                "kind": "resumed",
                "action": "continue",
                "message": f"resumed after step {state['step']} under other conditions: "
                f"{differs or 'an older program wrote the checkpoint'}. The training goes on, but the last bits of its "
                f"losses may differ from the losses of a training without interruption{numbers}",
                "at": datetime.now(UTC).isoformat(),
            }
        )
    return state | {"config": config.to_dict(), "conditions": now}


def _roll_back(job: Job, trainee: Trainee, config: Any, watch: guard.Watch) -> int:
    """Give weights and optimizer the values of the last checkpoint, or of the start of the training. Returns the number
    of updates that they have seen. The data does not go back: the training reads the next batch."""
    if (found := checkpoint.latest(job.folder)) is None:
        trainee.start(job, config)
        watch.remember({})
        return 0
    state = checkpoint.read_state(found)
    watch.remember(state.get("guard", {}))
    updates = state.get("updates", state["step"])
    trainee.resume(found, updates)
    return updates


def _finish(
    job: Job, config: Any, weights: dict[str, torch.Tensor], state: dict[str, Any], bf16: list[str] | None
) -> None:
    """Write the weights as a Hugging Face folder, and then the result beside it."""
    dtype = torch.float32 if job.settings.precision == "fp32" else torch.bfloat16
    export.save(job.folder / "weights", config, weights, dtype)
    result = {
        "steps": state["step"],
        "tokens": state["step"] * job.settings.batch_sequences * job.sequence_length,
        "parameters": sum(value.numel() for value in weights.values()),
        "final_loss": state["loss"],
        "precision": job.settings.precision,
        "bf16_layers": bf16,
    }
    temporary = job.folder / "partial-result.json"
    temporary.write_text(json.dumps(result))
    temporary.rename(job.folder / "result.json")
    for old in job.folder.glob("step-*"):
        shutil.rmtree(old)


def _finished(folder: Path) -> Trained:
    return Trained(weights=folder / "weights", **json.loads((folder / "result.json").read_text()))
