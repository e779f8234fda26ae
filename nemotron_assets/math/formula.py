"""What is carried from a page into its text unchanged: formulas as TeX, and code."""

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


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as TeX without delimiters; `encoding` says how the page carried it."""

    tex: str
    display: bool
    encoding: Encoding

    def text(self) -> str:
        """As it stands in the text: one style of delimiters, $…$ and $$…$$."""
        return f"$${self.tex}$$" if self.display else f"${self.tex}$"


@dataclass(frozen=True, slots=True)
class Code:
    """A code block with its own line breaks and indentation; `language` is "" where the page does not say."""

    text: str
    language: str

    def fenced(self) -> str:
        """As a fenced block, behind a fence longer than any in the code."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        return f"{fence}{self.language}\n{self.text}\n{fence}"


def undelimited(tex: str) -> tuple[str, bool]:
    """A formula without its delimiters, and whether these were those of a displayed one."""
    tex = tex.strip()
    for opening, closing, display in _DELIMITERS:
        if len(tex) > len(opening) + len(closing) and tex.startswith(opening) and tex.endswith(closing):
            return tex[len(opening) : -len(closing)].strip(), display
    return tex, False


def formula(tex: str, display: bool, encoding: Encoding) -> Formula | None:
    """A formula from TeX with or without delimiters; None where nothing is left, or more than `MAX_TEX` characters."""
    if len(tex) > MAX_TEX + 100:
        return None
    tex, displayed = undelimited(tex)
    # A formula inside a formula's text is written \(…\) there, which every TeX reads: delimiters stay unambiguous.
    tex = re.sub(r"(?<!\\)\$([^$]*)(?<!\\)\$", r"\\(\1\\)", tex)
    lines = (re.sub(r"(?<!\\)((?:\\\\)*)%.*", r"\1", line).strip() for line in tex.split("\n"))
    tex = " ".join(line for line in lines if line)
    if tex.startswith(r"{\displaystyle") and tex.endswith("}"):
        tex = tex[len(r"{\displaystyle") : -1].strip()  # how MediaWiki writes every formula
    elif tex.startswith(r"\displaystyle") and not tex[13:14].isalpha():
        tex = tex[len(r"\displaystyle") :].strip()
    if tex.endswith("\\") and not tex.endswith("\\\\"):
        tex += " "  # a control space, not an escaped delimiter
    if not tex.strip() or len(tex) > MAX_TEX or re.search(r"(?<!\\)(?:\\\\)*\$", tex):
        return None
    return Formula(tex, display or displayed, encoding)
