"""Which rules drop a file, from numbers that are stored: bounds by language, paths, and shares kept by chance.

Everything is a polars expression, so that a changed bound reads numbers and no text.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

import polars as pl

from nemotron_assets.code.path_rules import DATA_DUMP, GENERATED, MINIFIED, VENDORED, by_path
from nemotron_assets.recipe.code.numbers import NUMBERS
from nemotron_assets.recipe.code.quality import CodeQuality
from nemotron_assets.recipe.web.heuristics import Bounds

#: Reasons that are no bounds, in the order they are given.
UNKNOWN, GO_TEST, NO_LOGIC = "unknown_language", "go_test", "no_logic"

_UNKNOWN_LANGUAGE = "unknown"
_Ends = tuple[float | None, float | None]
_NO_ENDS: _Ends = (None, None)
_MINIFIABLE = ("JavaScript", "CSS", "TypeScript")


def failures(recipe: CodeQuality) -> pl.Expr:
    """The rules a row of `code.annotations` fails, as a list of names; empty if it is kept. A number that was not
    measured (null) fails nothing."""
    reasons = [*_flags(recipe), *out_of_bounds(recipe)]
    named = [pl.when(fails).then(pl.lit(name, dtype=pl.String)) for name, fails in reasons]
    return pl.concat_arr(named).arr.to_list().list.drop_nulls()  # concat_list takes five times as long


def by_chance(share: float, salt: str) -> pl.Expr:
    """True for a share of the rows, by the ids of their files."""
    draw = pl.col("parents").list.first().str.slice(0, 8).str.to_integer(base=16, strict=False).fill_null(0)
    salted = (draw + sum(salt.encode()) * 0x9E3779B1) % 2**32
    return salted < pl.lit(int(share * 2**32), dtype=pl.Int64)


def rules_of(language: str, recipe: CodeQuality) -> dict[str, Bounds]:
    """The bounds that files of a language must keep."""
    if language in recipe.html:
        rules = recipe.html_rules
    elif language in recipe.data:
        rules = recipe.data_rules
    elif language in recipe.text or (language == _UNKNOWN_LANGUAGE and recipe.unknown == "text"):
        rules = recipe.text_rules
    else:
        rules = recipe.code_rules
    return {**rules, **recipe.extras.get(language, {})}


def special_languages(recipe: CodeQuality) -> list[str]:
    """Languages with rules that are not those of code in general."""
    return sorted({*recipe.html, *recipe.data, *recipe.text, *recipe.extras, _UNKNOWN_LANGUAGE})


def _flags(recipe: CodeQuality) -> list[tuple[str, pl.Expr]]:
    path, language = pl.col("rel_path").str.to_lowercase(), pl.col("language")
    named = by_path(recipe)
    long = (pl.col("mean_line") > recipe.minified_line) | (pl.col("longest_line") > recipe.minified_longest)
    dense = language.is_in(_MINIFIABLE) & long & (pl.col("whitespace_share") < 0.1)
    idle = (pl.col("no_logic_line_share") > recipe.sampled.no_logic_above).fill_null(False)
    flags = [
        (VENDORED, named[VENDORED]),
        (MINIFIED, named[MINIFIED] | dense),
        (DATA_DUMP, named[DATA_DUMP]),
        (GO_TEST, path.str.ends_with("_test.go") & by_chance(recipe.sampled.go_tests, GO_TEST)),
        (NO_LOGIC, (language == "Python") & idle & by_chance(recipe.sampled.no_logic, NO_LOGIC)),
    ]
    if recipe.generated_files == "drop":
        flags.insert(1, (GENERATED, (pl.col("generated_mark") == 1) | named[GENERATED]))
    if recipe.unknown == "drop":
        flags.append((UNKNOWN, language == _UNKNOWN_LANGUAGE))
    return flags


def out_of_bounds(recipe: CodeQuality, numbers: Iterable[str] = NUMBERS) -> list[tuple[str, pl.Expr]]:
    """(number, whether it is out of the bounds of the row's language). Languages with equal bounds are one test."""
    rules = {language: rules_of(language, recipe) for language in special_languages(recipe)}
    failed = []
    for name in numbers:
        usual = _ends(recipe.code_rules, name)
        others: dict[_Ends, list[str]] = {}
        for language, bounds in rules.items():
            if (ends := _ends(bounds, name)) != usual:
                others.setdefault(ends, []).append(language)
        odd = [language for languages in others.values() for language in languages]
        tests = [~pl.col("language").is_in(odd) & _outside(name, usual)] if usual != _NO_ENDS else []
        for ends, languages in others.items():
            if ends != _NO_ENDS:
                tests.append(pl.col("language").is_in(languages) & _outside(name, ends))
        if tests:
            failed.append((name, pl.any_horizontal(tests)))
    return failed


def _ends(rules: dict[str, Bounds], name: str) -> _Ends:
    """A number's bounds as a tuple, which is compared and hashed faster than a model."""
    bounds = rules.get(name)
    return (bounds.min, bounds.max) if bounds else _NO_ENDS


def _outside(name: str, ends: _Ends) -> pl.Expr:
    """Whether a number is beyond its bounds; one that is null is not."""
    column, (low, high) = pl.col(name), ends
    tests = ([column < low] if low is not None else []) + ([column > high] if high is not None else [])
    return functools.reduce(operator.or_, tests).fill_null(False)
