"""Measures files for `code.annotations`: compiled passes over the bytes of a batch, then the syntax tree of each file.

`recipe/code/numbers.py` defines every number.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

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
from nemotron_assets.table.parts import Part, Parts, Rejects
from nemotron_assets.text import heuristics

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader

#: Columns of `code.files` that `annotate` reads.
READ = ("id", "repo", "commit_id", "rel_path", "language", "bytes", "content")

#: {languages: how a line begins that prints, in lower case, without indentation}
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
#: White space that is not ASCII, as Python's `str.isspace` accepts it.
_WIDE_SPACE = "[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
#: The measures of web texts search for words such as "the" as well. No number of `OF_WORDS` needs these searches.
_NO_STRINGS = Measures(
    common_words=(), bullets="", terminal="", parentheses="", ellipses=(), cut_off=(), boilerplate=(), placeholder=()
)


def annotate(files: pl.DataFrame, recipe: CodeQuality) -> pl.DataFrame:
    """The numbers of files: rows of `code.annotations` without parents, with the id of the file, for rows of
    `code.files` (columns `READ`)."""
    numbers = from_bytes(files, recipe)
    facts = files.select("id", "repo", "commit_id", "rel_path", "language", "bytes")
    from_trees = syntax.measure(
        files["content"].to_list(),
        _must_parse(facts.hstack(numbers), recipe).to_list(),
        files["language"].to_list(),
        numbers,
        recipe.max_parsed_kb << 10,
        recipe.long_string,
        recipe.todo,
    )
    found = pl.concat([facts, numbers.drop(syntax.LINES), from_trees], how="horizontal")
    return found.with_columns(pl.col(name).cast(pl.Int64 if name in WHOLE else pl.Float64) for name in NUMBERS)


def _must_parse(numbers: pl.DataFrame, recipe: CodeQuality) -> pl.Series:
    """Whether the syntax tree of a file is measured: not if a line is too long, or if a number of its bytes already
    drops it. HTML is measured whatever its lines: only its tree tells whether a minified page shows any text."""
    dropped = [fails for _, fails in rules.out_of_bounds(recipe, recipe.unparsed)]
    short = (pl.col("longest_line") <= recipe.max_parsed_line) | pl.col("language").is_in(recipe.html)
    return numbers.select(short & ~pl.any_horizontal(pl.lit(False), *dropped)).to_series()


def from_bytes(files: pl.DataFrame, recipe: CodeQuality) -> pl.DataFrame:
    """The numbers of `COUNTED` and `OF_WORDS` as columns; also the counts of lines in `syntax.LINES`."""
    texts = files["content"].to_arrow()
    data, offsets = heuristics.utf8(texts)
    counts = np.zeros((len(files), len(p.COUNTS)), np.int64)
    masks = np.array([_mask(language) for language in files["language"]], np.int64)
    head, long_word = recipe.head_characters, recipe.long_word
    p.count_files(data, offsets, counts, masks, *_search_index(recipe.todo, recipe.generated), head, long_word)
    n = dict(zip(p.COUNTS, counts.T, strict=True))
    web = heuristics.measure(texts, _NO_STRINGS)

    def per(what: str, of: str) -> np.ndarray:
        return np.divide(n[what], n[of], out=np.zeros(len(files)), where=n[of] > 0)

    text = n["characters"] - n["line_breaks"]
    spaces, digits = (np.rint(web[f"{kind}_share"].to_numpy() * n["characters"]) for kind in ("whitespace", "digit"))
    # The compiled pass takes all characters that are not ASCII for letters.
    letters = n["letters"] - files["content"].str.count_matches(_WIDE_SPACE).to_numpy()
    visible = n["characters"] - spaces

    def per_visible(count: np.ndarray) -> np.ndarray:
        return np.divide(count, visible, out=np.zeros(len(files)), where=visible > 0)

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
                *syntax.LINES,
            )
        },
        "mean_line": np.divide(text, n["lines"], out=np.zeros(len(files)), where=n["lines"] > 0),
        "letter_share": per_visible(letters),
        "digit_share": per_visible(digits),
        "replacement_share": per("replacements", "characters"),
        "hex_share": per("hex", "characters"),
        "base64_share": per("base64", "characters"),
        "unicode_escape_share": per("unicode_escapes", "characters"),
        "long_word_share": per("long_word", "characters"),
        "hex_word_share": per("hex_word", "characters"),
        "preprocessor_line_share": per("preprocessor_lines", "lines"),
        "zero_line_share": per("zero_lines", "lines"),
        "unique_word_share": per("unique_words", "words"),
        "mean_word_characters": per("identifier_characters", "identifiers"),
    }
    found |= {name: web[name].to_numpy() for name in OF_WORDS if name in web.columns and name not in found}
    found["generated_mark"] = n["generated_mark"].copy()
    for marked in np.flatnonzero(n["generated_mark"]):
        found["generated_mark"][marked] = is_generated(files["content"][int(marked)], recipe.generated, head)
    return pl.DataFrame({name: found[name] for name in (*COUNTED, *OF_WORDS, *syntax.LINES)})


def bounded(batches: Iterable[pa.RecordBatch], recipe: CodeQuality) -> Iterator[pa.RecordBatch]:
    """Batches of files cut into smaller ones: at most the recipe's `batch_mb` of text, or a single larger file."""
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


def annotation_parts(files: Reader, recipe: CodeQuality, compute: Compute, run_id: str) -> Parts:
    """The parts of `code.annotations`, one per repository, made again when its files or the settings change."""
    numbers = version(recipe)
    compile_passes(recipe)
    work, rejects = functools.partial(annotate, recipe=recipe), Rejects()

    def rows_of(repo: str) -> Iterator[pl.DataFrame]:
        batches = bounded(files.part(repo).batches(READ, recipe.batch_rows), recipe)
        for frame in compute.map(batches, work, reject=rejects.add, stage=ANNOTATIONS.full_name):
            yield with_row_ids(frame, ANNOTATIONS.full_name).select(ANNOTATIONS.column_names)

    parts = (
        Part(repo, f"{content or run_id}-{numbers}", functools.partial(rows_of, repo))
        for repo, content in files.parts().items()
    )
    return Parts(parts, rejects=rejects)


def with_row_ids(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """A frame whose `id` is that of a file in `code.files`, as rows of `table`: with ids of their own, and the file as
    their parent."""
    return frame.with_columns(
        parents=pl.concat_list("id"), id=pl.Series([row_id(table, file) for file in frame["id"]], dtype=pl.String)
    )


def version(recipe: CodeQuality) -> str:
    """A hash of everything that the numbers depend on except the files: the code, the settings, and the bounds that
    decide which files are parsed."""
    bounds = [
        (language, name, repr(recipe.rules_of(language).get(name)))
        for language in (*recipe.special_languages(), "any other")
        for name in recipe.unparsed
    ]
    made_with = [repr(getattr(recipe, name)) for name in MADE_WITH]
    return content_hash("\x1f".join([CODE, *made_with, repr(bounds)]))[:16]


def compile_passes(recipe: CodeQuality) -> None:
    """Compile the passes before worker processes start, because otherwise all workers would compile them at once."""
    columns = {"content": ["int main() {\n}\n"], "language": ["C"]}
    from_bytes(pl.DataFrame(columns), recipe)
    syntax.compile_passes()


@functools.cache
def _mask(language: str) -> int:
    """The kinds of strings that are searched for in files of a language, as bits."""
    mask = p.TODO | p.ASSERT | p.GENERATED
    if language in _MAIN_LANGUAGES:
        mask |= p.MAIN
    for k, languages in enumerate(PRINTS):
        if language in languages:
            mask |= p.FIRST_PRINT << k
    return mask


@functools.lru_cache(maxsize=4)
def _search_index(todo: tuple[str, ...], generated: tuple[str, ...]) -> tuple:
    """The strings that `count_files` searches for, sorted, with an index by their first two bytes."""
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
