"""The precision of the matrix products of a training: BF16 by autocast, and FP8 through torchao.

FP8 replaces the linear layers of the model by modules that cast their inputs, weights and gradients to E4M3 (tensorwise
scaling: gradients to E5M2) and multiply those. The weights stay in FP32 under the names that they had. The first and
the last matrix products stay in BF16, as published, and so do products whose sizes FP8 kernels cannot multiply. The
embeddings and the head of the model are never in FP8.

On a device without FP8, the same roundings are computed and the products are made in higher precision. This shows
what FP8 does to a loss, and saves no time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import Fp8, TrainingRun

#: Sizes of a matrix that the FP8 kernels multiply are multiples of this.
MULTIPLE = 16
#: Width of the blocks that share one scale, in blockwise scaling.
BLOCK = 128
#: The linear layers of a mixer in the order of computation. Those of one entry read the same input: they are one
#: product.
_ORDER = (("in_proj", "q_proj", "k_proj", "v_proj", "up_proj"), ("out_proj", "o_proj", "down_proj"))


def products(student: torch.nn.Module) -> list[tuple[str, ...]]:
    """The matrix products of the layers in the order of computation, each as the names of its linear layers."""
    found = []
    for number, layer in enumerate(student.model.layers):
        for names in _ORDER:
            linear = [name for name in names if isinstance(getattr(layer.mixer, name, None), torch.nn.Linear)]
            if linear:
                found.append(tuple(f"model.layers.{number}.mixer.{name}" for name in linear))
    return found


def kept_in_bf16(student: torch.nn.Module, settings: Fp8) -> list[str]:
    """The linear layers of the model's layers that FP8 leaves in BF16, in the order of computation."""
    of = products(student)
    ends = settings.bf16_ends
    return [
        name
        for place, names in enumerate(of)
        for name in names
        if place < ends
        or place >= len(of) - ends
        or any(n % MULTIPLE for n in student.get_submodule(name).weight.shape)
    ]


def autocast(settings: TrainingRun, device: torch.device) -> torch.autocast:
    """The context of the forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision != "fp32")


def use_fp8(student: torch.nn.Module, settings: TrainingRun, tokens: int, device: torch.device) -> list[str]:
    """Replace the linear layers of the model as the recipe says, and return the names of those that stay in BF16.

    `tokens` is the number of tokens of one forward pass. Must be called before the weights are sharded or filled.
    Raises ValueError for a GPU that does not compute in FP8, and for a model of which nothing would be in FP8.
    """
    kept = kept_in_bf16(student, settings.fp8)
    wanted = {name for names in products(student) for name in names}.difference(kept)
    if not wanted:
        raise ValueError(
            f"precision is fp8, but all {len(products(student))} matrix products of the model's layers would stay in "
            f"BF16: the first and last {settings.fp8.bf16_ends} of them (fp8.bf16_ends), and sizes that are not "
            f"multiples of {MULTIPLE}. Set precision to bf16, or lower fp8.bf16_ends"
        )
    if settings.fp8.scaling == "blockwise":
        on_device = device.type == "cuda" and _capability(device, (9, 0), "blockwise FP8")
        _replace(student, wanted, lambda linear: BlockwiseLinear.of(linear, on_device))
        return kept
    from torchao.float8 import Float8LinearConfig, convert_to_float8_training

    values = {
        name: getattr(Float8LinearConfig.from_recipe_name(settings.fp8.scaling), name)
        for name in ("cast_config_input", "cast_config_weight", "cast_config_grad_output", "round_scales_to_power_of_2")
    }
    # The gathering of FP8 weights (enable_fsdp_float8_all_gather) stays off: losses diverged with it.
    config = Float8LinearConfig(
        **values,
        emulate=device.type != "cuda" or not _capability(device, (8, 9), "FP8"),
        pad_inner_dim=bool(tokens % MULTIPLE),
    )
    convert_to_float8_training(student, config=config, module_filter_fn=lambda module, name: name in wanted)
    return kept


def _capability(device: torch.device, least: tuple[int, int], what: str) -> bool:
    found = torch.cuda.get_device_capability(device)
    if found < least:
        raise ValueError(
            f"{torch.cuda.get_device_name(device)} has compute capability {found[0]}.{found[1]}, but {what} needs "
            f"{least[0]}.{least[1]}: set precision to bf16, or fp8.scaling to rowwise"
        )
    return True


def _replace(student: torch.nn.Module, names: Iterable[str], made) -> None:
    for name in names:
        parent, _, own = name.rpartition(".")
        setattr(student.get_submodule(parent), own, made(student.get_submodule(name)))


class BlockwiseLinear(torch.nn.Linear):
    """A linear layer without bias whose three products are in FP8 with one scale per block (DeepSeek-V3): 128 x 128
    weights, 1 x 128 activations and gradients along the axis that is summed over.

    Sizes that are not multiples of 128 (the 9B's FFN of 15,680) are padded with zeros, which change no sum and no
    largest value. With `on_device` torchao's kernels multiply, else the roundings are emulated.
    """

    on_device = False

    @classmethod
    def of(cls, linear: torch.nn.Linear, on_device: bool) -> BlockwiseLinear:
        """A layer with the weight of `linear`."""
        if linear.bias is not None:
            raise ValueError("blockwise FP8 is for linear layers without bias")
        with torch.device("meta"):
            made = cls(linear.in_features, linear.out_features, bias=False)
        made.weight, made.on_device = linear.weight, on_device
        return made

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        rows = inputs.reshape(-1, self.in_features).bfloat16()
        padded = _padded(rows), _padded(self.weight.bfloat16())
        if self.on_device:
            from torchao.prototype.blockwise_fp8_training.linear import fp8_blockwise_mm

            output = fp8_blockwise_mm.apply(*padded, BLOCK)
        else:
            output = _EmulatedBlocks.apply(*padded)
        return output[: rows.shape[0], : self.out_features].reshape(*inputs.shape[:-1], self.out_features)


def _padded(matrix: torch.Tensor) -> torch.Tensor:
    rows, columns = (-size % BLOCK for size in matrix.shape)
    return F.pad(matrix, (0, columns, 0, rows)) if rows or columns else matrix


class _EmulatedBlocks(torch.autograd.Function):
    """inputs @ weight.T and its gradients, each factor rounded to E4M3 in its blocks and back. The products are made in
    float32, as the kernels sum up."""

    @staticmethod
    def forward(ctx, inputs, weight):
        ctx.save_for_backward(inputs, weight)
        return _product(_rounded(inputs, 1, BLOCK), _rounded(weight, BLOCK, BLOCK).T)

    @staticmethod
    def backward(ctx, grad):
        inputs, weight = ctx.saved_tensors
        grad_inputs = _product(_rounded(grad, 1, BLOCK), _rounded(weight, BLOCK, BLOCK))
        grad_weight = _product(_rounded(grad, BLOCK, 1).T, _rounded(inputs, BLOCK, 1))
        return grad_inputs, grad_weight


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    with torch.autocast(a.device.type, enabled=False):
        return (a @ b).bfloat16()


def _rounded(matrix: torch.Tensor, high: int, wide: int) -> torch.Tensor:
    """The matrix in float32 after it was cast to E4M3 with a scale for every block of `high` x `wide` values."""
    largest = torch.finfo(torch.float8_e4m3fn).max
    rows, columns = matrix.shape
    blocks = matrix.float().view(rows // high, high, columns // wide, wide)
    scale = largest / blocks.abs().amax((1, 3), keepdim=True).clamp(min=1e-12)
    return ((blocks * scale).to(torch.float8_e4m3fn).float() / scale).view(rows, columns)
