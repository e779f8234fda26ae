"""Which code files are kept: OpenCoder's rules (as Nano 2 §2.2.1 applies them), paths, secrets, complexity.

Which of OpenCoder's rules Nemotron kept or changed was not published, so that the values are OpenCoder's own. The
meaning of a column of `code.annotations` (numbers.py) says exactly what is counted.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.heuristics import Bounds
from nemotron_assets.recipe.web.privacy import Email, Ip

#: The language of files whose language is not known.
UNKNOWN_LANGUAGE = "unknown"
_TEXT = ("Markdown", "reStructuredText", "TeX", "Text", "AsciiDoc", "Org", "Roff")
_DATA = ("JSON", "YAML", "XML", "TOML", "INI", "CSV", "TSV", "SVG")
_DUPLICATES = {5: 0.80, 6: 0.70, 7: 0.70, 8: 0.70, 9: 0.70, 10: 0.60}


def _bounds(low: float | None = None, high: float | None = None) -> Bounds:
    return Bounds(min=low, max=high)


def _repeated(most: dict[int, float]) -> dict[str, Bounds]:
    return {f"repeated_{n}gram_share": _bounds(high=share) for n, share in most.items()}


_CODE_RULES = {
    "replacement_share": _bounds(high=0.01),
    "bytes": _bounds(high=3e6),
    "words": _bounds(30),
    "characters": _bounds(50),
    "lines": _bounds(10, 100_000),
    "mean_word_characters": _bounds(2, 10),
    "longest_line": _bounds(high=1_000),
    "mean_line": _bounds(5, 100),
    "top_2gram_share": _bounds(high=0.20),
    "top_3gram_share": _bounds(high=0.18),
    "top_4gram_share": _bounds(high=0.16),
    **_repeated(_DUPLICATES),
    "letter_share": _bounds(0.5),
    "duplicate_line_share": _bounds(high=0.7),
    "digit_share": _bounds(high=0.2),
    "whitespace_share": _bounds(high=0.5),
    "comment_share": _bounds(high=0.8),
    "long_string_line_share": _bounds(high=0.2),
    "string_share": _bounds(high=0.6),
    "long_word_share": _bounds(high=0.4),
    "hex_word_share": _bounds(high=0.4),
    "todo_line_share": _bounds(high=0.01),
    "assert_line_share": _bounds(high=0.4),
    "xml_header": _bounds(high=0),
    "hex_share": _bounds(high=0.40),
    "base64_share": _bounds(high=0.40),
    "unicode_escape_share": _bounds(high=0.40),
    "longest_encoded": _bounds(high=1_024),
}  # fmt: skip
_TEXT_RULES = {
    "replacement_share": _bounds(high=0.01), "bytes": _bounds(high=3e6), "words": _bounds(50), "lines": _bounds(10),
    "mean_word_characters": _bounds(3, 10), "longest_line": _bounds(high=1_000), "base64_share": _bounds(high=0.40),
    **_repeated(dict.fromkeys(range(5, 11), 0.60)),
}  # fmt: skip
_DATA_RULES = {
    "replacement_share": _bounds(high=0.01), "characters": _bounds(50, 5_000), "longest_line": _bounds(high=1_000),
    "unique_word_share": _bounds(0.4), "hex_share": _bounds(high=0.40), "base64_share": _bounds(high=0.40),
}  # fmt: skip
_HTML_RULES = {
    "replacement_share": _bounds(high=0.01), "bytes": _bounds(high=3e6), "syntax_ok": _bounds(1),
    "visible_word_share": _bounds(0.2), "visible_characters": _bounds(100),
    **_repeated(dict.fromkeys(range(5, 11), 0.60)),
}  # fmt: skip
_FUNCTIONS = {"function_line_share": _bounds(high=0.2), "print_line_share": _bounds(high=0.4)}
_C = {**_FUNCTIONS, "preprocessor_line_share": _bounds(high=0.8), "main_lines": _bounds(high=1)}
_VARIABLES = {**_FUNCTIONS, "variables": _bounds(1)}
_EXTRAS = {
    "Python": {**_VARIABLES, "syntax_ok": _bounds(1), "pass_line_share": _bounds(high=0.05),
               "import_line_share": _bounds(high=0.3), "trivial_function_share": _bounds(high=0.1)},
    "C": _C, "C++": _C, "Java": _VARIABLES, "C#": _FUNCTIONS, "TypeScript": _FUNCTIONS,
    "JavaScript": {**_VARIABLES, "syntax_ok": _bounds(1)},
    "Go": {**_FUNCTIONS, "assert_line_share": _bounds()},
    "SQL": {"digit_share": _bounds(high=0.3)},
    "Shell": {"assert_line_share": _bounds(), "long_string_line_share": _bounds()},
}  # fmt: skip


class Sampled(Section):
    """Kinds of files of which a share is dropped; the id of a file decides, so that every run drops the same files."""

    go_tests: float = Field(
        0.8, ge=0, le=1, description="share of the Go test files (*_test.go) that is dropped (OpenCoder)"
    )
    no_logic: float = Field(
        0.8,
        ge=0,
        le=1,
        description="share of the Python files without logic that is dropped: imports, signatures and returns make up "
        "most of them (OpenCoder)",
    )
    no_logic_above: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a Python file counts as without logic when its no_logic_line_share in code.annotations is above "
        "this (OpenCoder)",
    )


class Secrets(Section):
    """Credentials and personal data in files (default; the published recipe names no such step)."""

    action: Literal["redact", "drop", "keep"] = Field(
        "redact",
        description="what is done about credentials. redact: replace them; drop: drop the file; keep: only count them",
    )
    min_entropy: float = Field(
        3.5,
        ge=0,
        le=8,
        description="a value that is assigned to a name like password or token is taken for a secret if it has at "
        "least this entropy, in bits per character; words have less (default)",
    )
    min_characters: int = Field(
        12,
        ge=6,
        le=200,
        description="a value that is assigned to a name like password or token is taken for a secret if it has at "
        "least so many characters (default)",
    )
    min_changes: float = Field(
        0.12,
        ge=0,
        le=1,
        description="a value that is assigned to a name like password or token is taken for a secret if it has at "
        "least so many changes between digits, capitals and small letters per character. Random values have 0.3 to "
        "0.5, names and paths less than 0.1 (default)",
    )
    personal: Literal["redact", "drop", "keep"] = Field(
        "redact", description="what is done about e-mail and IP addresses; words as for `action`"
    )
    email: Email = Field(
        Email(keep_users=("git", "hg", "svn", "this", "super", "return", "break", "continue")),
        description="e-mail addresses: their replacement, and exceptions, because this@Outer.name is Kotlin and not an "
        "address",
    )
    ip: Ip = Field(Ip(), description="IP addresses: their replacement, and exceptions")
    keep_examples: bool = Field(
        True, description="whether to leave addresses that standards reserve for examples: example.com, 192.0.2.x"
    )


class CodeQuality(Section):
    """Which files are kept by their quality: what is counted, bounds by language, paths, secrets, benchmark items."""

    max_parsed_kb: int = Field(
        1_024,
        ge=1,
        le=65_536,
        description="largest file that is parsed, in KiB; for a larger one the numbers from the syntax tree are null "
        "(default)",
    )
    max_parsed_line: int = Field(
        5_000,
        ge=200,
        description="longest line of a file that is parsed, in characters; minified files and data have longer ones "
        "(default)",
    )
    unparsed: tuple[str, ...] = Field(
        (
            "lines",
            "words",
            "longest_line",
            "mean_line",
            "letter_share",
            "digit_share",
            "whitespace_share",
            "mean_word_characters",
            "long_word_share",
            "hex_word_share",
            "top_2gram_share",
            "top_3gram_share",
            "top_4gram_share",
        ),
        description="a file that a bound of one of these numbers drops is not parsed, which saves time. An empty list: "
        "every file is parsed, so that other bounds can be tried (default)",
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker process at a time (default)")
    batch_mb: int = Field(
        8, ge=1, le=512, description="most MiB of text handed to a worker process at a time (default)"
    )
    head_characters: int = Field(
        1_000,
        ge=80,
        le=100_000,
        description="characters at the start of a file that are searched for a note that the file was generated "
        "(default)",
    )
    todo: tuple[str, ...] = Field(
        ("todo", "fixme", "your code here", "your code goes here", "your implementation here", "fill in here"),
        description="marks of unfinished code, as whole words in lower case; a file may have them in any case "
        "(default)",
    )
    generated: tuple[str, ...] = Field(
        (
            "@generated",
            "generated by",
            "generated from",
            "generated using",
            "generated with",
            "generated file",
            "generated code",
            "generated content",
            "file is generated",
            "file was generated",
            "auto-generated",
            "auto generated",
            "autogenerated",
            "automatically generated",
            "generated automatically",
            "machine generated",
            "machine-generated",
            "bison parser, made by gnu bison",
            "meta object code from reading c++ file",
            "mysql dump",
            "postgresql database dump",
            "phpmyadmin sql dump",
        ),
        description="notes by which the start of a file says that it was generated, as whole words in lower case; a "
        "file may have them in any case. Notes about a part of the file or about other files do not count, nor do "
        "strings (default)",
    )
    long_word: int = Field(
        40, ge=10, description="characters from which a word of letters, digits and _ is very long (default)"
    )
    long_string: int = Field(200, ge=10, description="a string literal with more bytes is long (default)")
    minified_line: int = Field(
        110,
        ge=40,
        description="a JavaScript or CSS file is minified if its lines are longer on average, in characters "
        "(Linguist), and less than a tenth of the file is white space",
    )
    minified_longest: int = Field(
        500,
        ge=80,
        description="a JavaScript or CSS file is also minified if its longest line is longer, in characters, and less "
        "than a tenth of the file is white space: a minified file may begin with short lines, its licence (default)",
    )
    text: tuple[str, ...] = Field(_TEXT, description="languages that text_rules apply to (default)")
    data: tuple[str, ...] = Field(_DATA, description="languages that data_rules apply to (default)")
    html: tuple[str, ...] = Field(("HTML",), description="languages that html_rules apply to (OpenCoder)")
    unknown: Literal["drop", "text", "code"] = Field(
        "drop",
        description="what becomes of files whose language is unknown. drop: they are dropped; text, code: text_rules "
        "or code_rules apply to them (default)",
    )
    code_rules: dict[str, Bounds] = Field(
        _CODE_RULES,
        description="bounds of the numbers in code.annotations, for all languages without rules of their own "
        "(OpenCoder; hex and base64: NVIDIA's annotation code; escapes: default)",
    )
    text_rules: dict[str, Bounds] = Field(
        _TEXT_RULES, description="bounds of the numbers in code.annotations, for the languages in `text` (OpenCoder)"
    )
    data_rules: dict[str, Bounds] = Field(
        _DATA_RULES, description="bounds of the numbers in code.annotations, for the languages in `data` (OpenCoder)"
    )
    html_rules: dict[str, Bounds] = Field(
        _HTML_RULES, description="bounds of the numbers in code.annotations, for the languages in `html` (OpenCoder)"
    )
    extras: dict[str, dict[str, Bounds]] = Field(
        _EXTRAS,
        description="bounds for single languages. They add to code_rules, text_rules, data_rules or html_rules, or "
        "replace a bound there; min and max null switch it off (OpenCoder)",
    )
    generated_files: Literal["drop", "keep"] = Field(
        "drop",
        description="what becomes of files that say they were generated (`generated`), or whose path says so "
        "(generated_paths). drop: they are dropped; keep: they are kept if no other rule drops them (default)",
    )
    generated_paths: tuple[str, ...] = Field(
        (
            r"_pb2(_grpc)?\.pyi?$",
            r"\.pb(\.gw)?\.go$",
            r"\.pb\.(cc|cpp|h|hpp|swift)$",
            r"_pb\.(js|rb|d\.ts)$",
            r"\.designer\.(cs|vb)$",
            r"\.g(\.i)?\.cs$",
            r"\.(g|freezed)\.dart$",
            r"\.generated\.(cs|vb|ts|tsx|js|go)$",
            r"(^|/)__generated__/",
            r"(^|/)moc_[^/]*\.(cpp|cc|cxx)$",
            r"\.moc$",
            r"(^|/)qrc_[^/]*\.(cpp|cc|cxx)$",
            r"(^|/)rcppexports\.(cpp|r)$",
            r"(^|/)zz_generated\.[^/]*\.go$",
            r"\.pbxproj$",
            r"\.js\.snap$",
        ),
        description="paths of generated files, as regular expressions for the path in lower case (default, after "
        "Linguist)",
    )
    vendored: tuple[str, ...] = Field(
        (
            r"(^|/)_?vendor(s|ed)?/",
            r"(^|/)third[-_]?party/",
            r"(^|/)3rd[-_]?party/",
            r"(^|/)node_modules/",
            r"(^|/)(bower|jspm|web)_(components|packages|modules)/",
            r"(^|/)godeps/",
            r"(^|/)(site|dist)-packages/",
            r"(^|/)extern(al)?s?/",
            r"(^|/)contrib/",
            r"(^|/)dist/",
            r"^deps/",
            r"(^|/)pods/",
            r"(^|/)carthage/",
            r"(^|/)\.?(venv|virtualenv)/",
            r"(^|/)\.yarn/",
            r"^packages/[^/]+\.\d+\.\d+/",
            r"(^|/)jquery[-.\d]*(\.min)?\.js$",
            r"(^|/)gradle/wrapper/",
            r"(^|/)gradlew(\.bat)?$",
            r"(^|/)\.mvn/wrapper/",
            r"(^|/)mvnw(\.cmd)?$",
            r"(^|/)config\.(guess|sub)$",
            r"(^|/)(ltmain\.sh|install-sh|depcomp|py-compile|texinfo\.tex)$",
            r"(^|/)(libtool|ltoptions|ltsugar|ltversion|lt~obsolete|aclocal)\.m4$",
        ),
        description="paths of code that a repository has copied from another project, as regular expressions for the "
        "path in lower case (default, after Linguist)",
    )
    vendored_except: tuple[str, ...] = Field(
        ("jquery/jquery",),
        description="repositories (owner/name) whose own code has paths like those in `vendored` (default)",
    )
    minified: tuple[str, ...] = Field(
        (r"[-.]min\.(js|mjs|cjs|css|html)$", r"\.(bundle|pack|prod)\.(js|css)$"),
        description="paths of minified files, as regular expressions for the path in lower case (default, after "
        "Linguist)",
    )
    data_dump: tuple[str, ...] = Field(
        (
            r"\.(js|css|min|ts|mjs|cjs)\.map$",
            r"\.map$",
            r"\.(pem|crt|cer|csv|tsv|flf|svg|geojson|ipa|dic|aff|po|pot)$",
            r"(^|/)(package-lock|npm-shrinkwrap|packages\.lock)\.json$",
            r"(^|/)pnpm-lock\.yaml$",
            r"(^|/)(yarn|cargo|poetry|composer|gemfile|pipfile|uv|pdm|bun|deno|mix|pubspec|podfile|flake|gopkg|conda)\.lock$",
            r"(^|/)package\.resolved$",
            r"(^|/)go(\.work)?\.sum$",
            r"\.dump$",
        ),
        description="paths of files that hold data and not code, as regular expressions for the path in lower case "
        "(default)",
    )
    sampled: Sampled = Sampled()
    max_cyclomatic: int | None = Field(
        None,
        ge=1,
        description="a file is dropped if a function in it has a larger cyclomatic complexity; null: any is kept "
        "(default; OpenCoder has no such rule, a demonstration in NVIDIA's annotation code uses 50)",
    )
    max_measured_kb: int = Field(
        256, ge=1, le=65_536, description="largest file whose cyclomatic complexity is measured, in KiB (default)"
    )
    secrets: Secrets = Secrets()
    contaminated: Literal["drop", "keep"] = Field(
        "drop",
        description="what becomes of files with items of the benchmarks in code.qa.benchmarks. drop: they are dropped; "
        "keep: they are kept, and code.screened names the items (default; NVIDIA's annotation code marks such files, "
        "what became of them was not published)",
    )
    characters_per_token: float = Field(
        3.6,
        gt=0,
        description="mean number of characters in a token, for the estimated number of tokens of a file (default)",
    )

    def rules_of(self, language: str) -> dict[str, Bounds]:
        """{number: its bounds} for files of a language."""
        if language in self.html:
            rules = self.html_rules
        elif language in self.data:
            rules = self.data_rules
        elif language in self.text or (language == UNKNOWN_LANGUAGE and self.unknown == "text"):
            rules = self.text_rules
        else:
            rules = self.code_rules
        return {**rules, **self.extras.get(language, {})}

    def special_languages(self) -> list[str]:
        """The languages whose bounds differ from those of programming languages in general."""
        return sorted({*self.html, *self.data, *self.text, *self.extras, UNKNOWN_LANGUAGE})

    @field_validator("todo", "generated")
    @classmethod
    def _lower(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not value.isascii() or value != value.lower() or not 3 <= len(value) <= 100 or value != value.strip():
                raise ValueError(
                    f"{value!r} must have 3 to 100 ASCII characters in lower case, without blanks at the ends"
                )
        return values

    @field_validator("vendored", "generated_paths", "minified", "data_dump")
    @classmethod
    def _patterns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return values

    @model_validator(mode="after")
    def _known(self) -> CodeQuality:
        from nemotron_assets.recipe.code.numbers import NUMBERS, OF_LINES, OF_SYNTAX

        of_bytes = [name for name in NUMBERS if name not in {*OF_LINES, *OF_SYNTAX}]
        if unknown := sorted({*self.unparsed} - {*of_bytes}):
            raise ValueError(
                f"unparsed may not name {', '.join(unknown)}; numbers of the bytes are: {', '.join(of_bytes)}"
            )
        groups = {name: getattr(self, name) for name in ("code_rules", "text_rules", "data_rules", "html_rules")}
        for where, rules in {**groups, **self.extras}.items():
            if unknown := sorted(set(rules) - set(NUMBERS)):
                raise ValueError(f"{where} names unknown numbers {', '.join(unknown)}; known are: {', '.join(NUMBERS)}")
        return self
