"""Snippets of code: whole functions and methods of a few lines, or statements where a file has no such function.

Cut with tree-sitter, so that a snippet never begins or ends inside of something. Which ones are taken is decided by
their hashes: the same in every run, whatever the order of the files.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from nemotron_assets.code.qa.parsing import has_fence, parser
from nemotron_assets.code.qa.tables import SNIPPETS
from nemotron_assets.recipe.code.qa import CodeSnippets
from nemotron_assets.table.ids import content_hash, row_id

#: What is read of `code.curated`.
READ = ("id", "language", "license", "content", "content_hash")

_FUNCTIONS = frozenset(
    ("function_definition", "function_declaration", "method_definition", "method_declaration", "function_item",
     "generator_function_declaration", "local_function_statement", "constructor_declaration")
)  # fmt: skip
#: Nodes around a function that belong to it.
_WRAPPERS = frozenset(("decorated_definition", "export_statement", "template_declaration"))
#: `code.snippets` has no statements of these kinds: nothing can be asked about them.
_NO_STATEMENTS = frozenset(
    ("comment", "line_comment", "block_comment", "import_statement", "import_from_statement", "import_declaration",
     "future_import_statement", "preproc_include", "using_directive", "use_declaration", "package_clause",
     "package_declaration", "namespace_use_declaration", "namespace_definition", "php_tag", "text", "preproc_ifdef",
     "hash_bang_line", "attribute_list", "global_attribute", "module", "labeled_statement",
     "string", ";")
)  # fmt: skip


def cut(text: str, language: str, recipe: CodeSnippets) -> list[dict[str, Any]]:
    """The snippets of a file, in their order: kind, snippet, start_line, end_line and start (in bytes).

    Functions and methods that fit, the outermost ones; where there are none, statements of the file's top level.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > recipe.max_file_kb << 10:
        return []
    root = parser(language).parse(data).root_node
    found = []
    if language != "SQL":  # what the grammar of SQL calls a function declaration is one of a variable
        found = [piece for node in _functions(root) if (piece := _piece(data, node, "function", language, recipe))]
    if not found:
        nodes = (node for node in root.named_children if node.type not in _NO_STATEMENTS and not _is_text(node))
        found = [piece for node in nodes if (piece := _piece(data, node, "statement", language, recipe))]
    return found


def _functions(root: Any) -> Iterator[Any]:
    """Functions, with what is wrapped around them; none inside of another. No recursion: trees may be deep."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in _FUNCTIONS:
            if node.child_by_field_name("body") is None:
                continue  # declared, not defined
            while node.parent is not None and node.parent.type in _WRAPPERS:
                node = node.parent
            yield node
        else:
            waiting.extend(reversed(node.named_children))


def _is_text(node: Any) -> bool:
    """Whether a statement is nothing but a string, as Python's docstrings are."""
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]


def _piece(data: bytes, node: Any, kind: str, language: str, recipe: CodeSnippets) -> dict[str, Any] | None:
    """A node as a snippet, or None if it has errors, the wrong size, or shares its lines with something else."""
    if node.has_error or node.end_point.row - node.start_point.row >= 4 * recipe.max_lines:
        return None
    line = data.rfind(b"\n", 0, node.start_byte) + 1
    if data[line : node.start_byte].strip():
        return None
    after = node.next_sibling  # what ends a declaration in C, or a statement in SQL, is no part of its node
    end = (
        after.end_byte if after and after.type == ";" and after.start_point.row == node.end_point.row else node.end_byte
    )
    text = data[line:end].decode("utf-8", "replace").replace("\r\n", "\n").expandtabs(4)
    code = textwrap.dedent(text).strip("\n")
    if language == "Python" and code[:1].isspace():  # a string in it has lines with less indentation
        return None
    lines = sum(1 for row in code.split("\n") if row.strip())
    if not recipe.min_lines <= lines <= recipe.max_lines or has_fence(code):
        return None
    if not recipe.min_characters <= len(code) <= recipe.max_characters:
        return None
    return {
        "kind": kind,
        "snippet": code,
        "start_line": node.start_point.row + 1,
        "end_line": node.end_point.row + 1,
        "start": node.start_byte,
    }


def snippets(files: pl.DataFrame, recipe: CodeSnippets) -> pl.DataFrame:
    """Rows of `code.snippets` for files (`READ`): of every file those with the lowest hashes."""
    rows = []
    for file, language, licence, content, origin in files.select(READ).iter_rows():
        once = {content_hash(piece["snippet"]): piece for piece in reversed(cut(content, language, recipe))}
        for hashed in sorted(once)[: recipe.per_file]:
            piece = once[hashed]
            rows.append(
                {
                    "id": row_id(SNIPPETS.full_name, file, piece.pop("start")),
                    "parents": [file],
                    "language": language,
                    "license": licence,
                    "content_hash": hashed,
                    "origin_hash": origin,
                    **piece,
                }
            )
    return pl.DataFrame(rows, schema=_schema())


def sampled(frames: Iterable[pl.DataFrame], recipe: CodeSnippets) -> Iterator[pl.DataFrame]:
    """Of every language the snippets with the lowest hashes, equal ones once; all of them if the recipe has no limit.

    With a limit no more rows are held than it allows. Without, equal snippets of different files stay.
    """
    if recipe.per_language is None:
        yield from frames
        yield pl.DataFrame(schema=_schema())
        return
    kept = pl.DataFrame(schema=_schema())
    for frame in frames:
        # The lowest hashes of all are among the lowest of what came so far.
        joined = pl.concat([kept, frame]).sort("content_hash", "id").unique(["language", "content_hash"], keep="first")
        joined = joined.sort("content_hash", "id")
        kept = joined.group_by("language", maintain_order=True).head(recipe.per_language).select(kept.columns)
    yield kept.sort("language", "content_hash")


def _schema() -> pl.Schema:
    return SNIPPETS.empty().schema
