"""Scores how many of a page's formulas an extractor kept. Only TeX between delimiters counts as a formula.

Formulas are compared as multisets of normal forms (tex.py), so each occurrence counts: if the page has a formula once
and the output has it twice, one of the two is wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nemotron_assets.math import tex

_WORD = re.compile(r"[^\W_]+")


class Words(NamedTuple):
    """The words of a text against those of a reference, as multisets, 0 to 1 each."""

    precision: float
    recall: float
    f1: float


@dataclass
class PageScore:
    """The score of one page.

    - `encodings`: {encoding: (formulas of the page, formulas found in the output)}
    - `output`: formulas in the output; `right`: how many of them are formulas of the page
    - `code`: (code blocks of the page, code blocks found verbatim)
    - `words`: the words of the output against those of the main text; None without a reference
    - `lost`: the formulas that are missing in the output, in normal form
    """

    encodings: dict[str, tuple[int, int]] = field(default_factory=dict)
    output: int = 0
    right: int = 0
    code: tuple[int, int] = (0, 0)
    words: Words | None = None
    lost: list[str] = field(default_factory=list)

    @property
    def dominant(self) -> str:
        """The encoding of most formulas of the page; "" for a page without formulas."""
        return max(self.encodings, key=lambda name: self.encodings[name][0], default="")


def score_page(
    text: str, truth: Iterable[tuple[str, str]], *, code: Sequence[str] = (), reference: str | None = None
) -> PageScore:
    """Score an extractor's `text` against a page's (encoding, TeX) pairs, its code blocks and its main text."""
    found = [formula.tex for formula in tex.find(text)]
    wanted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for encoding, formula in truth:
        wanted[encoding][tex.normal_form(formula)] += 1
    rest, result = Counter(map(tex.normal_form, found)), PageScore(output=len(found))
    for encoding, formulas in wanted.items():
        common = formulas & rest
        rest -= common
        result.encodings[encoding] = (sum(formulas.values()), sum(common.values()))
        result.right += sum(common.values())
        result.lost += list((formulas - common).elements())
    result.code = (len(code), sum(_verbatim(block, text) for block in code))
    if reference is not None:
        result.words = score_words(text, reference)
    return result


def _verbatim(block: str, text: str) -> bool:
    """Whether a code block stands in the text line for line; blanks at the ends of lines do not matter, and a
    non-breaking space is a blank."""
    lines = [line.rstrip() for line in block.replace("\u00a0", " ").strip("\n").split("\n")]
    return "\n".join(lines) in "\n".join(line.rstrip() for line in text.replace("\u00a0", " ").split("\n"))


def score_words(text: str, reference: str) -> Words:
    """The words of a text against those of a reference, without formulas and case-folded."""
    found, wanted = _words(text), _words(reference)
    common, output, truth = sum((found & wanted).values()), sum(found.values()), sum(wanted.values())
    return Words(
        common / output if output else 1.0,
        common / truth if truth else 1.0,
        2 * common / (output + truth) if output + truth else 1.0,
    )


def _words(text: str) -> Counter[str]:
    """How often each word, case-folded, stands in a text outside its formulas."""
    parts, start = [], 0
    for formula in tex.find(text):
        parts.append(text[start : formula.start])
        start = formula.end
    return Counter(word.casefold() for word in _WORD.findall(" ".join([*parts, text[start:]])))


@dataclass(frozen=True)
class Total:
    """The scores of many pages. `recall`: {encoding: (formulas of the pages, formulas found)}. `precision`: {dominant
    encoding of a page: (formulas in the output, formulas of the pages among them)}. `code`: (code blocks of the pages,
    code blocks found verbatim). `words`: the means over pages with a reference."""

    recall: Mapping[str, tuple[int, int]]
    precision: Mapping[str, tuple[int, int]]
    code: tuple[int, int]
    words: Words


def total(scores: Iterable[PageScore]) -> Total:
    """Add up the scores of pages."""
    recall: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    precision: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    code, words = [0, 0], []
    for page in scores:
        for encoding, (wanted, found) in page.encodings.items():
            recall[encoding][0] += wanted
            recall[encoding][1] += found
        if page.dominant:
            precision[page.dominant][0] += page.output
            precision[page.dominant][1] += page.right
        code[0] += page.code[0]
        code[1] += page.code[1]
        if page.words is not None:
            words.append(page.words)
    return Total(
        {name: (a, b) for name, (a, b) in recall.items()},
        {name: (a, b) for name, (a, b) in precision.items()},
        (code[0], code[1]),
        Words(*(sum(values) / len(words) for values in zip(*words, strict=True))) if words else Words(0.0, 0.0, 0.0),
    )
