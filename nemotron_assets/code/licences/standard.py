"""Texts of licences as ScanCode has them by SPDX id, and whether somebody's text is the whole of one."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from nemotron_assets.code.licences.expressions import parse

_WORD = re.compile(r"\w+")


def text(name: str) -> str | None:
    """The text of a licence or exception, None where it has none of its own (NOASSERTION, unknown LicenseRefs)."""
    key = _keys().get(name)
    if key is None:
        return None
    _, _, content = (_folder() / f"{key}.LICENSE").read_text(encoding="utf-8").split("---\n", 2)
    return content.strip() + "\n" if content.strip() else None


def carries(words: frozenset[str], name: str, share: float) -> bool:
    """Whether somebody's text, given by its `words`, is the whole text of a licence: has a `share` of its words. A
    licence without a text of its own is carried by any text."""
    standard = _words_of(name)
    return len(standard & words) >= share * len(standard) if standard else bool(words)


def lacking(expression: str, carried: Callable[[str], bool]) -> set[str]:
    """The licences and exceptions of an expression whose texts are still to be added: all of an AND and a WITH; of an
    OR none, if one side has its texts."""
    tree = parse(expression)
    if tree is None:
        return set() if carried(expression) else {expression}
    return _lacking(tree, carried)


def words(content: str) -> frozenset[str]:
    """The different words of a text, in lower case."""
    return frozenset(_WORD.findall(content.lower()))


def _lacking(tree, carried: Callable[[str], bool]) -> set[str]:
    from license_expression import LicenseWithExceptionSymbol

    if isinstance(tree, LicenseWithExceptionSymbol):
        return _lacking(tree.license_symbol, carried) | _lacking(tree.exception_symbol, carried)
    if not getattr(tree, "operator", None) or not tree.args:
        return set() if carried(str(tree)) else {str(tree)}
    sides = [_lacking(argument, carried) for argument in tree.args]
    return set() if tree.operator.strip() == "OR" and not all(sides) else set().union(*sides)


@functools.lru_cache(maxsize=512)
def _words_of(name: str) -> frozenset[str]:
    return words(text(name) or "")


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
