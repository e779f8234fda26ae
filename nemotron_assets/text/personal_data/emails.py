"""E-mail addresses, also spelled out: `jane@acme.com`, `jane [at] acme [dot] com`, `jane.doe at acme.com`.

A candidate is a name, a sign for "at" and a domain. It is an address if the domain is a name under a public suffix such
as `com` or `co.uk`. Where the sign for "at" is only the word or stands between spaces, more must speak for an address,
because people also "look at acme.com".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Email, Privacy
from nemotron_assets.text.personal_data.spans import Span

# Letters of scripts that separate words by spaces. In other scripts an address ends where the script changes: in
# "jane@acme.comまで" it ends before "まで".
_LATIN, _OTHER = "A-Za-z0-9_\u00c0-\u024f", "\u0250-\u0dff\u1e00-\u1fff"
_LOCAL = re.compile(rf"[{_LATIN}{_OTHER}.%+'\-]{{1,66}}\Z")
_LABEL = re.compile(rf"[{_LATIN}\-]{{1,63}}|[{_OTHER}0-9\-]{{1,63}}")
#: The part in Latin letters of a name that begins with a word of another script: "وjane".
_LATIN_END = re.compile(rf"(?<=[{_OTHER}])[A-Za-z0-9][A-Za-z0-9._%+'\-]*\Z")
_ESCAPE = re.compile(r".*%[0-9A-Fa-f]{2}", re.DOTALL)

_AT_WORDS = "at|AT|At|@|arroba|arobase|chez|ät|собака|アット(?:マーク)?"
_DOT_WORDS = r"dot|DOT|Dot|\.|punto|point|ponto|punkt|точка|ドット"
#: A sign for @ that stands for nothing else: "&#64;", "%40", "[at]". It begins with one class, to be searched for fast.
_AT = re.compile(
    r"[&%\[({<_*|~-](?:(?<=&)(?:#0{0,3}64|#[xX]0{0,3}40|commat);|(?<=%)40|"
    rf"(?<=[\[({{<]) ?(?:{_AT_WORDS}) ?[\])}}>] ?|(?<=\w[\[(])a[\])](?=\w)|(?<= [_*|~-])[_*|~-]?at[_*|~-]{{1,2}} )"
)
#: Signs for @ that stand for other things too: "jane at acme", "jane @ acme.com".
_LOOSE = (" at ", " AT ", " @ ", "@ ", "_at_", "-at-")
_DOMAIN = re.compile(r"[^\W_][\w-]{0,62}(?:\.\w|[ _*|~-]dot[ _*|~-]| DOT | punkt | punto | ?[\[({<])")
_DOT = re.compile(rf"\.| ?[\[({{<] ?(?:{_DOT_WORDS}) ?[\])}}>] ?| (?:dot|DOT|punkt|punto) |[ ]?[_*|~-]dot[_*|~-][ ]?")
_SPELT_NAME = re.compile(r"[A-Za-z0-9_+-]{1,30}(?: (?:dot|DOT) [A-Za-z0-9_+-]{1,30}){1,3}\Z")
_CUE = re.compile(
    r"(?:\be-?mails?|\bmail|\bmailto|\bcorreo|\bcourriel|\be-?post|\bcontact|\bwrite to|\breach me|почта)"
    r"(?: (?:me|us|is|to|address|the author))?[ ]?[:=<(]?[ ]?\Z",
    re.IGNORECASE,
)
_OPENED = re.compile(r"(?:\A|[\n<(:\"'])[ ]?\Z")
#: Words before "at" that are no names: "contact us at", "look at".
_NO_NAMES = frozenset((
    "us", "me", "them", "him", "her", "it", "is", "are", "was", "were", "be", "look", "looking", "looks", "located",
    "available", "online", "here", "there", "more", "site", "website", "hosted", "found", "find", "visit", "see",
    "blog", "page", "home", "homepage", "info", "details", "works", "working", "work", "employed", "meet", "arrive",
    "arrived", "today", "now", "not", "only", "and", "or", "up", "out", "in", "on", "docs", "documentation", "code",
    "project", "released", "published", "store", "shop", "address", "addresses", "mail", "email", "support", "help",
    "you", "team", "aimed", "anyone", "people", "everyone", "folks", "guys", "sold", "buy", "read",
))  # fmt: skip
_FILES = frozenset((
    "com", "org", "net", "edu", "gov", "io", "html", "htm", "php", "js", "ts", "py", "rb", "go", "rs", "java", "css",
    "json", "xml", "yml", "yaml", "md", "txt", "pdf", "png", "jpg", "gif", "svg", "zip", "gz", "sh", "exe", "dll",
    "so", "conf", "cfg", "ini", "log", "csv",
))  # fmt: skip
#: Endings of domains that programs use as names of attributes: `buffer.name=value` is code.
_ATTRIBUTES = frozenset((
    "name", "info", "id", "map", "call", "run", "new", "show", "open", "link", "top", "host", "data", "next", "to",
    "is", "in", "it", "app", "zip",
))  # fmt: skip
_CODE_AFTER = re.compile(r"[=(\[{]| [+-]?=")
_VERSION = re.compile(r"v?[0-9]{1,2}")
_MAX_LABELS = 8
_EXAMPLES = ("example.com", "example.net", "example.org", "example.edu")


def emails(text: str, recipe: Privacy) -> Iterator[Span]:
    """The e-mail addresses in a text: those with an @, those with another sign for it, those that only say "at"."""
    at = text.find("@")
    while at >= 0:
        yield from _email(text, at, at + 1, recipe)
        at = text.find("@", at + 1)
    for sign in _AT.finditer(text):
        at = sign.start() - (text[sign.start() - 1 : sign.start()] == " ")
        yield from _email(text, at, sign.end(), recipe)
    for sign in _LOOSE:
        at = text.find(sign)
        while at >= 0:
            if _DOMAIN.match(text, at + len(sign)):
                yield from _email(text, at, at + len(sign), recipe, loose=True)
            at = text.find(sign, at + len(sign))


def _email(text: str, at: int, after: int, recipe: Privacy, loose: bool = False) -> Iterator[Span]:
    """The address with the sign for @ at `text[at:after]`, if there is one.

    Its domain is the longest run of first labels that is a mail domain: of `acme.com.the` it is `acme.com`. A `loose`
    sign must have other evidence for an address beside it.
    """
    start = _name_start(text, at)
    if start is None:
        return
    labels, ends, spelt = _labels(text, after)
    for n in range(len(labels), 1, -1):
        if n > 2 and labels[n - 1].istitle() and all(map(str.islower, labels[: n - 1])):
            continue  # "jane@acme.com.She wrote": the last label belongs to the next sentence
        domain, end = ".".join(labels[:n]).rstrip("-_").lower(), ends[n - 1]
        if not _is_mail_domain(domain):
            continue
        if labels[n - 1] in _ATTRIBUTES and _CODE_AFTER.match(text, end):
            return  # buffer.name = value
        if loose:
            name = _SPELT_NAME.search(text, max(0, at - 130), at)
            start = name.start() if name else start
            if not _speaks_for_address(text, start, at, after, end, spelt, bool(name)):
                return
        if not _is_public(text[start:at].lower(), domain, recipe.email, recipe.keep_examples):
            yield start, end
        return


def _name_start(text: str, at: int) -> int | None:
    """Where the name before the sign for @ begins, or None if no name stands there."""
    name = _LOCAL.search(text, max(0, at - 66), at)
    if name is None or len(name[0]) == 66 or name[0][-1] in ".'":
        return None
    latin = _LATIN_END.search(text, name.start(), at)
    start = latin.start() if latin else name.start()
    escaped = _ESCAPE.match(text, start, at)
    start = escaped.end() if escaped else start
    while start < at and text[start] in "._%+-'":
        start += 1
    return start if 0 < at - start <= 64 else None


def _labels(text: str, place: int) -> tuple[list[str], list[int], bool]:
    """(the parts of a domain from `place` on, where each ends in the text, whether a dot is spelled out)."""
    labels, ends, spelt = [], [], False
    while len(labels) < _MAX_LABELS and (label := _LABEL.match(text, place)):
        word = label[0] if "dot" not in label[0] else re.split("[_-]dot[_-]", label[0])[0]
        labels.append(word)
        ends.append(place + len(word))
        dot = _DOT.match(text, ends[-1])
        if dot is None:
            break
        spelt = spelt or dot[0] != "."
        place = dot.end()
    return labels, ends, spelt


def _speaks_for_address(text: str, start: int, at: int, after: int, end: int, spelt: bool, spelt_name: bool) -> bool:
    """Whether more than the word "at" speaks for an address: a name such as jane.doe, "dot" spelled out, "e-mail:"."""
    name, sign = text[start:at], text[at:after].strip()
    if text[end : end + 1] == "/" or name.lower() in _NO_NAMES or not name.strip("0123456789.,-+"):
        return False
    if sign[0] in "_-":  # jane_at_acme_dot_com, but not created_at_index.name
        return spelt
    if spelt_name:
        return True
    head, _, tail = name.replace("_", ".").rpartition(".")
    if head and tail.isalpha() and len(tail) > 1 and tail.lower() not in _FILES and not name.isupper():
        return True
    before = text[max(0, start - 30) : start]
    if spelt and (_OPENED.search(before) or _CUE.search(before)):
        return True
    if sign == "AT" and not name.isupper() and (spelt or name.islower()):
        return True
    cue = _CUE.search(before)
    return cue is not None and cue[0].rstrip()[-1:] in (":", "=", "<", "(")


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
    """Whether a domain is a name under a public suffix. `acme.co.uk` is; `co.uk`, `name.service`, `1.2.x` are not, and
    `1.2.io` is a version."""
    labels = domain.split(".")
    if any(not label or label[0] in "-_" or label[-1] in "-_" for label in labels):
        return False
    if _VERSION.fullmatch(labels[0]) or sum(map(str.isdecimal, labels)) > 1:
        return False
    return _suffixes().privatesuffix(domain) is not None
