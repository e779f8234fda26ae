"""Turn the findings of the licence library in one text into a grant: a licence expression, evidence, and a doubt.

A text may hold more than one licence: a title above the terms, the same terms twice, a choice with both texts, the
licences of bundled parts. A grant is one expression for all of them. Its doubt says why a person must look first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import wording
from nemotron_assets.code.licences.library import Scan
from nemotron_assets.code.terms.expressions import (
    ALLOWED,
    REVIEW,
    category,
    drop_non_licences,
    join_all,
    join_any,
    judge,
    licences,
    required_parts,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Length, in words, up to which a rule of the library is a title or a mention ("MIT License" has two words). The terms
#: of a licence are longer.
MENTION = 60
#: A match with a score below `_NOISE` on the lines of a match with a score from `_GOOD` is noise: a few words that many
#: licences share.
_NOISE, _GOOD = 25, 90
#: Score from which a licence named in a choice ("GPL or BSD") is counted as that licence.
_NAMED = 70
#: Length, in words, from which a rule holds the terms of licences and not only their names.
_TERMS = 300
#: What the library calls a work that its author gave to the public without the words of a licence.
PUBLIC_DOMAIN = frozenset({"LicenseRef-scancode-public-domain", "LicenseRef-scancode-us-govt-public-domain"})
_PROPRIETARY = "LicenseRef-scancode-proprietary-license"
#: Licences whose own terms say "public domain".
_DEDICATIONS = frozenset({"CC0-1.0", "Unlicense"})


@dataclass(frozen=True)
class Evidence:
    """One place that names a licence.

    `kind` is header, sidecar, reuse, debian_copyright, licence_file, manifest or readme; `start` and `end` are lines
    from 1, both included; `rule` is the library's detection rule (mit_14.RULE), empty where a field names the licence;
    `score` says how much of that rule's text is there, 0 to 100.
    """

    kind: str
    path: str
    start: int
    end: int
    expression: str
    rule: str = ""
    score: float = 100.0


class DoubtKind(StrEnum):
    """What raises a doubt about a grant. The rule of the same name in `rules.RULES` decides because of it, and its
    docstring has an example."""

    LIBRARY_GAVE_NO_ANSWER = auto()
    NEARLY_THE_TERMS = auto()
    CHANGED_TERMS = auto()
    RESTRICTION_BESIDE_LICENCE = auto()
    UNKNOWN_LICENCE_TEXT = auto()
    UNKNOWN_LICENCE_NAME = auto()
    UNREAD_LICENCE_LINE = auto()
    MANIFEST_CONTRADICTS_TEXT = auto()
    TERMS_BESIDE_LICENCE = auto()
    README_CONTRADICTS_LICENCE = auto()
    MANIFEST_NOT_ENOUGH = auto()
    README_ALONE = auto()


@dataclass(frozen=True)
class Doubt:
    """Why a person must look at a grant before anybody relies on it; `reason` says what was found, in words.

    `weak_match` is set if the only problem is that few words of the licence are there, as in a mention in passing ("see
    the MIT license of X").
    """

    kind: DoubtKind
    reason: str
    weak_match: bool = False


@dataclass(frozen=True)
class Grant:
    """The licence that a text, or a folder, gives: an SPDX expression (empty if none is known), its evidence and the
    first doubt about it. The fields from `first_terms` on are set for licence texts."""

    expression: str
    evidence: tuple[Evidence, ...] = ()
    doubt: Doubt | None = None
    #: Of a folder: the licence that a manifest names, if it contradicts the licence text.
    manifest_says: str = ""
    #: Of a folder: the rule of `folder_rules.FOLDER_RULES` that combined what its texts and manifests say.
    combined_by: str = ""
    #: The licence whose terms come first, if no other licence begins before they end; otherwise empty.
    first_terms: str = ""
    #: The lowest score among the matches of those terms.
    first_terms_score: float = 100.0
    #: All licences in the text, each with the length in words of the matched rule.
    licences_found: tuple[tuple[str, int], ...] = ()
    #: The text without the terms of licences. What is left may name files ("lib/a.c is under ...").
    own_words: str = ""
    #: Whether the text has licences that are not accepted, and announces each of them as the licence of a part.
    announces_parts: bool = False
    #: The files and folders that such announcements name, if each of them names one.
    parts: frozenset[str] = frozenset()


NO_GRANT = Grant("")


def verdict(grant: Grant, recipe: CodeLicences) -> str:
    """What the recipe says of a grant: allowed, rejected or review. A doubt turns `allowed` into `review`."""
    decision = judge(grant.expression, recipe).decision
    return REVIEW if grant.doubt and decision == ALLOWED else decision


def all_evidence(grants: Iterable[Grant]) -> tuple[Evidence, ...]:
    return tuple(evidence for grant in grants for evidence in grant.evidence)


def first_doubt(grants: Iterable[Grant]) -> Doubt | None:
    return next((grant.doubt for grant in grants if grant.doubt), None)


def families(expression: str) -> set[str]:
    """The licences of an expression without the endings that do not change the text: "GPL-2.0" for GPL-2.0-only and for
    GPL-2.0-or-later, "BSD-2-Clause" for BSD-2-Clause-Views."""
    return {re.sub(r"-(only|or-later|Views)$", "", name) for name in licences(expression)}


def without_version(name: str) -> str:
    """A licence id without its version ("GPL" for GPL-2.0-only). A mention often gets the version wrong."""
    return re.split(r"-v?[0-9]", name)[0]


def grant_from_findings(kind: str, path: str, scanned: Scan, lines_before: int, recipe: CodeLicences) -> Grant:
    """One grant for everything that the library found in a text; all licences found apply together.

    `kind` and `path` are those of the evidence, `lines_before` is the number of lines of the file before the text.
    """
    tagged = any(_is_accepted_tag(match, recipe) for detection in scanned.findings for match in detection["matches"])
    least = recipe.min_score if tagged else _NOISE
    detections = [kept for detection in scanned.findings if (kept := _without_noise(detection, tagged, least))]
    matches = [match for detection in detections for match in detection["matches"]]
    evidence, doubt, changed_anywhere = [], no_answer(scanned), False
    for detection in detections:
        evidence.append(_evidence(kind, path, detection, lines_before))
        weak = _weak_matches(detection, matches, recipe)
        changed = next(filter(None, (wording.find_change(match["extra"]) for match in detection["matches"])), "")
        changed_anywhere = changed_anywhere or bool(changed)
        if not doubt and weak:
            doubt = Doubt(DoubtKind.NEARLY_THE_TERMS, _how_near(detection), weak_match=True)
        elif not doubt and changed:
            reason = f"somebody put the word {changed!r} into the text of {detection['expression']}"
            doubt = Doubt(DoubtKind.CHANGED_TERMS, reason)
    if doubt and changed_anywhere:
        doubt = replace(doubt, weak_match=False)
    return Grant(_join_detections(detections), tuple(evidence), doubt)


def no_answer(scanned: Scan) -> Doubt | None:
    """The doubt about a text that the library could not finish; None if it did."""
    if not scanned.problem:
        return None
    return Doubt(DoubtKind.LIBRARY_GAVE_NO_ANSWER, f"the licence library gave no complete answer: {scanned.problem}")


def _evidence(kind: str, path: str, detection: dict, lines_before: int) -> Evidence:
    matches = detection["matches"]
    longest = max(matches, key=lambda match: match["length"])
    start = min(matches[0]["start"], longest["start"])
    end = max(match["end"] for match in matches)
    score = min(match["score"] for match in matches)
    return Evidence(
        kind, path, lines_before + start, lines_before + end, detection["expression"], longest["rule"], score
    )


def _how_near(detection: dict) -> str:
    matches = detection["matches"]
    score = min(match["score"] for match in matches)
    lines = f"lines {matches[0]['start']}-{matches[-1]['end']}"
    return f"the text matches {detection['expression']} by only {score:.0f}% ({lines})"


def _weak_matches(detection: dict, matches: list[dict], recipe: CodeLicences) -> list[dict]:
    """The matches of a detection that raise a doubt, among all `matches` of the text."""
    weak = [match for match in detection["matches"] if match["score"] < recipe.min_score]
    weak = [match for match in weak if not _tolerable(match, matches, recipe)]
    # Some rules of the library hold the whole texts of two licences and say "A OR B", because the package that the rule
    # was made from leaves a choice. Another package with both texts may not.
    weak += [m for m in detection["matches"] if " OR " in m["expression"] and m["length"] > _TERMS and m["score"] < 99]
    return weak


def _is_accepted_tag(match: dict, recipe: CodeLicences) -> bool:
    """Whether a match is a tag that names an accepted licence: "SPDX-License-Identifier: MIT"."""
    tag = match["rule"].startswith("spdx-license-identifier")
    return tag and judge(match["expression"], recipe).decision == ALLOWED


def _is_quoted(match: dict, least: float) -> bool:
    """Whether a match beside a tag only resembles a permissive licence: the notice of an author whose words were
    quoted or changed. The tag says which licence the file is under."""
    found = {category(name) for name in licences(_stated(match))}
    return match["score"] < least and found <= {"Permissive", "Public Domain", ""}


def _without_noise(detection: dict, tagged: bool, least: float) -> dict | None:
    """A detection without matches that are noise, and with an expression of licences only; None if nothing is left.

    Noise is a match of a few scattered words on the lines of a good match, and beside a tag a match that `_is_quoted`.
    """
    good = [match for match in detection["matches"] if match["score"] >= _GOOD and _stated(match)]
    kept = [
        match
        for match in detection["matches"]
        if not (tagged and _is_quoted(match, least))
        and not any(
            match["start"] <= other["end"] and other["start"] <= match["end"]
            for other in good
            if match["score"] < _NOISE or _misread(match, other)
        )
    ]
    expression = detection["expression"]
    if len(kept) < len(detection["matches"]):
        expression = join_all(match["expression"] for match in kept)
    said = drop_non_licences(expression)
    return {**detection, "matches": kept, "expression": said} if said else None


def _stated(match: dict) -> str:
    """The licence of a match; empty for words that state no licence ("see the file LICENSE")."""
    return drop_non_licences(match["expression"])


def _misread(match: dict, named: dict) -> bool:
    """Whether a match is a sentence about a proprietary licence in which the author has put another licence's name:
    "governed by the 3-clause BSD license that can be found in the LICENSE file"."""
    proprietary = match["expression"] == _PROPRIETARY and match["expression"] != named["expression"]
    return proprietary and match["coverage"] < 100 and match["length"] <= MENTION


def _tolerable(weak: dict, matches: list[dict], recipe: CodeLicences) -> bool:
    """Whether a match with a low score raises no doubt, because it is only a title or a mention.

    It must name the licence of a good match, or an accepted licence beside the terms of another accepted licence. Terms
    of a licence with a low score always raise a doubt.
    """
    if weak["length"] > MENTION or weak["score"] < _NOISE:
        return False
    said = _stated(weak)
    strong = [match for match in matches if match["score"] >= recipe.min_score]
    terms = [match for match in strong if match["length"] > MENTION]
    if said in {_stated(match) for match in strong} or not said or (said in PUBLIC_DOMAIN and terms):
        return True
    return judge(said, recipe).decision == ALLOWED and any(
        judge(match["expression"], recipe).decision == ALLOWED for match in terms
    )


def _join_detections(detections: list[dict]) -> str:
    """One expression that needs all detections of a text, with two exceptions.

    The terms of A and of B behind a first sentence "A OR B" are the texts of that choice and add nothing. "Public
    domain" adds nothing beside the terms of a licence ("portions are in the public domain").
    """
    pieces = list(dict.fromkeys(piece for one in detections for piece in required_parts(one["expression"])))
    terms = {
        family
        for detection in detections
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


def apply_choice(grant: Grant, text: str, scanned: Scan) -> Grant:
    """A grant of "A AND B" as one of "A OR B", if the text leaves the choice in its own words.

    Example: "under either the GPL or the BSD license". The text must hold no licence that is not offered.
    """
    lines = wording.find_choice(text) if " AND " in grant.expression else None
    if lines is None:
        return grant
    first, last = lines
    matches = [match for one in scanned.findings for match in one["matches"] if match["score"] >= _NOISE]
    inside = [match for match in matches if first <= match["start"] and match["end"] <= last]
    offered = {without_version(name) for match in inside for name in licences(_stated(match))}
    for match in matches:
        mention = match["length"] <= MENTION and match in inside
        if not mention and not {without_version(name) for name in licences(_stated(match))} <= offered:
            return grant
    if len(offered) < 2:
        return grant
    named = [match for match in matches if match["score"] >= _NAMED]
    expression = join_any(dict.fromkeys(name for match in named for name in licences(_stated(match))))
    doubt = None if grant.doubt and grant.doubt.weak_match else grant.doubt
    return replace(grant, expression=expression, doubt=doubt)
