"""Numbers about files, a batch at a time: compiled passes over the bytes, then the syntax tree of each file."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.code.quality import _passes as p
from nemotron_assets.code.quality import rules, syntax
from nemotron_assets.code.quality.generated import is_generated
from nemotron_assets.code.quality.tables import ANNOTATIONS
from nemotron_assets.recipe.code.numbers import CODE, COUNTED, MADE_WITH, NUMBERS, OF_WORDS, WHOLE
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.recipe.web.heuristics import Measures
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text import heuristics

READ = ("id", "repo", "commit_id", "rel_path", "language", "bytes", "content")

#: How a line begins that prints, by language; blanks before it do not count.
PRINTS = {
    ("Python",): ("print(", "print ", "pprint("),
    ("C", "C++", "Cuda"): ("printf(", "fprintf(", "puts(", "std::cout", "cout"),
    ("Java",): ("system.out.print", "system.err.print", "system.out.format"),
    ("C#",): ("console.write", "debug.write"),
    ("JavaScript", "TypeScript"): ("console.log", "console.error", "console.info", "console.warn", "document.write"),
    ("Go",): ("fmt.print", "fmt.fprint", "log.print", "println("),
}
_MAIN = ("int main(", "int main (", "void main(", "void main (")
_MAIN_LANGUAGES = ("C", "C++", "Cuda")
#: Code is not searched for what web texts are: no number of `OF_WORDS` is made with these strings.
_NO_STRINGS = Measures(
    common_words=(), bullets="", terminal="", parentheses="", ellipses=(), cut_off=(), boilerplate=(), placeholder=()
)


def annotate(files: pl.DataFrame, recipe: CodeQuality) -> pl.DataFrame:
    """Rows of `code.annotations`, without parents, for rows of `code.files` (columns `READ`)."""
    numbers = from_bytes(files, recipe)
    facts = files.select("id", "repo", "commit_id", "rel_path", "language", "bytes")
    texts = pl.select(pl.when(_parsed(facts.hstack(numbers), recipe)).then(files["content"])).to_series()
    from_trees = syntax.measure(
        texts.to_list(), files["language"].to_list(), numbers, recipe.max_parsed_kb << 10, recipe.long_string
    )
    found = pl.concat([facts, numbers.drop("full_lines", "print_lines"), from_trees], how="horizontal")
    return found.with_columns(pl.col(name).cast(pl.Int64 if name in WHOLE else pl.Float64) for name in NUMBERS)


def _parsed(numbers: pl.DataFrame, recipe: CodeQuality) -> pl.Series:
    """Whether a file's syntax is measured, by the numbers of its bytes."""
    dropped = [fails for _, fails in rules.out_of_bounds(recipe, recipe.unparsed)]
    short = pl.col("longest_line") <= recipe.max_parsed_line
    return numbers.select(short & ~pl.any_horizontal(pl.lit(False), *dropped)).to_series()


def from_bytes(files: pl.DataFrame, recipe: CodeQuality) -> pl.DataFrame:
    """The numbers of `COUNTED` and `OF_WORDS`, and the lines that are not blank or print, as columns."""
    texts = files["content"].to_arrow()
    data, offsets = heuristics.utf8(texts)
    counts = np.zeros((len(files), len(p.COUNTS)), np.int64)
    masks = np.array([_mask(language) for language in files["language"]], np.int64)
    head, long_word = recipe.head_characters, recipe.long_word
    p.count_files(data, offsets, counts, masks, *_strings(recipe.todo, recipe.generated), head, long_word)
    n = dict(zip(p.COUNTS, counts.T, strict=True))
    web = heuristics.measure(texts, _NO_STRINGS)

    def per(what: str, of: str) -> np.ndarray:
        return np.divide(n[what], n[of], out=np.zeros(len(files)), where=n[of] > 0)

    text = n["characters"] - n["line_breaks"]
    found = {
        **{
            name: n[name]
            for name in (
                "characters",
                "lines",
                "longest_line",
                "longest_encoded",
                "main_lines",
                "xml_header",
                "generated_mark",
                "full_lines",
                "print_lines",
            )
        },
        "mean_line": np.divide(text, n["lines"], out=np.zeros(len(files)), where=n["lines"] > 0),
        "letter_share": per("letters", "characters"),
        "replacement_share": per("replacements", "characters"),
        "hex_share": per("hex", "characters"),
        "base64_share": per("base64", "characters"),
        "unicode_escape_share": per("unicode_escapes", "characters"),
        "long_word_share": per("long_word", "characters"),
        "hex_word_share": per("hex_word", "characters"),
        "todo_line_share": per("todo_lines", "lines"),
        "assert_line_share": per("assert_lines", "lines"),
        "print_line_share": per("print_lines", "lines"),
        "preprocessor_line_share": per("preprocessor_lines", "lines"),
        "zero_line_share": per("zero_lines", "lines"),
        "unique_word_share": per("unique_words", "words"),
        "mean_word_characters": per("identifier_characters", "identifiers"),
    }
    found |= {name: web[name].to_numpy() for name in OF_WORDS if name in web.columns and name not in found}
    found["duplicate_line_share"] = 1 - web["unique_line_share"].to_numpy()
    found["generated_mark"] = n["generated_mark"].copy()
    for marked in np.flatnonzero(n["generated_mark"]):
        found["generated_mark"][marked] = is_generated(files["content"][int(marked)], recipe.generated, head)
    return pl.DataFrame({name: found[name] for name in (*COUNTED, *OF_WORDS, "full_lines", "print_lines")})


def bounded(batches: Iterable[pa.RecordBatch], recipe: CodeQuality) -> Iterator[pa.RecordBatch]:
    """Batches of files cut so that each is at most the recipe's MB, or one file."""
    most = recipe.batch_mb << 20
    for batch in batches:
        first, size = 0, 0
        for k, length in enumerate(pa.compute.binary_length(batch["content"]).to_pylist()):
            if k > first and size + length > most:
                yield batch.slice(first, k - first)
                first, size = k, 0
            size += length
        if batch.num_rows:
            yield batch.slice(first)


def as_rows(found: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """`annotate`'s frames as rows of the table."""
    for frame in found:
        yield identified(frame, ANNOTATIONS.full_name).select(ANNOTATIONS.column_names)


def identified(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """A frame whose `id` is a file's: with the ids of `table`'s rows, and the file as their parent."""
    return frame.with_columns(
        parents=pl.concat_list("id"), id=pl.Series([row_id(table, file) for file in frame["id"]], dtype=pl.String)
    )


def version(recipe: CodeQuality) -> str:
    """Names what the numbers depend on beside the files."""
    bounds = [
        (language, name, repr(rules.rules_of(language, recipe).get(name)))
        for language in (*rules.special_languages(recipe), "any other")
        for name in recipe.unparsed
    ]
    made_with = [repr(getattr(recipe, name)) for name in MADE_WITH]
    return content_hash("\x1f".join([CODE, *made_with, repr(bounds)]))[:16]


def compile_passes(recipe: CodeQuality) -> None:
    """Compile once here, so that not every worker does at the same time."""
    columns = {"content": ["int main() {\n}\n"], "language": ["C"]}
    from_bytes(pl.DataFrame(columns), recipe)


@functools.cache
def _mask(language: str) -> int:
    mask = p.TODO | p.ASSERT | p.GENERATED
    if language in _MAIN_LANGUAGES:
        mask |= p.MAIN
    for k, languages in enumerate(PRINTS):
        if language in languages:
            mask |= p.FIRST_PRINT << k
    return mask


@functools.lru_cache(maxsize=4)
def _strings(todo: tuple[str, ...], generated: tuple[str, ...]) -> tuple:
    """What `count_files` looks strings up in, sorted by their first bytes."""
    known = [(string, p.TODO) for string in todo] + [(string, p.GENERATED) for string in generated]
    known += [("assert", p.ASSERT), *((string, p.MAIN) for string in _MAIN)]
    known += [(string, p.FIRST_PRINT << k) for k, strings in enumerate(PRINTS.values()) for string in strings]
    known.sort()
    encoded = [(string.encode(), kind) for string, kind in known]
    firsts = np.array([string[0] for string, _ in encoded])
    begins = np.zeros((256, 256), np.uint16)
    for string, kind in encoded:
        first, second = ([*part, *part.upper()] for part in (string[:1], string[1:2]))
        begins[np.ix_(first, second)] |= kind
    return (
        p.byte_flags(),
        np.frombuffer(b"".join(string for string, _ in encoded), np.uint8),
        np.cumsum([0, *(len(string) for string, _ in encoded)]).astype(np.int64),
        np.array([kind for _, kind in encoded], np.int64),
        np.searchsorted(firsts, np.arange(257)).astype(np.int64),
        begins.ravel(),
    )
