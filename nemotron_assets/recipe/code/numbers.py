"""The numbers of `code.annotations`: what each counts, exactly. Light, because the recipe and the tables read it.

A *line* ends with LF; what stands behind the last LF is a line if it is not empty. A *word* is a run of characters
between white space; of identifiers, a run of ASCII letters, digits and `_`. A share of nothing is 0.
"""

from __future__ import annotations

#: Raised when what is counted changes; and the parts of the recipe that the numbers are made with: a change of those
#: reads all files again. Of the bounds, only those of `unparsed` do.
CODE = "2"
MADE_WITH = (
    "max_parsed_kb", "max_parsed_line", "unparsed", "head_characters", "todo", "generated", "long_word", "long_string",
)  # fmt: skip
BOUNDS = ("code_rules", "text_rules", "data_rules", "html_rules", "extras", "text", "data", "html", "unknown")
#: The parts of the recipe by which a path alone drops a file (`rules.by_path`).
BY_PATH = ("vendored", "vendored_except", "minified", "data_dump", "generated_files", "generated_paths")

#: From the bytes, in one compiled pass.
COUNTED = {
    "characters": "Unicode code points",
    "lines": "lines, empty ones included",
    "longest_line": "characters of the longest line",
    "mean_line": "characters per line, line breaks not counted",
    "letter_share": "share of characters that are ASCII letters or beyond ASCII (U+FFFD is not)",
    "replacement_share": "share of characters that are U+FFFD",
    "hex_share": "share of characters in runs of at least 8 pairs of hex digits, each with 0x or \\x before it",
    "base64_share": "share of characters in runs of at least 64 of A-Z a-z 0-9 + / =, a digit and both cases in them",
    "unicode_escape_share": "share of characters in runs of at least 8 of \\uXXXX",
    "longest_encoded": "characters of the longest such run of any of the three kinds",
    "long_word_share": "share of characters in identifiers that are very long (code.quality.long_word)",
    "hex_word_share": "share of characters in identifiers of the form 0x1F",
    "todo_line_share": "share of lines with a mark of unfinished code (code.quality.todo)",
    "assert_line_share": "share of lines with a word that begins with assert, in any case",
    "print_line_share": "share of lines that begin with a call that prints, as the language has it",
    "main_lines": "lines that begin with int main or void main",
    "preprocessor_line_share": "share of lines that begin with #",
    "zero_line_share": "share of lines that end with = 0; or = null; or the like",
    "xml_header": "1 if the file begins with <?xml, blanks aside",
    "generated_mark": "1 if the head says that the file was generated (code.quality.generated)",
    "unique_word_share": "different words per word",
}
#: From the passes over words that web texts are measured with.
OF_WORDS = {
    "words": "words",
    "mean_word_characters": "characters per run of ASCII letters, digits and _",
    "digit_share": "share of characters that are decimal digits",
    "whitespace_share": "share of characters that are white space",
    "duplicate_line_share": "share of the lines that are not blank whose text, blanks at the ends aside, came before",
    **{
        f"top_{n}gram_share": f"characters of the most frequent {n} words in a row, per character, as in web.measures"
        for n in (2, 3, 4)
    },
    **{
        f"repeated_{n}gram_share": f"characters of {n} words in a row that came before, per character; see web.measures"
        for n in range(5, 11)
    },
}
#: From the syntax tree; null where the language has no grammar here, the file is too large, a line of it too long, or
#: it is dropped anyway (code.quality.unparsed).
OF_SYNTAX = {
    "syntax_ok": "1 if it parses without an error (tree-sitter; Python: the standard library's parser)",
    "functions": "definitions of functions and methods",
    "function_line_share": "such definitions per line",
    "comment_share": "share of bytes in comments; Python: and in docstrings",
    "comment_line_share": "lines with a comment (Python: or docstring) per line",
    "import_line_share": "imports, includes and the like per line",
    "pass_line_share": "pass statements per line (Python)",
    "string_share": "share of bytes in string literals; Python: without docstrings",
    "long_string_line_share": "long string literals (code.quality.long_string) per line, at most 1",
    "trivial_function_share": "functions whose whole body is pass, ..., a docstring or a return, per line (Python)",
    "no_logic_line_share": "imports, pass statements, prints and assignments of constants per line that is not blank "
    "(Python)",
    "visible_characters": "characters of the text between the tags (HTML)",
    "visible_word_share": "words of that text per word of the file (HTML)",
}
NUMBERS = {"bytes": "size of the file in the repository", **COUNTED, **OF_WORDS, **OF_SYNTAX}
#: Those that are whole numbers.
WHOLE = frozenset(
    ("bytes", "characters", "lines", "longest_line", "longest_encoded", "main_lines", "xml_header", "generated_mark",
     "words", "syntax_ok", "functions", "visible_characters")
)  # fmt: skip
