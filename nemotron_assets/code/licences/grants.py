"""What a text grants: the library's findings weighed, changes and restrictions noticed, doubts said in words.

A licence text may hold more than the licence: a title, the same licence's terms twice, a choice with both texts, other
people's licences for parts that are bundled. What is left is one expression, its evidence, and the reason, if there is
one, why it must not be taken at its word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.expressions import (
    ALLOWED,
    REVIEW,
    Verdict,
    join_all,
    join_any,
    judge,
    licences,
    statement,
)
from nemotron_assets.code.licences.library import Scan

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Words of a rule up to which it is a title or a mention; the terms of a licence are longer.
MENTION = 60
#: Score below which a match beside a good one on the same lines is noise: a few words that many licences share.
_NOISE, _GOOD = 25, 90
#: Score from which a name in a choice is that licence's.
_NAMED = 70
#: Words of a rule from which it has the terms of licences and not only their names.
_TERMS = 300
#: What the library calls a work that its author gives to the public, by no licence's words.
PUBLIC_DOMAIN = frozenset({"LicenseRef-scancode-public-domain", "LicenseRef-scancode-us-govt-public-domain"})
_PROPRIETARY = "LicenseRef-scancode-proprietary-license"
#: Licences whose terms say "public domain" themselves.
_DEDICATIONS = frozenset({"CC0-1.0", "Unlicense"})


@dataclass(frozen=True)
class Evidence:
    """One thing that was found: where it stands, what it says, and by which rule of the library."""

    kind: str
    path: str
    start: int
    end: int
    expression: str
    rule: str = ""
    score: float = 100.0


@dataclass(frozen=True)
class Grant:
    """A licence that somebody gives, with its evidence. `doubt` says why it must not be taken at its word."""

    expression: str
    evidence: tuple[Evidence, ...]
    doubt: str = ""
    faint: bool = False  # the doubt is only that few words of it stand there, a mention in passing
    claimed: str = ""  # what a manifest says otherwise
    main: str = ""  # of a licence file: what its first terms are, if no other licence's stand among them
    near: float = 100.0  # of a licence file: the lowest score among those terms
    found: tuple[tuple[str, int], ...] = ()  # of a licence file: the licences in it, with the length of their terms
    about: str = ""  # of a licence file: its words that are no terms of a licence, which may name files
    lists: bool = False  # of a licence file: whether words before all that is not accepted say that it is of parts

    def verdict(self, recipe: CodeLicences) -> Verdict:
        found = judge(self.expression, recipe)
        return Verdict(REVIEW, self.doubt) if self.doubt and found.decision == ALLOWED else found


def all_evidence(grants: list[Grant]) -> tuple[Evidence, ...]:
    return tuple(evidence for grant in grants for evidence in grant.evidence)


def first_doubt(grants: list[Grant]) -> str:
    return next((grant.doubt for grant in grants if grant.doubt), "")


def families(expression: str) -> set[str]:
    """The licences of an expression without what does not matter for which texts belong together."""
    return {re.sub(r"-(only|or-later|Views)$", "", name) for name in licences(expression)}


def granted(kind: str, path: str, scanned: Scan, lines_before: int, recipe: CodeLicences) -> Grant:
    """What the library's findings in a text amount to: all of them apply."""
    found = [kept for detection in scanned.findings if (kept := _without_noise(detection, recipe))]
    matches = [match for detection in found for match in detection["matches"]]
    evidence, doubt, faint = [], scanned.problem, False
    for detection in found:
        said = detection["expression"]
        score = min(match["score"] for match in detection["matches"])
        first, last = detection["matches"][0], detection["matches"][-1]
        best = max(detection["matches"], key=lambda match: match["length"])
        evidence.append(
            Evidence(
                kind,
                path,
                lines_before + min(first["start"], best["start"]),
                lines_before + max(m["end"] for m in detection["matches"]),
                said,
                best["rule"],
                score,
            )
        )
        weak = [match for match in detection["matches"] if match["score"] < recipe.min_score]
        weak = [match for match in weak if not _tolerable(match, matches, recipe)]
        # Rules of two licences' whole texts call them a choice, as they are in the package the rule was made from.
        weak += [
            m for m in detection["matches"] if " OR " in m["expression"] and m["length"] > _TERMS and m["score"] < 99
        ]
        changed = next(filter(None, (wording.change(match["extra"]) for match in detection["matches"])), "")
        if not doubt and weak:
            doubt = f"only {score:.0f}% like {said} (lines {first['start']}-{last['end']})"
            faint = True
        elif not doubt and changed:
            doubt = f"the text of {said} was changed: {changed!r} was put in"
        if changed:
            faint = False
    return Grant(_together(found), tuple(evidence), doubt, faint)


def _without_noise(detection: dict, recipe: CodeLicences) -> dict | None:
    """A detection without matches of a few scattered words on the lines of a good one, its expression without what
    states no licence; None if nothing is left."""
    good = [match for match in detection["matches"] if match["score"] >= _GOOD and statement(match["expression"])]
    kept = [
        match
        for match in detection["matches"]
        if not any(
            match["start"] <= other["end"] and other["start"] <= match["end"]
            for other in good
            if match["score"] < _NOISE or _misread(match, other)
        )
    ]
    expression = detection["expression"]
    if len(kept) < len(detection["matches"]):
        expression = join_all(match["expression"] for match in kept)
    said = statement(expression)
    return {**detection, "matches": kept, "expression": said} if said else None


def _misread(match: dict, named: dict) -> bool:
    """Whether a match is a sentence about a proprietary licence with the name of another in its place: "governed by the
    3-clause BSD license that can be found in the LICENSE file"."""
    proprietary = match["expression"] == _PROPRIETARY and match["expression"] != named["expression"]
    return proprietary and match["coverage"] < 100 and match["length"] <= MENTION


def _tolerable(weak: dict, matches: list[dict], recipe: CodeLicences) -> bool:
    """Whether a weak match does not matter: a title or a mention of what the terms beside it are, or of another
    licence that is accepted too. Terms of a licence that are only nearly its terms do matter."""
    if weak["length"] > MENTION or weak["score"] < _NOISE:
        return False
    said = statement(weak["expression"])
    strong = {statement(match["expression"]) for match in matches if match["score"] >= recipe.min_score}
    terms = [match for match in matches if match["score"] >= recipe.min_score and match["length"] > MENTION]
    if said in strong or not said or (said in PUBLIC_DOMAIN and terms):
        return True
    return judge(said, recipe).decision == ALLOWED and any(
        judge(match["expression"], recipe).decision == ALLOWED for match in terms
    )


def _together(found: list[dict]) -> str:
    """One expression for all detections of a text. Terms behind a choice between them at the beginning are that
    choice's; "public domain" asks for no more than the terms beside it ("portions are in the public domain")."""
    pieces = list(dict.fromkeys(piece for detection in found for piece in _pieces(detection["expression"])))
    terms = {
        family
        for detection in found
        for match in detection["matches"]
        if match["kind"] == "text" and match["length"] > MENTION
        for family in families(match["expression"])
    }
    choice = families(pieces[0]) if pieces and " OR " in pieces[0] else set()
    kept = []
    for piece in pieces:
        own = families(piece)
        if " OR " not in piece and own <= terms and own <= choice:
            continue
        if piece in PUBLIC_DOMAIN and (terms or any(_DEDICATIONS & set(licences(other)) for other in pieces)):
            continue
        kept.append(piece)
    return join_all(kept)


def _pieces(expression: str) -> list[str]:
    """The parts of an expression that all apply."""
    from nemotron_assets.code.licences.expressions import parse

    tree = parse(expression)
    if tree is None or getattr(tree, "operator", "").strip() != "AND":
        return [expression]
    return [str(argument) for argument in tree.args]


def licence_file(
    path: str, text: str, scan: Callable[[str], Scan], recipe: CodeLicences, *, named: bool = True
) -> Grant | None:
    """What a licence text grants. None for one that only points elsewhere (R's form, "see ../LICENSE"), and for a text
    without a licence whose name is not that of a licence file after all (`named`: it is)."""
    text = wording.without_history(text)
    if wording.is_template(text) or not text.strip():
        return None
    scanned = _sharpened(text, scan(text), scan, recipe)
    grant = chosen(granted("licence_file", path, scanned, 0, recipe), text, scanned)
    if not grant.expression:
        pointed = any(match["files"] for detection in scanned.findings for match in detection["matches"])
        if (pointed and len(text) < 1_000) or wording.points_elsewhere(text) or not named:
            return None
        line = Evidence("licence_file", path, 1, text.count("\n") + 1, "", "", 0.0)
        return Grant("", (line,), scanned.problem or "the licence text is not known")
    rest = scanned.rest(text)
    about = _about(text, scanned)
    grant = replace(grant, about=about, lists=_lists(about, scanned, recipe), **_main(scanned))
    words = wording.restriction(rest)
    if not words and not (grant.faint and any(families(said) - families(grant.main) for said, _ in grant.found)):
        words = wording.added_condition(rest)  # between others' licences there are always some
    if words and (grant.faint or not grant.doubt):
        return replace(grant, doubt=f"the licence text has words of its own: {words!r}", faint=False)
    return grant


def _sharpened(text: str, scanned: Scan, scan: Callable[[str], Scan], recipe: CodeLicences) -> Scan:
    """Findings with those that are only nearly a licence's terms looked at once more, their lines alone: among other
    licences the library may find less of one than there is."""
    lines, findings, beside = text.splitlines(), [], dict(scanned.beside)
    for detection in scanned.findings:
        matches = []
        for match in detection["matches"]:
            again = Scan()
            if match["kind"] == "text" and match["length"] > MENTION and match["score"] < recipe.min_score:
                again = scan("\n".join(lines[match["start"] - 1 : match["end"]]))
            better = [found for one in again.findings for found in one["matches"]]
            if (
                len(better) == 1
                and better[0]["expression"] == match["expression"]
                and better[0]["score"] > match["score"]
            ):
                before = match["start"] - 1
                match = {**better[0], "start": better[0]["start"] + before, "end": better[0]["end"] + before}
                beside.update({number + before: words for number, words in again.beside.items()})
            matches.append(match)
        findings.append({**detection, "matches": matches})
    return Scan(findings, scanned.problem, beside)


def chosen(grant: Grant, text: str, scanned: Scan) -> Grant:
    """A grant of all licences of a text as one of any of them, if the text says so in its own words: "under either the
    GPL or the BSD license", with nothing in it but those."""
    lines = wording.choice(text) if " AND " in grant.expression else None
    if lines is None:
        return grant
    matches = [match for detection in scanned.findings for match in detection["matches"]]
    offered = {
        kin(name)
        for match in matches
        if lines[0] <= match["start"] and match["end"] <= lines[1]
        for name in licences(statement(match["expression"]))
    }
    for match in matches:
        mention = match["length"] <= MENTION and lines[0] <= match["start"] and match["end"] <= lines[1]
        if not mention and not {kin(name) for name in licences(statement(match["expression"]))} <= offered:
            return grant
    if len(offered) < 2:
        return grant
    named = [match for match in matches if match["score"] >= _NAMED]
    expression = join_any(dict.fromkeys(name for match in named for name in licences(statement(match["expression"]))))
    return replace(grant, expression=expression, doubt="" if grant.faint else grant.doubt, faint=False)


def kin(name: str) -> str:
    """A licence without its version: a mention may get that wrong."""
    return re.split(r"-v?[0-9]", name)[0]


def _stated(scanned: Scan) -> list[dict]:
    """The matches of what states a licence; what the library takes for a clue stays what the author has written."""
    return [match for detection in scanned.findings if detection["expression"] for match in detection["matches"]]


def _about(text: str, scanned: Scan) -> str:
    """A licence text without the terms of licences. What the library knows as a mention stays: some of its rules are
    whole sentences of one package, with the names of its files."""
    lines = dict(enumerate(text.splitlines(), 1))
    for match in _stated(scanned):
        if match["length"] > MENTION:
            for number in range(match["start"], match["end"] + 1):
                lines[number] = scanned.beside.get(number, lines[number])
    return "\n".join(lines.values())


def _lists(about: str, scanned: Scan, recipe: CodeLicences) -> bool:
    """Whether a licence text has licences that are not accepted, and says of each that it is of a part of the work, in
    words between the terms before and its own."""
    lines, before, said = about.split("\n"), 0, []
    for match in sorted(_stated(scanned), key=lambda match: match["start"]):
        licence = statement(match["expression"])
        if licence and judge(licence, recipe).decision != ALLOWED:
            said.append(wording.speaks_of_parts("\n".join(lines[before : match["end"]])))
        elif match["length"] > MENTION:
            before = match["end"]
    return bool(said) and all(said)


def _main(scanned: Scan) -> dict[str, object]:
    """The first terms of a licence text, if no other licence begins before their end, with the lowest score among them;
    and all licences in it with the length of what stands of them."""
    matches = [match for detection in scanned.findings for match in detection["matches"]]
    matches = sorted((m for m in matches if statement(m["expression"])), key=lambda m: (m["start"], -m["length"]))
    found = tuple((statement(match["expression"]), match["length"]) for match in matches)
    terms = [match for match in matches if match["length"] > MENTION]
    if not terms:
        return {"found": found}
    first = terms[0]
    own = [match for match in matches if families(match["expression"]) <= families(first["expression"])]
    if any(other["start"] < first["end"] for other in matches if other not in own):
        return {"found": found}
    near = min(match["score"] for match in own if match in terms)
    return {"main": first["expression"], "near": near, "found": found}
