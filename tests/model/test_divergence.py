"""The forward KL divergence has the value and gradients of its definition and of TRL's, and never holds all logits."""

import pytest
import torch
import torch.nn.functional as F

from nemotron_assets.model import divergence

TOKENS, VOCABULARY, WIDTH, TEACHER_WIDTH = 19, 33, 8, 12


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs():
    """Hidden states and heads of a student and a wider teacher."""
    return (
        normal(TOKENS, WIDTH), normal(VOCABULARY, WIDTH, seed=1), normal(TOKENS, TEACHER_WIDTH, seed=2),
        normal(VOCABULARY, TEACHER_WIDTH, seed=3),
    )  # fmt: skip


def plain(hidden, weight, teacher_hidden, teacher_weight):
    """The definition: the sum of p log (p / q) over the vocabulary, for each token."""
    own = F.log_softmax(hidden @ weight.T, -1)
    wanted = F.log_softmax(teacher_hidden @ teacher_weight.T, -1)
    return F.kl_div(own, wanted, reduction="none", log_target=True).sum(-1)


@pytest.fixture(autouse=True, params=[True, False], ids=["slices of four tokens", "one slice"])
def slices(request, monkeypatch):
    if request.param:
        monkeypatch.setitem(divergence.LOGIT_BYTES, "cpu", 1)
        monkeypatch.setattr(divergence, "SMALLEST_SLICE", 4)


def test_value_and_gradients_are_those_of_the_definition():
    hidden, weight, *teacher = inputs()
    exact = [t.clone().requires_grad_() for t in (hidden, weight)]
    expected = plain(*exact, *teacher)
    expected.sum().mul(3).backward()
    single = [t.float().requires_grad_() for t in (hidden, weight)]
    loss, by_token = divergence.forward_kl(*single, *(t.float().requires_grad_() for t in teacher))
    (loss * 3).backward()
    assert torch.allclose(by_token.double(), expected, atol=1e-5) and loss.item() == pytest.approx(
        expected.sum().item()
    )
    for own, of in zip(single, exact, strict=True):
        assert torch.allclose(own.grad.double(), of.grad, atol=1e-4)


def test_value_and_gradients_are_those_of_trl():
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    hidden, weight, teacher_hidden, teacher_weight = (t.float() for t in inputs())
    theirs = [t.clone().requires_grad_() for t in (hidden, weight)]
    expected, _ = ChunkedDivergenceFunction.apply(*theirs, None, teacher_hidden, teacher_weight, None, 0.0)
    expected.sum().backward()
    ours = [t.clone().requires_grad_() for t in (hidden, weight)]
    loss, by_token = divergence.forward_kl(*ours, teacher_hidden, teacher_weight)
    loss.backward()
    assert torch.allclose(by_token, expected.detach(), atol=1e-5)
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own.grad, other.grad, atol=1e-4)


def test_a_student_that_knows_all_has_no_loss_and_no_gradient():
    hidden, weight = (t.float().requires_grad_() for t in inputs()[:2])
    loss, _ = divergence.forward_kl(hidden, weight, hidden.detach(), weight.detach())
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5) and hidden.grad.abs().max() < 1e-6


def test_another_vocabulary_is_refused():
    hidden, weight, teacher_hidden, teacher_weight = (t.float() for t in inputs())
    with pytest.raises(ValueError, match="a vocabulary of 33, the teacher 19 and 32"):
        divergence.forward_kl(hidden, weight, teacher_hidden, teacher_weight[1:])


def test_under_autocast_it_is_near():
    hidden, weight, *teacher = (t.float() for t in inputs())
    hidden.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = divergence.forward_kl(hidden, weight, *teacher)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(
        plain(hidden, weight, *teacher).sum().item(), rel=0.02
    )
    loss.backward()
    assert hidden.grad.dtype == torch.float32


def test_neither_models_logits_are_held_whole():
    """The peak of memory grows with the slice, not with the tokens times the vocabulary."""
    tokens, vocabulary = 512, 4_096
    hidden, weight = normal(tokens, 4).float().requires_grad_(), normal(vocabulary, 4, seed=1).float().requires_grad_()
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            largest.extend(
                t.numel() for t in (out if isinstance(out, tuple) else (out,)) if isinstance(t, torch.Tensor)
            )
            return out

    with pytest.MonkeyPatch.context() as patch, Watch():
        patch.setitem(divergence.LOGIT_BYTES, "cpu", 1)
        patch.setattr(divergence, "SMALLEST_SLICE", 32)
        loss, _ = divergence.forward_kl(hidden, weight, hidden.detach(), weight.detach())
        loss.backward()
    assert max(largest) <= 32 * vocabulary < tokens * vocabulary
