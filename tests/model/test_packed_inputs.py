"""What other libraries pass for packed documents separates them, or is refused; it is never ignored."""

import pytest
import torch

from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.model.packing import Packing

LENGTHS = [9, 1, 14, 6]
CUTS = torch.tensor([0, 9, 10, 24, 30], dtype=torch.int32)
POSITIONS = torch.cat([torch.arange(n) for n in LENGTHS])[None]
APART = torch.cat([torch.arange(10), torch.arange(20)])[None]  # positions of two documents with padding between
HOLE = (torch.arange(30) != 9)[None].long()
SEQ_IDX = torch.repeat_interleave(torch.arange(4), torch.tensor(LENGTHS))[None].int()


@pytest.fixture
def tokens():
    return torch.randint(0, 64, (1, 30), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def exact(student, tokens):
    with torch.no_grad():
        return student.lm_head(packed_hidden(student, tokens, Packing.of([LENGTHS], 30)))


@pytest.mark.parametrize(
    "described",
    [
        {"position_ids": POSITIONS},
        {"seq_idx": SEQ_IDX},
        {"cu_seq_lens_q": CUTS, "cu_seq_lens_k": CUTS, "max_length_q": 14, "max_length_k": 14},
        {"position_ids": POSITIONS, "seq_idx": SEQ_IDX, "cu_seq_lens_q": CUTS, "max_length_q": 14},
        {"attention_mask": SEQ_IDX + 1},
    ],
    ids=lambda described: "+".join(described),
)
@torch.no_grad()
def test_converted(student, tokens, exact, described):
    assert torch.equal(student(tokens, **described).logits, exact)
    student.model.packed_inputs = "refuse"
    with pytest.raises(ValueError, match=f"packed documents in .*{next(iter(described))}.*refuse"):
        student(tokens, **described)


@torch.no_grad()
def test_what_trl_passes_for_packed_documents(student, tokens, exact):
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    rows = [{"input_ids": piece.tolist()} for piece in tokens[0].split(LENGTHS)]
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(rows)
    labels = batch.pop("labels")
    assert (labels == -100).sum() == 4
    assert torch.equal(student(**batch).logits, exact)


@torch.no_grad()
def test_a_single_document_and_padding_stay_with_transformers(student, tokens):
    plain = student(tokens, use_cache=False).logits
    student.model.packed_inputs = "refuse"
    one = torch.tensor([0, 30], dtype=torch.int32)
    for described in (
        {"position_ids": torch.arange(30)[None]},
        {"position_ids": torch.arange(5, 35)[None]},
        {"seq_idx": torch.zeros(1, 30, dtype=torch.int32)},
        {"cu_seq_lens_q": one, "cu_seq_lens_k": one},
        {"attention_mask": torch.ones(1, 30, dtype=torch.long)},
    ):
        assert torch.equal(student(tokens, use_cache=False, **described).logits, plain)
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, :5] = 0  # generation pads on the left, and its positions then begin with ones
    prompts = torch.randint(1, 64, (2, 12))
    options = {"min_new_tokens": 4, "max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}  # no early end of text
    made = student.generate(prompts, attention_mask=mask, **options)
    alone = student.generate(prompts[:1, 5:], **options)
    assert torch.equal(made[0, 12:], alone[0, 7:])


@torch.no_grad()
def test_padding_between_packed_documents_is_a_document(student, tokens, exact):
    mask = torch.ones(1, 34, dtype=torch.long)
    mask[:, 30:] = 0
    padded = torch.cat([tokens, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    positions = torch.cat([POSITIONS, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    logits = student(padded, attention_mask=mask, position_ids=positions).logits
    assert torch.allclose(logits[:, :30], exact, atol=1e-5)


@pytest.mark.parametrize(
    ("described", "problem"),
    [
        ({"position_ids": POSITIONS, "use_cache": True}, "cannot fill a cache"),
        ({"cu_seq_lens_k": CUTS}, "without cu_seq_lens_q"),
        ({"cu_seq_lens_q": torch.tensor([0, 9, 40])}, "describes one row"),
        ({"position_ids": POSITIONS, "seq_idx": torch.arange(30)[None] // 10}, "they must agree"),
        ({"attention_mask": torch.ones(1, 1, 30, 30).tril()}, "Mamba-2 layers have no scores to mask"),
        ({"attention_mask": {"full_attention": torch.ones(1, 1, 30, 30)}}, "Mamba-2 layers have no scores to mask"),
        ({"attention_mask": HOLE}, "padding between the tokens of a row"),
        ({"attention_mask": HOLE, "position_ids": APART}, "padding between the tokens of a row"),
        ({"cu_seqlens": CUTS}, "cu_seqlens: this model does not read"),
        ({"segment_ids": SEQ_IDX}, "segment_ids: this model does not read"),
        ({"document_mask": SEQ_IDX, "max_seqlen": 14}, "document_mask, max_seqlen: this model does not read"),
        ({"packing": Packing.of([[20]], 20)}, "packing is for 1 sequences of 20 tokens"),
        ({"packing": Packing.of([[30]], 30), "seq_idx": SEQ_IDX}, "leave out"),
    ],
)
def test_refused(student, tokens, described, problem):
    with pytest.raises(ValueError, match=problem):
        student(tokens, **described)


def test_generation_from_packed_documents_is_refused(student, tokens):
    with pytest.raises(ValueError, match="cannot fill a cache"):
        student.generate(tokens, seq_idx=SEQ_IDX, max_new_tokens=2, pad_token_id=0)
