"""Measures bits per byte: how many bits a model needs per byte of UTF-8 of held-out documents, whatever its vocabulary.

Every token of a document is scored exactly once. The first token follows EOS, which separates documents in training. A
long document is read in windows that overlap, so that every token has context. Documents are never joined. Windows that
are shorter than the longest of their batch are padded on the right, where a causal model does not see the padding.

Two simple models of the same bytes stand beside it: the entropy of single bytes, and gzip -9 of all texts together.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from nemotron_assets.evaluate.results.result import Score
from nemotron_assets.text.tokenizer import EOS, decode, encode

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

_GROUP = 256  # documents that are tokenised together
_LOGIT_ROWS = 1_024  # positions whose logits are in memory together


class Pool:
    """The bytes of all texts of a task, one after the other, as two simple models see them. No byte is kept."""

    def __init__(self) -> None:
        import numpy as np

        self._counts = np.zeros(256, np.int64)
        self._packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # with the header of a gzip file
        self._packed = 0

    def add(self, data: bytes) -> None:
        """Add the bytes of one text."""
        import numpy as np

        self._counts += np.bincount(np.frombuffer(data, np.uint8), minlength=256)
        self._packed += len(self._packer.compress(data))

    def unigram(self) -> float:
        """The entropy of single bytes, in bits: no model that ignores the order of the bytes needs fewer."""
        shares = self._counts[self._counts > 0] / self._counts.sum()
        return -math.fsum(share * math.log2(share) for share in shares.tolist())

    def gzip(self) -> float:
        """Bits that gzip -9 needs per byte. No text can be added afterwards."""
        self._packed += len(self._packer.flush())
        return 8 * self._packed / int(self._counts.sum())


@dataclass(frozen=True)
class Window:
    """A piece of a document. The model reads `inputs`; `targets` are the inputs shifted by one token, and the last
    `scored` of them count for the document number `document`."""

    document: int
    inputs: list[int]
    targets: list[int]
    scored: int


def windows(document: int, ids: Sequence[int], size: int, overlap: int) -> Iterator[Window]:
    """Windows of at most `size` inputs. Each begins with the last `overlap` tokens of the window before, as context."""
    text = [EOS, *ids]
    done = 0  # tokens of the document scored so far
    while done < len(ids):
        start = max(0, done - overlap)
        end = min(len(ids), start + size)
        yield Window(document, text[start:end], text[start + 1 : end + 1], end - done)
        done = end


@dataclass(frozen=True)
class Texts:
    """What a model needs for the texts of a task: `bits`, `sizes` (bytes of UTF-8) and `tokens` of every text.
    `unigram` and `gzip` are the bits per byte of the simple models for all texts together."""

    bits: list[float]
    sizes: list[int]
    tokens: list[int]
    unigram: float
    gzip: float


def read(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    size: int,
    overlap: int,
    batch_size: int,
    task: str = "held_out_documents",
) -> Texts:
    """The bits that a model needs for texts: the sum of negative log-likelihoods / ln 2, in float64. `task` names the
    texts in messages.

    Raises ValueError when there is no text, and when a text changes by encoding and decoding, because bits per byte
    would then count the wrong bytes.
    """
    import torch

    model.eval()
    bits, sizes, tokens, pool = [], [], [], Pool()
    numbered = enumerate(texts)
    with torch.inference_mode():
        while group := list(islice(numbered, _GROUP)):
            jobs = []
            for number, text in group:
                ids, data = encode_whole(tokenizer, text, f"{task}: text {number}"), text.encode()
                bits.append(0.0)
                sizes.append(len(data))
                tokens.append(len(ids))
                pool.add(data)
                jobs.extend(windows(number, ids, size, overlap))
            jobs.sort(key=lambda job: len(job.inputs))  # windows of similar length need little padding
            for first in range(0, len(jobs), batch_size):
                batch = jobs[first : first + batch_size]
                for job, losses in zip(batch, token_losses(model, batch), strict=True):
                    bits[job.document] += float(losses.double().sum()) / math.log(2)
    if not any(tokens):
        raise ValueError(f"{task}: no text is held out: raise blend.held_out_share or bring more data")
    return Texts(bits, sizes, tokens, pool.unigram(), pool.gzip())


def measure(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    size: int,
    overlap: int,
    batch_size: int,
    task: str = "held_out_documents",
) -> Score:
    """The bits per byte of `texts` together as the score of `task`; arguments and errors are those of `read`. The
    standard error is the standard error of a ratio of sums over documents."""
    found = read(model, tokenizer, texts, size, overlap, batch_size, task)
    return Score(
        task=task,
        metric="bits_per_byte",
        value=sum(found.bits) / sum(found.sizes),
        stderr=ratio_stderr(found.bits, found.sizes),
        random_baseline=sum(found.tokens) * math.log2(tokenizer.get_vocab_size()) / sum(found.sizes),
        samples=len(found.sizes),
        shots=0,
        unigram=found.unigram,
        gzip=found.gzip,
    )


def encode_whole(tokenizer: Tokenizer, text: str, name: str) -> list[int]:
    """The token ids of a text. Raises ValueError when they do not decode to the text, because bits per byte would then
    count the wrong bytes. `name` names the text in the message."""
    ids = encode(tokenizer, text)
    if decode(tokenizer, ids) != text:
        raise ValueError(
            f"{name} changes when the tokenizer encodes and decodes it; train the model with a tokenizer that gives "
            "every text back (blend/tokenizer)"
        )
    return ids


def token_losses(model: PreTrainedModel, batch: Sequence[Window]) -> Iterator[torch.Tensor]:
    """The negative log-likelihood of every scored token of each window, in nats, on the CPU."""
    import torch

    longest = max(len(job.inputs) for job in batch)
    inputs = torch.tensor([job.inputs + [0] * (longest - len(job.inputs)) for job in batch], device=model.device)
    hidden = _hidden(model, inputs, [len(job.inputs) for job in batch])
    head = model.get_output_embeddings()
    for row, job in enumerate(batch):
        end, parts = len(job.inputs), []
        targets = torch.tensor(job.targets, device=hidden.device)
        # Logits are the largest tensor here, so they are computed for scored positions only, some at a time.
        for first in range(end - job.scored, end, _LOGIT_ROWS):
            part = slice(first, min(first + _LOGIT_ROWS, end))
            logits = head(hidden[row, part]).float()
            parts.append(torch.nn.functional.cross_entropy(logits, targets[part], reduction="none").cpu())
        yield torch.cat(parts)


def _hidden(model: PreTrainedModel, inputs: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The last hidden states of right-padded rows. A NemotronH model uses the scan of this project, which is faster."""
    from transformers import NemotronHForCausalLM

    if isinstance(model, NemotronHForCausalLM):
        from nemotron_assets.model.nemotron_h import attach, packed_hidden
        from nemotron_assets.model.packing import Packing

        packing = Packing.of([[length] for length in lengths], inputs.shape[1], inputs.device)
        return packed_hidden(attach(model), inputs, packing)
    return model.base_model(input_ids=inputs, use_cache=False).last_hidden_state


def ratio_stderr(bits: Sequence[float], sizes: Sequence[int]) -> float | None:
    """The standard error of sum(bits) / sum(sizes) over documents (delta method); None for a single document."""
    count, ratio = len(sizes), sum(bits) / sum(sizes)
    if count < 2:
        return None
    squares = sum((b - ratio * s) ** 2 for b, s in zip(bits, sizes, strict=True))
    return math.sqrt(squares * count / (count - 1)) / sum(sizes)
