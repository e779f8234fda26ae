"""The numbers in the columns of `code.annotations`, with what each of them counts.

A *line* ends with LF; text after the last LF is a line, too. A *word* is a run of characters between white space, and
an *identifier* is a run of ASCII letters, digits and `_`: `x_1 = f(y)` has 3 words and 3 identifiers. A *line of code*
has more than white space and comments; in a file that is not parsed, comments count as code. A share is 0 where there
is nothing to count. This module imports nothing, because the recipe and the table declarations read it.

Numbers marked (OpenCoder) are counted as OpenCoder's published code counts them. Others differ on purpose:

* `words`, n-grams: runs between white space, as in web.measures, so that one definition serves both corpora; OpenCoder
  splits at punctuation as well, and then `f(x)` and `f(y)` share most of their words.
* `longest_line`, `mean_line`: without the line break, because a line is as long as its text.
* `xml_header`: only at the start of the file; OpenCoder also drops a program with `<?xml version=` in its first 100
  characters, such as a test with an XML string.
* `generated_mark`: a sentence about the whole file; OpenCoder drops every file with "generate" in its first 200
  characters, such as a generator of passwords.
* `long_string_line_share`: literals by their bytes; OpenCoder counts literals of more than 20 words, and base64 is one
  word.
* `long_word_share`, `hex_word_share`: in the whole file; OpenCoder looks for long words in string literals alone, and
  misses arrays of numbers and names; it leaves comments out, where a dump is as bad.
* `pass_line_share`, `import_line_share`, `print_line_share`, `assert_line_share`: statements and calls; OpenCoder
  counts lines with these letters anywhere: "password" passes, and "important" imports.
* `variables`: the rule holds for Python, Java and JavaScript. OpenCoder's settings name C# and Go too, but its code
  compares a list with 0 there, which is never true.
* `no_logic_line_share`: Python alone; OpenCoder's counts for six other languages come from regular expressions that
  take every field and every signature for a line without logic.
* `visible_word_share`: words between white space, see `words`.
"""

from __future__ import annotations

#: Version of the code that counts. A higher one makes the numbers of all files again.
CODE = "6"
#: Keys of the recipe section `code.quality` that decide the numbers. A change of one of them reads all files again.
MADE_WITH = (
    "max_parsed_kb", "max_parsed_line", "unparsed", "head_characters", "todo", "generated", "long_word", "long_string",
)  # fmt: skip
#: Keys of the bounds. A change of one reads all files again only if it is the bound of a number named in `unparsed`.
BOUNDS = ("code_rules", "text_rules", "data_rules", "html_rules", "extras", "text", "data", "html", "unknown")
#: Keys that decide by its path alone whether a file is dropped (`code.path_rules.by_path`).
BY_PATH = ("vendored", "vendored_except", "minified", "data_dump", "generated_files", "generated_paths")

#: Numbers that one compiled pass over the bytes of a file counts.
COUNTED = {
    "characters": "length of the file in Unicode code points",
    "lines": "number of lines, empty ones included",
    "longest_line": "length of the longest line, in characters",
    "mean_line": "mean length of a line, in characters, line breaks not counted",
    "letter_share": "share of the characters that are ASCII letters or not ASCII, except U+FFFD; white space does not "
    "count, on either side (OpenCoder)",
    "replacement_share": "share of the characters that are U+FFFD, which stands for bytes that could not be decoded",
    "hex_share": "share of the characters in runs of at least 8 pairs of hex digits, each after 0x or \\x: 0x4f 0x2a "
    "...",
    "base64_share": "share of the characters in runs of at least 64 of A-Z a-z 0-9 + / = with a digit, a capital and "
    "a small letter",
    "unicode_escape_share": "share of the characters in runs of at least 8 escapes of the form \\uXXXX",
    "longest_encoded": "length of the longest run of hex pairs, base64 characters or \\uXXXX escapes (see hex_share, "
    "base64_share, unicode_escape_share), in characters",
    "long_word_share": "share of the characters in identifiers that are very long (recipe: code.quality.long_word)",
    "hex_word_share": "share of the characters in hexadecimal numbers of the form 0x1F",
    "main_lines": "number of lines that begin with int main or void main",
    "preprocessor_line_share": "share of the lines that begin with #",
    "zero_line_share": "share of the lines that end with = 0; or = null; or the like (no rule of OpenCoder)",
    "xml_header": "1 if the file begins with <?xml, after blanks; else 0",
    "generated_mark": "1 if the start of the file says that it was generated (recipe: code.quality.generated); else 0",
    "unique_word_share": "number of different words divided by the number of words",
}
#: Numbers that the compiled passes of web.measures count in words and lines.
OF_WORDS = {
    "words": "number of words: runs of characters between white space",
    "mean_word_characters": "mean length of an identifier (a run of ASCII letters, digits and _), in characters",
    "digit_share": "share of the characters that are decimal digits; white space does not count (OpenCoder)",
    "whitespace_share": "share of the characters that are white space",
    **{
        f"top_{n}gram_share": f"share of the characters in the most frequent {n} words in a row, as in web.measures"
        for n in (2, 3, 4)
    },
    **{
        f"repeated_{n}gram_share": f"share of the characters in {n} words in a row that came before, as in web.measures"
        for n in range(5, 11)
    },
}
#: Numbers of the lines of code and of comments. A file that is not parsed has them too: its comments count as code.
OF_LINES = {
    "duplicate_line_share": "share of the lines of code that stand more than once in the file, each occurrence "
    "counted; white space and comments make no difference, and lines of one character and lines }, do not count as "
    "repeated (OpenCoder)",
    "todo_line_share": "lines of comments with a mark of unfinished code, such as TODO (recipe: code.quality.todo), "
    "per line of the file (OpenCoder); if the file is not parsed, of all lines",
    "assert_line_share": "lines with a word that begins with assert, in any case, per line of code, at most 1",
    "print_line_share": "lines that begin with a call that prints in the language of the file, such as print(, per "
    "line of code, at most 1",
}
#: Numbers from the syntax tree. They are null for a file that is not parsed: its language has no grammar here, the file
#: or one of its lines is too long, or another number drops it anyway (recipe: code.quality.unparsed).
OF_SYNTAX = {
    "syntax_ok": "1 if the file parses without an error (by tree-sitter; Python also by its own parser); else 0; null "
    "if not parsed, but 0 for HTML that is too large for it",
    "functions": "number of functions and methods that are defined; null if not parsed",
    "function_line_share": "number of functions and methods that are defined, per line of code (OpenCoder); null if "
    "not parsed",
    "variables": "number of variables that are declared: assignments, loops and parameters in Python, declarations of "
    "variables and fields in Java and JavaScript (OpenCoder); null for other languages, or if not parsed",
    "comment_share": "share of the bytes in comments, in Python also in docstrings; null if not parsed",
    "comment_line_share": "share of the lines with a comment, in Python also with a docstring; null if not parsed",
    "import_line_share": "number of imports, includes and the like, per line of code; null if not parsed",
    "pass_line_share": "number of pass statements, per line of code (Python); null if not parsed",
    "string_share": "share of the bytes outside comments in string literals, in Python without docstrings (OpenCoder); "
    "null if not parsed",
    "long_string_line_share": "number of long string literals (recipe: code.quality.long_string), per line of code, at "
    "most 1; null if not parsed",
    "trivial_function_share": "number of functions whose body is only a return, per line of code (Python, OpenCoder); "
    "null if not parsed",
    "no_logic_line_share": "number of imports, classes, functions, returns and assignments in the body of a class, per "
    "line of code (Python, OpenCoder); null if not parsed",
    "visible_characters": "length of the text between the tags, in characters (HTML); null for other languages, or if "
    "not parsed",
    "visible_word_share": "words of the text between the tags, per word of the file (HTML); null for other languages, "
    "or if not parsed",
}
NUMBERS = {"bytes": "size of the file in the repository, in bytes", **COUNTED, **OF_WORDS, **OF_LINES, **OF_SYNTAX}
#: The numbers that are integers; all others are floating-point numbers.
WHOLE = frozenset(
    ("bytes", "characters", "lines", "longest_line", "longest_encoded", "main_lines", "xml_header", "generated_mark",
     "words", "syntax_ok", "functions", "variables", "visible_characters")
)  # fmt: skip
