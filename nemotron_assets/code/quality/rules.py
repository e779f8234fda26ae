"""The rules that drop files, applied to the stored numbers: bounds by language, paths, and random samples.

All rules are polars expressions over `code.annotations`, so that a changed bound does not need the texts.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

import polars as pl

from nemotron_assets.code.path_rules import DATA_DUMP, GENERATED, MINIFIED, VENDORED, by_path
from nemotron_assets.recipe.code.numbers import NUMBERS
from nemotron_assets.recipe.code.quality import UNKNOWN_LANGUAGE, CodeQuality
from nemotron_assets.recipe.web.heuristics import Bounds

#: Rules that are neither bounds nor rules by path.
UNKNOWN, GO_TEST, NO_LOGIC = "unknown_language", "go_test", "no_logic"

_Limits = tuple[float | None, float | None]  # (smallest, largest allowed value); None: no limit
_NO_LIMITS: _Limits = (None, None)
#: Languages that tools minify.
_MINIFIABLE = ("JavaScript", "CSS", "TypeScript")


def failures(recipe: CodeQuality) -> pl.Expr:
    """The names of the rules that drop a row of `code.annotations`, as a list; empty if no rule drops it. A number that
    was not measured (null) is within all bounds."""
    tests = [*_tests_without_bounds(recipe), *out_of_bounds(recipe)]
    named = [pl.when(fails).then(pl.lit(name, dtype=pl.String)) for name, fails in tests]
    return pl.concat_arr(named).arr.to_list().list.drop_nulls()  # five times as fast as concat_list


def by_chance(share: float, salt: str) -> pl.Expr:
    """True for a share of the rows, chosen by the ids of their files and by `salt`: the same rows in every run."""
    number = pl.col("parents").list.first().str.slice(0, 8).str.to_integer(base=16, strict=False).fill_null(0)
    salted = (number + sum(salt.encode()) * 0x9E3779B1) % 2**32
    return salted < pl.lit(int(share * 2**32), dtype=pl.Int64)


def _tests_without_bounds(recipe: CodeQuality) -> list[tuple[str, pl.Expr]]:
    """(rule, expression that is true for a dropped file) of all rules except bounds."""
    path, language = pl.col("rel_path").str.to_lowercase(), pl.col("language")
    of_path = by_path(recipe)
    long = (pl.col("mean_line") > recipe.minified_line) | (pl.col("longest_line") > recipe.minified_longest)
    dense = language.is_in(_MINIFIABLE) & long & (pl.col("whitespace_share") < 0.1)
    idle = (pl.col("no_logic_line_share") > recipe.sampled.no_logic_above).fill_null(False)
    tests = [
        (VENDORED, of_path[VENDORED]),
        (MINIFIED, of_path[MINIFIED] | dense),
        (DATA_DUMP, of_path[DATA_DUMP]),
        (GO_TEST, path.str.ends_with("_test.go") & by_chance(recipe.sampled.go_tests, GO_TEST)),
        (NO_LOGIC, (language == "Python") & idle & by_chance(recipe.sampled.no_logic, NO_LOGIC)),
    ]
    if recipe.generated_files == "drop":
        tests.insert(1, (GENERATED, (pl.col("generated_mark") == 1) | of_path[GENERATED]))
    if recipe.unknown == "drop":
        tests.append((UNKNOWN, language == UNKNOWN_LANGUAGE))
    return tests


def out_of_bounds(recipe: CodeQuality, numbers: Iterable[str] = NUMBERS) -> list[tuple[str, pl.Expr]]:
    """(number, expression that is true if it is out of the bounds of the row's language). Languages with equal bounds
    share one comparison."""
    rules = {language: recipe.rules_of(language) for language in recipe.special_languages()}
    failed = []
    for name in numbers:
        usual = _limits(recipe.code_rules, name)
        others: dict[_Limits, list[str]] = {}
        for language, bounds in rules.items():
            if (limits := _limits(bounds, name)) != usual:
                others.setdefault(limits, []).append(language)
        special = [language for languages in others.values() for language in languages]
        tests = [~pl.col("language").is_in(special) & _outside(name, usual)] if usual != _NO_LIMITS else []
        for limits, languages in others.items():
            if limits != _NO_LIMITS:
                tests.append(pl.col("language").is_in(languages) & _outside(name, limits))
        if tests:
            failed.append((name, pl.any_horizontal(tests)))
    return failed


def _limits(rules: dict[str, Bounds], name: str) -> _Limits:
    """The limits of a number as a tuple, because a tuple is compared and hashed faster than a pydantic model."""
    bounds = rules.get(name)
    return (bounds.min, bounds.max) if bounds else _NO_LIMITS


def _outside(name: str, limits: _Limits) -> pl.Expr:
    """Whether a number is outside its limits; false for null."""
    column, (low, high) = pl.col(name), limits
    tests = ([column < low] if low is not None else []) + ([column > high] if high is not None else [])
    return functools.reduce(operator.or_, tests).fill_null(False)
