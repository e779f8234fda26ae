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

#: A line that opens or closes a block (CommonMark 0.31 §4.5; in an item of a list it is indented).
_FENCE = re.compile(r"([ \t]*)(`{3,}(?=[^`]*$)|~{3,})(.*)")
#: The language in what stands behind a fence: "python", "python title=x", "{.python .numberLines}".
_INFO = re.compile(r"\s*\{?\s*\.?([^\s{}.,:;]*)")
_COMMENT = frozenset(("comment", "line_comment", "block_comment", "multiline_comment"))
_NO_CODE = _COMMENT | {"php_tag", "text", "text_interpolation", ";"}
_DEEPEST = 200  # nesting of code that is worth learning from


@functools.cache
def parser(language: str) -> Any:
    """The tree-sitter parser of a language of ours. Raises `KeyError` for others."""
    from tree_sitter_language_pack import get_parser

    return get_parser(GRAMMARS[language])


def fenced(answer: str, language: str) -> str | None:
    """The code of an answer: its blocks fenced in this language, or if there are none those without a name (else they
    are output), joined; None if there is none.

    Blocks in other languages (shell commands) are not looked at. A fence that is not closed makes it None.
    """
    blocks = _blocks(answer)
    if blocks is None:
        return None
    named = [code for name, code in blocks if name in FENCES[language]]
    found = named or [code for name, code in blocks if not name]
    return "\n\n".join(found) or None


def has_fence(text: str) -> bool:
    """Whether a line of a text would open or close a block of code."""
    return any(_FENCE.fullmatch(line) for line in text.splitlines())


def _blocks(answer: str) -> list[tuple[str, str]] | None:
    """Language (lower case, may be "") and content of every block that is not blank; None if one is not closed."""
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
    """Code as a file: with the last line's end, which directives need, and in PHP with a tag, as without it anything
    is PHP: text to be shown. A tag as in `"<?xml"` is none."""
    tagged = language != "PHP" or code.lstrip().startswith("<?") or "<?php" in code or "<?=" in code
    return f"{code}\n" if tagged else f"<?php {code}\n"


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
