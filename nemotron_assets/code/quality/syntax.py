"""Numbers of a file's syntax tree. One query per language finds the nodes, so that no tree is walked in Python.

Grammars come with tree-sitter-language-pack, nothing is fetched. Parsers are C code on hostile input: this is called
in worker processes, and files are no larger than the recipe says.
"""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from nemotron_assets.code.quality.numbers import OF_SYNTAX

#: Our languages as the grammars are called.
GRAMMARS = {
    "Python": "python", "OmniversePython": "python", "Java": "java", "JavaScript": "javascript",
    "TypeScript": "typescript", "TSX": "tsx", "C": "c", "C++": "cpp", "Cuda": "cuda", "C#": "csharp", "Go": "go",
    "Rust": "rust", "PHP": "php", "Ruby": "ruby", "Swift": "swift", "Shell": "bash", "Lua": "lua", "Scala": "scala",
    "Perl": "perl", "Haskell": "haskell", "Fortran": "fortran", "Julia": "julia", "R": "r", "SQL": "sql",
    "HTML": "html", "CSS": "css", "JSON": "json", "YAML": "yaml", "XML": "xml", "Kotlin": "kotlin", "TOML": "toml",
    "Makefile": "make", "Dockerfile": "dockerfile", "Dart": "dart", "Pascal": "pascal",
}  # fmt: skip
#: What node is what, in whichever grammar has it.
_NODES = {
    "function": (
        "function_definition", "function_declaration", "method_definition", "method_declaration", "function_item",
        "generator_function_declaration", "local_function_statement", "method", "singleton_method",
        "constructor_declaration", "subroutine_declaration_statement", "function_statement",
    ),
    "comment": ("comment", "line_comment", "block_comment", "multiline_comment", "documentation_comment"),
    "string": (
        "string", "string_literal", "raw_string_literal", "interpreted_string_literal", "template_string",
        "encapsed_string", "raw_string", "interpolated_string_expression", "line_string_literal",
        "multi_line_string_literal", "interpolated_string_literal", "nowdoc_string", "prefixed_string_literal",
    ),
    "import": (
        "import_statement", "import_from_statement", "future_import_statement", "import_declaration", "preproc_include",
        "using_directive", "use_declaration", "namespace_use_declaration", "import_header",
    ),
    "pass": ("pass_statement",),
    "text": ("text", "entity"),
}  # fmt: skip
_ONLY = {"text": ("html",), "pass": ("python",)}
# The grammar leaves out the node of a statement that is an expression.
_PYTHON = """
(module . (string) @doc)
(class_definition body: (block . (string) @doc))
(function_definition body: (block . (string) @doc))
(function_definition body: (block . [(pass_statement) (return_statement) (string) (ellipsis)] .)) @trivial
(assignment right: [(string) (integer) (float) (true) (false) (none)]) @constant
"""
_WORD = re.compile(r"\S+")


def measure(text: str, language: str, max_bytes: int, long_string: int) -> dict[str, Any] | None:
    """Counts of a file's tree; None where there is no grammar or the file is too large."""
    tools = _tools(language)
    if tools is None:
        return None
    data = text.encode("utf-8", "replace")
    if len(data) > max_bytes:
        return None
    from tree_sitter import QueryCursor

    parser, query = tools
    root = parser.parse(data).root_node
    found = QueryCursor(query).captures(root) if query is not None else {}
    comments = [(node.start_byte, node.end_byte, node.start_point.row, node.end_point.row)
                for kind in ("comment", "doc") for node in found.get(kind, ())]  # fmt: skip
    docs = {node.start_byte for node in found.get("doc", ())}
    strings = _outermost(found.get("string", ()), docs)
    counts = {
        "ok": not root.has_error,
        "bytes": len(data),
        "functions": len(found.get("function", ())),
        "comment_bytes": _covered([(start, end) for start, end, _, _ in comments]),
        "comment_lines": len({row for _, _, first, last in comments for row in range(first, last + 1)}),
        "imports": len(found.get("import", ())),
        "passes": len(found.get("pass", ())),
        "string_bytes": sum(strings),
        "long_strings": sum(length > long_string for length in strings),
        "trivial": len(found.get("trivial", ())),
        "constants": len(found.get("constant", ())),
        "visible": None,
        "visible_words": None,
    }
    if language == "Python":
        counts["ok"] = counts["ok"] and _parses(text)
    if language == "HTML":
        shown = " ".join(
            data[node.start_byte : node.end_byte].decode(errors="replace") for node in found.get("text", ())
        )
        counts["visible"], counts["visible_words"] = len(shown), len(_WORD.findall(shown))
    return counts


def as_columns(
    trees: Sequence[dict[str, Any] | None], lines: np.ndarray, full: np.ndarray, words: np.ndarray, prints: np.ndarray
) -> pl.DataFrame:
    """The numbers of `OF_SYNTAX`, null where there is no tree. `full`: lines that are not blank."""
    rows: dict[str, list] = {name: [] for name in OF_SYNTAX}
    for tree, line, whole, word, printed in zip(trees, lines, full, words, prints, strict=True):
        if tree is None:
            for values in rows.values():
                values.append(None)
            continue
        size = max(1, tree["bytes"])
        idle = tree["imports"] + tree["passes"] + tree["constants"] + int(printed)
        found = {
            "syntax_ok": int(tree["ok"]),
            "functions": tree["functions"],
            "function_line_share": tree["functions"] / line,
            "comment_share": tree["comment_bytes"] / size,
            "comment_line_share": min(1.0, tree["comment_lines"] / line),
            "import_line_share": tree["imports"] / line,
            "pass_line_share": tree["passes"] / line,
            "string_share": tree["string_bytes"] / size,
            "long_string_line_share": min(1.0, tree["long_strings"] / line),
            "trivial_function_share": tree["trivial"] / line,
            "no_logic_line_share": min(1.0, idle / whole),
            "visible_characters": tree["visible"],
            "visible_word_share": None if tree["visible"] is None else min(1.0, tree["visible_words"] / word),
        }
        for name, values in rows.items():
            values.append(found[name])
    whole_numbers = ("syntax_ok", "functions", "visible_characters")
    types = {name: pl.Int64 if name in whole_numbers else pl.Float64 for name in OF_SYNTAX}
    return pl.DataFrame({name: [None if v is None else v for v in values] for name, values in rows.items()}, types)


def _outermost(nodes: Sequence[Any], without: set[int]) -> list[int]:
    """Bytes of each of the nodes that no other contains, but those that begin at `without`. Captures have no order."""
    lengths, reached = [], -1
    for start, end in sorted([(node.start_byte, -node.end_byte) for node in nodes]):
        if start >= reached:
            reached = -end
            if start not in without:
                lengths.append(reached - start)
    return lengths


def _covered(spans: list[tuple[int, int]]) -> int:
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


@functools.cache
def _tools(language: str) -> tuple[Any, Any] | None:
    """(parser, query) of a language; None if there is no grammar for it."""
    from tree_sitter import Parser, Query
    from tree_sitter_language_pack import get_language

    name = GRAMMARS.get(language)
    if name is None:
        return None
    grammar = get_language(name)
    known = {grammar.node_kind_for_id(k) for k in range(grammar.node_kind_count) if grammar.node_kind_is_named(k)}
    patterns = [
        f"({node}) @{kind}"
        for kind, nodes in _NODES.items()
        for node in nodes
        if node in known and name in _ONLY.get(kind, (name,))
    ]
    if name == "python":
        patterns.append(_PYTHON)
    return Parser(grammar), Query(grammar, "\n".join(patterns)) if patterns else None
