"""Get the text of a licence by its SPDX id, and tell whether a text contains the whole of a licence.

The texts come with ScanCode.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from nemotron_assets.code.terms.expressions import parse

_WORD = re.compile(r"\w+")
Pairs = frozenset[tuple[str, str]]


def text(name: str) -> str | None:
    """The text of a licence or exception; None if it has none (NOASSERTION) or ScanCode does not know it."""
    key = _keys().get(name)
    if key is None:
        return None
    # The file has facts between two lines of dashes, and then the text, which may be empty.
    _, _, content = re.split(r"(?m)^---$", (_folder() / f"{key}.LICENSE").read_text(encoding="utf-8"), maxsplit=2)
    return content.strip() + "\n" if content.strip() else None


def carried(names: Iterable[str], content: str, share: float) -> set[str]:
    """The licences among `names` whose whole text is in `content`: at least a `share` of the licence's pairs of
    adjacent words is there. A licence without a text of its own is in every text that has a pair of words."""
    found = pairs(content)
    return {name for name in names if _carries(found, _pairs_of(name), share)}


def _carries(found: Pairs, own: Pairs, share: float) -> bool:
    return len(own & found) >= share * len(own) if own else bool(found)


def licences(expression: str) -> set[str]:
    """All licences and exceptions of an expression. Of an OR all sides."""
    return lacking(expression, lambda _: False)


def lacking(expression: str, carried: Callable[[str], bool]) -> set[str]:
    """The licences and exceptions of an expression whose texts must still be added; `carried` says which are there.

    An AND and a WITH need the texts of all their parts, an OR those of one side.
    """
    tree = parse(expression)
    if tree is None:
        return set() if carried(expression) else {expression}
    return _lacking(tree, carried)


def pairs(content: str) -> Pairs:
    """The distinct pairs of adjacent words of a text, in lower case, without punctuation and line breaks.

    Single words cannot tell licences apart: MIT-0 has nearly all words of MIT, and a long text those of any short one.
    """
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
    """{SPDX id: name of ScanCode's file}. The present id of a licence wins over a former id of another licence."""
    index = Path(find_spec("license_expression").origin).parent / "data" / "scancode-licensedb-index.json"
    rows = json.loads(index.read_text())
    former = {name: row["license_key"] for row in rows for name in row["other_spdx_license_keys"]}
    return former | {row["spdx_license_key"]: row["license_key"] for row in rows if row["spdx_license_key"]}


@functools.cache
def _folder() -> Path:
    return Path(find_spec("licensedcode").origin).parent / "data" / "licenses"
