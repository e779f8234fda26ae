"""Which code files are kept: OpenCoder's thresholds (as Nano 2 §2.2.1 applies them), path rules, secrets, complexity.

Which of OpenCoder's rules Nemotron kept or re-tuned was not published, so that the values are OpenCoder's own. What is
counted is said at the columns of `code.annotations`.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.web.heuristics import Bounds
from nemotron_assets.recipe.web.privacy import Email, Ip

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
_ZERO = {**_FUNCTIONS, "zero_line_share": _bounds(high=0.5)}
_EXTRAS = {
    "Python": {**_FUNCTIONS, "syntax_ok": _bounds(1), "pass_line_share": _bounds(high=0.05),
               "import_line_share": _bounds(high=0.3), "trivial_function_share": _bounds(high=0.1)},
    "C": _C, "C++": _C, "Java": _ZERO, "C#": _ZERO, "TypeScript": _ZERO,
    "JavaScript": {**_ZERO, "syntax_ok": _bounds(1)},
    "SQL": {"digit_share": _bounds(high=0.3)},
    "Shell": {"assert_line_share": _bounds(), "long_string_line_share": _bounds()},
}  # fmt: skip


class Sampled(Section):
    """Files of which only a share is kept; which ones depends on their ids alone."""

    go_tests: float = Field(0.8, ge=0, le=1, description="share of Go's test files that is dropped (OpenCoder)")
    no_logic: float = Field(
        0.8, ge=0, le=1, description="share of the Python files without logic that is dropped (OpenCoder)"
    )
    no_logic_above: float = Field(
        0.5, ge=0, le=1, description="no_logic_line_share from above which a file is without logic (OpenCoder)"
    )


class Secrets(Section):
    """Credentials and personal data in kept files (default; the published recipe names no such step)."""

    action: Literal["redact", "drop", "keep"] = Field(
        "redact", description="replace what is found, drop the file, or only count"
    )
    min_entropy: float = Field(
        3.5,
        ge=0,
        le=8,
        description="bits per character of a value assigned to a name like password or token, from "
        "which it is a secret; words have less",
    )
    min_characters: int = Field(12, ge=6, le=200, description="shortest such value, in characters")
    min_changes: float = Field(
        0.12,
        ge=0,
        le=1,
        description="changes between digits, capitals and small letters per character of such a "
        "value; drawn ones have 0.3 to 0.5, names and paths less than 0.1 (default)",
    )
    personal: Literal["redact", "drop", "keep"] = Field("redact", description="the same for e-mail and IP addresses")
    email: Email = Field(
        Email(keep_users=("git", "hg", "svn", "this", "super", "return", "break", "continue")),
        description="e-mail addresses; token and exceptions (this@Outer.name is Kotlin)",
    )
    ip: Ip = Field(Ip(), description="IP addresses; token and exceptions")
    keep_examples: bool = Field(True, description="leave what standards reserve for examples (example.com, 192.0.2.x)")


class CodeQuality(Section):
    """Numbers and rules of `code.annotations`, `code.curated` and `code.dropped`."""

    max_parsed_kb: int = Field(
        1_024, ge=1, le=65_536, description="larger files are not parsed; their numbers of syntax are null (default)"
    )
    max_parsed_line: int = Field(
        5_000, ge=200, description="nor are files with longer lines, in characters: minified ones and data (default)"
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
            "duplicate_line_share",
            "todo_line_share",
            "top_2gram_share",
            "top_3gram_share",
            "top_4gram_share",
        ),
        description="numbers of the bytes; a file that one of their bounds drops anyway is not parsed either. None: "
        "every file is, for those who try other bounds (default)",
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker at a time (default)")
    batch_mb: int = Field(8, ge=1, le=512, description="most MB of text handed to a worker at a time (default)")
    head_characters: int = Field(
        1_000, ge=80, le=100_000, description="start of a file where it says that it was generated (default)"
    )
    todo: tuple[str, ...] = Field(
        ("todo", "fixme", "your code here", "your code goes here", "your implementation here", "fill in here"),
        description="marks of unfinished code and of prompts, whole words in lower case; any case counts (default)",
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
        description="what a generated file says about itself in its head, whole words in lower case; any case counts. "
        "Sentences about a part of a file or other files do not count, nor strings (default)",
    )
    long_word: int = Field(40, ge=10, description="letters, digits and _ that make a very long word (default)")
    long_string: int = Field(
        200, ge=10, description="bytes of a string literal that make its line a long one (default)"
    )
    minified_line: int = Field(
        110, ge=40, description="mean length of the lines of minified JavaScript and CSS (Linguist)"
    )
    minified_longest: int = Field(
        500,
        ge=80,
        description="or the longest line of such a file, which may begin with its licence; in both less "
        "than a tenth of the file is white space (default)",
    )
    text: tuple[str, ...] = Field(_TEXT, description="languages judged as text (default)")
    data: tuple[str, ...] = Field(_DATA, description="languages judged as data formats (default)")
    html: tuple[str, ...] = Field(("HTML",), description="languages judged as HTML (OpenCoder)")
    unknown: Literal["drop", "text", "code"] = Field(
        "drop", description="files whose language is unknown: drop them, or judge them as text or code (default)"
    )
    code_rules: dict[str, Bounds] = Field(
        _CODE_RULES,
        description="bounds for all other languages (OpenCoder; of hex and base64 NVIDIA's annotation "
        "code, of escapes default)",
    )
    text_rules: dict[str, Bounds] = Field(_TEXT_RULES, description="bounds for text (OpenCoder)")
    data_rules: dict[str, Bounds] = Field(_DATA_RULES, description="bounds for data formats (OpenCoder)")
    html_rules: dict[str, Bounds] = Field(_HTML_RULES, description="bounds for HTML (OpenCoder)")
    extras: dict[str, dict[str, Bounds]] = Field(
        _EXTRAS, description="by language: bounds beside or instead of those above; without ends: off (OpenCoder)"
    )
    generated_files: Literal["drop", "keep"] = Field(
        "drop", description="files that say they are generated, or have names that generators give (default)"
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
        description="paths of generated files, as patterns over the path in lower case (after Linguist's; default)",
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
        description="paths of other people's code, as patterns over the path in lower case (after Linguist's; default)",
    )
    vendored_except: tuple[str, ...] = Field(
        ("jquery/jquery",), description="repositories (owner/name) whose own code has such paths (default)"
    )
    minified: tuple[str, ...] = Field(
        (r"[-.]min\.(js|mjs|cjs|css|html)$", r"\.(bundle|pack|prod)\.(js|css)$"),
        description="paths of minified files, as patterns over the path in lower case (after Linguist's; default)",
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
        description="paths of files that hold data, no code, as patterns over the path in lower case (default)",
    )
    sampled: Sampled = Field(Sampled(), description="files of which a share is dropped")
    max_cyclomatic: int | None = Field(
        None,
        ge=1,
        description="largest cyclomatic complexity of a function that is kept; null: any (OpenCoder has no "
        "such rule; the demonstration in NVIDIA's annotation code: 50)",
    )
    max_measured_kb: int = Field(
        256, ge=1, le=65_536, description="complexity is not measured of larger files, in KB (default)"
    )
    secrets: Secrets = Field(Secrets(), description="credentials and personal data")
    contaminated: Literal["drop", "keep"] = Field(
        "drop",
        description="files with items of the benchmarks of code.qa.benchmarks, or only name them (default; the "
        "annotation is in NVIDIA's code, what followed from it was not published)",
    )
    characters_per_token: float = Field(3.6, gt=0, description="for the estimate of tokens (default)")

    @field_validator("todo", "generated")
    @classmethod
    def _lower(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not value.isascii() or value != value.lower() or not 3 <= len(value) <= 100 or value != value.strip():
                raise ValueError(f"{value!r}: needs 3 to 100 ASCII characters in lower case, no blanks at the ends")
        return values

    @field_validator("vendored", "generated_paths", "minified", "data_dump")
    @classmethod
    def _patterns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is no regular expression: {error}") from None
        return values

    @model_validator(mode="after")
    def _known(self) -> CodeQuality:
        from nemotron_assets.recipe.code.numbers import NUMBERS, OF_SYNTAX

        if unknown := sorted({*self.unparsed} - {*NUMBERS} | {*self.unparsed} & {*OF_SYNTAX}):
            of_bytes = ", ".join(name for name in NUMBERS if name not in OF_SYNTAX)
            raise ValueError(f"unparsed names {', '.join(unknown)}; numbers of the bytes are: {of_bytes}")
        groups = {name: getattr(self, name) for name in ("code_rules", "text_rules", "data_rules", "html_rules")}
        for where, rules in {**groups, **self.extras}.items():
            if unknown := sorted(set(rules) - set(NUMBERS)):
                raise ValueError(f"{where} names {', '.join(unknown)}; there are: {', '.join(NUMBERS)}")
        return self
