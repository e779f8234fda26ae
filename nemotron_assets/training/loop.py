"""The training loop, to be read from top to bottom: from packed sequences to a Hugging Face folder of weights.

The same code runs in one process, or in every process of a torchrun; then weights, gradients and optimizer state are
sharded with FSDP2. The job decides the whole result: initial weights follow from the seed and their names, the data
from the seed and the position. So a training that is killed and started again ends with the same weights.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule, fully_shard

from nemotron_assets.model import export
from nemotron_assets.model.nemotron_h import empty_model
from nemotron_assets.recipe.train import TrainingRun
from nemotron_assets.training import checkpoint
from nemotron_assets.training.job import Job
from nemotron_assets.training.mixture import Mixture
from nemotron_assets.training.schedule import learning_rate, total_steps
from nemotron_assets.training.stream import Shards, all_alike, read_rows
from nemotron_assets.training.tally import Tally

#: Number of rows of metrics in a checkpoint. It is larger than the number of rows that can be lost when the process
#: that stores them is killed.
ROWS_KEPT = 1_000


@dataclass(frozen=True)
class Trained:
    """A finished training. `weights` is the Hugging Face folder, `tokens` the number of tokens seen (padding included),
    `final_loss` the loss of the last step in nats per predicted token."""

    weights: Path
    steps: int
    tokens: int
    parameters: int
    final_loss: float

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return self.__dict__ | {"weights": str(self.weights)}


def train(job: Job, shards: Shards, emit: Callable[[list[dict[str, Any]]], None]) -> Trained:
    """Train, or continue a training that was interrupted, and return the result. `emit` gets rows of metrics on rank 0.

    A row has step, tokens, loss (of that step, in nats per predicted token), lr, grad_norm (before clipping),
    tokens_per_second (since the last row), at (UTC, ISO 8601), and what `tally.Tally.row` tells of the categories.
    After a resume, rows of earlier steps are sent again.
    Raises ValueError for a job that cannot run, and FloatingPointError when the training diverges.
    """
    if (job.folder / "result.json").exists():
        return _finished(job.folder)
    settings = job.settings
    device = _join_ranks()
    rank, world = checkpoint.rank_and_world()
    own = settings.batch_sequences // world  # sequences of a batch that this rank reads
    if settings.batch_sequences % (world * settings.micro_batch_sequences):
        raise ValueError(
            f"a batch of {settings.batch_sequences} sequences cannot be split over {world} devices in micro-batches of "
            f"{settings.micro_batch_sequences}: make {job.section}.batch_sequences a multiple of "
            f"{world * settings.micro_batch_sequences}"
        )

    config = job.start.config(job.sequence_length)
    model = _model(job, config, world, device)
    parameters = dict(model.student.named_parameters())
    optimizer = _optimizer(settings, parameters)
    state = _load(job, optimizer, parameters, config)
    if rank == 0 and state["rows"]:
        emit(state["rows"])

    batch_tokens = settings.batch_sequences * job.sequence_length
    steps = total_steps(settings, job.sequence_length)
    mixture = _mixture(job, shards)
    tally = Tally(mixture.categories, state.setdefault("tally", {}), device)
    clock, since = time.perf_counter(), state["step"]
    for step in range(state["step"] + 1, steps + 1):
        named = mixture.rows(step, rank * own, (rank + 1) * own)
        rows, categories = read_rows(shards, named), mixture.categories_of(named)
        # Every rank divides by the targets of the whole batch.
        scale = 1 / max(1, _summed(torch.tensor(float(shards.targets(rows)), device=device), world).item())
        loss = torch.zeros((), device=device)
        for first in range(0, own, settings.micro_batch_sequences):
            micro = rows[first : first + settings.micro_batch_sequences]
            batch = shards.batch(micro, job.sequence_length, device)
            if isinstance(model, FSDPModule):  # gradients are exchanged once per step
                model.set_requires_gradient_sync(first + settings.micro_batch_sequences >= own)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
                part = model(batch) * scale
            (part * world).backward()  # FSDP2 divides gradients by the number of ranks, but `scale` did so already
            loss += part.detach()
            tally.add(categories[first : first + len(micro)], micro, getattr(model, "by_row", None), shards)
        loss = _summed(loss, world)
        tally.end_step(world)
        norm = checkpoint.whole(torch.nn.utils.clip_grad_norm_(parameters.values(), settings.grad_clip)).item()
        loss = loss.item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FloatingPointError(
                f"training diverged at step {step}: loss {loss}, gradient norm {norm}. Lower {job.section}.peak_lr "
                f"({settings.peak_lr}) or raise {job.section}.warmup_share. Earlier checkpoints are in {job.folder}"
            )
        lr = learning_rate(settings, step * batch_tokens)
        for group in optimizer.param_groups:
            group["lr"].fill_(lr)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        state["step"], state["loss"] = step, loss
        if step % settings.log_every == 0 or step == steps:
            now = time.perf_counter()
            row = {
                "step": step,
                "tokens": step * batch_tokens,
                "loss": loss,
                "lr": lr,
                "grad_norm": norm,
                "tokens_per_second": (step - since) * batch_tokens / (now - clock),
                "at": datetime.now(UTC).isoformat(),
            } | tally.row()
            clock, since = now, step
            state["rows"].append(row)
            if rank == 0:
                emit([row])
        if step % settings.checkpoint_every == 0 and step < steps:
            # The checkpoint holds the latest rows. If the process that stores them is killed first, a resume sends them
            # again.
            state["rows"] = state["rows"][-ROWS_KEPT:]
            checkpoint.save(job.folder, step, _tensors(optimizer, parameters), state)

    weights = {name: checkpoint.whole(parameter) for name, parameter in parameters.items()}
    if rank == 0:
        _finish(job, config, weights, state["loss"], steps)
    checkpoint.barrier()
    return _finished(job.folder)


def _mixture(job: Job, shards: Shards) -> Mixture:
    """The order of the data. Raises ValueError when there is nothing to read."""
    sources, settings = shards.sources, job.settings
    if not any(sum(source.sizes) for source in sources):
        raise ValueError("there are no packed sequences to train on: the token shards are empty")
    entries = job.entries or all_alike(sources)
    return Mixture(settings.seed, entries, sources, settings.batch_sequences, settings.mixed_shards)


def _summed(value: torch.Tensor, world: int) -> torch.Tensor:
    """The sum of a value over all ranks."""
    if world > 1:
        dist.all_reduce(value)
    return value


def _model(job: Job, config: Any, world: int, device: torch.device) -> torch.nn.Module:
    """The loss of the job around the student, whose weights are sharded and not filled yet.

    The student is created without memory, sharded, and only then gets memory, so that no rank ever holds all of it.
    Other models in the loss, such as a teacher, come with their weights. Raises ValueError if they have no memory or
    would be trained: the loop trains and stores the student alone.
    """
    model = job.loss(empty_model(config)).train()
    for name, parameter in model.named_parameters():
        if not name.startswith("student.") and (parameter.is_meta or parameter.requires_grad):
            problem = "has no memory: load its weights first" if parameter.is_meta else "is not frozen"
            raise ValueError(
                f"the loss {type(model).__name__} holds {name} beside the student, which {problem}. Only the student "
                "is trained; call requires_grad_(False) on every other model"
            )
    if job.settings.recompute:
        model.student.gradient_checkpointing_enable()
    if world > 1:
        for layer in (*model.student.model.layers, model.student.lm_head, model):
            fully_shard(layer)
    model.student.to_empty(device=device)
    return model.to(device)


def _optimizer(settings: TrainingRun, parameters: dict[str, torch.Tensor]) -> torch.optim.Optimizer:
    """AdamW. Weight decay is for matrices, not for vectors, which scale or shift single channels."""
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=torch.tensor(settings.peak_lr),
        betas=(settings.beta1, settings.beta2),
        eps=settings.adam_eps,
        fused=True,
    )


def _join_ranks() -> torch.device:
    """Return the device of this process. Under torchrun, also join the process group."""
    cuda = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")


MOMENTS = ("exp_avg", "exp_avg_sq")


def _tensors(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint: every parameter and its two optimizer moments."""
    tensors = {f"weights/{name}": p for name, p in parameters.items()}
    for moment in MOMENTS:
        tensors |= {f"{moment}/{name}": optimizer.state[p][moment] for name, p in parameters.items()}
    return tensors


def _load(
    job: Job, optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor], config: Any
) -> dict[str, Any]:
    """Fill the parameters from the latest checkpoint of this job, or with the starting weights of the job.

    Returns the state of the training: the last step, its loss, the configuration, and rows of metrics to send again.
    """
    found = checkpoint.latest(job.folder)
    if found is None:
        for name, value in job.start.weights(parameters, config, job.settings.seed):
            checkpoint.put(parameters[name], value)
        return {"step": 0, "loss": math.nan, "rows": [], "config": config.to_dict()}
    state = checkpoint.read_state(found) | {"config": config.to_dict()}
    for p in parameters.values():
        moments = {moment: torch.zeros_like(p, requires_grad=False) for moment in MOMENTS}
        optimizer.state[p] = {"step": torch.tensor(float(state["step"]), device=p.device), **moments}
    for key, value in checkpoint.read_tensors(found):
        kind, name = key.split("/", 1)
        checkpoint.put(parameters[name] if kind == "weights" else optimizer.state[parameters[name]][kind], value)
    return state


def _finish(job: Job, config: Any, weights: dict[str, torch.Tensor], loss: float, steps: int) -> None:
    """Write the weights as a Hugging Face folder, and then the result beside it."""
    dtype = torch.bfloat16 if job.settings.precision == "bf16" else torch.float32
    export.save(job.folder / "weights", config, weights, dtype)
    result = {
        "steps": steps,
        "tokens": steps * job.settings.batch_sequences * job.sequence_length,
        "parameters": sum(value.numel() for value in weights.values()),
        "final_loss": loss,
    }
    temporary = job.folder / "partial-result.json"
    temporary.write_text(json.dumps(result))
    temporary.rename(job.folder / "result.json")
    for old in job.folder.glob("step-*"):
        shutil.rmtree(old)


def _finished(folder: Path) -> Trained:
    return Trained(weights=folder / "weights", **json.loads((folder / "result.json").read_text()))
