"""The model has the published size, and packed documents do not influence each other."""

from itertools import pairwise

import pytest
import torch

from nemotron_assets.model.nemotron_h import attach, empty_model, model_config, packed_hidden
from nemotron_assets.model.packing import Packing
from nemotron_assets.recipe import load_recipe

NANO2_9B = {
    "pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    "hidden_size": 4480,
    "ffn_size": 15680,
}


@pytest.mark.parametrize(("change", "published"), [({}, 12_310_001_152), (NANO2_9B, 8_888_227_328)])
def test_published_parameter_counts(change, published):
    recipe = load_recipe("nano2").model.model_copy(update=change)
    assert recipe.parameters(131_072) == published
    model = empty_model(model_config(recipe, 131_072, 8192))
    assert sum(p.numel() for p in model.parameters()) == published


def test_layers_of_the_12b():
    pattern = load_recipe("nano2").model.pattern
    assert [pattern.count(kind) for kind in "M*-"] == [28, 6, 28]
    assert [i for i, kind in enumerate(pattern) if kind == "*"] == [7, 16, 25, 34, 43, 52]


def test_laptop_size():
    recipe = load_recipe("laptop")
    assert 1_000_000 <= recipe.model.parameters(recipe.tokenizer.vocabulary) <= 8_000_000


LENGTHS = [[17, 1, 30, 52], [64, 36], [5, 90]]  # the last row ends with padding


def packed(student, lengths=LENGTHS, length=100):
    torch.manual_seed(0)
    tokens = torch.randint(0, 64, (len(lengths), length))
    logits = student.lm_head(packed_hidden(student, tokens, Packing.of(lengths, length)))
    return tokens, logits


@torch.no_grad()
def test_a_packed_document_equals_the_document_alone_in_transformers(student):
    tokens, logits = packed(student)
    for row, pieces in enumerate(LENGTHS):
        start = 0
        for length in pieces:
            alone = student(tokens[row : row + 1, start : start + length], use_cache=False).logits
            assert (logits[row : row + 1, start : start + length] - alone).abs().max() < 1e-4
            start += length


@torch.no_grad()
def test_nothing_leaks_between_documents_and_the_reference_does(student):
    tokens, logits = packed(student, [[40, 60]])
    other = tokens.clone()
    other[:, :40] = torch.randint(0, 64, (1, 40))
    changed = student.lm_head(packed_hidden(student, other, Packing.of([[40, 60]], 100)))
    assert torch.equal(changed[:, 40:], logits[:, 40:])
    reference = student(tokens, use_cache=False).logits - student(other, use_cache=False).logits
    assert reference[:, 40:].abs().max() > 1e-2


def test_the_last_token_of_a_document_moves_nothing_in_the_next(student):
    """Exactly: neither logits nor gradients of the later document, in one sequence with three documents."""
    lengths, cut = [[40, 33, 27]], 40
    tokens = torch.randint(0, 64, (1, 100), generator=torch.Generator().manual_seed(5))
    other = tokens.clone()
    other[:, cut - 1] = (tokens[:, cut - 1] + 1) % 64
    results = []
    for t in (tokens, other):
        student.zero_grad()
        logits = student.lm_head(packed_hidden(student, t, Packing.of(lengths, 100)))
        logits[:, cut:].square().sum().backward()
        results.append((logits.detach(), [p.grad.clone() for p in student.parameters() if p.grad is not None]))
    (a, grads_a), (b, grads_b) = results
    assert not torch.equal(a[:, :cut], b[:, :cut])
    assert torch.equal(a[:, cut:], b[:, cut:])
    assert all(torch.equal(x, y) for x, y in zip(grads_a, grads_b, strict=True))


def test_gradients_of_packed_documents_equal_those_of_the_documents_alone(student):
    tokens = torch.randint(0, 64, (3, 100), generator=torch.Generator().manual_seed(6))
    weight = torch.randn(3, 100, 32, generator=torch.Generator().manual_seed(7))
    (packed_hidden(student, tokens, Packing.of(LENGTHS, 100)) * weight).sum().backward()
    ours = {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}
    student.zero_grad()
    for row, pieces in enumerate(Packing.of(LENGTHS, 100).lengths):
        bounds = torch.tensor([0, *pieces]).cumsum(0).tolist()
        for start, end in pairwise(bounds):
            alone = student.model(tokens[row : row + 1, start:end], use_cache=False).last_hidden_state
            (alone * weight[row : row + 1, start:end]).sum().backward()
    for name, value in ours.items():
        exact = dict(student.named_parameters())[name].grad
        assert (value - exact).abs().max() <= 1e-3 * max(1e-3, exact.abs().max()), name


def test_gated_norm_of_several_groups_equals_the_definition(student):
    """RMSNorm of y silu(gate) over each group alone, then the weight; with two groups and weights that are not one."""
    norm = next(m for m in student.modules() if type(m).__name__ == "Zamba2RMSNormGated")
    torch.manual_seed(0)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    y, gate = torch.randn(2, 7, 64) * torch.linspace(1, 30, 64), torch.randn(2, 7, 64)
    gated = (y.double() * gate.double() * torch.sigmoid(gate.double())).view(2, 7, 2, 32)
    exact = gated / (gated.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(norm(y, gate).double(), exact.flatten(2) * norm.weight.double(), atol=1e-5)


@torch.no_grad()
def test_a_model_that_fsdp_has_sharded_is_attached_too(student):
    """FSDP2 gives every module a subclass of its own. With the functions of transformers, documents would leak."""
    tokens, packing = torch.arange(20)[None], Packing.of([[8, 12]], 20)
    expected = packed_hidden(student, tokens, packing)
    for module in student.modules():
        vars(module).pop("forward", None)
        module.__class__ = type(f"FSDP{type(module).__name__}", (type(module),), {})
    assert torch.equal(packed_hidden(attach(student), tokens, packing), expected)


@torch.no_grad()
def test_chunk_size_does_not_matter(student):
    _, logits = packed(student)
    for module in student.modules():
        if hasattr(module, "chunk_size"):
            module.chunk_size = 128
    assert (packed(student)[1] - logits).abs().max() < 1e-4


def test_gradients_equal_the_reference(student):
    tokens = torch.randint(0, 64, (2, 70))
    student.lm_head(packed_hidden(student, tokens, Packing.of([[70], [70]], 70))).square().mean().backward()
    ours = {name: p.grad.clone() for name, p in student.named_parameters()}
    student.zero_grad()
    student(tokens, use_cache=False).logits.square().mean().backward()
    for name, parameter in student.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, rtol=1e-3, atol=1e-5), name


def test_saved_and_loaded_by_plain_transformers(student, tmp_path):
    from transformers import AutoModelForCausalLM

    student.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.num_parameters() == sum(p.numel() for p in student.parameters())
    tokens = torch.randint(0, 64, (1, 20))
    with torch.no_grad():
        assert torch.equal(loaded(tokens, use_cache=False).logits, student(tokens, use_cache=False).logits)
        ours = attach(loaded).generate(tokens, max_new_tokens=5, do_sample=False)
    assert ours.shape == (1, 25)


def test_a_packing_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit a sequence of 8"):
        Packing.of([[5, 4]], 8)
    with pytest.raises(ValueError, match="do not fit"):
        Packing.of([[5, 0]], 8)
