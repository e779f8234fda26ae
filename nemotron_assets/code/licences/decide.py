"""Decide for each file of a repository which licence it is under and whether the recipe accepts it.

`survey` reads what speaks for whole folders, `build_case` gathers the facts about each file, and the first rule of
`rules.RULES` whose condition holds decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from posixpath import basename
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.case import build_case
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.expressions import ALLOWED, REVIEW
from nemotron_assets.code.licences.grants import Evidence
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.licences.rules import first_rule
from nemotron_assets.code.licences.survey import survey

if TYPE_CHECKING:
    from nemotron_assets.recipe.code_licences import CodeLicences

#: Names of files about licences. A repository is not kept for them alone.
_ABOUT_LICENCES = re.compile(r"(?i)licen[sc]e|copying|copyright|notice")


@dataclass(frozen=True)
class Decision:
    """The decision about one file: allowed, rejected or review.

    `expression` is the SPDX expression, empty if no licence is known; `scope` says what decided (file, folder,
    repository or none), `rule` the name of the rule and `reason` its reason; `evidence` has the deciding piece first.
    """

    id: str
    path: str
    expression: str
    decision: str
    scope: str
    rule: str
    reason: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def why(self) -> str:
        """Rule and reason as a person reads them: "own_header: GPL-2.0-only is not on the list"."""
        return f"{self.rule}: {self.reason}"


def decide(files: Iterable[Excerpt], scan: Scanner, recipe: CodeLicences) -> list[Decision]:
    """The decisions about all files of one repository, in their order. `scan` asks the licence library about a text."""
    files = list(files)
    repository = survey(files, scan, recipe)
    sidecars = {file.path.removesuffix(".license"): file for file in files if file.path.endswith(".license")}
    decisions = []
    for file in files:
        case = build_case(file, sidecars.get(file.path), repository, scan, recipe)
        rule = first_rule(case)
        basis = rule.basis(case)
        decisions.append(
            Decision(
                id=file.id,
                path=file.path,
                expression=basis.expression,
                decision=rule.verdict(case),
                scope=basis.scope,
                rule=rule.name,
                reason=rule.reason(case),
                evidence=basis.evidence,
            )
        )
    return nothing_but_licence_texts(decisions)


def nothing_but_licence_texts(decisions: list[Decision]) -> list[Decision]:
    """The last rule, for a whole repository: a collection of licence texts (a folder of the texts that a tool knows,
    beside files under the GPL) is left to a person, if no other file in it is accepted."""
    if any(one.decision == ALLOWED and not _ABOUT_LICENCES.search(basename(one.path)) for one in decisions):
        return decisions
    reason = "no file but licence texts is accepted in the repository"
    changed = {"decision": REVIEW, "rule": nothing_but_licence_texts.__name__, "reason": reason}
    return [replace(one, **changed) if one.decision == ALLOWED else one for one in decisions]
