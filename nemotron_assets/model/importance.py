"""Measures how important the parts of a model are, from its activations on calibration sequences, without gradients.

`widths` scores FFN neurons, channels of the residual stream, and the channels of Mamba-2 heads in one pass. A score is
the mean of the absolute activation over a sequence, and the L2 norm of these means over the sequences (Minitron §2.2,
Nemotron Nano 2 report §4.1):

* a neuron by the output of the first linear layer of its FFN;
* a channel by the outputs of all norms that read it, summed up;
* the channels of the Mamba-2 heads by what in_proj gives as x. Scores of W_x are better than those of W_z and W_out
  (Minitron-SSM §3).

`layers` takes layers out one by one: at each step, the one whose absence changes the logits least.

Both read batch after batch, and both go on where they were stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nemotron_assets.model.packing import Packing
from nemotron_assets.model.pruning import Importance
from resources.files import replaced

if TYPE_CHECKING:
    from transformers import NemotronHForCausalLM

#: Positions whose differences of logits are in memory together.
_ROWS = 8_192
_EVERY = 16  # batches between two saved states


@dataclass(frozen=True)
class Calibration:
    """A batch of sequences: `tokens` [batch, length], where the documents lie, and which positions are `real`, not
    padding, [batch, length] bool."""

    tokens: torch.Tensor
    packing: Packing
    real: torch.Tensor

    @property
    def counts(self) -> torch.Tensor:
        """Real positions of each sequence, at least 1, [batch, 1]."""
        return self.real.sum(1, keepdim=True).clamp(min=1)


Batches = Sequence[Callable[[], Calibration]]


def widths(model: NemotronHForCausalLM, batches: Batches, state: Path | None = None) -> Importance:
    """The scores of channels, neurons and Mamba-2 heads, and the shares of the norms, from an attached model.

    `state` is a file that holds what was added up so far; a pass that finds it goes on after the last saved batch.
    """
    sums = _Sums.load(state)
    with torch.inference_mode(), _listening(model, sums):
        for number in range(sums.done, len(batches)):
            sums.batch = batch = batches[number]()
            hidden = model.model(batch.tokens, use_cache=False, packing=batch.packing).last_hidden_state
            sums.norm(-1, hidden, model.model.norm_f.weight)
            sums.done = number + 1
            if state and (sums.done % _EVERY == 0 or sums.done == len(batches)):
                sums.save(state)
    return sums.importance(model)


@dataclass
class _Sums:
    """What is added up over sequences, in float64 on the CPU, by name and layer: "neurons/3"."""

    values: dict[str, torch.Tensor] = field(default_factory=dict)
    done: int = 0
    batch: Calibration | None = None

    @classmethod
    def load(cls, path: Path | None) -> _Sums:
        """What a file holds; nothing if there is no file."""
        from safetensors import safe_open

        if path is None or not path.exists():
            return cls()
        with safe_open(path, "pt") as file:
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return cls(values, int(file.metadata()["done"]))

    def save(self, path: Path) -> None:
        """Replace the file, which is never half written."""
        from safetensors.torch import save_file

        with replaced(path) as temporary:
            save_file(self.values, temporary, {"done": str(self.done)})

    def scores(self, name: str, activations: torch.Tensor) -> None:
        """Add the squared means over the sequences of a batch; activations are [batch, length, ...]."""
        of_sequences = (activations.float().abs() * self.batch.real.unsqueeze(-1)).sum(1) / self.batch.counts
        self._add(name, of_sequences.double().square().sum(0))

    def shares(self, name: str, normed: torch.Tensor, weight: torch.Tensor) -> None:
        """Add the squares of what a norm gives before its weight: the shares of the mean that it divides by."""
        before = torch.where(weight == 0, 0.0, normed.float() / weight.float())
        self._add(name, (before.square() * self.batch.real.unsqueeze(-1)).sum((0, 1)).double())

    def norm(self, layer: int, normed: torch.Tensor, weight: torch.Tensor) -> None:
        """Add the output of the norm before a layer; -1 is the last norm."""
        self.scores(f"channels/{layer}", normed)
        self.shares(f"shares/{layer}", normed, weight)

    def _add(self, name: str, value: torch.Tensor) -> None:
        value = value.cpu()
        self.values[name] = self.values[name] + value if name in self.values else value

    def importance(self, model: NemotronHForCausalLM) -> Importance:
        config = model.config
        found: dict[str, dict[int, torch.Tensor]] = {}
        for name, value in sorted(self.values.items()):  # a sum has the same bits after a resume
            kind, _, layer = name.partition("/")
            found.setdefault(kind, {})[int(layer)] = value if "shares" in kind else value.sqrt()
        heads = config.mamba_num_heads, config.mamba_head_dim
        return Importance(
            torch.stack(list(found["channels"].values())).sum(0),
            found.get("neurons", {}),
            {layer: value.view(heads) for layer, value in found.get("mamba", {}).items()},
            found["shares"],
            {layer: value.view(heads) for layer, value in found.get("gated_shares", {}).items()},
        )


@contextmanager
def _listening(model: NemotronHForCausalLM, sums: _Sums) -> Iterator[None]:
    """Let `sums` hear what the first and last projections of all layers read and write."""
    handles = []
    try:
        for number, layer in enumerate(model.model.layers):
            handles += _listen(sums, number, layer, model.config)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listen(sums: _Sums, number: int, layer: torch.nn.Module, config: Any) -> list[Any]:
    mixer, weight = layer.mixer, layer.norm.weight
    if layer.block_type == "mlp":

        def ffn(_, inputs, output):
            sums.norm(number, inputs[0], weight)
            sums.scores(f"neurons/{number}", output)

        return [mixer.up_proj.register_forward_hook(ffn)]
    if layer.block_type == "full_attention":
        return [mixer.q_proj.register_forward_hook(lambda _, inputs, output: sums.norm(number, inputs[0], weight))]
    inner = config.mamba_num_heads * config.mamba_head_dim

    def mamba(_, inputs, output):
        sums.norm(number, inputs[0], weight)
        sums.scores(f"mamba/{number}", output[..., inner : 2 * inner])

    def gated(_, inputs):
        sums.shares(f"gated_shares/{number}", inputs[0], mixer.norm.weight)

    return [mixer.in_proj.register_forward_hook(mamba), mixer.out_proj.register_forward_pre_hook(gated)]


@dataclass(frozen=True)
class Removal:
    """One step of the removal of layers: which `layer` went, what the mean squared error of the logits became, the same
    as a share of the mean square of the logits, and the errors of all layers that might have gone."""

    layer: int
    mse: float
    normalised: float
    errors: dict[int, float]


def layers(
    model: NemotronHForCausalLM,
    batches: Batches,
    targets: Sequence[int],
    attention: int,
    state: Path | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> list[Removal]:
    """Take layers out until the smallest of `targets` (numbers of layers, the largest first) is reached. At every
    target the model has `attention` attention layers. Errors are against the logits of the whole model.

    Layers that must stay are not tried: the pattern begins with M, ends with -, and an FFN follows every attention
    layer. `state` is a file with the steps and the errors so far. Raises ValueError if no layers can go.
    """
    pattern = pattern_of(model)
    removals, progress = _load_steps(state)
    metric = _Metric(model)
    check_targets(pattern, targets, attention)
    for step in range(len(removals), len(pattern) - min(targets)):
        gone = {removal.layer for removal in removals}
        tried = removable(pattern, gone, max(0, len(pattern) - max(targets) - step), attention)
        errors, total = _errors(model, batches, gone, tried, metric, progress, state, removals)
        best = min(tried, key=lambda layer: (errors[layer], layer))
        removals.append(Removal(best, errors[best], errors[best] / max(total, 1e-30), errors))
        log(f"layer {best} ({pattern[best]}) goes: mean squared error of the logits {errors[best]:.4g}")
        progress = {}
        _save_steps(state, removals, progress)
    return removals


def kept_layers(pattern: str, removals: Sequence[Removal], target: int) -> tuple[int, ...]:
    """The layers that stay when so many are left."""
    gone = {removal.layer for removal in removals[: len(pattern) - target]}
    return tuple(layer for layer in range(len(pattern)) if layer not in gone)


def pattern_of(model: NemotronHForCausalLM) -> str:
    """The kinds of a model's layers, as in "M-M*-"."""
    letters = {"linear_attention": "M", "full_attention": "*", "mlp": "-"}
    return "".join(letters[layer.block_type] for layer in model.model.layers)


def check_targets(pattern: str, targets: Sequence[int], attention: int) -> None:
    """Raises ValueError for numbers of layers that a model cannot be pruned to."""
    excess, first = pattern.count("*") - attention, len(pattern) - max(targets)
    if not 0 <= excess <= first or min(targets) < 2:
        raise ValueError(
            f"{len(pattern)} layers, {pattern.count('*')} of them attention, cannot become {max(targets)} layers with "
            f"{attention} attention layers"
        )


def removable(pattern: str, gone: set[int], steps: int, attention: int) -> list[int]:
    """The layers that may go next. After `steps` further removals the model must have `attention` attention layers; 0
    steps: it has. Raises ValueError if no layer may go."""
    left = [layer for layer in range(len(pattern)) if layer not in gone]
    excess = sum(pattern[layer] == "*" for layer in left) - attention
    found = []
    for layer in left:
        after = "".join(pattern[other] for other in left if other != layer)
        grammatical = after.startswith("M") and after.endswith("-") and after.count("*") == after.count("*-")
        in_time = excess > 0 if pattern[layer] == "*" else max(steps, 1) > excess
        if grammatical and in_time:
            found.append(layer)
    if not found:
        raise ValueError(f"no layer of {''.join(pattern[layer] for layer in left)} can go")
    return found


class _Metric:
    """Mean squared differences of logits without the logits: of hidden states that differ by d they are d W^T W d, and
    W^T W is as small as the residual stream is wide."""

    def __init__(self, model: NemotronHForCausalLM) -> None:
        weight = model.lm_head.weight.detach()
        self.vocabulary = weight.shape[0]
        gram = torch.zeros(weight.shape[1], weight.shape[1], dtype=torch.float64, device=weight.device)
        for part in weight.split(16_384):
            gram += part.double().T @ part.double()
        self._gram = gram.float()

    def __call__(self, difference: torch.Tensor) -> float:
        """The sum of the squared differences over positions, per token of the vocabulary."""
        parts = difference.float().split(_ROWS)
        return sum(float(((part @ self._gram) * part).sum(dtype=torch.float64)) for part in parts) / self.vocabulary


def _errors(model, batches, gone, tried, metric, progress, state, removals):
    """The mean squared error of the logits without each of the layers `tried` (and without those that are gone), and
    the mean square of the whole model's logits."""
    left = [layer for layer in range(len(model.model.layers)) if layer not in gone]
    sums = {layer: progress.get("sums", {}).get(str(layer), 0.0) for layer in tried}
    total, positions, done = progress.get("total", 0.0), progress.get("positions", 0), progress.get("done", 0)
    with torch.inference_mode():
        for number in range(done, len(batches)):
            batch = batches[number]()
            whole = model.model(batch.tokens, use_cache=False, packing=batch.packing).last_hidden_state[batch.real]
            total += metric(whole)
            positions += int(batch.real.sum())
            hidden = model.model.embeddings(batch.tokens)
            for place, layer in enumerate(left):
                if layer in sums:
                    without = _through(model, hidden, left[place + 1 :], batch)
                    sums[layer] += metric(without - whole)
                hidden = model.model.layers[layer](hidden, packing=batch.packing)
            if state and (number + 1) % _EVERY == 0:
                values = {str(layer): value for layer, value in sums.items()}
                progress = {"sums": values, "total": total, "positions": positions, "done": number + 1}
                _save_steps(state, removals, progress)
    return {layer: value / positions for layer, value in sums.items()}, total / positions


def _through(model, hidden, numbers, batch):
    """The last hidden states of the real positions, when these layers read `hidden`."""
    for number in numbers:
        hidden = model.model.layers[number](hidden, packing=batch.packing)
    return model.model.norm_f(hidden)[batch.real]


def _load_steps(state: Path | None) -> tuple[list[Removal], dict[str, Any]]:
    if state is None or not state.exists():
        return [], {}
    stored = json.loads(state.read_text("utf-8"))
    found = [
        Removal(**(row | {"errors": {int(layer): value for layer, value in row["errors"].items()}}))
        for row in stored["removals"]
    ]
    return found, stored["progress"]


def _save_steps(state: Path | None, removals: Sequence[Removal], progress: dict[str, Any]) -> None:
    if state is None:
        return
    text = json.dumps({"removals": [removal.__dict__ for removal in removals], "progress": progress})
    with replaced(state) as temporary:
        temporary.write_text(text, "utf-8")
