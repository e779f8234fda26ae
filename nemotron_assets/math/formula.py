"""Formulas: with code blocks, the kind of content that passes from a page into its text unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from nemotron_assets.math.delimiters import MAX_TEX

Encoding = Literal[
    "delimited",
    "dollars",
    "environment",
    "script",
    "mathml",
    "annotation",
    "image",
    "katex",
    "mathjax",
    "attribute",
    "asciimath",
]
_DELIMITERS = (("$$", "$$", True), (r"\[", r"\]", True), (r"\(", r"\)", False), ("$", "$", False))
_INNER = re.compile(r"(?<!\\)\$([^$]*)(?<!\\)\$")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_DOLLAR = re.compile(r"(?<!\\)(?:\\\\)*\$")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as TeX without delimiters. `display`: it stands on a line of its own. `encoding`: how the page wrote
    it, such as "mathml" or "dollars"."""

    tex: str
    display: bool
    encoding: Encoding

    def text(self) -> str:
        """The formula as it is written into the text: $…$, or $$…$$ for a displayed one."""
        return f"$${self.tex}$$" if self.display else f"${self.tex}$"


def undelimited(tex: str) -> tuple[str, bool]:
    """(formula without its delimiters, whether they were those of a displayed formula): "$$x$$" gives ("x", True)."""
    tex = tex.strip()
    if not tex.endswith(("$", "]", ")")):
        return tex, False
    for opening, closing, display in _DELIMITERS:
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            return tex[len(opening) : -len(closing)].strip(), display
    return tex, False


def formula(tex: str, display: bool, encoding: Encoding) -> Formula | None:
    """A formula from TeX with or without delimiters, without comments. None if the TeX is empty, has more than
    `MAX_TEX` characters, or has a dollar sign that would end the formula."""
    if len(tex) > MAX_TEX + 100:
        return None
    if r"\begin{document}" in tex:  # a whole document, as publishers write in <tex-math>
        tex = tex.partition(r"\begin{document}")[2].partition(r"\end{document}")[0]
    tex, displayed = undelimited(tex)
    # A formula in a text within the formula becomes \(…\), so that a dollar sign is always an outer delimiter.
    if "$" in tex:
        tex = _INNER.sub(r"\\(\1\\)", tex)
    lines = ((_COMMENT.sub(r"\1", line) if "%" in line else line).strip() for line in tex.split("\n"))
    tex = " ".join(line for line in lines if line)
    if tex.startswith(r"{\displaystyle") and tex.endswith("}"):
        tex = tex[len(r"{\displaystyle") : -1].strip()  # how MediaWiki writes every formula
    elif tex.startswith(r"\displaystyle") and not tex[13:14].isalpha():
        tex = tex[len(r"\displaystyle") :].strip()
    elif tex.startswith("latex ") and encoding == "dollars":
        tex = tex[len("latex ") :].strip()  # how WordPress marks formulas: $latex x^2$
    elif tex.startswith(r"\begin{displaymath}") and tex.endswith(r"\end{displaymath}"):
        tex, displayed = tex[len(r"\begin{displaymath}") : -len(r"\end{displaymath}")].strip(), True
    if tex.endswith("\\") and not tex.endswith("\\\\"):
        tex += " "  # a control space, not an escaped delimiter
    if not tex.strip() or len(tex) > MAX_TEX or ("$" in tex and _DOLLAR.search(tex)):
        return None
    return Formula(tex, display or displayed, encoding)
