"""Multiple choice: which option a response picks. No library and no process is needed."""

from __future__ import annotations

import re
from string import ascii_uppercase

from nemotron_assets.grading.verdict import Verdict

BY = "letter"
_BOX = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|mathrm|textbf|mathbf)\s*\{)?\s*\(?([A-Za-z])\)?[^A-Za-z{}]*\}")
#: A response that names only its option: B, (B), **B.**, B) because the sky is blue.
_ALONE = re.compile(r"\s*[*_(\[]*([A-Z])(?:[*_)\].:]+(?:\s.*)?|\s*)", re.DOTALL)
_SAID = re.compile(
    r"(?i:\b(?:answers?|choices?|options?)\b(?:\s{1,3}(?:is|are|would be|must be))?)\s{0,3}:?[\s*_]{0,6}"
    r"(?i:(?:option|choice)\s+)?[(\[]?([A-Z])(?![A-Za-z'’])[)\]]?(?!\s+[a-z])"
)
_ANOTHER = re.compile(
    r"[)\]}*_.]*(?:\s*(?:or|and|[/,&+])\s*|\s*(?=[(\[][A-Z][)\]])|[^\S\n]+(?=[A-Z][)\].]*\s*$))"
    r"(?i:(?:option|choice)\s+)?[(\[]?([A-Z])(?![A-Za-z'’])"
)
#: What stands between two boxes that belong together.
_BETWEEN = re.compile(r"[\s$,/]*(?:or|and|/|,)[\s$]*")


def letter(response: str, options: int = 4) -> str | None:
    """The letter of the option that a response picks: "The answer is (B)." gives B.

    A box counts before a sentence about the answer, the last one if there are several. None if the response picks no
    option, an option that does not exist, or more than one ("A or B").
    """
    alone = _ALONE.fullmatch(response.strip())
    found = list(_BOX.finditer(response)) or list(_SAID.finditer(response)) or ([alone] if alone else [])
    if not found:
        return None
    last, name = found[-1], found[-1][1].upper()
    before = found[-2] if len(found) > 1 else None
    if before and before[1].upper() != name and _BETWEEN.fullmatch(response[before.end() : last.start()]):
        return None
    other = _ANOTHER.match(last.string, last.end(1))
    if other and other[1] != name:
        return None
    return name if name in ascii_uppercase[:options] else None


def grade(response: str, gold: str, options: int = 4) -> Verdict:
    """Whether a response picks the option with the letter `gold`."""
    if gold not in tuple(ascii_uppercase[:options]):
        return Verdict("error", BY, f"the known answer {gold[:50]!r} is not one of the {options} letters from A")
    picked = letter(response, options)
    if picked == gold:
        return Verdict("right", BY)
    return Verdict("wrong", BY, f"it picks {picked}" if picked else "it does not pick one option")
