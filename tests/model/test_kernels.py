"""Kernels of other libraries are used if their results are those of our scan, and not where they overflow.

The libraries need a GPU. Modules with their interface, but our definition of it, take their place.
"""

import sys
from types import ModuleType

import pytest
import torch

from nemotron_assets.model import kernels
from nemotron_assets.model.packing import Packing
from nemotron_assets.model.scan import chunked_scan

LENGTHS = [[20, 44], [64]]


def ours(*arguments):
    return chunked_scan(*arguments)[0]


@pytest.fixture
def inputs():
    g = torch.Generator().manual_seed(0)
    x, B, C = (torch.randn(2, 64, *shape, generator=g) for shape in ((4, 8), (2, 5), (2, 5)))
    dt = torch.rand(2, 64, 4, generator=g) * 0.1 + 0.001
    return x, dt, -torch.arange(1.0, 5), B, C, torch.ones(4), Packing.of(LENGTHS, 64).index, 16


@pytest.fixture
def install(monkeypatch):
    """Puts a module with one function in the place of an uninstalled library."""
    kernels._import.cache_clear()
    monkeypatch.setattr(kernels, "_accepted", {})
    calls = []

    def put(name, function, definition):
        def called(*args, **kwargs):
            calls.append(function)
            return definition(*args, **kwargs)

        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        setattr(sys.modules[name], function, called)
        return calls

    yield put
    kernels._import.cache_clear()


def simple_gla(q, k, v, g, scale, cu_seqlens):
    """h = exp(g) h + k v', o = scale h' q, for every sequence of the row from zero; all have the same heads."""
    output = torch.zeros_like(v)
    for start, end in zip(cu_seqlens[:-1].tolist(), cu_seqlens[1:].tolist(), strict=True):
        state = v.new_zeros(v.shape[2], k.shape[3], v.shape[3])
        for t in range(start, end):
            state = g[0, t].exp()[:, None, None] * state + k[0, t].unsqueeze(-1) * v[0, t].unsqueeze(-2)
            output[0, t] = scale * (state * q[0, t].unsqueeze(-1)).sum(1)
    return output, None


def chunk_scan(x, dt, A, B, C, chunk_size, D, seq_idx):
    return ours(x, dt, A, B, C, D, seq_idx, chunk_size)


def test_without_libraries_our_scan_runs(inputs, monkeypatch):
    monkeypatch.setattr(kernels, "_accepted", {})
    monkeypatch.setattr(kernels, "_import", lambda name: None)
    assert torch.equal(kernels.scan(*inputs, ours), ours(*inputs))


def test_simple_gla_is_the_same_recurrence_with_documents(inputs, install):
    calls = install("fla.ops.simple_gla", "chunk_simple_gla", simple_gla)
    y = kernels.scan(*inputs, ours)
    assert calls == ["chunk_simple_gla"] * 2  # the check, and the call
    assert torch.allclose(y, ours(*inputs), atol=1e-4)
    kernels.scan(*inputs, ours)
    assert len(calls) == 3  # the shape is known


def test_mamba_ssm_is_used_below_its_overflow_only(inputs, install, monkeypatch):
    calls = install("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined", chunk_scan)
    assert torch.equal(kernels.scan(*inputs, ours), ours(*inputs)) and len(calls) == 2
    monkeypatch.setattr(kernels, "_accepted", {})
    monkeypatch.setattr(kernels, "MAMBA_TOKENS", 128)
    assert torch.equal(kernels.scan(*inputs, ours), ours(*inputs)) and len(calls) == 2


def test_a_kernel_with_other_results_is_not_used(inputs, install, caplog):
    calls = install(
        "fla.ops.simple_gla",
        "chunk_simple_gla",
        lambda q, k, v, g, scale, cu_seqlens: (v * q.sum() * k.sum() * g.sum(), None),
    )
    assert torch.equal(kernels.scan(*inputs, ours), ours(*inputs))
    assert len(calls) == 1 and "differs from our scan" in caplog.text
