"""Measures the syntax trees of files: comments, strings, functions, imports.

One tree-sitter query per language finds the nodes, so that no tree is walked in Python. The grammars are installed with
tree-sitter-language-pack; nothing is downloaded. The parsers are C code and the files are untrusted: call `measure`
in worker processes, with files of limited size.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import operator
import re
import symtable
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from nemotron_assets.code.quality import _passes
from nemotron_assets.recipe.code.numbers import OF_LINES, OF_SYNTAX, WHOLE
from nemotron_assets.text.grammars import GRAMMARS, Unparsable, parse

#: {what is counted: names of its nodes in the grammars}. A grammar has only some of the names.
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
#: Kinds that are counted only with these grammars.
_ONLY = {"text": ("html",), "pass": ("python",)}
#: Patterns of single grammars. In Python's grammar an expression used as a statement, such as a docstring, has no
#: statement node around it.
_PATTERNS = {
    "python": """
(module . (string) @doc)
(class_definition body: (block . (string) @doc))
(function_definition body: (block . (string) @doc))
(function_definition body: (block . (return_statement) .)) @trivial
(class_definition) @class
(return_statement) @return
(class_definition body: (block (assignment left: (identifier)) @member))
(assignment left: (_)) @variable
(for_statement left: (_)) @variable
(parameters (_) @variable)
""",
    "java": "(variable_declarator) @variable",
    "javascript": """
(variable_declarator) @variable
((assignment_expression left: (member_expression object: (member_expression
    object: (identifier) @_module property: (property_identifier) @_exports))) @variable
  (#eq? @_module "module") (#eq? @_exports "exports"))
""",
}
#: Languages whose variables are counted.
_DECLARING = ("Python", "Java", "JavaScript")
#: Counts of the lines of a file with certain words, that `measure` reads and turns into shares.
LINES = ("todo_lines", "assert_lines", "print_lines")
_WORD = re.compile(r"\S+")
#: What is counted in a tree.
_KINDS = ("function", "import", "pass", "trivial", "class", "return", "member")
_COUNTED = ("syntax_ok", "size", "todo_in_comments", "variable", *_KINDS, "visible", "visible_words")
#: {name in the query: kind of span} of the nodes whose bytes are counted. A docstring sorts before the string it is.
_SPANS = {"comment": _passes.COMMENT, "doc": _passes.DOCSTRING, "string": _passes.STRING}
_BYTE_RANGE = operator.attrgetter("byte_range")


def measure(
    texts: Sequence[str],
    wanted: Sequence[bool],
    languages: Sequence[str],
    found: pl.DataFrame,
    max_bytes: int,
    long_string: int,
    todo: tuple[str, ...],
) -> pl.DataFrame:
    """The numbers of `OF_LINES` and `OF_SYNTAX` for a batch of files, one row per file. A file is parsed if it is
    wanted, not larger than `max_bytes`, its language has a grammar and the parser ends; otherwise the numbers of
    `OF_SYNTAX` are null, and its comments count as code.

    `found` has the columns lines, words and `LINES`. A string literal of more than `long_string` bytes is a long one.
    `todo` are the marks of unfinished code.
    """
    rows, spans = [(None,) * len(_COUNTED)] * len(texts), _Spans()
    encoded = [text.encode("utf-8", "replace") for text in texts]
    marked = found["todo_lines"].to_list()
    with _without_garbage_collector():
        # Parse the files sorted by language, so that the grammar's tables stay in the processor's cache.
        for file in sorted(range(len(texts)), key=languages.__getitem__):
            data, language = encoded[file], languages[file]
            tools = _parser_and_query(language) if wanted[file] and len(data) <= max_bytes else None
            if tools:
                with contextlib.suppress(Unparsable):
                    rows[file], nodes = _count_nodes(data, language, todo if marked[file] else (), *tools)
                    spans.add(file, nodes)
        # A loop of its own: alternating with tree-sitter would make Python's parser a fifth slower.
        for file, row in enumerate(rows):
            if languages[file] == "Python" and row[0] and not _parses(texts[file]):
                rows[file] = (0, *row[1:])
            # A page that is too large to be parsed, or that the parser does not finish, must not escape HTML's rules.
            if languages[file] == "HTML" and row[0] is None and wanted[file]:
                rows[file] = (0, *row[1:])
    counts = pl.DataFrame(rows, dict.fromkeys(_COUNTED, pl.Int64), orient="row")
    return _shares(counts.hstack(spans.count(encoded, long_string)), found)


def compile_passes() -> None:
    """Compile what `measure` counts with."""
    _Spans().count([b"x\n"], 1)


class _Spans:
    """The byte ranges of comments, docstrings and strings of a batch of files."""

    def __init__(self) -> None:
        self.ranges: list[int] = []  # start, end, start, end, ...
        self.groups: list[tuple[int, int, int]] = []  # (file, kind, how many of the ranges)

    def add(self, file: int, nodes: dict[str, list[Any]]) -> None:
        """Add the nodes of one file, by kind of node."""
        for name, kind in _SPANS.items():
            if of_kind := nodes.get(name):
                self.ranges += chain.from_iterable(map(_BYTE_RANGE, of_kind))
                self.groups.append((file, kind, len(of_kind)))

    def count(self, texts: Sequence[bytes], long_string: int) -> pl.DataFrame:
        """The counts of `_passes.count_spans` and `_passes.count_code_lines`, one row per file."""
        starts, ends = np.fromiter(self.ranges, np.int64, len(self.ranges)).reshape(-1, 2).T
        *of_groups, many = np.array(self.groups, np.int64).reshape(-1, 3).T
        files, kinds = (np.repeat(column, many) for column in of_groups)
        # A query gives the nodes in any order. Of nodes that begin at the same byte, the outer one must come first.
        order = np.lexsort((kinds, -ends, starts, files))
        spans = (files[order], starts[order], ends[order], kinds[order])
        data, offsets = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
        covered = np.zeros((len(texts), len(_passes.SPAN_COUNTS)), np.int64)
        _passes.count_spans(data, offsets, *spans, long_string, covered)
        lines = np.zeros((len(texts), len(_passes.LINE_COUNTS)), np.int64)
        _passes.count_code_lines(data, offsets, *spans, lines)
        names = (*_passes.SPAN_COUNTS, *_passes.LINE_COUNTS)
        return pl.DataFrame(dict(zip(names, (*covered.T, *lines.T), strict=True)))


def _count_nodes(
    data: bytes, language: str, todo: tuple[str, ...], parser: Any, query: Any
) -> tuple[tuple, dict[str, list[Any]]]:
    """Parse a file: (values of `_COUNTED`, {name in the query: nodes}). `todo` are the marks that comments are searched
    for."""
    from tree_sitter import QueryCursor

    # Perl's grammar never returns from "die # x" where the comment ends the file.
    ended = language != "Perl" or data.endswith(b"\n")
    root = parse(parser, data if ended else data + b"\n")
    nodes = QueryCursor(query).captures(root) if query is not None else {}
    visible, words = None, None
    if language == "HTML":
        shown = " ".join(
            data[node.start_byte : node.end_byte].decode(errors="replace") for node in nodes.get("text", ())
        )
        visible, words = len(shown), len(_WORD.findall(shown))
    variables = len(nodes.get("variable", ())) if language in _DECLARING else None
    counts = [len(nodes.get(kind, ())) for kind in _KINDS]
    marked = _marked_lines(data, (*nodes.get("comment", ()), *nodes.get("doc", ())), todo) if todo else 0
    return (int(not root.has_error), len(data), marked, variables, *counts, visible, words), nodes


def _marked_lines(data: bytes, comments: Sequence[Any], todo: tuple[str, ...]) -> int:
    """The number of lines of comments with a mark of unfinished code."""
    lines = set()
    for node in comments:
        text, first = data[node.start_byte : node.end_byte], node.start_point[0]
        lines |= {first + text.count(b"\n", 0, match.start()) for match in _marks(todo).finditer(text)}
    return len(lines)


@functools.lru_cache(maxsize=4)
def _marks(todo: tuple[str, ...]) -> re.Pattern[bytes]:
    words = b"|".join(re.escape(mark.encode()) for mark in todo)
    return re.compile(rb"(?<![A-Za-z0-9_])(?:%b)(?![A-Za-z0-9_])" % words, re.IGNORECASE)


def _shares(counts: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The numbers of `OF_LINES` and `OF_SYNTAX`, from the counts in the trees and from the counts of lines."""

    def per(what: pl.Expr | str, of: str) -> pl.Expr:
        what = pl.col(what) if isinstance(what, str) else what
        return what / pl.max_horizontal(pl.col(of), pl.lit(1))

    idle = pl.sum_horizontal("function", "import", "class", "return", "member")
    of_code = pl.max_horizontal(pl.col("size") - pl.col("comment_bytes"), pl.lit(1))
    seen = pl.col("syntax_ok").is_not_null()
    of_lines = {
        "duplicate_line_share": per("repeated_lines", "code_lines"),
        "todo_line_share": per(pl.coalesce("todo_in_comments", "todo_lines"), "lines"),
        "assert_line_share": per("assert_lines", "code_lines").clip(upper_bound=1),
        "print_line_share": per("print_lines", "code_lines").clip(upper_bound=1),
    }
    numbers = {
        "syntax_ok": pl.col("syntax_ok"),
        "functions": pl.col("function"),
        "function_line_share": per("function", "code_lines"),
        "variables": pl.col("variable"),
        "comment_share": per("comment_bytes", "size"),
        "comment_line_share": per("comment_lines", "lines").clip(upper_bound=1),
        "import_line_share": per("import", "code_lines"),
        "pass_line_share": per("pass", "code_lines"),
        "string_share": (pl.col("string_bytes") / of_code).clip(upper_bound=1),
        "long_string_line_share": per("long_strings", "code_lines").clip(upper_bound=1),
        "trivial_function_share": per("trivial", "code_lines"),
        "no_logic_line_share": per(idle, "code_lines"),
        "visible_characters": pl.col("visible"),
        "visible_word_share": per("visible_words", "words").clip(upper_bound=1),
    }
    return counts.hstack(found.select("lines", "words", *LINES)).select(
        *(of_lines[name].cast(pl.Float64).alias(name) for name in OF_LINES),
        *(
            pl.when(seen).then(numbers[name]).cast(pl.Int64 if name in WHOLE else pl.Float64).alias(name)
            for name in OF_SYNTAX
        ),
    )


@contextlib.contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """Switch the cyclic garbage collector off. It would visit every node again and again and free nothing, because the
    nodes have no reference cycles; they are freed before the next file is parsed."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parses(text: str) -> bool:
    """Whether Python's own parser accepts the text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            symtable.symtable(text, "file", "exec")  # parses as well, but builds no tree of Python objects
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            try:
                ast.parse(text)  # checks the grammar only; `symtable` also rejects a name that is declared twice
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return False
    return True


@functools.cache
def _parser_and_query(language: str) -> tuple[Any, Any] | None:
    """The parser and the query of a language; None if there is no grammar for it."""
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
    patterns.append(_PATTERNS.get(name, ""))
    return Parser(grammar), Query(grammar, "\n".join(patterns)) if patterns else None
