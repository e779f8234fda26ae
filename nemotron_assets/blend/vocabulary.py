"""Makes the tokenizer of the blend: trains it on the sources, or converts tekken, and measures it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from nemotron_assets.blend.documents import Source, text_sample
from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.ids import row_id
from nemotron_assets.text import tokenizer as bpe


def make_tokenizer(
    sources: Sequence[Source], recipe: Recipe, store: Callable[[Path, str], tuple[str, str]]
) -> pl.DataFrame:
    """The row of `blend.tokenizer`. `store(folder, name)` puts the tokenizer's folder into the lake and returns its URI
    and sha256."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "tokenizer")
        texts = text_sample(sources, recipe, recipe.tokenizer.max_training_mb)
        made, documents, size = bpe.make(recipe.tokenizer, texts)
        bpe.save(made, directory, recipe.blend.sequence_length)
        uri, sha256 = store(directory, "tokenizer")
        bytes_per_token = bpe.bytes_per_token(bpe.load(directory), text_sample(sources, recipe, bpe.MEASURE_MB))
    name = f"{recipe.tokenizer.kind}-{made.get_vocab_size()}"
    return pl.DataFrame(
        {
            "id": row_id(TOKENIZER.full_name, name),
            "name": name,
            "vocabulary": made.get_vocab_size(),
            "special_tokens": recipe.tokenizer.special_tokens,
            "uri": uri,
            "sha256": sha256,
            "training_documents": documents,
            "training_bytes": size,
            "bytes_per_token": bytes_per_token,
        }
    )
