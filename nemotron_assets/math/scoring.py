"""How much of a page's mathematics an extractor kept, strictly: a formula counts only as TeX between delimiters.

Formulas are compared as multisets of normal forms (tex.py), so each occurrence counts once: a formula that stands
twice in the output where the page has it once is half wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nemotron_assets.math import tex

_WORD = re.compile(r"[^\W_]+")


@dataclass
class PageScore:
    """One page: per encoding (wanted, found) formulas; output formulas and those of them that are the page's;
    code blocks wanted and found verbatim; F1 of the words of the main text (None without a reference)."""

    encodings: dict[str, tuple[int, int]] = field(default_factory=dict)
    output: int = 0
    right: int = 0
    code: tuple[int, int] = (0, 0)
    text_f1: float | None = None
    lost: list[str] = field(default_factory=list)

    @property
    def dominant(self) -> str:
        """The encoding most formulas of the page are written in; "" for a page without formulas."""
        return max(self.encodings, key=lambda name: self.encodings[name][0], default="")


def score_page(
    text: str, truth: Iterable[tuple[str, str]], *, code: Sequence[str] = (), reference: str | None = None
) -> PageScore:
    """Score an extractor's `text` against a page's (encoding, TeX) pairs, its code blocks and its main text."""
    found = [formula.tex for formula in tex.find(text)]
    got = Counter(map(tex.normal_form, found))
    wanted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for encoding, formula in truth:
        wanted[encoding][tex.normal_form(formula)] += 1
    rest, result = Counter(got), PageScore(output=len(found))
    for encoding, formulas in wanted.items():
        common = formulas & rest
        rest -= common
        result.encodings[encoding] = (sum(formulas.values()), sum(common.values()))
        result.right += sum(common.values())
        result.lost += list((formulas - common).elements())
    result.code = (len(code), sum(_verbatim(block, text) for block in code))
    if reference is not None:
        result.text_f1 = word_f1(text, reference)
    return result


def _verbatim(block: str, text: str) -> bool:
    """Whether a code block stands in the text line for line, blanks behind lines and a common indentation aside."""
    lines = [line.rstrip() for line in block.strip("\n").split("\n")]
    return "\n".join(lines) in "\n".join(line.rstrip() for line in text.split("\n"))


def word_f1(text: str, reference: str) -> float:
    """F1 of the words (multisets) of a text against a reference, formulas aside."""
    have, want = _words(text), _words(reference)
    common = sum((have & want).values())
    return 2 * common / (sum(have.values()) + sum(want.values())) if common else 0.0


def _words(text: str) -> Counter[str]:
    parts, start = [], 0
    for formula in tex.find(text):
        parts.append(text[start : formula.start])
        start = formula.end
    return Counter(word.casefold() for word in _WORD.findall(" ".join([*parts, text[start:]])))


@dataclass(frozen=True)
class Total:
    """Sums over pages. `recall` by encoding, `precision` by the pages' dominant encoding."""

    recall: Mapping[str, tuple[int, int]]
    precision: Mapping[str, tuple[int, int]]
    code: tuple[int, int]
    text_f1: float


def total(scores: Iterable[PageScore]) -> Total:
    """Add up pages."""
    recall: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    precision: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    code, f1 = [0, 0], []
    for page in scores:
        for encoding, (wanted, found) in page.encodings.items():
            recall[encoding][0] += wanted
            recall[encoding][1] += found
        if page.dominant:
            precision[page.dominant][0] += page.output
            precision[page.dominant][1] += page.right
        code[0] += page.code[0]
        code[1] += page.code[1]
        if page.text_f1 is not None:
            f1.append(page.text_f1)
    return Total(
        {name: (a, b) for name, (a, b) in recall.items()},
        {name: (a, b) for name, (a, b) in precision.items()},
        (code[0], code[1]),
        sum(f1) / len(f1) if f1 else 0.0,
    )
