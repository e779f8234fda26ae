"""Embeddings: texts as vectors of length one, computed from a table of token vectors or by a transformer."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nemotron_assets.scorers import ScorerError

_STATIC, _VOCABULARY = "static.safetensors", "tokenizer.json"


class StaticEmbedding:
    """The mean of the vectors of a text's tokens, scaled to length one. No neural network runs, so it is fast: 1,200
    texts/s/core with wordllama."""

    def __init__(self, folder: Path, tokens: int) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        (table,) = load_file(folder / _STATIC).values()
        self._vectors = table.astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(folder / _VOCABULARY))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(tokens)
        self._characters = 16 * tokens  # the tokenizer would read the rest of a long text in vain

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float32[texts, width]; a text without tokens has the zero vector."""
        cropped = [text[: self._characters] for text in texts]
        vectors = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, encoded in enumerate(self._tokenizer.encode_batch(cropped, add_special_tokens=False)):
            if encoded.ids:
                vectors[row] = self._vectors[encoded.ids].mean(axis=0)
        return _normalised(vectors)


class SentenceEmbedding:
    """A sentence-transformers model: an encoder whose states are averaged, or whose first state is used, as the model's
    folder says."""

    def __init__(self, folder: Path, tokens: int, batch: int = 64) -> None:
        from transformers import AutoModel

        pooling = folder / "1_Pooling" / "config.json"
        self._first = pooling.is_file() and json.loads(pooling.read_text()).get("pooling_mode_cls_token", False)
        self._run = Encoder(folder, AutoModel, tokens, batch)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float32[texts, width]."""

        def pooled(output: Any, mask: Any) -> Any:
            states = output.last_hidden_state.float()
            if self._first:
                return states[:, 0]
            mask = mask.unsqueeze(-1)
            return (states * mask).sum(1) / mask.sum(1).clamp(min=1)

        return _normalised(self._run(texts, pooled))


def embedding(folder: Path, tokens: int) -> StaticEmbedding | SentenceEmbedding:
    """The embedding in a folder that `fetch_embedding` made; it reads the first `tokens` tokens of a text."""
    return StaticEmbedding(folder, tokens) if (folder / _STATIC).is_file() else SentenceEmbedding(folder, tokens)


def fetch_embedding(name: str, target: Path) -> Path:
    """Copy the embedding with this name from the recipe to `target`, and return `target`.

    "wordllama" is copied from its Python package; any other name is a folder or a Hugging Face model. Raises
    `ScorerError` if the package wordllama is not installed.
    """
    from resources import pretrained

    if name != "wordllama":
        shutil.copytree(pretrained.fetch(name, target)[1], target, ignore=without_caches)
        return target
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.origin:
        raise ScorerError(
            "the package wordllama, which holds the embedding 'wordllama', is not installed: install it from "
            "requirements/, or name a folder or a Hugging Face model in web.quality.scorers.embedding"
        )
    source = Path(spec.origin).parent  # not imported, because it needs more packages than its files do
    target.mkdir(parents=True)
    shutil.copyfile(source / "weights" / "l2_supercat_256.safetensors", target / _STATIC)
    shutil.copyfile(source / "tokenizers" / "l2_supercat_tokenizer_config.json", target / _VOCABULARY)
    return target


class Encoder:
    """Runs a transformer over texts in batches of similar length, on the GPU if there is one."""

    def __init__(self, folder: Path, kind: Any, tokens: int, batch: int) -> None:
        import torch
        from transformers import AutoTokenizer

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(self._device).eval()
        most = getattr(self.model.config, "max_position_embeddings", None) or tokens
        self._tokens, self._batch = min(tokens, most), batch

    def __call__(self, texts: Sequence[str], read: Callable[[Any, Any], Any]) -> np.ndarray:
        """float32[texts, width]: what `read(output, attention_mask)` gives for each batch, in the order of `texts`."""
        import torch

        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(order), self._batch):
                batch = [texts[i][: 16 * self._tokens] for i in order[start : start + self._batch]]
                inputs = self.tokenizer(
                    batch, padding="longest", truncation=True, max_length=self._tokens, return_tensors="pt"
                ).to(self._device)
                parts.append(read(self.model(**inputs), inputs["attention_mask"]).float().cpu().numpy())
        if not parts:
            return np.zeros((0, 1), np.float32)
        made = np.concatenate(parts)
        result = np.empty_like(made)
        result[order] = made
        return result


def _normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def without_caches(folder: str, names: list[str]) -> list[str]:
    """The names in a folder of weights that `shutil.copytree` skips: hidden cache folders and the lake's manifest."""
    return [name for name in names if name.startswith(".") or name == "manifest.json"]
