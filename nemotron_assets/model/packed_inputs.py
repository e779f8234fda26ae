"""What other libraries say about packed documents, made into a `Packing` or refused.

TRL and transformers describe packed sequences by `position_ids` that start again, `seq_idx`, `cu_seq_lens_q`, or an
attention mask with the numbers of the documents. Without CUDA kernels, the model of transformers ignores them in its
Mamba-2 layers, and the documents leak into each other without a word. The attached model therefore reads all of them.
`model.packed_inputs` (of the NemotronHModel, "convert" unless set) decides: "convert" trains or scores the documents
apart, "refuse" raises ValueError. What the model cannot read is refused either way: masks of scores, padding between
the tokens of a row, and arguments of other libraries that transformers would ignore, such as `cu_seqlens`.
"""

from __future__ import annotations

import re
from itertools import pairwise

import torch

from nemotron_assets.model.packing import Packing

CONVERT, REFUSE = "convert", "refuse"
#: Arguments that only repeat what `cu_seq_lens_q` says.
REPEATS = ("cu_seq_lens_k", "max_length_q", "max_length_k")
#: Names by which other libraries describe packed documents: cu_seqlens, segment_ids, document_mask, ...
_OTHER_NAMES = re.compile(
    r"cu_?seq|(max|min)_?seqlen|seqlens?$|(document|doc|segment|sequence|sample)_(id|idx|mask|lens)"
)


def forward(
    self,
    input_ids=None,
    inputs_embeds=None,
    position_ids=None,
    past_key_values=None,
    use_cache=None,
    attention_mask=None,
    packing: Packing | None = None,
    parallel=None,
    seq_idx=None,
    cu_seq_lens_q=None,
    **kwargs,
):
    """NemotronHModel.forward that knows packed documents."""
    for name in REPEATS:
        if kwargs.pop(name, None) is not None and cu_seq_lens_q is None:
            raise ValueError(f"{name} is given without cu_seq_lens_q, so where the documents lie is not known")
    if unread := [name for name, value in kwargs.items() if value is not None and _OTHER_NAMES.match(name)]:
        raise ValueError(
            f"{', '.join(unread)}: this model does not read the argument, and documents would leak into each other. "
            "Describe packed documents by `packing`, seq_idx, cu_seq_lens_q or position_ids"
        )
    masks = [attention_mask]
    if isinstance(attention_mask, dict) and past_key_values is None:  # with a cache, generate() made them itself
        masks = list(attention_mask.values())
    for mask in masks:
        if isinstance(mask, torch.Tensor) and mask.ndim > 2:
            raise ValueError(
                f"an attention mask of shape {list(mask.shape)} cannot be used: Mamba-2 layers have no scores to mask. "
                "Describe packed documents by `packing`, padding by a mask of [batch, length]"
            )
    tokens = input_ids if input_ids is not None else inputs_embeds
    if packing is None:
        found = _found(tokens, position_ids, attention_mask, seq_idx, cu_seq_lens_q)
        if found and getattr(self, "packed_inputs", CONVERT) == REFUSE:
            raise ValueError(
                f"packed documents in {' and '.join(found)}: this model was told to refuse them. Pass `packing` "
                "(nemotron_assets.model.packing.Packing), or one document per row"
            )
        packing = _agreed(found)
        if packing is None and past_key_values is None:  # with a cache, the mask may be that of a prompt in generate()
            _check_padding(attention_mask)
    elif attention_mask is not None or seq_idx is not None or cu_seq_lens_q is not None:
        raise ValueError("`packing` says where the documents lie: leave out attention_mask, seq_idx and cu_seq_lens_q")
    arguments = {"input_ids": input_ids, "inputs_embeds": inputs_embeds, **kwargs}
    if packing is None:
        arguments |= {"position_ids": position_ids, "attention_mask": attention_mask}
        return type(self).forward(self, past_key_values=past_key_values, use_cache=use_cache, **arguments)
    if use_cache or past_key_values is not None:
        raise ValueError("packed documents cannot fill a cache: generate from one document per row, without packing")
    length = packing.index.shape[1] if parallel is None else parallel.part(packing.index).shape[1]
    if tuple(tokens.shape[:2]) != (len(packing.lengths), length):
        raise ValueError(
            f"the packing is for {len(packing.lengths)} sequences of {length} tokens, but the input has the shape "
            f"{list(tokens.shape[:2])}"
        )
    no_masks = {"full_attention": None, "linear_attention": None}  # the mixers separate the documents
    return type(self).forward(
        self, attention_mask=no_masks, use_cache=False, packing=packing, parallel=parallel, **arguments
    )


def _found(tokens, position_ids, attention_mask, seq_idx, cu_seq_lens) -> dict[str, Packing]:
    """The packing that each argument describes. Only arguments that describe more than one document are in it."""
    batch, length = tokens.shape[:2]
    found = {}
    mask = attention_mask if isinstance(attention_mask, torch.Tensor) else None
    local = None if mask is None else mask[:, -length:]
    if local is not None and local.numel() and local.max() > 1:
        found["attention_mask"] = Packing.of_changes(local[:, 1:] != local[:, :-1])
    if position_ids is not None and position_ids.ndim == 2 and position_ids.shape[1] == length > 1:
        restarts = position_ids.diff(dim=1) != 1
        if local is not None:  # generation with padding gives the padding any position
            real = local != 0
            restarts = torch.where(real[:, 1:] & real[:, :-1], restarts, False)
            if restarts.any():
                restarts = restarts | (real[:, 1:] != real[:, :-1])
        if restarts.any():
            found["position_ids"] = Packing.of_changes(restarts.expand(batch, -1))
    if seq_idx is not None and seq_idx.numel() and (seq_idx != seq_idx[:, :1]).any():
        found["seq_idx"] = Packing.of_changes(seq_idx[:, 1:] != seq_idx[:, :-1])
    if cu_seq_lens is not None and cu_seq_lens.numel() > 2:
        ends = cu_seq_lens.tolist()
        if batch != 1 or ends[0] != 0 or ends[-1] > length:
            raise ValueError(
                f"cu_seq_lens_q {ends[:3]} to {ends[-1]} describes one row from 0 to its length, but the input has the "
                f"shape {[batch, length]}"
            )
        lengths = [end - start for start, end in pairwise(ends) if end > start]
        found["cu_seq_lens_q"] = Packing.of([lengths], length, tokens.device)
    return found


def _check_padding(mask) -> None:
    """Raise ValueError if a row of a mask has tokens, then padding, then tokens again."""
    if not isinstance(mask, torch.Tensor):
        return
    changes = (mask != 0).int().diff(dim=1)
    if (((changes < 0).cumsum(dim=1) > 0) & (changes > 0)).any():
        raise ValueError(
            "the attention mask has padding between the tokens of a row, which Mamba-2 layers do not stop at. If these "
            "are several documents, number them in the mask (1, 2, ...) or give seq_idx"
        )


def _agreed(found: dict[str, Packing]) -> Packing | None:
    """The one packing that all arguments describe, or None. Raises ValueError if they differ."""
    names = list(found)
    for name in names[1:]:
        if found[name].lengths != found[names[0]].lengths:
            raise ValueError(
                f"{names[0]} describes documents of {found[names[0]].lengths} tokens, but {name} of "
                f"{found[name].lengths}: they must agree"
            )
    return found[names[0]] if found else None
