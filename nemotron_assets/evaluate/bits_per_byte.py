"""Bits per byte of held-out documents: how many bits the model needs per byte of UTF-8, whatever its vocabulary.

Every token of a document is scored exactly once, the first one after EOS, which is what separates documents in
training. A long document is read in windows that overlap, so that a token has context; documents are never joined, and
windows shorter than their batch are padded on the right, where a causal model cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from nemotron_assets.evaluate.harness import Score
from nemotron_assets.text.tokenizer import EOS, decode, encode

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

_GROUP = 256  # documents tokenised at once
_LOGIT_ROWS = 1_024


@dataclass(frozen=True)
class Window:
    """`inputs` are read by the model; the last `scored` of `targets` (inputs shifted by one) count for `document`."""

    document: int
    inputs: list[int]
    targets: list[int]
    scored: int


def windows(document: int, ids: Sequence[int], size: int, overlap: int) -> Iterator[Window]:
    """Windows of at most `size` inputs, each carrying `overlap` tokens of context from the one before."""
    text = [EOS, *ids]
    done = 0  # tokens of the document scored so far
    while done < len(ids):
        start = max(0, done - overlap)
        end = min(len(ids), start + size)
        yield Window(document, text[start:end], text[start + 1 : end + 1], end - done)
        done = end


def measure(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    size: int,
    overlap: int,
    batch_size: int,
    task: str = "held_out_documents",
) -> Score:
    """Bits per byte over `texts`, as the score of `task`: negative log-likelihoods / ln 2 / bytes of UTF-8, in float64.

    The standard error is that of a ratio of sums over documents. Raises ValueError when there is no text, or when the
    text does not survive encoding and decoding (bits per byte would then count the wrong bytes).
    """
    import torch

    model.eval()
    bits, sizes, tokens = [], [], 0
    numbered = enumerate(texts)
    with torch.inference_mode():
        while group := list(islice(numbered, _GROUP)):
            jobs = []
            for number, text in group:
                ids = encode(tokenizer, text)
                if decode(tokenizer, ids) != text:
                    raise ValueError(f"held-out document {number} does not decode to itself")
                bits.append(0.0)
                sizes.append(len(text.encode()))
                tokens += len(ids)
                jobs.extend(windows(number, ids, size, overlap))
            jobs.sort(key=lambda job: len(job.inputs))  # alike lengths together: little padding
            for first in range(0, len(jobs), batch_size):
                batch = jobs[first : first + batch_size]
                for job, nll in zip(batch, _negative_log_likelihoods(model, batch), strict=True):
                    bits[job.document] += nll / math.log(2)
    if not tokens:
        raise ValueError("no held-out text to measure bits per byte on: raise blend.held_out_share or bring more data")
    value = sum(bits) / sum(sizes)
    return Score(
        task=task,
        metric="bits_per_byte",
        value=value,
        stderr=_ratio_stderr(bits, sizes),
        random_baseline=tokens * math.log2(tokenizer.get_vocab_size()) / sum(sizes),
        samples=len(sizes),
        shots=0,
    )


def _negative_log_likelihoods(model: PreTrainedModel, batch: Sequence[Window]) -> Iterator[float]:
    """Summed over the scored tokens of each window, in nats."""
    import torch

    longest = max(len(job.inputs) for job in batch)
    inputs = torch.tensor([job.inputs + [0] * (longest - len(job.inputs)) for job in batch], device=model.device)
    hidden = _hidden(model, inputs, [len(job.inputs) for job in batch])
    head = model.get_output_embeddings()
    for row, job in enumerate(batch):
        end, total = len(job.inputs), 0.0
        targets = torch.tensor(job.targets, device=hidden.device)
        # Only scored positions meet the vocabulary, some at a time: logits are the largest tensor here.
        for first in range(end - job.scored, end, _LOGIT_ROWS):
            part = slice(first, min(first + _LOGIT_ROWS, end))
            losses = torch.nn.functional.cross_entropy(head(hidden[row, part]).float(), targets[part], reduction="none")
            total += float(losses.double().sum())
        yield total


def _hidden(model: PreTrainedModel, inputs: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """Last hidden states of right-padded rows; NemotronH through our own scan, which is the faster one."""
    from transformers import NemotronHForCausalLM

    if isinstance(model, NemotronHForCausalLM):
        from nemotron_assets.model.nemotron_h import attach, packed_hidden
        from nemotron_assets.model.packing import Packing

        packing = Packing.of([[length] for length in lengths], inputs.shape[1], inputs.device)
        return packed_hidden(attach(model), inputs, packing)
    return model.base_model(input_ids=inputs, use_cache=False).last_hidden_state


def _ratio_stderr(bits: Sequence[float], sizes: Sequence[int]) -> float | None:
    """Standard error of sum(bits) / sum(sizes) over documents (delta method); None for a single document."""
    count, ratio = len(sizes), sum(bits) / sum(sizes)
    if count < 2:
        return None
    squares = sum((b - ratio * s) ** 2 for b, s in zip(bits, sizes, strict=True))
    return math.sqrt(squares * count / (count - 1)) / sum(sizes)
