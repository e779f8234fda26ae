"""Code blocks of web pages: their text without line numbers, and the language that the page names for them."""

from __future__ import annotations

import re

import lxml.etree

from nemotron_assets.math.formula import Code, Formula
from nemotron_assets.math.typeset import has_class, script_formula

Element = lxml.etree._Element

_LANGUAGE_CLASS = re.compile(
    r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*|sourceCode\s+|src-)([\w+#.-]{1,20})"
)
_NO_LANGUAGES = frozenset(
    ("default", "none", "text", "plain", "plaintext", "notranslate", "nohighlight", "output", "txt")
)
_LANGUAGE_NAMES = {"python3": "python", "py": "python", "ipython3": "python", "ipython": "python", "pycon": "python"}


def code_block(text: str, language: str) -> Code | None:
    """A code block without blank lines around it and without blanks at the ends of its lines; None if nothing is
    left."""
    lines = [
        line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").split("\n")
    ]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return Code("\n".join(lines), language) if lines else None


def preformatted_code(element: Element) -> tuple[Code | None, list[Formula | None]]:
    """(code, formulas) of a <pre> element: its text without line numbers, and the formulas that scripts for MathJax in
    it carry (None for any other script). The element's tree is changed."""
    for line_number in element.xpath(
        ".//*[contains(@class,'lineno') or contains(@class,'gutter') or contains(@class,'line-number')]"
    ):
        _remove_content(line_number)
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    formulas = []
    for script in list(element.iter("script")):
        formulas.append(script_formula(script))
        _remove_content(script)
    return code_block("".join(element.itertext()), _language(element)), formulas


def doxygen_code(element: Element) -> Code | None:
    """The code of Doxygen's <div class="fragment">, in which every line is a <div class="line">. The element's tree is
    changed."""
    lines = [line for line in element.iter("div") if has_class(line, "line")]
    for line in lines:
        for number in [e for e in line.iter("span") if has_class(e, "lineno")]:
            _remove_content(number)
    return code_block("\n".join("".join(line.itertext()) for line in lines), "")


def _remove_content(element: Element) -> None:
    """Remove the text and the children of an element; the text behind it stays."""
    element.text = ""
    for child in list(element):
        element.remove(child)


def _language(element: Element) -> str:
    """The language that a page names for a code block: on the block, inside it, or up to two elements around it.

    `class="highlight-python3"` names "python". "" means that the page names no language."""
    candidates: list[Element] = [element, *element.iter("code")]
    parent = element.getparent()
    for _ in range(2):
        if parent is not None:
            candidates.append(parent)
            parent = parent.getparent()
    for candidate in candidates:
        attribute = candidate.get("data-lang") or candidate.get("data-language") or ""
        found = _LANGUAGE_CLASS.search(candidate.get("class") or "")
        name = (attribute or (found[1] if found else "")).casefold()
        if name and re.fullmatch(r"[\w+#.-]{1,20}", name):
            return "" if name in _NO_LANGUAGES else _LANGUAGE_NAMES.get(name, name)
    return ""
