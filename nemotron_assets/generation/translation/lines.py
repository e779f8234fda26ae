"""Takes a sample apart into lines and puts lines together again.

Every line with words becomes one request. The labels "Question:" and "Answer:" are translated by a table, and blank
lines stay where they are.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from nemotron_assets.generation.translation import protect
from nemotron_assets.generation.translation.languages import LABELS, SOURCE
from nemotron_assets.generation.translation.protect import Protected

_LABEL = re.compile(r"(Question|Answer): (?=\S)")


@dataclass(frozen=True)
class Line:
    """A line of a sample: `lead`, label, `source`, `tail`. "  Answer: 7 mice " has the lead "  ", label 1 and tail " ".

    `label` is 0 for a question, 1 for an answer, and None otherwise. `lead` and `tail` are white space. `source` is the
    English text that is translated.
    """

    label: int | None
    lead: str
    source: Protected
    tail: str

    @property
    def has_words(self) -> bool:
        """Whether there is something to translate: a letter outside the protected pieces."""
        return any(character.isalpha() for character in protect.without_placeholders(self.source.text))

    @property
    def text(self) -> str:
        """The English text with its protected pieces."""
        return protect.restore(self.source.text, self.source.pieces)

    def render(self, language: str, translation: str) -> str:
        """The whole line in a language: white space, label and translation."""
        return self.lead + ("" if self.label is None else LABELS[language][self.label]) + translation + self.tail


def excerpt(text: str, most: int | None) -> str:
    """A sample if it has at most `most` lines, else its end. Blank lines do not count; None means no limit.

    The end is as many of the last question/answer pairs as fit, at least one. If all pairs fit, it also has the lines
    of the passage before them that fit.
    """
    rows = protect.split_lines(text)
    count = sum(1 for row in rows if row.strip())
    if most is None or count <= most:
        return text
    pairs = [number for number, row in enumerate(rows) if row.startswith(LABELS[SOURCE][0])]
    filled = list(itertools.accumulate(bool(row.strip()) for row in reversed(rows)))[::-1]  # lines from here on
    fitting = next((number for number in pairs if filled[number] <= most), pairs[-1] if pairs else len(rows))
    start = fitting
    if not pairs or fitting == pairs[0]:  # all pairs fit: take lines of the passage as well
        while start > 0 and (filled[start - 1] <= most):
            start -= 1
    return "\n".join(rows[start:]).lstrip("\n")


def parse(text: str) -> list[Line]:
    """The lines of a sample, blank lines included."""
    found = []
    for row in protect.split_lines(text):
        body = row.strip()
        lead, tail = (row[: row.index(body)], row[row.index(body) + len(body) :]) if body else (row, "")
        labelled = _LABEL.match(body)
        label = None if not labelled else 0 if labelled[1] == "Question" else 1
        found.append(Line(label, lead, protect.protect(body[labelled.end() :] if labelled else body), tail))
    return found


def translated_words(text: str, language: str) -> str:
    """The part of a translated sample that a language detector may judge: lines with letters, without labels and
    without protected pieces."""
    found = []
    for row in protect.split_lines(text):
        label = next((label for label in LABELS[language] if row.startswith(label)), "")
        found.append(protect.without_placeholders(protect.protect(row[len(label) :]).text))
    return "\n".join(line for line in found if any(map(str.isalpha, line)))
