"""The scan equals the recurrence, token by token in float64, whatever the documents and however fast a head forgets."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.model import scan
from nemotron_assets.model.packing import Packing
from nemotron_assets.model.scan import chunked_scan


def recurrence(x, dt, A, B, C, D, documents, start):
    """The definition, one token after another."""
    batch, length, heads, width = x.shape
    per_group = heads // B.shape[2]
    state = start.view(batch, B.shape[2], B.shape[3], per_group, width).permute(0, 1, 3, 4, 2).flatten(1, 2)
    outputs = []
    for t in range(length):
        if t:
            state = state * (documents[:, t] == documents[:, t - 1]).view(-1, 1, 1, 1)
        b, c = (m[:, t].repeat_interleave(per_group, 1).unsqueeze(2) for m in (B, C))  # [batch, heads, 1, state]
        step = dt[:, t, :, None, None]
        state = (step * A[:, None, None]).exp() * state + step * x[:, t].unsqueeze(-1) * b
        outputs.append((state * c).sum(-1) + D[:, None] * x[:, t])
    end = state.unflatten(1, (B.shape[2], per_group)).permute(0, 1, 4, 2, 3).flatten(-2)
    return torch.stack(outputs, 1), end


def inputs(lengths, length, fastest, seed, heads=4, width=3, groups=2, state=5):
    """Random inputs; the log decay of a token goes down to about -fastest in the fastest heads."""
    generator = torch.Generator().manual_seed(seed)
    batch = len(lengths)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    dt = torch.rand(batch, length, heads, generator=generator, dtype=torch.float64) * fastest / 16 + 1e-3
    A = -torch.linspace(1, 16, heads, dtype=torch.float64)
    B, C = (normal(batch, length, groups, state) for _ in range(2))
    x, D, start = normal(batch, length, heads, width), normal(heads), normal(batch, groups, state, 2 * width)
    return [x, dt, A, B, C, D], start, Packing.of(lengths, length).index


def close(ours, exact):
    assert (ours.double() - exact).abs().max() <= 1e-5 * max(1.0, exact.abs().max().item())


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    chunk=st.sampled_from([8, 16, 64]),
    fastest=st.sampled_from([0.1, 1.5, 2.5, 4.0, 60.0]),
    seed=st.integers(0, 2**16),
)
def test_equals_the_recurrence(documents, padding, chunk, fastest, seed):
    length = sum(documents) + padding
    rows = [documents, [length]]  # two sequences with different documents
    tensors, start, index = inputs(rows, length, fastest, seed)
    exact = [t.clone().requires_grad_() for t in (*tensors, start)]
    single = [t.float().requires_grad_() for t in (*tensors, start)]
    y, end = recurrence(*exact[:6], index, exact[6])
    ours, our_end = chunked_scan(*single[:6], index, chunk, single[6])
    close(ours, y)
    close(our_end, end)
    weights = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    ((y * weights).sum() + end.sum()).backward()
    ((ours * weights.float()).sum() + our_end.sum()).backward()
    # A's gradient sums up differences of large terms, so the largest gradient of all inputs is the measure.
    largest = max(t.grad.abs().max().item() for t in exact)
    for a, b in zip(single, exact, strict=True):
        assert (a.grad.double() - b.grad).abs().max() <= 1e-5 * max(1.0, largest)


@pytest.mark.parametrize("cut", [64, 70, 100])
@pytest.mark.parametrize("fastest", [0.1, 30.0])
def test_two_parts_with_the_state_passed_on_equal_the_whole(cut, fastest):
    tensors, start, index = inputs([[70, 60], [130]], 130, fastest, 3)
    x, dt, A, B, C, D, start = (t.float() for t in (*tensors, start))
    whole, whole_end = chunked_scan(x, dt, A, B, C, D, index, 32, start)
    first, state = chunked_scan(
        *(t[:, :cut] for t in (x, dt)), A, *(t[:, :cut] for t in (B, C)), D, index[:, :cut], 32, start
    )
    state = state * (index[:, cut] == index[:, cut - 1]).view(-1, 1, 1, 1)
    second, end = chunked_scan(
        *(t[:, cut:] for t in (x, dt)), A, *(t[:, cut:] for t in (B, C)), D, index[:, cut:], 32, state
    )
    close(torch.cat([first, second], 1), whole.double())
    close(end, whole_end.double())


@pytest.mark.parametrize("fastest", [0.1, 2.5, 4.0, 60.0])
def test_another_document_moves_nothing_exactly(fastest):
    """Not even when a document becomes one that a head forgets very fast."""
    tensors, _, index = inputs([[40, 60, 27]], 127, fastest, 5)
    base = [t.float().requires_grad_() for t in tensors]
    other = [t.detach().clone() for t in base]
    other[0][:, 39] += 5
    other[1][:, 30:40] = 3.0
    other[3][:, 39] -= 1
    other = [t.requires_grad_() for t in other]
    y, _ = chunked_scan(*base, index, 64)
    changed, _ = chunked_scan(*other, index, 64)
    assert not torch.equal(changed[:, :40], y[:, :40])
    assert torch.equal(changed[:, 40:], y[:, 40:])
    y[:, 40:].square().sum().backward()
    changed[:, 40:].square().sum().backward()
    for a, b in zip(base, other, strict=True):
        if a.ndim > 2:
            assert torch.equal(a.grad[:, 40:], b.grad[:, 40:]) and not a.grad[:, :40].any()


def test_fast_heads_in_slices_give_the_same(monkeypatch):
    tensors, _, index = inputs([[90, 40]], 130, 60.0, 7)
    single = [t.float() for t in tensors]
    y, _ = chunked_scan(*single, index, 32)
    monkeypatch.setattr(scan, "DECAYS_AT_ONCE", 1)
    assert torch.allclose(chunked_scan(*single, index, 32)[0], y, rtol=1e-6, atol=1e-6)
