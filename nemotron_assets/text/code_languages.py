"""The language that a web page names for a code block, from classes and attributes of the block and around it."""

from __future__ import annotations

import re

import lxml.etree

Element = lxml.etree._Element

_LANGUAGE_CLASS = re.compile(
    r"(?:^|\s)(?:language-|lang-|lang:|highlight-source-|highlight-|brush:\s*|sourceCode\s+|src-)([\w+#.-]{1,20})"
)
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
    """The language that a page names for a code block: on the block, inside it, or up to two elements around it.

    `class="highlight-python3"` names "python". "" means that the page names no language."""
    candidates: list[Element] = [element, *element.iter("code")]
    parent = element.getparent()
    for _ in range(2):
        if parent is not None:
            candidates.append(parent)
            parent = parent.getparent()
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
