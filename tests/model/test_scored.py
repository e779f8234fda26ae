"""Labels are scored as transformers and TRL score them, whatever the padding."""

import copy

import pytest
import torch

from nemotron_assets.model.scored import score_labels


@pytest.fixture
def batch():
    """Two rows of different lengths, padded on the right with token 0; the last four tokens are labels."""
    numbers = torch.Generator().manual_seed(3)
    rows = [torch.randint(1, 64, (length,), generator=numbers) for length in (19, 12)]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    labels = torch.full_like(tokens, -100)
    for number, row in enumerate(rows):
        labels[number, len(row) - 4 : len(row)] = row[-4:]
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


def test_equals_the_head_of_trl(student, batch):
    from trl.trainer.utils import add_fused_lm_head

    fields = ("log_probs", "entropy", "mean_logits", "is_top1")
    theirs, ours = copy.deepcopy(student), student
    add_fused_lm_head(theirs, outputs=fields)
    score_labels(ours)
    expected, found = (model(**batch, fused_lm_head=True, use_cache=False) for model in (theirs, ours))
    for field in fields:
        assert torch.allclose(getattr(found, field).float(), getattr(expected, field).float(), atol=2e-5), field
    assert torch.allclose(found.loss, expected.loss, atol=1e-5)
    for model, output in ((theirs, expected), (ours, found)):
        output.loss.backward()
        assert model.lm_head.weight.grad is not None
    gradients = [dict(model.named_parameters()) for model in (theirs, ours)]
    for name, parameter in gradients[0].items():
        assert torch.allclose(parameter.grad, gradients[1][name].grad, atol=2e-5), name


@torch.no_grad()
def test_padding_on_the_left_changes_nothing(student, batch):
    score_labels(student)
    right = student(**batch, fused_lm_head=True).log_probs
    moved = {name: torch.stack([row.roll(7) if number else row for number, row in enumerate(value)])
             for name, value in batch.items()}  # fmt: skip
    left = student(**moved, fused_lm_head=True).log_probs
    assert torch.allclose(right[right != 0], left[left != 0], atol=1e-6)


def test_a_banned_token_has_no_share_of_the_probability(student, batch):
    score_labels(student)
    labels = batch["labels"][:, 1:]
    sets = torch.zeros(3, student.config.vocab_size, dtype=torch.bool)
    sets[1, :20], sets[2, 30:] = True, True
    sets[:, labels[labels != -100]] = False  # a sampled token was not banned
    numbers = torch.arange(labels.size(1)).repeat(2, 1) % 3
    with torch.no_grad():
        logits = student(batch["input_ids"], batch["attention_mask"]).logits[:, :-1]
    expected = logits.masked_fill(sets[numbers], -torch.inf).log_softmax(-1)
    entropy = torch.special.entr(expected.exp()).sum(-1)
    kept = labels != -100
    of_labels = expected.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    for last in (labels.size(1), 9):  # numbers may be given for the last tokens alone
        found = student(**batch, fused_lm_head=True, banned=(sets, numbers[:, -last:]))
        known = kept & (torch.arange(labels.size(1)) >= labels.size(1) - last)
        assert torch.allclose(found.log_probs[known], of_labels[known], atol=2e-5)
        assert torch.allclose(found.entropy[known], entropy[known], atol=2e-5)
    found.loss.backward()
    assert student.lm_head.weight.grad.isfinite().all()


def test_no_label_at_all_gives_zero_and_a_backward_pass(student, batch):
    score_labels(student)
    found = student(**batch | {"labels": torch.full_like(batch["labels"], -100)}, fused_lm_head=True)
    assert found.loss == 0 and not found.log_probs.any()
    found.loss.backward()


def test_other_calls_are_what_they_were(student, batch):
    with torch.no_grad():
        before = student(batch["input_ids"]).logits
        score_labels(student)
        assert torch.equal(student(batch["input_ids"]).logits, before)
