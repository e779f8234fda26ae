"""Read a licence text: what it grants, what it says in its own words, and which parts of the work it names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.grants import (
    MENTION,
    Doubt,
    DoubtKind,
    Evidence,
    Grant,
    apply_choice,
    families,
    grant_from_findings,
    no_answer,
)
from nemotron_assets.code.licences.library import Scan, Scanner
from nemotron_assets.code.terms.expressions import ALLOWED, drop_non_licences, judge

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


def read_licence_text(
    path: str, text: str, scan: Scanner, recipe: CodeLicences, *, must_be_known: bool = True
) -> Grant | None:
    """What the licence text at `path` grants; None if it is not a licence text after all.

    It is not one if it only points to another file ("see ../LICENSE"), if it is R's form of year and holder, or if it
    has no known licence and `must_be_known` is False (its name is not plainly that of a licence:
    create-license-form.txt).
    """
    text = wording.drop_history(text)
    if wording.is_r_form(text) or not text.strip():
        return None
    scanned = _scan_weak_terms_alone(text, scan(text), scan, recipe)
    grant = apply_choice(grant_from_findings("licence_file", path, scanned, 0, recipe), text, scanned)
    if not grant.expression:
        refers = any(match["files"] for detection in scanned.findings for match in detection["matches"])
        if (
            (refers and len(text) < 1_000)
            or wording.is_pointer(text)
            or wording.points_to_a_licence(text)
            or not must_be_known
        ):
            return None
        whole = Evidence("licence_file", path, 1, text.count("\n") + 1, "", "", 0.0)
        unknown = Doubt(DoubtKind.UNKNOWN_LICENCE_TEXT, "the licence library does not know the text")
        return Grant("", (whole,), no_answer(scanned) or unknown)
    own_words = _without_terms(text, scanned)
    announced = _announcements(own_words, scanned, recipe)
    parts = [wording.find_parts(words) for words in announced]
    grant = replace(
        grant,
        own_words=own_words,
        announces_parts=bool(announced) and all(map(wording.mentions_parts, announced)),
        parts=frozenset().union(*parts) if parts and all(parts) else frozenset(),
        **_first_terms(text, scanned),
    )
    return _with_restriction(grant, scanned.rest(text))


def _with_restriction(grant: Grant, rest: str) -> Grant:
    """A grant with a doubt about what the words beside the licence (`rest`) say, if they restrict or add conditions."""
    weak = grant.doubt is not None and grant.doubt.weak_match
    words = wording.find_restriction(rest)
    # Text between the licences of bundled parts always has something that looks like a condition.
    if not words and not (weak and _names_other_licences(grant)):
        words = wording.find_condition(rest)
    if words and (weak or not grant.doubt):
        reason = f"the licence text has words that belong to no licence: {words!r}"
        return replace(grant, doubt=Doubt(DoubtKind.RESTRICTION_BESIDE_LICENCE, reason))
    return grant


def _names_other_licences(grant: Grant) -> bool:
    return any(families(said) - families(grant.first_terms) for said, _ in grant.licences_found)


def _scan_weak_terms_alone(text: str, scanned: Scan, scan: Scanner, recipe: CodeLicences) -> Scan:
    """Findings in which terms with a low score are replaced by the better match that the library finds when it sees
    their lines alone. Among other licences the library may recognise less of one than is there."""
    lines, findings, beside = text.splitlines(), [], dict(scanned.beside)
    for detection in scanned.findings:
        matches = []
        for match in detection["matches"]:
            if match["kind"] == "text" and match["length"] > MENTION and match["score"] < recipe.min_score:
                before = match["start"] - 1
                alone = scan("\n".join(lines[before : match["end"]]))
                better = [found for one in alone.findings for found in one["matches"]]
                if _is_better(better, match):
                    match = {**better[0], "start": better[0]["start"] + before, "end": better[0]["end"] + before}
                    beside.update({number + before: words for number, words in alone.beside.items()})
            matches.append(match)
        findings.append({**detection, "matches": matches})
    return Scan(findings, scanned.problem, beside)


def _is_better(found: list[dict], match: dict) -> bool:
    """Whether a second look found the same licence, nothing else, and more of it."""
    return len(found) == 1 and found[0]["expression"] == match["expression"] and found[0]["score"] > match["score"]


def _licence_matches(scanned: Scan) -> list[dict]:
    """The matches that state a licence. What the library calls a clue ("commercial license") is not among them."""
    return [match for detection in scanned.findings if detection["expression"] for match in detection["matches"]]


def _without_terms(text: str, scanned: Scan) -> str:
    """A licence text without the terms of licences. Mentions stay: some rules of the library are whole sentences of one
    package, with the names of its files."""
    lines = dict(enumerate(text.splitlines(), 1))
    for match in _licence_matches(scanned):
        if match["length"] > MENTION:
            for number in range(match["start"], match["end"] + 1):
                lines[number] = scanned.beside.get(number, lines[number])
    return "\n".join(lines.values())


def _announcements(own_words: str, scanned: Scan, recipe: CodeLicences) -> list[str]:
    """What a licence text says before each licence in it that is not accepted: "lib/thread.c is under these terms:"."""
    lines, before, announced = own_words.split("\n"), 0, []
    for match in sorted(_licence_matches(scanned), key=lambda match: match["start"]):
        licence = drop_non_licences(match["expression"])
        if licence and judge(licence, recipe).decision != ALLOWED:
            announced.append("\n".join(lines[before : match["end"]]))
        elif match["length"] > MENTION:
            before = match["end"]
    return announced


def _first_terms(text: str, scanned: Scan) -> dict[str, Any]:
    """The fields of a grant about the licences in a text: `licences_found`, and `first_terms` with the lowest score of
    their matches, if no other licence begins before they end."""
    matches = [match for detection in scanned.findings for match in detection["matches"]]
    matches = [match for match in matches if drop_non_licences(match["expression"])]
    matches.sort(key=lambda match: (match["start"], -match["length"]))
    found = tuple((drop_non_licences(match["expression"]), match["length"]) for match in matches)
    terms = [match for match in matches if match["length"] > MENTION]
    if not terms:
        return {"licences_found": found}
    first, lines = terms[0], text.splitlines()
    # A mention above the terms may be about a file: "All files but src/a.c, which is under the GPL, are under MIT:".
    of_file = [m for m in matches if m["length"] <= MENTION and m["end"] < first["start"]]
    of_file = [m for m in of_file if wording.find_parts(_paragraph(lines, m["start"], m["end"]))]
    matches = [match for match in matches if match not in of_file]
    same = [match for match in matches if families(match["expression"]) <= families(first["expression"])]
    if any(other["start"] < first["end"] for other in matches if other not in same):
        return {"licences_found": found}
    score = min(match["score"] for match in same if match in terms)
    return {"licences_found": found, "first_terms": first["expression"], "first_terms_score": score}


def _paragraph(lines: list[str], start: int, end: int) -> str:
    """The lines from `start` to `end` (from 1) with the lines around them up to blank ones."""
    while start > 1 and lines[start - 2].strip():
        start -= 1
    while end < len(lines) and lines[end].strip():
        end += 1
    return "\n".join(lines[start - 1 : end])
