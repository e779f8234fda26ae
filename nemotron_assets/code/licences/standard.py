"""Texts of licences as ScanCode has them by SPDX id, and whether somebody's text is the whole of one."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from nemotron_assets.code.licences.expressions import parse

_WORD = re.compile(r"\w+")
Pairs = frozenset[tuple[str, str]]


def text(name: str) -> str | None:
    """The text of a licence or exception, None where it has none of its own (NOASSERTION, unknown LicenseRefs)."""
    key = _keys().get(name)
    if key is None:
        return None
    # Facts between two lines of dashes, then the text; behind the second there is nothing where a licence has none.
    _, _, content = re.split(r"(?m)^---$", (_folder() / f"{key}.LICENSE").read_text(encoding="utf-8"), maxsplit=2)
    return content.strip() + "\n" if content.strip() else None


def carried(names: Iterable[str], content: str, share: float) -> set[str]:
    """Those of some licences whose whole text is in somebody's text, which then has a `share` of the pairs of words
    that follow each other there. A licence without a text of its own is carried by any text."""
    found = pairs(content)
    return {name for name in names if _carries(found, _pairs_of(name), share)}


def _carries(found: Pairs, own: Pairs, share: float) -> bool:
    return len(own & found) >= share * len(own) if own else bool(found)


def licences(expression: str) -> set[str]:
    """All licences and exceptions that an expression names."""
    return lacking(expression, lambda _: False)


def lacking(expression: str, carried: Callable[[str], bool]) -> set[str]:
    """The licences and exceptions of an expression whose texts are still to be added: all of an AND and a WITH; of an
    OR none, if one side has its texts."""
    tree = parse(expression)
    if tree is None:
        return set() if carried(expression) else {expression}
    return _lacking(tree, carried)


def pairs(content: str) -> Pairs:
    """The different pairs of words that follow each other in a text, in lower case; signs and lines do not count.
    Words alone would not do: MIT-0 has nearly all of MIT's, long texts those of any short licence."""
    return frozenset(itertools.pairwise(_WORD.findall(content.lower())))


def _lacking(tree, carried: Callable[[str], bool]) -> set[str]:
    from license_expression import LicenseWithExceptionSymbol

    if isinstance(tree, LicenseWithExceptionSymbol):
        return _lacking(tree.license_symbol, carried) | _lacking(tree.exception_symbol, carried)
    if not getattr(tree, "operator", None) or not tree.args:
        return set() if carried(str(tree)) else {str(tree)}
    sides = [_lacking(argument, carried) for argument in tree.args]
    return set() if tree.operator.strip() == "OR" and not all(sides) else set().union(*sides)


@functools.lru_cache(maxsize=512)
def _pairs_of(name: str) -> Pairs:
    return pairs(text(name) or "")


@functools.cache
def _keys() -> dict[str, str]:
    """{SPDX id: name of the file}; a licence's own id before those it had."""
    index = Path(find_spec("license_expression").origin).parent / "data" / "scancode-licensedb-index.json"
    rows = json.loads(index.read_text())
    former = {name: row["license_key"] for row in rows for name in row["other_spdx_license_keys"]}
    return former | {row["spdx_license_key"]: row["license_key"] for row in rows if row["spdx_license_key"]}


@functools.cache
def _folder() -> Path:
    return Path(find_spec("licensedcode").origin).parent / "data" / "licenses"
