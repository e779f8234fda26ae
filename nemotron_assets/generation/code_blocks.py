"""Extracts the code of an answer from its fenced blocks, checks its syntax, and normalises it to find duplicates."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Iterator
from typing import Any

from nemotron_assets.text.grammars import GRAMMARS, Unparsable, parse

#: {language: its names behind an opening fence}. The prompts ask for the first name.
FENCES = {
    "Python": ("python", "py", "python3"), "C": ("c", "h"), "C++": ("cpp", "c++", "cc", "cxx"),
    "C#": ("csharp", "c#", "cs"), "Java": ("java",), "JavaScript": ("javascript", "js", "jsx"),
    "TypeScript": ("typescript", "ts"), "Go": ("go", "golang"), "Rust": ("rust", "rs"), "PHP": ("php",),
    "SQL": ("sql", "postgresql", "mysql", "sqlite"),
}  # fmt: skip

#: A line that opens or closes a fenced block (CommonMark 0.31 §4.5). Inside an item of a list it is indented.
_FENCE = re.compile(r"([ \t]*)(`{3,}(?=[^`]*$)|~{3,})(.*)")
#: The language in the text behind an opening fence: "python", "python title=x", "{.python .numberLines}".
_INFO = re.compile(r"\s*\{?\s*\.?([^\s{}.,:;]*)")
_COMMENT = frozenset(("comment", "line_comment", "block_comment", "multiline_comment"))
#: Nodes that alone do not make a program.
_NOT_CODE = _COMMENT | {"php_tag", "text", "text_interpolation", ";"}
_MAX_DEPTH = 200  # of nested brackets


@functools.cache
def parser(language: str) -> Any:
    """The tree-sitter parser of a language. Raises `KeyError` for a language without a grammar."""
    from tree_sitter_language_pack import get_parser

    return get_parser(GRAMMARS[language])


def extract_code(answer: str, language: str) -> str | None:
    """The code of an answer: its fenced blocks in this language, joined. None if there are none, or if a fence is not
    closed.

    If no block names this language, blocks without a language count (beside named blocks they are mostly output).
    Blocks in other languages, such as shell commands, are ignored.
    """
    blocks = _blocks(answer)
    if blocks is None:
        return None
    named = [code for name, code in blocks if name in FENCES[language]]
    found = named or [code for name, code in blocks if not name]
    return "\n\n".join(found) or None


def has_fence(text: str) -> bool:
    """Whether a line of the text would open or close a fenced block."""
    return any(_FENCE.fullmatch(line) for line in text.splitlines())


def _blocks(answer: str) -> list[tuple[str, str]] | None:
    """(language in lower case or "", content) of every block that is not blank; None if a block is not closed."""
    blocks, fence, indent, name = [], "", "", ""
    lines: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        found = _FENCE.fullmatch(line)
        if not fence:
            if found:
                (indent, fence, info), lines = found.groups(), []
                name = _INFO.match(info)[1].lower()
        elif found and found[2].startswith(fence) and not found[3].strip():
            if any(row.strip() for row in lines):
                blocks.append((name, "\n".join(lines).strip("\n")))
            fence = ""
        else:
            lines.append(line[len(line[: len(indent)]) - len(line[: len(indent)].lstrip(" \t")) :])
    return None if fence else blocks


def syntax_problem(code: str, language: str) -> str:
    """Why a snippet is not valid code, or "" if it is valid.

    Valid code parses without errors and contains more than comments. Python code must also parse with Python's own
    parser.
    """
    if "\0" in code:
        return "the code has a NUL character"
    try:
        root = parse(parser(language), _as_file(code, language))
    except Unparsable as error:
        return str(error)
    if root.has_error:
        where = next((node for node in _nodes(root) if node.is_error or node.is_missing), root)
        return f"not valid {language} at line {where.start_point.row + 1}"
    if language == "Python" and (why := _python_problem(code)):
        return why
    if all(node.type in _NOT_CODE for node in root.named_children):
        return "the code has only comments"
    return ""


def normalised(code: str, language: str) -> str:
    """The tokens of a code, separated by blanks: codes that differ only in comments and layout give the same text."""
    data, tokens = _as_file(code, language), []
    for node in _nodes(parse(parser(language), data)):
        if not node.child_count and node.type not in _COMMENT:
            tokens.append(data[node.start_byte : node.end_byte].decode("utf-8", "replace").strip())
    return " ".join(filter(None, tokens))


def _as_file(code: str, language: str) -> bytes:
    """The code as the bytes of a file.

    It ends with a line break, which preprocessor directives need. PHP code gets an opening tag if it has none, because
    PHP takes text without a tag for output. (`"<?xml"` inside the code is not an opening tag.)
    """
    tagged = language != "PHP" or code.lstrip().startswith("<?") or "<?php" in code or "<?=" in code
    return (f"{code}\n" if tagged else f"<?php {code}\n").encode("utf-8", "replace")


def _nodes(root: Any) -> Iterator[Any]:
    """All nodes in the order of the text, except parts of comments. Not recursive, because trees can be deep."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if node.type not in _COMMENT:
            waiting.extend(reversed(node.children))


def _python_problem(code: str) -> str:
    """Why Python's own parser rejects the code, or ""."""
    if max((len(run) for run in re.findall(r"[(\[{]+", code)), default=0) > _MAX_DEPTH:
        return f"more than {_MAX_DEPTH} brackets in a row"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"not valid Python: {error}"
    return ""
