"""The fused parts have the outputs and gradients of their plain definitions, whatever the blocks."""

import pytest
import torch
import torch.nn.functional as F

from nemotron_assets.model import fused
from nemotron_assets.model.packing import Packing


@pytest.fixture(autouse=True, params=[1 << 17, 96])
def block(request, monkeypatch):
    monkeypatch.setattr(fused, "BLOCK", request.param)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(ours, definition, *inputs):
    """Compare outputs and gradients with the definition in float64."""
    exact = [t.clone().requires_grad_() for t in inputs]
    single = [t.float().requires_grad_() for t in inputs]
    expected, output = definition(*exact), ours(*single)
    assert torch.allclose(output.double(), expected, rtol=1e-5, atol=1e-5)
    weights = normal(*expected.shape, seed=9)
    (expected * weights).sum().backward()
    (output * weights.float()).sum().backward()
    for a, b in zip(single, exact, strict=True):
        assert (a.grad.double() - b.grad).abs().max() <= 1e-5 * max(1, b.grad.abs().max())


def test_squared_relu():
    same(fused.squared_relu, lambda x: x.relu().square(), normal(3, 7))


def test_rms_norm():
    def definition(x, weight):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight

    same(lambda x, w: fused.rms_norm(x, w, 1e-5), definition, normal(2, 5, 16), normal(16, seed=1))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gated_norm(groups):
    def definition(y, gate, weight):
        z = (y * gate * gate.sigmoid()).unflatten(-1, (groups, -1))
        return (z / (z.square().mean(-1, keepdim=True) + 1e-5).sqrt()).flatten(-2) * weight

    scales = torch.linspace(1, 20, 16, dtype=torch.float64)  # groups with very different sizes
    inputs = normal(2, 9, 16) * scales, normal(2, 9, 16, seed=1), normal(16, seed=2)
    same(lambda y, gate, w: fused.gated_norm(y, gate, w, groups, 1e-5), definition, *inputs)


@pytest.mark.parametrize("lengths", [[[20], [20]], [[7, 1, 1, 11], [3, 17]], [[1, 1, 1, 17], [12, 8]]])
def test_causal_conv(lengths):
    index = Packing.of(lengths, 20).index

    def definition(x, weight, bias):
        rows = []
        for row, pieces in enumerate(lengths):
            alone = [F.pad(part.T[None], (3, 0)) for part in x[row].split(pieces)]
            rows.append(torch.cat([F.conv1d(part, weight[:, None], bias, groups=6)[0].T for part in alone]))
        return F.silu(torch.stack(rows))

    inputs = normal(2, 20, 6), normal(6, 4, seed=1), normal(6, seed=2)
    same(lambda *t: fused.causal_conv_silu(*t, index), definition, *inputs)
    x, weight, bias = (t.float() for t in inputs)
    first = fused.causal_conv_silu(x[:, :8], weight, bias, index[:, :8])
    rest = fused.causal_conv_silu(x[:, 8:], weight, bias, index[:, 5:], x[:, 5:8])
    assert torch.allclose(torch.cat([first, rest], 1), fused.causal_conv_silu(x, weight, bias, index), atol=1e-6)


def test_cross_entropy(monkeypatch):
    monkeypatch.setitem(fused.LOGIT_BYTES, "cpu", 1)
    monkeypatch.setattr(fused, "SMALLEST_SLICE", 4)
    targets = torch.randint(0, 33, (19,), generator=torch.Generator().manual_seed(2))
    targets[[0, 7, 18]] = fused.NO_TARGET

    def definition(hidden, weight):
        return F.cross_entropy(hidden @ weight.T, targets, reduction="sum")

    hidden, weight = normal(19, 8) * 3, normal(33, 8, seed=1)
    same(lambda h, w: fused.cross_entropy(h, w, targets)[0], definition, hidden, weight)
    each = F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    assert torch.allclose(fused.cross_entropy(hidden.float(), weight.float(), targets)[1].double(), each, atol=1e-5)


def test_cross_entropy_under_autocast_is_near():
    hidden, weight, targets = normal(64, 32).float(), normal(100, 32, seed=1).float(), torch.arange(64)
    hidden.requires_grad_()
    exact = F.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = fused.cross_entropy(hidden, weight, targets)
    assert loss.dtype == torch.float32 and abs(loss / exact - 1) < 0.01
    loss.backward()
    assert hidden.grad.dtype == torch.float32
