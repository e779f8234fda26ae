"""The scan on a GPU: Triton kernels of other libraries where they are installed, checked against our scan before use.

* flash-linear-attention: `chunk_simple_gla` is the same recurrence, with one decay per head, and takes documents as
  sequences of their own.
* mamba_ssm: `mamba_chunk_scan_combined` takes the documents' numbers. Its offsets are 32-bit integers, which overflow
  on long inputs: the results are then finite and wrong. It is used below MAMBA_TOKENS tokens only.

The first call of each shape also runs our scan on the same inputs. A kernel whose outputs or gradients differ by more
than TOLERANCE is not used for that shape, and a warning says so. Neither library is installed on a CPU. Not measured on
a GPU yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module

import torch

logger = logging.getLogger(__name__)

#: Tokens of a batch from which the offsets of mamba_ssm overflow (at 61,000 with its published shapes), with a margin.
MAMBA_TOKENS = 49_152
#: The largest difference to our scan, relative to its largest output: kernels multiply in TF32 or BF16.
TOLERANCE = 2e-2

Scan = Callable[..., torch.Tensor]
_accepted: dict[tuple, Scan | None] = {}


@torch.compiler.disable
def scan(x, dt, A, B, C, D, documents, chunk: int, ours: Scan) -> torch.Tensor:
    """y of `scan.chunked_scan` without a starting state. `ours` computes it when no kernel is usable."""
    arguments = x, dt, A, B, C, D, documents, chunk
    shape = (*x.shape, *B.shape[2:], x.dtype, x.device)
    if shape not in _accepted:
        _accepted[shape] = _chosen(arguments, ours)
    return (_accepted[shape] or ours)(*arguments)


def _chosen(arguments: tuple, ours: Scan) -> Scan | None:
    """The first installed kernel whose outputs and gradients equal those of our scan for these inputs."""
    exact, tokens = None, arguments[0].shape[1]
    for name, kernel in _installed(arguments[0].shape[0] * tokens):
        exact = _results(ours, arguments) if exact is None else exact
        pairs = zip(_results(kernel, arguments), exact, strict=True)
        worst = max(((a.float() - b).abs().max() / b.abs().max().clamp_min(1e-20)).item() for a, b in pairs)
        if worst <= TOLERANCE:
            logger.info("the scan of %s tokens runs in %s (difference to ours %.1e)", tokens, name, worst)
            return kernel
        logger.warning(
            "%s differs from our scan by %.1e of the largest value at %s tokens, more than %.0e: it is not used",
            name, worst, tokens, TOLERANCE,
        )  # fmt: skip
    return None


@torch.enable_grad()
def _results(scan: Scan, arguments: tuple) -> list[torch.Tensor]:
    """The output, and the gradients of x, dt, B and C for a fixed gradient of the output."""
    leaves = [t.detach().clone().requires_grad_(i in (0, 1, 3, 4)) for i, t in enumerate(arguments[:6])]
    y = scan(*leaves, *arguments[6:])
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    weights = torch.linspace(0, 1, y.shape[1], device=y.device)[:, None, None]
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), wanted)]


def _installed(tokens: int) -> list[tuple[str, Scan]]:
    kernels = []
    if _import("fla.ops.simple_gla"):
        kernels.append(("flash-linear-attention", _simple_gla))
    if tokens < MAMBA_TOKENS and _import("mamba_ssm.ops.triton.ssd_combined"):
        kernels.append(("mamba_ssm", _mamba_ssm))
    return kernels


@cache
def _import(name: str):
    try:
        return import_module(name)
    except ImportError:
        return None


def _simple_gla(x, dt, A, B, C, D, documents, chunk):
    """Every document is a sequence of one long row; values are dt x, keys B, queries C, and log decays dt A."""
    heads = x.shape[2]
    keys, queries = (t.repeat_interleave(heads // t.shape[2], dim=2) for t in (B, C))
    row = [t.flatten(0, 1).unsqueeze(0) for t in (queries, keys, x * dt.unsqueeze(-1), dt * A)]
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    starts = begins.flatten().nonzero().flatten()
    cuts = torch.cat([starts, starts.new_tensor([documents.numel()])]).int()
    y, _ = _import("fla.ops.simple_gla").chunk_simple_gla(*row, scale=1.0, cu_seqlens=cuts)
    return y.view(x.shape).float() + x * D.unsqueeze(-1)


def _mamba_ssm(x, dt, A, B, C, D, documents, chunk):
    combined = _import("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
    return combined(x, dt, A, B, C, chunk, D=D, seq_idx=documents.int()).float()
