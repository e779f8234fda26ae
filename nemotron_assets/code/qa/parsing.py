"""Whether code is code: fenced blocks in an answer, a language's grammar on them, and what makes two codes the same."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Iterator
from typing import Any

from nemotron_assets.code.quality.syntax import GRAMMARS

#: How a fence names the language; the first name is the one our prompts ask for.
FENCES = {
    "Python": ("python", "py", "python3"), "C": ("c", "h"), "C++": ("cpp", "c++", "cc", "cxx"),
    "C#": ("csharp", "c#", "cs"), "Java": ("java",), "JavaScript": ("javascript", "js", "jsx"),
    "TypeScript": ("typescript", "ts"), "Go": ("go", "golang"), "Rust": ("rust", "rs"), "PHP": ("php",),
    "SQL": ("sql", "postgresql", "mysql", "sqlite"),
}  # fmt: skip

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.M | re.S)
_COMMENT = frozenset(("comment", "line_comment", "block_comment", "multiline_comment"))
_NO_CODE = _COMMENT | {"php_tag", "text", "text_interpolation", ";"}
_DEEPEST = 200  # nesting of code that is worth learning from


@functools.cache
def parser(language: str) -> Any:
    """The tree-sitter parser of a language of ours. Raises `KeyError` for others."""
    from tree_sitter_language_pack import get_parser

    return get_parser(GRAMMARS[language])


def fenced(answer: str, language: str) -> str | None:
    """The code of an answer: its blocks fenced in this language or without a name, joined; None if there is none.

    Blocks in other languages (output, shell commands) are not looked at. A fence that is not closed makes it None.
    """
    if sum(1 for line in answer.split("\n") if line.startswith("```")) % 2:
        return None
    names = ("", *FENCES[language])
    blocks = [code.strip("\n") for name, code in _BLOCK.findall(answer) if name.strip().lower() in names]
    return "\n\n".join(block for block in blocks if block.strip()) or None


def problem(code: str, language: str) -> str:
    """Why code is none: what is wrong with it, or "".

    It must parse without errors (for Python by Python itself as well) and have something beside comments in it.
    """
    if "\0" in code:
        return "it has a NUL character"
    root = _tree(code, language)
    if root.has_error:
        where = next((node for node in _nodes(root) if node.is_error or node.is_missing), root)
        return f"no {language} at line {where.start_point.row + 1}"
    if language == "Python" and (why := _python(code)):
        return why
    if all(node.type in _NO_CODE for node in root.named_children):
        return "nothing but comments"
    return ""


def normalised(code: str, language: str) -> str:
    """Code without comments and layout: its tokens, so that two codes which differ in nothing else are equal."""
    data, tokens = _whole(code, language).encode("utf-8", "replace"), []
    for node in _nodes(parser(language).parse(data).root_node):
        if not node.child_count and node.type not in _COMMENT:
            tokens.append(data[node.start_byte : node.end_byte].decode("utf-8", "replace").strip())
    return " ".join(filter(None, tokens))


def _tree(code: str, language: str) -> Any:
    return parser(language).parse(_whole(code, language).encode("utf-8", "replace")).root_node


def _whole(code: str, language: str) -> str:
    """Without its tag, anything is PHP: text to be shown."""
    return f"<?php {code}" if language == "PHP" and "<?" not in code else code


def _nodes(root: Any) -> Iterator[Any]:
    """All nodes in the order of the text; without recursion, trees may be deep. Comments are not entered."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if node.type not in _COMMENT:
            waiting.extend(reversed(node.children))


def _python(code: str) -> str:
    if max((len(run) for run in re.findall(r"[(\[{]+", code)), default=0) > _DEEPEST:
        return "brackets are nested too deep"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"no Python: {error}"
    return ""
