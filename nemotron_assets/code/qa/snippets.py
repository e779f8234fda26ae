"""Cuts snippets out of source files: whole functions and methods of a few lines, or statements if a file has none.

Snippets are cut along the nodes of the tree-sitter syntax tree, so that they never begin or end inside a function or
statement. Their hashes decide which snippets are taken: the same ones in every run, in whatever order files are read.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute

from nemotron_assets.code.qa.tables import SNIPPETS
from nemotron_assets.generation.code_blocks import has_fence, parser
from nemotron_assets.recipe.code.qa import CodeQa, CodeSnippets
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.text.grammars import Unparsable, parse

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader

#: Columns of `code.curated` that are read.
READ = ("id", "language", "license", "content", "content_hash")

_FUNCTIONS = frozenset(
    ("function_definition", "function_declaration", "method_definition", "method_declaration", "function_item",
     "generator_function_declaration", "local_function_statement", "constructor_declaration")
)  # fmt: skip
#: Nodes around a function that belong to it, such as decorators.
_WRAPPERS = frozenset(("decorated_definition", "export_statement", "template_declaration"))
#: Statements of these kinds are not taken as snippets, because nothing can be asked about them.
_NO_STATEMENTS = frozenset(
    ("comment", "line_comment", "block_comment", "import_statement", "import_from_statement", "import_declaration",
     "future_import_statement", "preproc_include", "using_directive", "use_declaration", "package_clause",
     "package_declaration", "namespace_use_declaration", "namespace_definition", "php_tag", "text", "preproc_ifdef",
     "hash_bang_line", "attribute_list", "global_attribute", "module", "labeled_statement",
     "string", ";")
)  # fmt: skip


def cut(text: str, language: str, recipe: CodeSnippets) -> list[dict[str, Any]]:
    """The snippets of a file, in the order of the file: kind, snippet, start_line, end_line and start (in bytes).

    These are the outermost functions and methods of the recipe's size. If there are none, statements at the top level
    of the file are taken. A file above the recipe's size has no snippets, and so has a
    file that the parser does not end on.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > recipe.max_file_kb << 10:
        return []
    try:
        root = parse(parser(language), data)
    except Unparsable:
        return []
    found = []
    if language != "SQL":  # in the grammar of SQL, "function_declaration" is the declaration of a variable
        found = [piece for node in _functions(root) if (piece := _snippet(data, node, "function", language, recipe))]
    if not found:
        nodes = (node for node in root.named_children if node.type not in _NO_STATEMENTS and not _is_text(node))
        found = [piece for node in nodes if (piece := _snippet(data, node, "statement", language, recipe))]
    return found


def _functions(root: Any) -> Iterator[Any]:
    """The outermost functions, with the nodes wrapped around them. Not recursive, because trees can be deep."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in _FUNCTIONS:
            if node.child_by_field_name("body") is None:
                continue  # a declaration without a definition
            while node.parent is not None and node.parent.type in _WRAPPERS:
                node = node.parent
            yield node
        else:
            waiting.extend(reversed(node.named_children))


def _is_text(node: Any) -> bool:
    """Whether a statement is only a string, such as a docstring in Python."""
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]


def _snippet(data: bytes, node: Any, kind: str, language: str, recipe: CodeSnippets) -> dict[str, Any] | None:
    """A node as a snippet. None if it has syntax errors, does not have the recipe's size, or shares its first line with
    other code."""
    if node.has_error or node.end_point.row - node.start_point.row >= 4 * recipe.max_lines:
        return None
    line = data.rfind(b"\n", 0, node.start_byte) + 1
    if data[line : node.start_byte].strip():
        return None
    after = node.next_sibling  # the ";" after a declaration in C or a statement in SQL is not part of its node
    end = (
        after.end_byte if after and after.type == ";" and after.start_point.row == node.end_point.row else node.end_byte
    )
    text = data[line:end].decode("utf-8", "replace").replace("\r\n", "\n").expandtabs(4)
    code = textwrap.dedent(text).strip("\n")
    # A string over several lines can have less indentation than the code around it.
    if language == "Python" and code[:1].isspace():
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


def cut_files(files: pl.DataFrame, recipe: CodeSnippets) -> pl.DataFrame:
    """Rows of `code.snippets` for files (columns `READ`): of every file the snippets with the lowest hashes."""
    rows = []
    for file, language, licence, content, origin in files.select(READ).iter_rows():
        distinct = {content_hash(piece["snippet"]): piece for piece in reversed(cut(content, language, recipe))}
        for hashed in sorted(distinct)[: recipe.per_file]:
            piece = distinct[hashed]
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


def sample(frames: Iterable[pl.DataFrame], recipe: CodeSnippets) -> Iterator[pl.DataFrame]:
    """Of each language the recipe's number of snippets with the lowest hashes, without duplicates.

    If the recipe has no limit, all snippets are returned, duplicates in different files included. Memory: the rows
    within the limit and one frame.
    """
    if recipe.per_language is None:
        yield from frames
        yield pl.DataFrame(schema=_schema())
        return
    kept = pl.DataFrame(schema=_schema())
    for frame in frames:
        # The lowest hashes of all frames are among the lowest hashes of the frames so far.
        joined = pl.concat([kept, frame]).sort("content_hash", "id").unique(["language", "content_hash"], keep="first")
        joined = joined.sort("content_hash", "id")
        kept = joined.group_by("language", maintain_order=True).head(recipe.per_language).select(kept.columns)
    yield kept.sort("language", "content_hash")


def snippet_rows(curated: Reader, recipe: CodeQa, compute: Compute) -> Batches:
    """Rows of `code.snippets`, cut out of `code.curated` in worker processes."""
    languages = pa.array(list(recipe.languages))
    batches = (
        batch.filter(pa.compute.is_in(batch["language"], value_set=languages.cast(batch["language"].type)))
        for batch in curated.batches(READ, recipe.snippets.batch_rows)
    )
    work, rejects = functools.partial(cut_files, recipe=recipe.snippets), Rejects()
    frames = compute.map(batches, work, reject=rejects.add, stage=SNIPPETS.full_name)
    return Batches(sample(frames, recipe.snippets), rejects)


def _schema() -> pl.Schema:
    return SNIPPETS.empty().schema
