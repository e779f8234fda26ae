"""The language that a web page names for a code block, from classes and attributes of the block and around it."""

from __future__ import annotations

import itertools
import re

import lxml.etree

Element = lxml.etree._Element

_LANGUAGE_CLASS = re.compile(
    r"(?:^|\s)(?:language-|lang-|lang:|highlight-source-|highlight-|brush:\s*|"
    r"sourceCode\s+(?:number(?:Source|Lines)(?:\s+|$))*+|src-)([\w+#.-]{1,20})"
)
#: A table whose first cells hold line numbers. The elements around it name the language.
_TABLE_OF_CODE = re.compile(r"highlight|rouge|lntable|linenotable|code|hljs", re.IGNORECASE)
_NO_LANGUAGES = frozenset(
    ("default", "none", "text", "plain", "plaintext", "notranslate", "nohighlight", "output", "txt")
)
_LANGUAGE_NAMES = {"python3": "python", "py": "python", "ipython3": "python", "ipython": "python", "pycon": "python"}
#: Languages whose bare name is a class of the block: <code class="hljs rust">, <pre class="python">.
_BARE = frozenset(
    ("ada", "apache", "asm", "awk", "bash", "batch", "c", "clojure", "cmake", "cobol", "coffeescript", "cpp",
     "crystal", "csharp", "css", "cython", "d", "dart", "diff", "django", "dockerfile", "elixir", "elm",
     "erlang", "fish", "fortran", "fsharp", "gherkin", "go", "graphql", "groovy", "haskell", "html", "http",
     "ini", "java", "javascript", "json", "julia", "kotlin", "latex", "less", "lisp", "lua", "makefile",
     "markdown", "matlab", "maxima", "mathematica", "nginx", "nim", "nix", "objectivec", "ocaml", "octave",
     "pascal", "perl", "php", "powershell", "prolog", "protobuf", "puppet", "python", "r", "racket", "ruby",
     "rust", "sage", "sas", "scala", "scheme", "scss", "shell", "sql", "stata", "swift", "tcl", "tex", "toml",
     "typescript", "vb", "verilog", "vhdl", "vim", "wasm", "xml", "yaml", "zig")
)  # fmt: skip


def language_of(element: Element) -> str:
    """The language that a page names for a code block: on the block, inside it, or up to two elements around it, or
    three around the table of a block with line numbers.

    `class="highlight-python3"` names "python". "" means that the page names no language."""
    candidates: list[Element] = [element, *element.iter("code")]
    candidates += itertools.islice(element.iterancestors(), 2)
    table = next(element.iterancestors("table"), None)
    if table is not None and _TABLE_OF_CODE.search(table.get("class") or ""):
        candidates += itertools.islice(table.iterancestors(), 3)
    for candidate in candidates:
        classes = candidate.get("class") or ""
        attribute = candidate.get("data-lang") or candidate.get("data-language") or ""
        found = _LANGUAGE_CLASS.search(classes)
        bare = ""
        if classes and candidate.tag in ("pre", "code"):
            bare = next((name for name in classes.split() if name in _BARE), "")
        name = (attribute or (found[1] if found else "") or bare).casefold()
        if name and re.fullmatch(r"[\w+#.-]{1,20}", name):
            return "" if name in _NO_LANGUAGES else _LANGUAGE_NAMES.get(name, name)
    return ""
