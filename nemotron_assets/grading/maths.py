r"""Decides whether a mathematical answer equals the known one, with math-verify (LaTeX, sympy).

math-verify looks for an expression anywhere in a text and takes one that it finds: "3 or 42" passes for 42, and of
`43 \implies 42` it reads one side. Therefore `final_answer` first finds the one answer that a response states, a
response that names several values is wrong unless the known answer has the same values, and signs that math-verify
skips do not pass. It skips words too: units of two answers are compared by `units`, and `trailing` reads words that
scale a value or take it back. math-verify may compute for hours,
so this runs in a bounded process; its own time limits are off, because they are signals, which only a main thread may
use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from nemotron_assets.grading import trailing, units
from nemotron_assets.grading.final_answer import final_answer
from nemotron_assets.grading.process import ProcessGrader
from nemotron_assets.grading.verdict import Undecided

if TYPE_CHECKING:
    from nemotron_assets.recipe.grading import Grading

BY = "math-verify"

#: Longest final answer that is read, in characters: a parser of nested braces needs time that grows with their square.
LONGEST = 1_000

#: Deepest nesting of brackets that is read: the time of the parser doubles with each few of them.
DEEPEST = 30

_OR = re.compile(r"\\(?:text|mbox|mathrm|textrm)\s*\{\s*(?:or|and)\s*\}|\\lor\b|\\vee\b|(?<![A-Za-z\\])or(?![A-Za-z])")
#: Signs of which math-verify reads one side only, or nothing.
_SKIPPED = re.compile(
    r"≈|\\(?:approx|boxed|fbox|implies|iff|[Rr]ightarrow|[Ll]eftrightarrow|Longrightarrow|to|mapsto|neq?|sim|simeq|cong|equiv|land|wedge|"
    r"lnot|neg|&|mid|parallel|[bp]?mod)(?![A-Za-z])|(?<=\d)\s*_|[#?&]|(?<=[\w)}\]])\s*(?:'|\\prime\b)|\\[lc]?dots\b|…|^\s*(?:[<>]|\\(?:le|ge|leq|geq|lt|gt)\b)|\s\.\s|\.{2,}"
)
_HEDGING_TEXT = re.compile(
    r"\\text\s*\{[^}]*\b(?:nor|not|either|about|than|least|most|maybe)\b[^}]*\}"
    r"|(?<![A-Za-z\\])or\s+(?:more|less|fewer|greater|above|below|over|under|higher|lower|so)\b"
)
#: Two numbers with a space between them: math-verify adds them, as if 40 2 were a mixed number.
_SIDE_BY_SIDE = re.compile(r"\d(?:\s|\\quad|\\qquad|\\[,;: ])+\d")
_GROUPED = re.compile(r"(?<![\d.,(\[{])[1-9]\d{0,2}(?:(?:,| |\\,|\{,\})\d{3})+(?!\d)")
_APPROXIMATELY = re.compile(r"\\approx|≈")
#: A word or phrase: letters and no mathematics. Of three letters or more, as "xy" is a product.
_PHRASE = re.compile(r"(?=(?:.*[^\W\d_]){3})[^\W\d_][^\W\d_ .,'’-]*(?:[ .,'’-]+[^\W\d_]+)*")
_NAMED = {"pi", "infinity", "infty", "inf"}


def grader(limits: Grading, undecided: Undecided = "error") -> ProcessGrader:
    """A grader of pairs (response, known answer), both as text: `with maths.grader(recipe.grading) as grader`.

    `undecided` is the outcome of a response that cannot be compared: too long, too deep, too late, with other units."""
    sample = (r"Therefore it is \boxed{\frac{2}{4}}.", "0.5")
    return ProcessGrader(BY, load, partial(judge, undecided=undecided), sample, limits, undecided)


def load() -> None:
    """Import the libraries, without their messages about every text that is not mathematics."""
    import logging

    from math_verify import parser

    parser.parse_latex_cached = _noting(parser.parse_latex_cached)
    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _TooMuch(Exception):
    """The parser gave up for lack of memory or stack. math-verify would read the text as if it were not mathematics."""


_gave_up: list[str] = []


def _noting(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def noting(text: str) -> Any:
        try:
            return parse(text)
        except (MemoryError, RecursionError) as error:
            _gave_up.append(type(error).__name__)
            raise

    return noting


def judge(response: str, gold: str, undecided: Undecided = "error") -> tuple[str, str | None]:
    """right, wrong or error, and the reason. It may take any time and memory: `grader` bounds it."""
    from sympy import Expr

    said = final_answer(response)
    known, stated = _tidy(gold if len(gold) <= LONGEST else ""), _tidy(said)
    if not known:
        return (
            "error",
            "the known answer is empty" if not gold.strip() else f"the known answer has {len(gold):,} characters",
        )
    if not stated:
        return "wrong", "the response states no answer"
    if len(stated) > LONGEST:
        return undecided, f"the final answer has {len(stated):,} characters, {LONGEST:,} allowed"
    if max(_depths(stated, "{([", "})]")) > DEEPEST:
        return undecided, f"the final answer has brackets more than {DEEPEST} deep"
    following = trailing.following(said, response)
    if (word := trailing.taken_back(stated, following)) and word not in known:
        return "wrong", f"{stated[:100]!r} is not the answer: {word!r} follows"
    value = stated
    known, stated = trailing.scaled(known), trailing.scaled(f"{stated} {trailing.scale(following)}")
    short = stated[:100]
    if _key(known) == _key(stated):
        return "right", None
    if _phrase(known):
        return "wrong", f"{short!r} is not the known text"
    if reason := _unclear(stated, known):
        return "wrong", f"{short!r} {reason}"
    (known_value, unit), (its_value, its) = units.split(known), units.split(stated)
    its = its or (units.after(value, response) if unit else "")
    of_unit = 1
    if unit and its:
        known, stated, of_unit = known_value, its_value, units.times(its, unit)
    if of_unit is None:
        return undecided, f"the units {its[:50]!r} (response) and {unit[:50]!r} (known answer) cannot be compared"
    if of_unit == 0:
        return "wrong", f"{short!r} is measured in {its[:50]!r}, the known answer in {unit[:50]!r}"
    try:
        expected = _parsed(known)
    except Exception:
        expected = []
    if not expected:
        return "error", f"the known answer {known[:100]!r} cannot be read as mathematics"
    found = _parsed(stated)
    if not found:
        return "wrong", f"{short!r} cannot be read as mathematics"
    if of_unit != 1:
        if not isinstance(found[0], Expr):
            return undecided, f"{short!r} cannot be converted from {its[:50]!r} into {unit[:50]!r}"
        found = [of_unit * found[0]]
    return ("right", None) if _equal(expected, found) else ("wrong", f"{short!r} does not equal the known answer")


def _tidy(text: str) -> str:
    """A final answer with its variants of writing made alike."""
    text = re.sub(r"(?<!\\)\$|\\[()\[\]](?![A-Za-z])|\\left(?![a-z])|\\right(?![a-z])|\\!", "", text).strip(" \n\t.")
    if "\\" not in text:
        text = re.sub(r"(?<![_^])\{(\d+)\}", r"\1 ", text)
    text = re.sub(r"[~\n]", " ", text.removeprefix("="))
    text = _GROUPED.sub(lambda number: re.sub(r"[^\d]", "", number[0]), text)
    text = re.sub(r"(?<!\\)\\[,;: ]", " ", text).replace(";", ",")
    text = re.sub(r"(?<![\d./])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])", r"\1\\frac{\2}{\3}", text)
    text = re.sub(r"(?<=\d)[eE]([+-]?\d+)\b", r"\\times 10^{\1}", text)
    before, sign, after = _split(_APPROXIMATELY, text)
    if sign and re.fullmatch(r"\s*(?:[A-Za-z]|\\[a-z]+)?\s*", before) and before.strip() != r"\pi":
        text = after  # x ≈ 0.33 states 0.33
    elif sign and not re.fullmatch(r"[\s\d.,-]*", before):
        text = before  # 1/3 ≈ 0.33 states 1/3, but 42 ≈ 43 states nothing
    return text.strip()


def _split(sign: re.Pattern[str], text: str) -> tuple[str, str, str]:
    found = sign.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _key(text: str) -> str:
    """A text without what does not matter to it: its spaces, and the command of a text."""
    text = re.sub(r"\\(?:text|mbox|mathrm|textrm|textbf|mathbf|boldsymbol)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"(?<=\d)\s+(?=\d)", "\0", text)  # 4 2 is not 42
    text = re.sub(r"\s+", "", text)
    return text.casefold() if _phrase(text) else text


def _phrase(text: str) -> bool:
    """Whether a text is words and not mathematics, in which `listen` and `silent` are the same product."""
    bare = re.sub(r"\\(?:text|mbox|mathrm|textrm|textbf)\s*\{([^{}]*)\}", r"\1", text).strip()
    return bool(_PHRASE.fullmatch(bare)) and bare.casefold() not in _NAMED


def _unclear(stated: str, known: str) -> str:
    """Why a final answer does not state one value, in words that follow it; "" if it does."""
    depths = _depths(stated, "{", "}")
    if min(depths) < 0 or depths[-1]:
        return "has braces without a partner"
    if skipped := {sign[0].strip() for sign in _SKIPPED.finditer(stated)} - {
        s[0].strip() for s in _SKIPPED.finditer(known)
    }:
        return f"is not one value: {min(skipped)}"
    if _SIDE_BY_SIDE.search(stated) and not _SIDE_BY_SIDE.search(known):
        return "has two numbers side by side"
    if _HEDGING_TEXT.search(stated):
        return "is not one value"
    return ""


def _depths(text: str, opening: str, closing: str) -> list[int]:
    """How many brackets are open at each place of a text."""
    steps = (1 if sign in opening else -1 if sign in closing else 0 for sign in re.sub(r"\\.", "", text))
    return [0, *accumulate(steps)]


def _equal(expected: list[Any], found: list[Any]) -> bool:
    from sympy import Eq

    for equation in getattr(found[0], "atoms", lambda _: ())(Eq):
        if not equation.free_symbols and not _verified([equation.lhs], [equation.rhs]):
            return False  # 3 = 42 does not state 42
    return _verified(expected, found)


def _verified(expected: list[Any], found: list[Any]) -> bool:
    from math_verify import verify

    # The name for a set of numbers, x < 3, equals the set.
    return verify(expected, found, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)


def _parsed(text: str) -> list[Any]:
    """A text as one sympy expression; empty if it cannot be read. Raises `_TooMuch`."""
    from math_verify import LatexExtractionConfig, parse

    _gave_up.clear()
    # Only what stands between the dollars: by default math-verify goes on to look for any number if it cannot read it.
    whole = [LatexExtractionConfig()]
    found = parse(f"${_OR.sub(',', text)}$", whole, parsing_timeout=None, raise_on_error=True)
    if _gave_up:
        raise _TooMuch(f"{_gave_up[0]} while the parser read {text[:100]!r}")
    return [expression for expression in found if not isinstance(expression, str)][:1]
