"""What the licence texts, manifests and notices of one folder say together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import paths
from nemotron_assets.code.licences.expressions import ALLOWED, category, join_all, judge, licences, statement
from nemotron_assets.code.licences.grants import MENTION, PUBLIC_DOMAIN, Grant, all_evidence, families, first_doubt, kin

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences

#: Score from which terms that are only nearly a licence's are that licence's, when a manifest names it.
_CONFIRMED = 70
#: Kinds of licences (ScanCode's) that parts of a work may be under without a doubt about the rest of it. Full copyleft
#: terms are not among them: who puts the GPL's text behind another licence's may mean the whole work.
_PERMISSIVE = frozenset({"Permissive", "Public Domain"})
_OF_PARTS = _PERMISSIVE | {"Copyleft Limited"}


@dataclass
class Folder:
    """What speaks for one folder."""

    texts: list[Grant] = field(default_factory=list)
    bundled: list[Grant] = field(default_factory=list)  # texts of other people's licences, for parts
    declared: list[Grant] = field(default_factory=list)  # manifests
    general: list[Grant] = field(default_factory=list)  # debian/copyright about all files
    choices: list[str] = field(default_factory=list)  # choices between licences that a README states


def combine(folder: Folder, recipe: CodeLicences) -> Grant | None:
    """What the texts, manifests and debian/copyright of one folder say together."""
    own = _terms(folder.texts) or folder.bundled
    bundled = folder.bundled if folder.texts else []
    read = [grant for grant in own if grant.expression]
    unread = [grant for grant in own if not grant.expression]
    named = [grant for grant in [*folder.declared, *folder.general] if grant.expression]
    said = [statement(grant.expression) for grant in named]
    if not read and not unread:
        if not named:
            rest = [*folder.declared, *folder.general]
            return rest[0] if rest else None
        if not folder.general and not recipe.manifests_decide:
            return Grant(join_all(said), all_evidence(named), "only a manifest names the licence")
        return Grant(join_all(said), all_evidence(named), first_doubt(named))
    evidence = all_evidence([*read, *unread, *bundled, *named])
    if unread and not read:
        return Grant(join_all(said), evidence, first_doubt(unread))
    readable = [grant for grant in bundled if grant.expression]
    expression, doubt = join_all(grant.expression for grant in [*read, *readable]), first_doubt([*read, *unread])
    doubt = doubt or first_doubt(readable)
    # A manifest that names the licences of the texts says how they go together: "MIT OR Apache-2.0".
    stated = [grant.expression for grant in read if " OR " in grant.expression and not grant.doubt]
    chooses = next(
        (e for e in [*said, *stated, *folder.choices] if " OR " in e and _of_the_choice(expression, read, e)), ""
    )
    if chooses and not any(_contradicts(e, chooses, recipe) for e in said):
        return Grant(chooses, evidence, doubt)
    if (doubt or judge(expression, recipe).decision != ALLOWED) and not unread:
        main = _main_licence(read, bundled, named, recipe)
        if main is not None:
            return replace(main, evidence=evidence)
    claimed = ""
    if judge(expression, recipe).decision == ALLOWED:
        against = [g for g in named if judge(g.expression, recipe).decision != ALLOWED]
        against = [g for g in against if not set(licences(g.expression)) <= PUBLIC_DOMAIN]
        if against:
            other = against[0]
            doubt = doubt or f"{other.evidence[0].path} says {other.expression}, the licence text {expression}"
            claimed = other.expression
    return Grant(expression, evidence, doubt, claimed=claimed, main=read[0].main if len(read) == 1 else "")


def _terms(read: list[Grant]) -> list[Grant]:
    """Licence texts without those that only mention, nearly, the licence whose terms are another's: COPYRIGHT beside
    LICENSE."""
    stated = {name for grant in read if grant.main and not grant.doubt for name in families(grant.main)}

    def mentions(grant: Grant) -> bool:
        short = all(length <= MENTION for _, length in grant.found)
        return grant.faint and short and families(grant.expression) <= stated

    return [grant for grant in read if not mentions(grant)]


def _contradicts(declared: str, choice: str, recipe: CodeLicences) -> bool:
    """Whether a manifest does not leave a choice that a text leaves. A list of both sides, as classifiers are, does."""
    names = set(licences(declared))
    return judge(declared, recipe).decision != ALLOWED and not (
        len(names) > 1 and {kin(name) for name in names} <= {kin(name) for name in licences(choice)}
    )


def _of_the_choice(expression: str, read: list[Grant], choice: str) -> bool:
    """Whether licence texts are those of a choice. A mention may get the version wrong, terms may not."""
    offered = families(choice)
    if families(expression) <= offered:
        return True
    terms = {name for grant in read for said, length in grant.found if length > MENTION for name in families(said)}
    return bool(terms) and terms <= offered and {kin(name) for name in families(expression)} <= set(map(kin, offered))


def _main_licence(read: list[Grant], bundled: list[Grant], named: list[Grant], recipe: CodeLicences) -> Grant | None:
    """The licence of the work itself, where the licence text also has those of what is bundled with it: the manifests
    name it, every text begins with its terms, and what follows are licences that parts may have. Without a manifest the
    text itself must speak of parts, and their licences be permissive. None elsewhere."""
    if not recipe.bundled_in_texts or first_doubt(named):
        return None
    declared = join_all(statement(grant.expression) for grant in named)
    kinds = _OF_PARTS
    if not named:
        declared = read[0].main if read else ""
        kinds = _PERMISSIVE
        if not declared or any(grant.doubt for grant in bundled) or not all(g.lists for g in read):
            return None
    if judge(declared, recipe).decision != ALLOWED:
        return None
    others = [grant for grant in read if not _confirms(grant, declared)]
    if others and (len(others) == len(read) or not all(map(_of_a_named_part, others))):
        return None
    parts = [
        found
        for grant in [*read, *bundled]
        for found in (() if grant in others else grant.found)
        if not _same(found[0], declared)
    ]
    if not all(_of_a_part(expression, length, kinds) for expression, length in parts):
        return None
    return Grant(declared, (), about="\n".join(grant.about for grant in [*read, *bundled]) if parts else "")


def _confirms(grant: Grant, declared: str) -> bool:
    """Whether a licence text begins with what a manifest declares; nearly its terms will do."""
    return _same(grant.main, declared) and (not grant.doubt or (grant.faint and grant.near >= _CONFIRMED))


def _of_a_named_part(grant: Grant) -> bool:
    """Whether a text beside that of the work is called after its licence, a permissive one or one of fonts:
    OFL-License.txt."""
    fonts = grant.main.startswith(("OFL-", "Ubuntu-font-"))
    named = paths.names_a_licence(grant.evidence[0].path) and not grant.doubt
    return named and (fonts or all(_of_a_part(said, length, _PERMISSIVE) for said, length in grant.found))


def _same(main: str, declared: str) -> bool:
    """Whether a manifest names the licence that a text has. "BSD" of a classifier leaves open which of two it is, and
    the PSF's licence is the last of those that Python's text has."""
    names = {"Python-2.0": "PSF-2.0", "Python-2.0.1": "PSF-2.0", "BSD-2-Clause": "BSD-3-Clause"}
    mine, theirs = ({names.get(name, name) for name in families(e)} for e in (main, declared))
    return bool(mine) and mine <= theirs


def _of_a_part(expression: str, length: int, accepted: frozenset[str]) -> bool:
    kinds = {category(name) for name in licences(expression)}
    return kinds <= accepted or (accepted == _OF_PARTS and kinds <= {*accepted, "Copyleft"} and length <= MENTION)
