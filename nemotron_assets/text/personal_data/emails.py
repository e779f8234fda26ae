"""E-mail addresses, also spelled out: `jane@acme.com`, `jane [at] acme [dot] com`.

A candidate is a name, an @ and a domain. It is an address if the domain is a name under a public suffix such as `com`
or `co.uk`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Email, Privacy
from nemotron_assets.text.personal_data.spans import Span

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'")
# Letters of scripts that separate words by spaces. In other scripts an address ends where the script changes: in
# "jane@acme.comまで" it ends before "まで".
_LETTERS = "A-Za-z0-9_\u00c0-\u0dff\u0e80-\u1fff"
_LETTER = re.compile(f"[{_LETTERS}]")
_DOMAIN = re.compile(rf"[{_LETTERS}.\-]{{4,253}}")
_AT = re.compile(r"[\[({<] ?(?:at|AT|At|@) ?[\])}>] ?")
_LABEL = re.compile(rf"[{_LETTERS}\-]{{1,63}}")
_DOT = re.compile(r" ?[\[({<] ?(?:dot|DOT|Dot|\.) ?[\])}>] ?|\.")
_MAX_LABELS = 8
_EXAMPLES = ("example.com", "example.net", "example.org", "example.edu")


def emails(text: str, recipe: Privacy) -> Iterator[Span]:
    """The e-mail addresses in a text, first those with an @, then those that spell it out."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain and at:
            labels = domain[0].split(".", _MAX_LABELS)[:_MAX_LABELS]
            ends = [at + 1 + len(".".join(labels[: n + 1])) for n in range(len(labels))]
            yield from _email(text, at, labels, ends, recipe)
        at = text.find("@", at + 1)
    if "at" in text or "AT" in text or "At" in text:
        for spelt in _AT.finditer(text):
            labels, ends, place = [], [], spelt.end()
            while len(labels) < _MAX_LABELS and (label := _LABEL.match(text, place)):
                labels.append(label[0])
                ends.append(label.end())
                dot = _DOT.match(text, label.end())
                if dot is None:
                    break
                place = dot.end()
            before = spelt.start() - text.endswith(" ", 0, spelt.start())
            yield from _email(text, before, labels, ends, recipe)


def _email(text: str, at: int, labels: list[str], ends: list[int], recipe: Privacy) -> Iterator[Span]:
    """The address whose name ends at `at`, if there is one.

    `labels` are the parts of the candidate's domain and `ends` where each ends in the text. The domain of the address
    is the longest run of first labels that is a mail domain: of `acme.com.the` it is `acme.com`.
    """
    start, lowest = at, max(0, at - 65)
    while start > lowest and (text[start - 1] in _LOCAL or _LETTER.match(text, start - 1)):
        start -= 1
    if at - start > 64:
        return
    while start < at and text[start] in "._%+-'":
        start += 1
    if start == at or text[at - 1] in ".'":
        return
    for n in range(len(labels), 1, -1):
        if n > 2 and labels[n - 1].istitle() and all(map(str.islower, labels[: n - 1])):
            continue  # "jane@acme.com.She wrote": the last label belongs to the next sentence
        domain = ".".join(labels[:n]).rstrip("-_").lower()
        if _is_mail_domain(domain):
            if not _is_public(text[start:at].lower(), domain, recipe.email, recipe.keep_examples):
                yield start, ends[n - 1]
            return


def _is_public(user: str, domain: str, rule: Email, keep_examples: bool) -> bool:
    """Whether the address belongs to no person: the recipe keeps its user (git@…) or domain, or it is an example."""
    domains = rule.keep_domains + _EXAMPLES * keep_examples
    return user in rule.keep_users or any(domain == known or domain.endswith(f".{known}") for known in domains)


@functools.cache
def _suffixes():
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


@functools.lru_cache(maxsize=4096)
def _is_mail_domain(domain: str) -> bool:
    """Whether a domain is a name under a public suffix. `acme.co.uk` is; `co.uk`, `name.service`, `1.2.x` are not."""
    labels = domain.split(".")
    if any(not label or label[0] in "-_" or label[-1] in "-_" for label in labels):
        return False
    return _suffixes().privatesuffix(domain) is not None
