"""Which assets a selection names: Dagster's syntax, with the names of tables, and with errors that suggest names."""

from __future__ import annotations

import difflib
import re
from typing import Any

import dagster as dg


class SelectionError(ValueError):
    """A selection or a partition that does not exist; the message names similar ones."""


def select(graph: Any, selection: str | None) -> list[dg.AssetKey]:
    """The keys of the assets of a graph that a selection in Dagster's syntax names, in topological order.

    Without a selection: all assets but the upkeep of the lake. Raises `SelectionError`.
    """
    executable = graph.executable_asset_keys
    if not selection:
        chosen = {key for key in executable if key.path[0] != "lake"}
    else:
        # Dagster's syntax wants key:"web/documents"; here the bare name works in combinations too, and so does the
        # name of its table (web.documents).
        selection = re.sub(r'(?<![\w*/:".])(\w+)\.(\w+)(?![\w*/".])', r"\1/\2", selection)
        names = re.compile(r'(?<![\w*/:"])(\w+/\w+)(?![\w*/"])')
        try:
            text = names.sub(r'key:"\1"', selection)
            chosen = dg.AssetSelection.from_string(text).resolve(graph) & executable
        except Exception as error:
            if re.fullmatch(r"[+*]*\w+[+*]*", selection):  # a name without its group
                raise SelectionError(f"no asset is selected by {selection!r}. {_suggest(graph, selection)}") from None
            raise SelectionError(
                f"cannot parse the selection {selection!r}; join names by `or` (web/documents or group:blend): {error}"
            ) from None
        # An unknown name is an error even if other names of the same selection exist.
        known = {key.to_user_string() for key in executable}
        unknown = [name for name in names.findall(selection) if name not in known]
        if unknown or not chosen:
            word = unknown[0] if unknown else selection
            raise SelectionError(f"no asset is selected by {word!r}. {_suggest(graph, word)}")
    return [key for key in graph.toposorted_asset_keys if key in chosen]


def _suggest(graph: Any, selection: str) -> str:
    """A hint with names similar to the one that does not exist, and all groups and assets."""
    names = [key.to_user_string() for key in graph.executable_asset_keys]
    groups = sorted({graph.get(key).group_name for key in graph.executable_asset_keys})
    word = selection.removeprefix("group:").strip("+*\"' ")
    close = [name for name in names if name.endswith(f"/{word}")]  # documents for web/documents
    close = close or difflib.get_close_matches(word, [*names, *groups], n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}Groups: {', '.join(f'group:{g}' for g in groups)}; assets: {', '.join(sorted(names))}."
