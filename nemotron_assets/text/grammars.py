"""Which tree-sitter grammar parses which language, and a parse that ends. The grammars come with the package
tree-sitter-language-pack."""

from __future__ import annotations

import time
from typing import Any

#: A file or answer that takes the parser so many CPU seconds is hostile: a megabyte takes about one.
_MOST_SECONDS = 5.0
_CHUNK = 1 << 16

#: {language as in `code.files`: name of its grammar}
GRAMMARS = {
    "Python": "python", "OmniversePython": "python", "Java": "java", "JavaScript": "javascript",
    "TypeScript": "typescript", "TSX": "tsx", "C": "c", "C++": "cpp", "Cuda": "cuda", "C#": "csharp", "Go": "go",
    "Rust": "rust", "PHP": "php", "Ruby": "ruby", "Swift": "swift", "Shell": "bash", "Lua": "lua", "Scala": "scala",
    "Perl": "perl", "Haskell": "haskell", "Fortran": "fortran", "Julia": "julia", "R": "r", "SQL": "sql",
    "HTML": "html", "CSS": "css", "JSON": "json", "YAML": "yaml", "XML": "xml", "Kotlin": "kotlin", "TOML": "toml",
    "Makefile": "make", "Dockerfile": "dockerfile", "Dart": "dart", "Pascal": "pascal",
}  # fmt: skip


class Unparsable(ValueError):
    """The parser does not come to an end with this text."""


def parse(parser: Any, data: bytes) -> Any:
    """The root node of the syntax tree of UTF-8 text.

    Raises `Unparsable` after 5 CPU seconds: tree-sitter repairs some texts for ever, such as "p/*q(&q(<$::" in C. Only
    the limits of a worker process end a loop inside the scanner of a grammar.
    """
    end = time.thread_time() + _MOST_SECONDS
    try:
        tree = parser.parse(
            lambda offset, point: data[offset : offset + _CHUNK],
            progress_callback=lambda offset, has_error: time.thread_time() > end,
        )
    except ValueError as error:
        parser.reset()
        raise Unparsable(f"the parser does not end within {_MOST_SECONDS:g} s") from error
    return tree.root_node
