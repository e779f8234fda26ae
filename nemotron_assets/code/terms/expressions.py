"""Read and join licence expressions ("MIT OR GPL-2.0-only"), and judge them by the recipe's list of accepted licences.

An OR is accepted if one side is, an AND if all parts are, a WITH if the licence and the exception are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

ALLOWED, REJECTED, REVIEW = "allowed", "rejected", "review"
#: Names that the library gives to words that are not a licence: "see the file LICENSE", a disclaimer alone, Google's
#: grant of patents in addition to a licence.
NO_STATEMENT = frozenset(
    f"LicenseRef-scancode-{name}"
    for name in (
        "unknown-license-reference",
        "generic-cla",
        "warranty-disclaimer",
        "generic-export-compliance",
        "generic-trademark",
        "dco-1.1",
        "no-license",
        "google-patent-license",
        "google-patent-license-golang",
        "google-patent-license-webm",
    )
)
#: Names that the library gives to words about a licence that it cannot name. Somebody must read them.
_UNKNOWN = re.compile(
    r"(?i)^(LicenseRef-scancode-(unknown.*|free-unknown|other-permissive|public-domain.*|see-license|"
    r"proprietary-license-reference|undetected)|LicenseRef-(?!scancode-).*|NOASSERTION|UNKNOWN|.*-unknown)$"
)


@dataclass(frozen=True)
class Verdict:
    """`decision` is allowed, rejected or review; `why` names the licences that led to it ("GPL-2.0-only is not on the
    list")."""

    decision: str
    why: str = ""


@functools.cache
def _licensing():
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@functools.cache
def parse(expression: str):
    """The tree of an expression, its SPDX ids in their official spelling; None if it cannot be parsed."""
    from boolean.boolean import ParseError
    from license_expression import ExpressionError

    try:
        return _licensing().parse(expression, validate=False, simple=False) if expression.strip() else None
    except (ExpressionError, ParseError, RecursionError, ValueError, AttributeError, TypeError):
        return None


def is_spdx(expression: str) -> bool:
    """Whether every id of an expression is on SPDX's list of licences. A LicenseRef is not."""
    tree = parse(expression)
    return tree is not None and not _licensing().unknown_license_keys(tree)


def licences(expression: str) -> list[str]:
    """The licences of an expression in order, each once, an exception with its licence ("GPL-2.0-only WITH x")."""
    tree = parse(expression)
    if tree is None:
        return []
    return list(dict.fromkeys(str(symbol) for symbol in tree.get_literals()))


def join_all(expressions: Iterable[str]) -> str:
    """The expression that needs all of `expressions`, each once: "MIT AND ISC" for MIT and ISC. Empty for none."""
    return _join(expressions, " AND ", " OR ")


def join_any(expressions: Iterable[str]) -> str:
    """The expression that leaves the choice between `expressions`, each once: "MIT OR ISC" for MIT and ISC."""
    return _join(expressions, " OR ", " AND ")


def _join(expressions: Iterable[str], word: str, other: str) -> str:
    parts: dict[str, None] = {}
    for expression in filter(None, expressions):
        tree = parse(expression)
        text = expression if tree is None else str(tree)
        pieces = [text]
        if tree is not None and getattr(tree, "operator", "").strip() == word.strip():
            pieces = [str(argument) for argument in tree.args]
        parts.update(dict.fromkeys(pieces))
    if len(parts) <= 1:
        return next(iter(parts), "")
    return word.join(f"({part})" if (other in part or word in part) else part for part in parts)


def required_parts(expression: str) -> list[str]:
    """The parts of an expression that all apply: MIT and ISC for "MIT AND ISC", the whole for "MIT OR ISC"."""
    tree = parse(expression)
    if tree is None or getattr(tree, "operator", "").strip() != "AND":
        return [expression]
    return [str(argument) for argument in tree.args]


def drop_non_licences(expression: str) -> str:
    """An expression without names that are not licences ("see the file LICENSE"); empty if no licence is left."""
    tree = parse(expression)
    if tree is None:
        return expression
    return _strip(tree)


def _strip(tree) -> str:
    if not hasattr(tree, "operator") or not tree.args:
        return "" if str(tree) in NO_STATEMENT else str(tree)
    kept = [piece for piece in map(_strip, tree.args) if piece]
    return join_all(kept) if tree.operator.strip() == "AND" else join_any(kept)


def judge(expression: str, recipe: CodeLicences) -> Verdict:
    """What the recipe's list says about an expression. Names in it that are not licences do not count."""
    expression = drop_non_licences(expression)
    if not expression:
        return Verdict(REVIEW, "no licence is stated")
    tree = parse(expression)
    if tree is None:
        return Verdict(REVIEW, f"{expression[:120]!r} is not a licence expression")
    return _judge(tree, recipe)


def _judge(tree, recipe: CodeLicences) -> Verdict:
    from license_expression import LicenseWithExceptionSymbol

    if isinstance(tree, LicenseWithExceptionSymbol):
        whole = str(tree)
        if whole in recipe.allowed:
            return Verdict(ALLOWED, whole)
        base = _judge(tree.license_symbol, recipe)
        if base.decision != ALLOWED or str(tree.exception_symbol) in recipe.exceptions:
            return Verdict(base.decision, whole if base.decision == ALLOWED else f"{whole} is not on the list")
        return Verdict(REVIEW, f"the exception {tree.exception_symbol} is not on the list")
    if not getattr(tree, "operator", None) or not tree.args:
        name = str(tree)
        if name in recipe.allowed or name in recipe.exceptions:
            return Verdict(ALLOWED, name)
        if _UNKNOWN.match(name) or not _known(name):
            return Verdict(REVIEW, f"{name} is not a licence that can be judged")
        return Verdict(REJECTED, f"{name} is not on the list")
    verdicts = [_judge(argument, recipe) for argument in tree.args]
    order = (ALLOWED, REVIEW, REJECTED)
    if tree.operator.strip() == "AND":
        order = order[::-1]
    decision = next(choice for choice in order if any(v.decision == choice for v in verdicts))
    reasons = dict.fromkeys(v.why for v in verdicts if v.decision == decision)
    return Verdict(decision, "; ".join(reasons))


@functools.cache
def _categories() -> dict[str, str]:
    import json
    from importlib.resources import files

    index = files("license_expression").joinpath("data/scancode-licensedb-index.json").read_text()
    rows = json.loads(index)
    return {
        name: row["category"]
        for row in rows
        for name in (row["spdx_license_key"], *row["other_spdx_license_keys"])
        if name
    }


def category(name: str) -> str:
    """ScanCode's category of a licence: Permissive, Copyleft, Copyleft Limited, Source-available, Commercial ...

    An exception does not change the category of its licence. Empty for a licence that ScanCode does not know.
    """
    return _categories().get(name.partition(" WITH ")[0], "")


def _known(name: str) -> bool:
    return name.startswith("LicenseRef-scancode-") or name in _licensing().known_symbols


def binds_the_whole(expression: str, recipe: CodeLicences) -> bool:
    """Whether an expression binds the whole work: it has a licence that is not accepted and does not only bind single
    files. GPL-3.0-only binds the work, MPL-2.0 only the files under it."""
    for name in licences(drop_non_licences(expression)):
        base = name.partition(" WITH ")[0]
        if base not in recipe.file_by_file and judge(name, recipe).decision == REJECTED:
            return True
    return False
