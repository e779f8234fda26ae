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

from nemotron_assets.code.licences.case import Case, build_case
from nemotron_assets.code.licences.excerpts import Excerpt
from nemotron_assets.code.licences.grants import Evidence
from nemotron_assets.code.licences.library import Scanner
from nemotron_assets.code.licences.rules import first_rule
from nemotron_assets.code.licences.survey import survey
from nemotron_assets.code.terms.expressions import ALLOWED, REVIEW

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

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
    cases = (build_case(file, sidecars.get(file.path), repository, scan, recipe) for file in files)
    return nothing_but_licence_texts([_decide_file(case) for case in cases])


def _decide_file(case: Case) -> Decision:
    rule = first_rule(case)
    basis = rule.basis(case)
    return Decision(
        id=case.file.id,
        path=case.file.path,
        expression=basis.expression,
        decision=rule.verdict(case),
        scope=basis.scope,
        rule=rule.name,
        reason=rule.reason(case),
        evidence=basis.evidence,
    )


def nothing_but_licence_texts(decisions: list[Decision]) -> list[Decision]:
    """The last rule, about the whole repository: a licence checker under the GPL with a folder of the texts that it
    knows. Those texts are accepted, but if no other file is, they are left to a person."""
    if any(one.decision == ALLOWED and not _ABOUT_LICENCES.search(basename(one.path)) for one in decisions):
        return decisions
    reason = "no file but licence texts is accepted in the repository"
    changed = {"decision": REVIEW, "rule": nothing_but_licence_texts.__name__, "reason": reason}
    return [replace(one, **changed) if one.decision == ALLOWED else one for one in decisions]
