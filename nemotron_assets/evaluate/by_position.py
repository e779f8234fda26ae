"""Measures bits per byte by the position in a long document: does a model use what it has read long before?

Every document is read once from its beginning, in one piece, as far as the longest context goes. So at every position a
model sees all that comes before. The positions are put together in stretches that double: 0 to 512 tokens, 512 to 1,024
and so on. All documents of a measurement are longer than the first stretch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.bits_per_byte import Window, encode_whole, ratio_stderr, token_losses
from nemotron_assets.text.tokenizer import EOS

if TYPE_CHECKING:
    import polars as pl
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Reader


@dataclass(frozen=True)
class Stretch:
    """Bits per byte of the tokens `first` to `last` - 1 of all documents, counted from 0."""

    first: int
    last: int
    bits_per_byte: float
    stderr: float | None
    tokens: int
    bytes: int
    documents: int


def stretches(shortest: int, longest: int) -> list[tuple[int, int]]:
    """Where the stretches begin and end: (0, 512), (512, 1024), ... up to `longest`."""
    ends = [shortest]
    while ends[-1] < longest:
        ends.append(min(2 * ends[-1], longest))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def measure_by_position(
    model: PreTrainedModel, tokenizer: Tokenizer, texts: Iterable[str], shortest: int, longest: int
) -> list[Stretch]:
    """The bits per byte of every stretch that one of the texts reaches. A token counts with its own bytes, which may be
    a part of a character. Texts of at most `shortest` tokens are left out."""
    import torch

    model.eval()
    edges = stretches(shortest, longest)
    bits: list[list[float]] = [[] for _ in edges]
    sizes: list[list[int]] = [[] for _ in edges]
    tokens = [0] * len(edges)
    with torch.inference_mode():
        for text in texts:
            ids = encode_whole(tokenizer, text, f"the held-out text that begins with {text[:40]!r}")[:longest]
            if len(ids) <= shortest:
                continue
            window = Window(0, [EOS, *ids[:-1]], ids, len(ids))
            (losses,) = token_losses(model, [window])
            lengths = [len(tokenizer.id_to_token(token)) for token in ids]  # a character of a token stands for a byte
            for number, (first, last) in enumerate(edges):
                if first < len(ids):
                    bits[number].append(float(losses[first:last].double().sum()) / math.log(2))
                    sizes[number].append(sum(lengths[first:last]))
                    tokens[number] += len(ids[first:last])
    return [
        Stretch(*edge, sum(b) / sum(s), ratio_stderr(b, s), count, sum(s), len(s))
        for edge, b, s, count in zip(edges, bits, sizes, tokens, strict=True)
        if s
    ]


class LongTexts:
    """Measures models on the long held-out documents of the lake, whose tables are `held_out`."""

    def __init__(self, recipe: Recipe, held_out: Sequence[Reader]) -> None:
        self._recipe = recipe
        self._tables = {reader.table.full_name: reader.scan() for reader in held_out}

    def rows(self, folder: Path, device: str, model_id: str) -> list[dict[str, Any]]:
        """The stretches of the Hugging Face model in a folder, as columns of `evaluate.bits_by_position`."""
        from transformers import AutoModelForCausalLM

        from nemotron_assets.evaluate.texts import longest as longest_texts
        from nemotron_assets.evaluate.texts import texts_by_domain
        from nemotron_assets.text.tokenizer import load

        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device), load(folder)
        blend, most = self._recipe.blend, self._recipe.evaluate.max_long_documents
        shortest, longest = blend.sequence_length, blend.long_context.sequence_length
        languages = self._recipe.web.heuristics.languages
        domains = texts_by_domain(self._tables, languages, blend.held_out_share, most, longest_texts)
        texts = itertools.chain.from_iterable(domains.values())
        found = measure_by_position(model, tokenizer, texts, shortest, longest)
        return [
            {
                "first_token": stretch.first,
                "last_token": stretch.last,
                "bits_per_byte": stretch.bits_per_byte,
                "stderr": stretch.stderr,
                "tokens": stretch.tokens,
                "bytes": stretch.bytes,
                "documents": stretch.documents,
                "trained_length": model.config.max_position_embeddings,
            }
            for stretch in found
        ]


def compared(rows: pl.DataFrame, base: str, extended: str) -> dict[str, float] | None:
    """The bits per byte of the model with the id `extended` divided by the bits per byte of the model `base`, over the
    same stretches: `within` the context that the base model was trained for, and `beyond` it. `rows` is the table
    `evaluate.bits_by_position`. None if a model is missing in it, or no document is longer than this context."""
    import polars as pl

    short, long = (rows.filter(model_id=model) for model in (base, extended))
    if short.is_empty() or long.is_empty():
        return None
    context = short["trained_length"][0]
    pairs = short.join(long, on=("first_token", "last_token", "bytes", "documents"), suffix="_long")
    sides = {"within": pl.col("last_token") <= context, "beyond": pl.col("first_token") >= context}
    shares = {}
    for name, where in sides.items():
        of = pairs.filter(where)
        if of.is_empty():
            return None
        bits = of.select((pl.col("bits_per_byte", "bits_per_byte_long") * pl.col("bytes")).sum()).row(0)
        shares[name] = bits[1] / bits[0]
    return shares


def plot(stored: Reader) -> dict[str, Any]:
    """What the UI shows: bits per byte by position, for the newest measured version of every model."""
    import polars as pl

    from nemotron_assets.plots import lines

    rows = stored.scan().filter(pl.col("at") == pl.col("at").max().over("model")).sort("model", "first_token").collect()
    if rows.is_empty():
        return {"models": "none: no held-out document is longer than a sequence of the pretraining"}
    series = {
        model: (own["last_token"].to_list(), own["bits_per_byte"].to_list())
        for (model,), own in rows.partition_by("model", as_dict=True, maintain_order=True).items()
    }
    shown = lines(series, "bits per byte by position", "position in the document, up to this token", "bits per byte")
    return {"models": ", ".join(series), "bits_per_byte": shown, "documents": rows["documents"].max()}
