"""The model has the published size, and packed documents do not influence each other."""

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
