"""Builds what the loop trains: the model inside its loss, sharded over the ranks, and the optimizer; and fills both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.fsdp import fully_shard

from nemotron_assets.model.nemotron_h import empty_model
from nemotron_assets.training import checkpoint, precision
from nemotron_assets.training.job import Job, checked

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import TrainingRun
    from nemotron_assets.training.ranks import Ranks

#: The optimizer's state of a parameter, beside the number of updates.
_MOMENTS = ("exp_avg", "exp_avg_sq")
#: Layers that torch.compile compiles. Attention calls kernels whose shapes follow the documents: it would be compiled
#: again and again.
_COMPILED = ("linear_attention", "mlp")


@dataclass
class Trainee:
    """The `model` (the loss around the student), the `parameters` of the student by name, and the optimizer.

    `bf16` are the linear layers that stay in BF16 in a training in FP8, else None.
    """

    model: torch.nn.Module
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    bf16: list[str] | None

    @classmethod
    def of(cls, job: Job, config: Any, ranks: Ranks) -> Trainee:
        """The model and the optimizer of a job. The weights are not filled yet."""
        model, bf16 = _model(job, config, ranks)
        parameters = dict(model.student.named_parameters())
        return cls(model, parameters, _optimizer(job.settings, parameters), bf16)

    def start(self, job: Job, config: Any) -> None:
        """Fill the weights with the starting weights of the job."""
        for name, value in job.start.weights(self.parameters, config, job.settings.seed):
            checkpoint.put(self.parameters[name], value)
        self._forget(0)

    def resume(self, folder: Path, updates: int) -> None:
        """Fill weights and optimizer from a checkpoint. `updates` is the number of optimizer steps that it had seen.
        Raises `ValueError` unless the checkpoint has every tensor in its shape: what is not filled would be whatever
        stood in memory."""
        self._forget(updates)
        places = {f"weights/{name}": p for name, p in self.parameters.items()}
        for moment in _MOMENTS:
            places |= {f"{moment}/{name}": self.optimizer.state[p][moment] for name, p in self.parameters.items()}
        for name, value in checked(checkpoint.read_tensors(folder), places, folder):
            checkpoint.put(places[name], value)

    def tensors(self, device: torch.device) -> dict[str, torch.Tensor]:
        """The tensors of a checkpoint: every parameter, its two moments, and the state of the random numbers."""
        tensors = {f"weights/{name}": p for name, p in self.parameters.items()}
        for moment in _MOMENTS:
            tensors |= {f"{moment}/{name}": self.optimizer.state[p][moment] for name, p in self.parameters.items()}
        tensors[f"{checkpoint.OWN}rng-cpu"] = torch.get_rng_state()
        if device.type == "cuda":
            tensors[f"{checkpoint.OWN}rng-cuda"] = torch.cuda.get_rng_state(device)
        return tensors

    def update(self, lr: float) -> None:
        """One step of the optimizer with the gradients as they are."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(lr)
        self.optimizer.step()

    def clip(self, most: float) -> float:
        """Scale the gradients down to a norm of at most `most`, over all ranks. Returns the norm before."""
        return checkpoint.whole(torch.nn.utils.clip_grad_norm_(self.parameters.values(), most)).item()

    def _forget(self, updates: int) -> None:
        """Give the optimizer the state that it has after `updates` steps, with moments of zero."""
        for p in self.parameters.values():
            moments = {moment: torch.zeros_like(p, requires_grad=False) for moment in _MOMENTS}
            self.optimizer.state[p] = {"step": torch.tensor(float(updates), device=p.device), **moments}


def restore_random_numbers(folder: Path, device: torch.device) -> bool:
    """Set the random numbers of this rank to those of a checkpoint. False if it has none for this number of ranks."""
    own = checkpoint.read_own(folder)
    if f"{checkpoint.OWN}rng-cpu" not in own:
        return False
    torch.set_rng_state(own[f"{checkpoint.OWN}rng-cpu"])
    if device.type == "cuda" and f"{checkpoint.OWN}rng-cuda" in own:
        torch.cuda.set_rng_state(own[f"{checkpoint.OWN}rng-cuda"], device)
    return True


def _model(job: Job, config: Any, ranks: Ranks) -> tuple[torch.nn.Module, list[str] | None]:
    """The loss of the job around the student, whose weights are sharded and not filled yet, and `Trainee.bf16`.

    The student is created without memory, sharded, and only then gets memory, so that no rank ever holds all of it.
    Other models in the loss, such as a teacher, come with their weights. Raises ValueError if they have no memory or
    would be trained: the loop trains and stores the student alone.
    """
    settings = job.settings
    model = job.loss(empty_model(config)).train()
    _check_others(model)
    student, bf16 = model.student, None
    if settings.precision == "fp8":
        tokens = settings.micro_batch_sequences * math.ceil(job.sequence_length / ranks.context)
        bf16 = precision.use_fp8(student, settings, tokens, ranks.device)
    if settings.recompute:
        student.gradient_checkpointing_enable()
    if settings.compile == "always" or (settings.compile == "auto" and ranks.device.type == "cuda"):
        for layer, kind in zip(student.model.layers, config.layers_block_type, strict=True):
            if kind in _COMPILED:
                layer.compile()  # in place: the names of the weights stay
    if ranks.world > 1:
        # Without a MixedPrecisionPolicy: it would round A_log, dt_bias and D to BF16, which the scan needs in FP32.
        others = [m for name, m in model.named_modules() if not name.startswith("student.") and _is_layer(m)]
        for layer in (*student.model.layers, student.lm_head, *others, model):
            fully_shard(layer)
    student.to_empty(device=ranks.device)
    return model.to(ranks.device), bf16


def _is_layer(module: torch.nn.Module) -> bool:
    """Whether it is a layer of a NemotronH model, as those of a teacher: each is gathered alone."""
    from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHBlock

    return isinstance(module, NemotronHBlock)


def _check_others(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not name.startswith("student.") and (parameter.is_meta or parameter.requires_grad):
            problem = "has no memory: load its weights first" if parameter.is_meta else "is not frozen"
            raise ValueError(
                f"the loss {type(model).__name__} holds {name} beside the student, which {problem}. Only the student "
                "is trained; call requires_grad_(False) on every other model"
            )


def _optimizer(settings: TrainingRun, parameters: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW. Weight decay is for matrices, not for vectors, which scale or shift single channels."""

    def of(wanted: Iterable[torch.nn.Parameter], decay: float) -> dict[str, Any]:
        return {"params": list(wanted), "weight_decay": decay}

    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    return torch.optim.AdamW(
        [of(matrices, settings.weight_decay), of(vectors, 0.0)],
        lr=torch.tensor(settings.peak_lr),
        betas=(settings.beta1, settings.beta2),
        eps=settings.adam_eps,
        fused=True,
    )
