"""Tables that tell the language of a source file by its name, extension, first line, content, or magika's label.

`code/sources/language.py` looks a file up in these tables. The recipe needs the list of languages. A language has the
name that the dataset card of the release gives it, or else the name that GitHub's Linguist gives it.
"""

from __future__ import annotations

#: {tag of the library `identify`: language}. `identify` gives a file several tags; the tag that comes first in
#: this table decides.
BY_TAG = {
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
#: {file name in lower case: language}, of names that `identify` does not know or takes for another language.
NAMES = {
    "makefile.am": "Makefile", "makefile.in": "Makefile", "gnumakefile": "Makefile", "kbuild": "Makefile",
    "justfile": "Just", "copying": "Text", "licence": "Text", "license": "Text", "copyright": "Text", "readme": "Text",
    "changelog": "Text", "authors": "Text", "install": "Text", "todo": "Text", "description": "Text",
    "pkg-info": "Text", "changes": "Text", "history": "Text", "news": "Text", "notice": "Text", "thanks": "Text",
    "rakefile": "Ruby", "gemfile": "Ruby", "guardfile": "Ruby", "podfile": "Ruby", ".emacs": "Emacs Lisp",
    "cpanfile": "Perl", "composer.lock": "JSON", "package-lock.json": "JSON", "cmakelists.txt": "CMake",
    "sconstruct": "Python", "sconscript": "Python", ".rprofile": "R", "bashrc": "Shell", "zshrc": "Shell",
    "kshrc": "Shell", ".kshrc": "Shell", "makefile.pl": "Perl",
}  # fmt: skip
#: {extension in lower case: language}, of extensions that `identify` does not know or takes for another language.
EXTENSIONS = {
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
#: {extension: languages that use it}. The patterns of TELLTALE decide, then the model magika. If neither does, the
#: first language is taken where it is the usual one; the language of a file with an extension in `UNSURE` is unknown.
AMBIGUOUS = {
    "h": ("C", "C++", "Objective-C"), "m": ("Objective-C", "MATLAB", "Mathematica"),
    "v": ("Verilog", "Rocq Prover", "V"),
    "pl": ("Perl", "Prolog"), "t": ("Perl", "Shell", "SQL"),
    "inc": ("PHP", "C++", "Pascal", "Assembly", "C", "Shell", "Makefile", "SQL", "HTML"),
    "cls": ("TeX", "VBA", "Apex"), "pro": ("QMake", "Prolog", "IDL"), "bf": ("Brainfuck", "HyPhy"),
    "pp": ("Pascal", "Puppet"), "ts": ("TypeScript", "XML"),
    "sql": ("SQL",), "d": ("D", "Makefile"), "fs": ("F#", "GLSL"), "r": ("R", "Rebol"), "cgi": ("Perl", "Shell"),
    "in": ("Text", "Makefile", "C", "Shell"), "lib": ("Text", "Shell"), "st": ("Smalltalk",),
}  # fmt: skip
#: Extensions of languages none of which is the usual one.
UNSURE = frozenset(("inc", "cls", "pro", "bf", "pp", "cgi", "v", "m"))
#: {extension: ((language, pattern), ...)}: the first pattern that matches in the first 50 kB of a file decides. It
#: finds what only one language of the extension has: `@interface` in a .h file is Objective-C.
TELLTALE = {
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
        ("PHP", r"<\?(?:php\b|=)"),
        ("Shell", r"^[ \t]*(?:[\w-]+[ \t]*\(\)[ \t]*\{?[ \t]*$|fi[ \t]*$|done\b[ \t]*[<>|&]?|esac[ \t]*$)"),
        ("Assembly", r"(?i)^[ \t]*(?:%(?:macro|define|include|ifdef)\b|\.(?:globl|macro|section|equ)\b|"
                     r"\w+:?[ \t]+(?:equ|db|dw|dd)[ \t])"),
        ("Makefile", r"^(?:ifeq|ifneq|endif)\b|^[\w.-]+[ \t]*[:+?]=|^\.PHONY\b"),
        ("Pascal", r"(?i)^[ \t]*(?:\{\$|procedure\b|function\b.*:\s*\w+;|unit\b)"),
        ("C++", r"^[ \t]*(?:template\s*<|namespace\b)|\bstd::"),
        ("C", r"^[ \t]*#\s*(?:define|include|if|ifdef|ifndef)\b"),
    ),
    "cls": (
        ("TeX", r"\\(?:Provides(?:Class|File)|NeedsTeXFormat|LoadClass|newcommand|DeclareOption|RequirePackage|def\\)"),
        ("VBA", r"(?i)^VERSION \d|^Attribute VB_|^(?:public|private|friend) (?:sub|function|property)\b"),
        ("Apex", r"(?i)^[ \t]*(?:global|public|private)[ \t]+(?:(?:with|without|inherited)[ \t]+sharing[ \t]+)?"
                 r"(?:virtual[ \t]+|abstract[ \t]+)?(?:class|interface|enum)[ \t]+\w+[^:\n]{0,200}\{"),
    ),
    "pp": (
        ("Puppet", r"^[ \t]*(?:class|define|node)\s+[\w:]+.{0,200}\{|=>"),
        ("Pascal", r"(?i)^[ \t]*(?:unit|program|begin)\b"),
    ),
    "ts": (("XML", r"\A\s{0,100}<(?:\?xml|!DOCTYPE TS|TS\b)"),),
    "pro": (
        ("QMake", r"^[ \t]*(?:TEMPLATE|QT|SOURCES|HEADERS|CONFIG|TARGET|SUBDIRS|RESOURCES|FORMS)[ \t]*[+*-]?="),
        ("Prolog", r"^:-|^[a-z]\w*\([^\n]{0,200}\)[ \t]*:-"),
        ("IDL", r"(?i)^[ \t]*(?:pro|function)[ \t]+\w+(?:,|[ \t]*$)|^[ \t]*compile_opt\b"),
    ),
    "bf": (
        ("HyPhy", r"^[ \t]*(?:ExecuteAFile|LoadFunctionLibrary|DataSet|fscanf|RequireVersion)\b"),
        ("Brainfuck", r"\A[^A-Za-z\n]{0,200}[\[\]<>+.,-]{12}"),
    ),
    "d": (("Makefile", r"^[\w./-]+\.o\s*:"),),
    "fs": (("GLSL", r"^[ \t]*(?:#version|precision|uniform|varying)\b"),),
    "r": (("Rebol", r"(?i)^[ \t]*rebol\b"),),
}  # fmt: skip
#: {interpreter in the first line of a script, such as #!/usr/bin/env python: language}.
INTERPRETERS = {
    "python": "Python", "pypy": "Python", "node": "JavaScript", "deno": "TypeScript", "ruby": "Ruby", "perl": "Perl",
    "php": "PHP", "lua": "Lua", "sh": "Shell", "bash": "Shell", "dash": "Shell", "ksh": "Shell", "zsh": "Shell",
    "bats": "Shell", "ash": "Shell", "fish": "fish", "rscript": "R", "julia": "Julia", "runhaskell": "Haskell",
    "make": "Makefile", "tclsh": "Tcl", "wish": "Tcl", "awk": "Awk", "gawk": "Awk", "sbcl": "CommonLisp",
    "clisp": "CommonLisp", "swift": "Swift", "scala": "Scala", "groovy": "Groovy", "pwsh": "PowerShell",
    "escript": "Erlang", "elixir": "Elixir", "dart": "Dart", "csh": "Shell", "tcsh": "Shell", "luajit": "Lua",
}  # fmt: skip
#: {label of the model magika: language}.
BY_LABEL = {
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

#: Every language that a file can have.
LANGUAGES = frozenset(
    (
        *BY_TAG.values(),
        *NAMES.values(),
        *EXTENSIONS.values(),
        *INTERPRETERS.values(),
        *BY_LABEL.values(),
        *(name for names in AMBIGUOUS.values() for name in names),
        "Dockerfile",
        "OmniversePython",
    )
)
