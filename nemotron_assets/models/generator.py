"""Language models that others trained, put into the lake: embedded in a package, a folder, or downloaded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nemotron_assets.models.registry import Made
from nemotron_assets.recipe.llm import Llm
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table


def fetch(model: str, llm: Llm, table: Table) -> Callable[[Path], Made]:
    """What makes the version of `table` for a language model (`llm.model`: embedded, a folder, or a Hugging Face id).

    Behind an endpoint only the tokenizer is fetched, to count tokens with. The id follows from name and files.
    """

    def make(scratch: Path) -> Made:
        from resources import pretrained

        remote = llm.engine == "openai"
        name, folder = pretrained.fetch(llm.tokenizer if remote else model, scratch / "model", tokenizer_only=remote)
        name = model if remote else name
        dtype = "remote" if remote else pretrained.dtype(folder)
        return Made(
            folder,
            {"parameters": pretrained.parameters(folder), "dtype": dtype},
            id=lambda sha256: row_id(table.full_name, name, sha256),
            name=name,
        )

    return make
