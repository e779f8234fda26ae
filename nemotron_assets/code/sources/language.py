"""Which language a file is in: by its name, its extension, its first line, and where these do not tell, its content.

Names and extensions are those of `identify`, beside the few it does not know; ambiguous extensions (`.h`, `.m`, `.v`)
are settled by what only one of the candidates writes, else by magika's model among the candidates. Languages are named
as the release's card names them, all others as GitHub's Linguist does.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

#: What `identify` calls it -> what it is called here; the first tag of a file that is listed wins.
_BY_TAG = {
    "jupyter": "JupyterNotebook", "system-verilog": "SystemVerilog", "verilog": "Verilog", "cuda": "Cuda",
    "objective-c++": "Objective-C++", "objective-c": "Objective-C", "c#": "C#", "c#script": "C#", "f#": "F#",
    "f#script": "F#", "c++": "C++", "c": "C", "cython": "Cython", "python": "Python", "pyi": "Python",
    "javascript": "JavaScript", "jsx": "JavaScript", "ts": "TypeScript", "tsx": "TypeScript", "java": "Java",
    "kotlin": "Kotlin", "scala": "Scala", "go": "Go", "rust": "Rust", "swift": "Swift", "ruby": "Ruby", "php": "PHP",
    "perl": "Perl", "lua": "Lua", "luau": "Luau", "r": "R", "julia": "Julia", "haskell": "Haskell",
    "literate-haskell": "Haskell", "dart": "Dart", "sql": "SQL", "bash": "Shell", "zsh": "Shell", "csh": "Shell",
    "bats": "Shell", "shell": "Shell", "fish": "fish", "powershell": "PowerShell", "batch": "Batchfile",
    "makefile": "Makefile", "cmake": "CMake", "dockerfile": "Dockerfile", "html": "HTML", "xhtml": "HTML",
    "css": "CSS", "scss": "SCSS", "sass": "Sass", "less": "Less", "markdown": "Markdown", "mdx": "MDX",
    "rst": "reStructuredText", "asciidoc": "AsciiDoc", "tex": "TeX", "bib": "BibTeX", "json": "JSON",
    "json5": "JSON5", "jsonld": "JSON", "geojson": "JSON", "yaml": "YAML", "toml": "TOML", "svg": "SVG", "xml": "XML",
    "xsd": "XML", "xsl": "XSLT", "wsdl": "XML", "pascal": "Pascal", "fortran": "Fortran", "vb": "VB.NET",
    "vhdl": "VHDL", "asm": "Assembly", "clojure": "Clojure", "elixir": "Elixir", "erlang": "Erlang", "elm": "Elm",
    "groovy": "Groovy", "ocaml": "OCaml", "nim": "Nim", "nix": "Nix", "vim": "Vim Script", "vue": "Vue",
    "svelte": "Svelte", "zig": "Zig", "solidity": "Solidity", "scheme": "Scheme", "proto": "Protocol Buffer",
    "graphql": "GraphQL", "twig": "Twig", "mustache": "Mustache", "handlebars": "Handlebars", "jinja": "Jinja",
    "erb": "HTML+ERB", "ini": "INI", "java-properties": "Java Properties", "csv": "CSV", "tsv": "TSV", "diff": "Diff",
    "pem": "PEM", "coffee": "CoffeeScript", "crystal": "Crystal", "purescript": "PureScript", "puppet": "Puppet",
    "terraform": "HCL", "hcl": "HCL", "thrift": "Thrift", "vala": "Vala", "m4": "M4", "meson": "Meson",
    "bazel": "Starlark", "gitignore": "Ignore List", "dtd": "XML", "plain-text": "Text", "tcl": "Tcl", "awk": "Awk",
}  # fmt: skip
#: Names and extensions that `identify` does not know or takes for another kind; extensions in lower case.
_NAMES = {
    "makefile.am": "Makefile", "makefile.in": "Makefile", "gnumakefile": "Makefile", "kbuild": "Makefile",
    "justfile": "Just", "copying": "Text", "licence": "Text", "license": "Text", "copyright": "Text", "readme": "Text",
    "changelog": "Text", "authors": "Text", "install": "Text", "todo": "Text", "description": "Text",
    "pkg-info": "Text", "changes": "Text", "history": "Text", "news": "Text", "notice": "Text", "thanks": "Text",
    "rakefile": "Ruby", "gemfile": "Ruby", "guardfile": "Ruby", "podfile": "Ruby", ".emacs": "Emacs Lisp",
    "cpanfile": "Perl", "composer.lock": "JSON", "package-lock.json": "JSON", "cmakelists.txt": "CMake",
    "sconstruct": "Python", "sconscript": "Python", ".rprofile": "R", "bashrc": "Shell", "zshrc": "Shell",
    "kshrc": "Shell", ".kshrc": "Shell", "makefile.pl": "Perl",
}  # fmt: skip
_EXTENSIONS = {
    "cu": "Cuda", "cuh": "Cuda", "vh": "Verilog", "sv": "SystemVerilog", "svh": "SystemVerilog", "wl": "Mathematica",
    "wls": "Mathematica", "nb": "Mathematica", "mt": "Mathematica", "lisp": "CommonLisp", "lsp": "CommonLisp",
    "cl": "CommonLisp", "asd": "CommonLisp", "el": "Emacs Lisp", "f": "Fortran", "for": "Fortran", "f77": "Fortran",
    "f90": "Fortran", "f95": "Fortran", "f03": "Fortran", "f08": "Fortran", "pas": "Pascal", "dpr": "Pascal",
    "lpr": "Pascal", "vhd": "VHDL", "vhdl": "VHDL", "s": "Assembly", "asm": "Assembly", "nasm": "Assembly",
    "pm": "Perl", "psgi": "Perl", "ipynb": "JupyterNotebook", "psql": "SQL", "pgsql": "SQL", "plsql": "SQL",
    "rmd": "RMarkdown",
    "gemspec": "Ruby", "rake": "Ruby", "cabal": "Cabal", "rdoc": "RDoc", "phtml": "PHP", "ipp": "C++", "tpp": "C++",
    "tcc": "C++", "hh": "C++", "hxx": "C++", "h++": "C++", "sty": "TeX", "ltx": "TeX", "mk": "Makefile",
    "mak": "Makefile", "dockerfile": "Dockerfile", "sas": "SAS", "tcl": "Tcl", "awk": "Awk", "txt": "Text",
    "text": "Text", "log": "Text", "map": "Source Map", "jl": "Julia", "ex": "Elixir", "hs": "Haskell",
    "rkt": "Racket", "ml": "OCaml", "mli": "OCaml", "cjs": "JavaScript", "mjs": "JavaScript", "mts": "TypeScript",
    "cts": "TypeScript", "pyx": "Cython", "po": "Gettext", "pot": "Gettext", "cfg": "INI", "conf": "INI",
    "markdown": "Markdown", "sc": "Scala", "sbt": "Scala", "kts": "Kotlin", "vbs": "VBScript", "bas": "VBA",
    "ksh": "Shell", "ebuild": "Shell", "eclass": "Shell", "jsonl": "JSON", "ndjson": "JSON", "perl": "Perl",
    "rest": "reStructuredText", "rss": "XML", "xslt": "XSLT", "sage": "Python", "wlua": "Lua", "jsm": "JavaScript",
    "rbw": "Ruby", "docker": "Dockerfile", "nbp": "Mathematica", "inl": "C++", "cppm": "C++", "ixx": "C++",
    "mxx": "C++",
}  # fmt: skip
#: Extensions of several languages; the first is taken when nothing tells them apart.
_AMBIGUOUS = {
    "h": ("C", "C++", "Objective-C"), "m": ("Objective-C", "MATLAB", "Mathematica"),
    "v": ("Verilog", "Rocq Prover", "V"),
    "pl": ("Perl", "Prolog"), "t": ("Perl", "Shell", "SQL"), "inc": ("PHP", "C++", "Pascal", "Assembly", "C"),
    "cls": ("TeX", "VBA", "Apex"), "pp": ("Pascal", "Puppet"), "ts": ("TypeScript", "XML"),
    "sql": ("SQL",), "d": ("D", "Makefile"), "fs": ("F#", "GLSL"), "r": ("R", "Rebol"), "cgi": ("Perl", "Shell"),
    "in": ("Text", "Makefile", "C", "Shell"), "lib": ("Text", "Shell"), "st": ("Smalltalk",),
}  # fmt: skip
#: What only one of the candidates writes, as (language, pattern), in order; searched in the first 50 kB.
_TELLTALE = {
    "h": (
        ("Objective-C", r"^[ \t]*(?:@(?:interface|protocol|class|property|end)\b|#import\b)"),
        ("C++", r"^[ \t]*(?:template\s*<|namespace\b|class\s+\w+[^;]*[{:]?$|using\s+\w)"
                r"|^[ \t]*(?:public|private|protected)\s*:|\bstd::|\bconstexpr\b|\bnullptr\b"
                r"|^[ \t]*#\s*include\s*<[a-z_]+(?:/[a-z_]+)*>"),
    ),
    "m": (
        ("Objective-C", r"^[ \t]*(?:@(?:interface|implementation|import|end)\b|#import\b|#include\b)"),
        ("Mathematica", r"^[ \t]*\(\*|\bBeginPackage\[|\bModule\[|:=.{0,200}\["),
        ("MATLAB", r"^[ \t]*(?:%|function\b|classdef\b|end\s*$|clc\b|close all)"),
    ),
    "v": (
        ("V", r"^(?:pub )?fn (?:\([^)\n]*\) )?\w+[(\[]|^import [a-z]+(?:\.[a-z]+)*$"),
        ("Rocq Prover", r"^[ \t]*(?:Require|Theorem|Lemma|Proof|Qed|Definition|Inductive|Fixpoint|Section)\b"),
        ("Verilog", r"^[ \t]*(?:module|endmodule|`timescale|`include|`define)\b"),
    ),
    "pl": (
        ("Perl", r"^[ \t]*(?:use\s+(?:strict|warnings|v?\d)|my\s+[$@%]|sub\s+\w+|package\s+\w+|=pod|=head1)"),
        ("Prolog", r"^[ \t]*:-|^\w+\(.*\)\s*:-"),
    ),
    "t": (
        ("Perl", r"^[ \t]*(?:use\s+|my\s+[$@%]|sub\s+\w+|package\s+\w+|=pod)"),
        ("SQL", r"(?i)^[ \t]*(?:BEGIN;|SELECT\s+(?:plan|\*|tap|has_)|\\unset\b|CREATE\s+(?:TABLE|FUNCTION|EXTENSION))"),
    ),
    "inc": (
        ("PHP", r"<\?php"),
        ("Pascal", r"(?i)^[ \t]*(?:\{\$|procedure\b|function\b.*:\s*\w+;|unit\b)"),
        ("C++", r"^[ \t]*(?:template\s*<|namespace\b)|\bstd::"),
        ("C", r"^[ \t]*#\s*(?:define|include|if|ifdef|ifndef)\b"),
    ),
    "cls": (
        ("TeX", r"\\(?:ProvidesClass|NeedsTeXFormat|LoadClass|newcommand)\b"),
        ("VBA", r"(?i)^VERSION \d|^Attribute VB_"),
    ),
    "pp": (
        ("Puppet", r"^[ \t]*(?:class|define|node)\s+[\w:]+.{0,200}\{|=>"),
        ("Pascal", r"(?i)^[ \t]*(?:unit|program|begin)\b"),
    ),
    "ts": (("XML", r"^[ \t]*<(?:\?xml|!DOCTYPE TS)"),),
    "d": (("Makefile", r"^[\w./-]+\.o\s*:"),),
    "fs": (("GLSL", r"^[ \t]*(?:#version|precision|uniform|varying)\b"),),
    "r": (("Rebol", r"(?i)^[ \t]*rebol\b"),),
}  # fmt: skip
_INTERPRETERS = {
    "python": "Python", "pypy": "Python", "node": "JavaScript", "deno": "TypeScript", "ruby": "Ruby", "perl": "Perl",
    "php": "PHP", "lua": "Lua", "sh": "Shell", "bash": "Shell", "dash": "Shell", "ksh": "Shell", "zsh": "Shell",
    "bats": "Shell", "ash": "Shell", "fish": "fish", "rscript": "R", "julia": "Julia", "runhaskell": "Haskell",
    "make": "Makefile", "tclsh": "Tcl", "wish": "Tcl", "awk": "Awk", "gawk": "Awk", "sbcl": "CommonLisp",
    "clisp": "CommonLisp", "swift": "Swift", "scala": "Scala", "groovy": "Groovy", "pwsh": "PowerShell",
    "escript": "Erlang", "elixir": "Elixir", "dart": "Dart", "csh": "Shell", "tcsh": "Shell", "luajit": "Lua",
}  # fmt: skip
#: magika's labels that are languages.
_BY_LABEL = {
    "asm": "Assembly", "awk": "Awk", "batch": "Batchfile", "bazel": "Starlark", "bib": "BibTeX", "c": "C",
    "clojure": "Clojure", "cmake": "CMake", "cobol": "COBOL", "coffeescript": "CoffeeScript", "cpp": "C++", "cs": "C#",
    "css": "CSS", "csv": "CSV", "dart": "Dart", "diff": "Diff", "dockerfile": "Dockerfile", "elixir": "Elixir",
    "erb": "HTML+ERB", "erlang": "Erlang", "fortran": "Fortran", "go": "Go", "groovy": "Groovy", "haskell": "Haskell",
    "hcl": "HCL", "html": "HTML", "ini": "INI", "ipynb": "JupyterNotebook", "java": "Java",
    "javascript": "JavaScript", "json": "JSON", "jsonl": "JSON", "julia": "Julia", "kotlin": "Kotlin", "latex": "TeX",
    "lisp": "CommonLisp", "lua": "Lua", "m4": "M4", "makefile": "Makefile", "markdown": "Markdown",
    "matlab": "MATLAB", "objectivec": "Objective-C", "ocaml": "OCaml", "pascal": "Pascal", "pem": "PEM",
    "perl": "Perl", "php": "PHP", "powershell": "PowerShell", "prolog": "Prolog", "proto": "Protocol Buffer",
    "python": "Python", "r": "R", "rst": "reStructuredText", "ruby": "Ruby", "rust": "Rust", "scala": "Scala",
    "scss": "SCSS", "shell": "Shell", "solidity": "Solidity", "sql": "SQL", "svg": "SVG", "swift": "Swift",
    "tcl": "Tcl", "toml": "TOML", "tsv": "TSV", "twig": "Twig", "txt": "Text", "typescript": "TypeScript",
    "vba": "VBA", "verilog": "Verilog", "vhdl": "VHDL", "vue": "Vue", "xml": "XML", "yaml": "YAML", "zig": "Zig",
}  # fmt: skip
#: Of these, the others are so rare that the model is not asked.
_NEARLY_SURE = frozenset({"ts", "r", "d", "fs", "sql", "st", "pl"})
_LOOKED_AT = 50_000
#: What only a header for both languages asks; one for C++ alone may ask for the version.
_FOR_BOTH = re.compile(r"\bifn?def[ \t]+__cplusplus|\bdefined[ \t]*\(?[ \t]*__cplusplus")
_OMNIVERSE = re.compile(r"^(?:import|from)[ \t]+omni\.", re.MULTILINE)

UNKNOWN = "unknown"
#: Every language that a file can be found to be in.
LANGUAGES = frozenset(
    (
        *_BY_TAG.values(),
        *_NAMES.values(),
        *_EXTENSIONS.values(),
        *_INTERPRETERS.values(),
        *_BY_LABEL.values(),
        *(name for names in _AMBIGUOUS.values() for name in names),
        "Dockerfile",
        "OmniversePython",
    )
)


class Language(NamedTuple):
    """A language and what told it: filename, extension, shebang, content or nothing."""

    name: str
    by: str


def language_of(path: str, text: str, *, model: bool = True) -> Language:
    """The language of a file with this path and text; `model` lets magika judge where nothing else tells."""
    found = _known(path, text, model)
    # The card counts Omniverse's Python apart; it is Python that uses its modules.
    if found.name == "Python" and _OMNIVERSE.search(text, 0, _LOOKED_AT):
        return Language("OmniversePython", "content")
    return found


def _known(path: str, text: str, model: bool) -> Language:
    name = path.rpartition("/")[2]
    if by_name := _by_name(name):
        return Language(by_name, "filename")
    extension = name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""
    inner = name[:-3].rpartition(".")[2].lower() if extension == "in" and "." in name[1:-3] else ""
    if inner in _AMBIGUOUS or _by_extension(inner):
        extension = inner  # config.h.in: a template of what its name says
    if name.endswith(".C") and not name.isupper():
        return Language("C++", "extension")  # on systems that tell the two apart
    candidates = _AMBIGUOUS.get(extension)
    if not candidates and (by_extension := _by_extension(extension)):
        return Language(by_extension, "extension")
    if candidates and len(candidates) == 1:
        return Language(candidates[0], "extension")
    if by_line := _by_shebang(text):
        return Language(by_line, "shebang")
    for language, pattern in _telltales().get(extension, ()):
        # A header for both languages has C++ in it only where a C++ compiler looks.
        if pattern.search(text, 0, _LOOKED_AT) and not (language == "C++" and _FOR_BOTH.search(text, 0, _LOOKED_AT)):
            return Language(language, "content")
    judged = _by_model(text) if model and extension not in _NEARLY_SURE else None
    if candidates:
        return Language(judged, "content") if judged in candidates else Language(candidates[0], "extension")
    return Language(judged, "content") if judged else Language(UNKNOWN, "nothing")


@cache
def _by_name(name: str) -> str | None:
    from identify.extensions import NAMES

    lower = name.lower()
    stem = lower.partition(".")[0]
    if found := _NAMES.get(lower) or _tagged(NAMES.get(name, ())):
        return found
    if re.fullmatch(r"(?:docker|container)file(?:[-_].*)?", stem) or lower.endswith(".dockerfile"):
        return "Dockerfile"
    if re.fullmatch(r"(?:gnu)?makefile(?:[-_].*)?", stem):
        return None if "." in lower and _by_extension(lower.rpartition(".")[2]) else "Makefile"
    # LICENSE-MIT, README.Debian, COPYING.LESSER: words in capitals by which people find them.
    if re.fullmatch(r"(?:licen[cs]e|copying|readme|unlicense|notice|changelog)(?:[-_.].*)?", lower):
        extension = lower.rpartition(".")[2]
        return None if "." in lower and (extension in _EXTENSIONS or _by_extension(extension)) else "Text"
    return None


@cache
def _by_extension(extension: str) -> str | None:
    from identify.extensions import EXTENSIONS

    return _EXTENSIONS.get(extension) or _tagged(EXTENSIONS.get(extension, ()))


def _tagged(tags) -> str | None:
    return next((name for tag, name in _BY_TAG.items() if tag in tags), None)


def _by_shebang(text: str) -> str | None:
    from identify.interpreters import INTERPRETERS

    if not text.startswith("#!"):
        return None
    words = text[2:300].partition("\n")[0].split()
    while words and (words[0].rpartition("/")[2] in ("env", "busybox") or words[0].startswith("-") or "=" in words[0]):
        words = words[1:]
    if not words:
        return None
    name = words[0].rpartition("/")[2].lower()
    bare = re.sub(r"[\d.-]+$", "", name)
    return _INTERPRETERS.get(name) or _INTERPRETERS.get(bare) or _tagged(INTERPRETERS.get(name, ()))


@cache
def _telltales() -> dict[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    return {
        extension: tuple((language, re.compile(pattern, re.MULTILINE)) for language, pattern in patterns)
        for extension, patterns in _TELLTALE.items()
    }


def _by_model(text: str) -> str | None:
    """What magika takes the text for, if that is a language."""
    # It judges by the two ends; more need not be encoded.
    sample = text if len(text) <= 2 * _LOOKED_AT else text[:_LOOKED_AT] + text[-_LOOKED_AT:]
    return _BY_LABEL.get(str(_magika().identify_bytes(sample.encode()).output.label))


@cache
def _magika():
    from magika import Magika

    return Magika()
