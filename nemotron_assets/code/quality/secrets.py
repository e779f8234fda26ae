"""Credentials in code: found by rules that know how they look, replaced by a word that cannot be one.

Keys and tokens of services have a prefix and a length. Values that are assigned to a name like `password` are secrets
when they look drawn by chance: digits and letters, and more bits per character than words have. Placeholders stay.
E-mail and IP addresses are found by the rules for web texts.

Every search is linear: one class of characters after a fixed prefix, bounded repetitions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nemotron_assets.recipe.code_quality import Secrets
from nemotron_assets.recipe.privacy import Privacy
from nemotron_assets.web import privacy

_MAX_PASSES = 20
_B64 = "A-Za-z0-9_-"

#: (kind, a string that must be there, pattern). A group named `value` is what is replaced, else the whole match.
_TOKENS = (
    ("private_key", "PRIVATE KEY",
     r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<value>[^-]{40,20000})-----END"),
    ("aws_key", "", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("github_token", "gh", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,251}(?![A-Za-z0-9])"),
    ("github_token", "github_pat_", r"github_pat_[A-Za-z0-9_]{60,100}"),
    ("gitlab_token", "glpat-", rf"glpat-[{_B64}]{{20,64}}"),
    ("slack_token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    ("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,250}"),
    ("slack_webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows)/(?P<value>[A-Za-z0-9/]{30,100})"),
    ("google_key", "AIza", rf"(?<![A-Za-z0-9])AIza[{_B64}]{{35}}(?![{_B64}])"),
    ("stripe_key", "_live_", r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{16,128}"),
    ("sendgrid_key", "SG.", rf"(?<![A-Za-z0-9])SG\.[{_B64}]{{22}}\.[{_B64}]{{43}}"),
    ("npm_token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("pypi_token", "pypi-", rf"pypi-AgEIcHlwaS5vcmc[{_B64}]{{50,500}}"),
    ("huggingface_token", "hf_", r"(?<![A-Za-z0-9_])hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
    ("openai_key", "sk-",
     rf"(?<![A-Za-z0-9])sk-(?:proj-|ant-|svcacct-)?(?=[{_B64}]*[0-9])(?=[{_B64}]*[A-Z])[{_B64}]{{40,200}}"),
    ("azure_key", "AccountKey=", r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)"),
    ("jwt", "eyJ", rf"(?<![A-Za-z0-9])eyJ[{_B64}]{{10,1000}}\.eyJ[{_B64}]{{10,2000}}\.[{_B64}]{{16,1000}}"),
    ("url_password", "://", r"[a-z][a-z0-9+]{1,15}://[A-Za-z0-9._%+-]{1,64}:(?P<value>[^\s:@/\"'<>$%{}()]{6,100})@[A-Za-z0-9]"),
)  # fmt: skip
_COMPILED = tuple((kind, needle, re.compile(pattern)) for kind, needle, pattern in _TOKENS)
_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|token|api_?-?key|access_?-?key|auth_?-?key|private_?-?key|credentials?)"
    r"[A-Za-z0-9_]{0,20}[\"'\]]{0,2}[ \t]{0,8}(?::?=|:|=>)[ \t]{0,8}"
    r"[\"'](?P<value>[A-Za-z0-9+/=_.~!@#%^&*-]{6,200})[\"']",
    re.IGNORECASE,
)
_CUES = re.compile(r"passw|passphrase|secret|token|key|credential", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|changeme|change_me|your[_-]|my[_-]|redacted|xxxx|\*\*\*\*|1234567|abcdef|test",
    re.IGNORECASE,
)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Found:
    """A text after the rules: `secrets` and `personal` name what was found, once per find, sorted."""

    text: str
    secrets: tuple[str, ...]
    personal: tuple[str, ...]


def clean(text: str, recipe: Secrets) -> Found:
    """Replace credentials and personal data as the recipe says. Cleaning the result changes nothing."""
    kinds, people = Counter(), Counter()
    found = list(secrets(text, recipe))
    kinds.update(kind for _, _, kind in found)
    if recipe.action == "redact":
        text = _until_stable(text, found, lambda text: list(secrets(text, recipe)), kinds, token)
    addresses = list(personal(text, recipe))
    people.update(kind for _, _, kind in addresses)
    if recipe.personal == "redact":
        tokens = {"email": recipe.email.token, "ip": recipe.ip.token}
        text = _until_stable(text, addresses, lambda text: list(personal(text, recipe)), people, tokens.__getitem__)
    return Found(text, tuple(sorted(kinds.elements())), tuple(sorted(people.elements())))


def token(kind: str) -> str:
    """What stands for a credential: a word, so that code with it still parses."""
    return f"REDACTED_{kind.upper()}"


def secrets(text: str, recipe: Secrets) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of the credentials in a text, in order, without overlaps."""
    found = []
    for kind, needle, pattern in _COMPILED:
        if needle not in text:
            continue
        for match in pattern.finditer(text):
            start, end = match.span("value") if "value" in pattern.groupindex else match.span()
            value = text[start:end]
            if kind == "private_key" and _DIGIT.search(value) is None:
                continue  # prose about keys
            if kind != "private_key" and _PLACEHOLDER.search(value):
                continue
            if kind == "url_password" and value.lower() in ("password", "passwd", "secret"):
                continue
            if value != token(kind):
                found.append((start, end, kind))
    if _CUES.search(text):
        for match in _ASSIGNED.finditer(text):
            if looks_drawn(match["value"], recipe):
                found.append((*match.span("value"), "assigned"))
    found.sort(key=lambda span: (span[0], -span[1]))
    reached = -1
    for start, end, kind in found:
        if start >= reached:
            yield start, end, kind
            reached = end


def looks_drawn(value: str, recipe: Secrets) -> bool:
    """Whether a value is drawn by chance, not written by a person: digits and letters in it, much entropy."""
    if len(value) < recipe.min_characters or not _DIGIT.search(value) or not _LETTER.search(value):
        return False
    return not _PLACEHOLDER.search(value) and entropy(value) >= min(recipe.min_entropy, _most(value))


def entropy(value: str) -> float:
    """Bits per character (Shannon), of the value's own frequencies."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


def _most(value: str) -> float:
    """Of hex, 4 bits per character are all there can be, and short values do not reach it."""
    return 3.0 if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", value) else math.inf


def personal(text: str, recipe: Secrets) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of e-mail and IP addresses."""
    rules = Privacy(keep_examples=recipe.keep_examples, email=recipe.email, ip=recipe.ip)
    for match in privacy.find(text, rules, {"email", "ip"}):
        yield match.start, match.end, match.rule


def _until_stable(text: str, found: list, search, counts: Counter, token_of) -> str:
    for _ in range(_MAX_PASSES):
        if not found:
            return text
        pieces, end = [], 0
        for start, stop, kind in found:
            pieces += [text[end:start], token_of(kind)]
            end = stop
        text = "".join([*pieces, text[end:]])
        found = search(text)
        counts.update(kind for _, _, kind in found)
    raise privacy.UnstableText(f"still {len(found)} finds after {_MAX_PASSES} rounds of replacing")
