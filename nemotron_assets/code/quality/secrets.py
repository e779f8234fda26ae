"""Finds credentials in code and replaces them by a placeholder such as REDACTED_AWS_KEY.

- Keys and tokens of services are found by their prefix and length ("ghp_" and 36 characters).
- A value that is assigned to a name such as `password` is a credential if it looks random: it has more bits per
  character than words have, and it changes between letters and digits every few characters ("k3J9x0Qm2").
- A password that a person made up is found if it mixes letters, digits and signs ("Tr0ub4dor&3").
- Placeholders ("changeme", "your-token") are not credentials.

E-mail and IP addresses are found by the rules for web texts. All searches take time linear in the length of the text:
a pattern starts only at the beginning of a run of characters, or the run has a bounded length.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nemotron_assets.recipe.code.quality import Secrets
from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text import personal_data as privacy

_MAX_PASSES = 20
_B64 = "A-Za-z0-9_-"
#: A token begins here, and not inside a run of its characters: else the search would start at each of them again.
_NEW = rf"(?<![{_B64}])"

#: (kind, string that a text with such a token contains, or several strings of which it contains one, pattern). The
#: group `value` is replaced, or the whole match if the pattern has no such group.
_TOKENS = (
    ("private_key", "PRIVATE KEY",
     r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<value>(?:[^-]|-(?!----)){40,20000}+)-----END"),
    ("private_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ("aws_key", "", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("github_token", "gh", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,251}(?![A-Za-z0-9])"),
    ("github_token", "github_pat_", rf"{_NEW}github_pat_[A-Za-z0-9_]{{60,100}}"),
    ("gitlab_token", "gl", rf"{_NEW}gl(?:pat|dt|rt|cbt|ptt|ft|imt|soat|agent|oas)-[{_B64}]{{20,64}}"),
    ("slack_token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    ("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,250}"),
    ("slack_webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows)/(?P<value>[A-Za-z0-9/]{30,100})"),
    ("discord_token", "", rf"{_NEW}[MNO][A-Za-z0-9]{{23,25}}\.[{_B64}]{{6}}\.[{_B64}]{{27,38}}(?![{_B64}])"),
    ("telegram_token", ":AA", rf"(?<![0-9A-Za-z])[0-9]{{8,10}}:AA[{_B64}]{{33}}(?![{_B64}])"),
    ("google_key", "AIza", rf"(?<![A-Za-z0-9])AIza[{_B64}]{{35}}(?![{_B64}])"),
    ("google_key", "GOCSPX-", rf"{_NEW}GOCSPX-[{_B64}]{{28}}(?![{_B64}])"),
    ("google_key", "ya29.", rf"{_NEW}ya29\.[{_B64}]{{40,400}}"),
    ("azure_key", "AccountKey=", r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)"),
    ("azure_key", "Q~", rf"(?<![{_B64}~.])[{_B64}~.]{{3}}[0-9]Q~[{_B64}~.]{{31,34}}(?![{_B64}~.])"),
    ("azure_key", "sig=", r"[?&;]sig=(?P<value>[A-Za-z0-9%+/]{40,64}(?:%3[Dd]|=))"),
    ("stripe_key", "_live_", r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{16,128}"),
    ("twilio_key", "SK", r"(?<![A-Za-z0-9_])SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("sendgrid_key", "SG.", rf"(?<![A-Za-z0-9])SG\.[{_B64}]{{22}}\.[{_B64}]{{43}}"),
    ("mailgun_key", "key-", r"(?<![A-Za-z0-9_-])key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("npm_token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("npm_token", "_authToken=", rf"_authToken=(?P<value>[{_B64}]{{32,100}})"),
    ("pypi_token", "pypi-", rf"pypi-AgEIcHlwaS5vcmc[{_B64}]{{50,500}}"),
    ("huggingface_token", "hf_", r"(?<![A-Za-z0-9_])hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
    ("openai_key", "sk-", rf"{_NEW}sk-(?:proj-|ant-|svcacct-)?[{_B64}]{{40,200}}"),
    ("service_token", ("_v1_", "shp", "dapi", "dckr_", "gsk_", "sq0", "hvs.", "glsa_", "glc_", "lin_api_", "NRAK-",
                       "rubygems_", "sbp_", "dp.pt.", "pscale_"),
     r"(?<![A-Za-z0-9_-])(?:do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|"
     r"dapi[0-9a-f]{32}|dckr_pat_[A-Za-z0-9_-]{27}|gsk_[A-Za-z0-9]{52}|sq0(?:csp|atp)-[A-Za-z0-9_-]{22,43}|"
     r"hvs\.[A-Za-z0-9_-]{24,200}|gl(?:sa|c)_[A-Za-z0-9_=-]{32,200}|lin_api_[A-Za-z0-9]{40}|NRAK-[A-Z0-9]{27}|"
     r"rubygems_[0-9a-f]{48}|sbp_[0-9a-f]{40}|dp\.pt\.[A-Za-z0-9]{40,44}|pscale_(?:tkn|pw)_[A-Za-z0-9_.-]{32,64})"
     r"(?![A-Za-z0-9])"),
    ("jwt", "eyJ", rf"{_NEW}eyJ[{_B64}]{{10,1000}}\.eyJ[{_B64}]{{10,2000}}\.[{_B64}]{{16,1000}}"),
    ("authorization", ("Basic ", "Bearer ", "Token "),
     r"\b(?:Basic|Bearer|Token)[ \t]{1,4}(?P<value>[A-Za-z0-9+/_.~-]{16,400}={0,2})(?![A-Za-z0-9])"),
    ("url_password", "://",
     r"(?<![a-z0-9+])[a-z][a-z0-9+]{1,20}://(?P<user>[A-Za-z0-9._%+-]{0,64}):"
     r"(?P<value>[^\s:@/\"'`<>%{}()][^\s:@/\"'`<>{}()]{5,99})@[A-Za-z0-9]"),
)  # fmt: skip
#: Kinds whose finds must also look random, because their patterns match other text as well.
_MUST_LOOK_RANDOM = frozenset(("openai_key", "authorization", "service_token", "discord_token"))
_COMPILED = tuple(
    (kind, (needles,) if isinstance(needles, str) else needles, re.compile(pattern))
    for kind, needles, pattern in _TOKENS
)

#: Strings that names of credentials contain, in lower case. `_NAME` accepts "pass" only as a whole word, and it rejects
#: the token of a public key.
_CUES = (
    "pass", "pwd", "secret", "token", "credential",
    *(f"{what}{joint}key" for what in ("api", "access", "auth", "private", "encryption") for joint in ("", "_", "-")),
)  # fmt: skip
_NAME = (
    r"(?:passw(?:or)?d|passphrase|(?<![A-Za-z])pass(?![A-Za-z])|pwd|secret|(?<!publickey)token(?!iz)|"
    r"(?:api|access|auth|private|encryption)[_-]?key|credentials?)[A-Za-z0-9_-]{0,20}+"
)
_VALUE = r"[A-Za-z0-9+/=_.~!@#$%^&*?,;:|-]"
_ASSIGNED = (
    # = "x", : 'x', => "x", == "x", : string = "x", ", "x", ("x", #define A "x", name="..." value="x"
    re.compile(
        _NAME + r"""["'\]>]{0,2}+[ \t]{0,8}+(?::[ \t]{0,4}+&?[A-Za-z]{1,20}+[ \t]{0,4}+=|[:=!]?={0,3}>?|,|\(|value=)"""
        rf"""[ \t]{{0,8}}+[@rb]?["'`](?P<value>{_VALUE}{{6,200}}+)["'`]""",
        re.IGNORECASE,
    ),
    # A=x, ?password=x&, and lines of configuration: a: x
    re.compile(
        _NAME + r"""(?:=|[ \t]{0,4}+[:=][ \t]{1,8}+(?=[^ \t\n]{6,200}+[ \t]{0,8}+(?:#.{0,200}+)?$))"""
        r"""(?P<value>[A-Za-z0-9+/_.~!@#$%^*?-]{6,200}+={0,2})(?=[&;"'`\s<]|$)""",
        re.IGNORECASE | re.MULTILINE,
    ),
    # <password>x</password>
    re.compile(rf"{_NAME}>(?P<value>{_VALUE}{{6,200}}+)</", re.IGNORECASE),
)
_PASSWORD = re.compile(r"pass|pwd", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|changeme|change_me|your[_-]|my[_-]|redacted|xxxx|\*\*\*\*|1234567|abcdef|test",
    re.IGNORECASE,
)
#: A value with such a word is the name of a secret, or a message about one, but not a secret.
_MENTIONS_SECRET = re.compile(r"passw|secret|token", re.IGNORECASE)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COLOUR = re.compile(r"#[0-9a-f]{3,12}", re.IGNORECASE)
#: A change between digit and letter, or from lower to upper case unless a capitalised word begins there ("myWord").
_CHANGE = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[a-z](?=[A-Z](?![a-z]{2}))")
#: A password with a sign between letters and digits. A sign at the beginning is that of a variable ($name), a selector
#: or a pattern.
_MADE_UP = re.compile(r"[A-Za-z0-9]{1,62}+[!@#$%^&*][A-Za-z0-9!@#$%^&*]{1,62}")
_ARCS = ("1.2.", "1.3.", "2.5.")
_OID = re.compile(r"oid|object.?identifier", re.IGNORECASE)
#: Passwords of addresses that are placeholders or defaults.
_DEFAULT_PASSWORDS = frozenset(("username", "postgres", "mariadb", "rabbitmq", "changeit"))


@dataclass(frozen=True)
class Found:
    """A text with its finds replaced. `secrets` and `personal` have the kind of every find, sorted."""

    text: str
    secrets: tuple[str, ...]
    personal: tuple[str, ...]


def clean(text: str, recipe: Secrets) -> Found:
    """Replace credentials and personal data as the recipe says. To clean the result again changes nothing."""
    kinds, people = Counter(), Counter()
    tokens = {"email": recipe.email.token, "ip": recipe.ip.token}
    passes = ((secrets, recipe.action, kinds, placeholder), (personal, recipe.personal, people, tokens.__getitem__))
    for number in range(_MAX_PASSES):
        before = text
        for search, action, counts, token_of in passes:
            if action == "redact":
                text = _replace_until_stable(text, lambda text, s=search: list(s(text, recipe)), counts, token_of)
            elif number == 0:
                counts.update(kind for _, _, kind in search(text, recipe))
        # The token of an address can make a credential visible: https://u:[email]@example.org.
        if text == before:
            return Found(text, tuple(sorted(kinds.elements())), tuple(sorted(people.elements())))
    raise privacy.UnstableText(f"credentials or addresses are left after {_MAX_PASSES} rounds of replacing both")


def placeholder(kind: str) -> str:
    """The text that replaces a credential. It is a word, so that the code still parses."""
    return f"REDACTED_{kind.upper()}"


def secrets(text: str, recipe: Secrets) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of the credentials in a text, in order, without overlaps."""
    found = []
    for kind, needles, pattern in _COMPILED:
        if not any(needle in text for needle in needles):
            continue
        for match in pattern.finditer(text):
            start, end = match.span("value") if "value" in pattern.groupindex else match.span()
            if _is_credential(kind, text[start:end], match, recipe):
                found.append((start, end, kind))
    for cue in _cue_positions(text):
        for pattern in _ASSIGNED:
            match = pattern.match(text, cue)
            if match and _is_assigned(text[cue : match.start("value")], match["value"], recipe):
                found.append((*match.span("value"), "assigned"))
    found.sort(key=lambda span: (span[0], -span[1]))
    reached = -1
    for start, end, kind in found:
        if start >= reached:
            yield start, end, kind
            reached = end


def _cue_positions(text: str) -> Iterator[int]:
    """Where names of credentials begin. Searching for one string after the other is ten times as fast as one regular
    expression for all of them."""
    lower = text.lower()
    if len(lower) != len(text):  # a few upper-case letters become two lower-case letters
        lower = "".join(c.lower() if c.isascii() else c for c in text)
    for cue in _CUES:
        place = lower.find(cue)
        while place >= 0:
            yield place
            place = lower.find(cue, place + len(cue))


def _is_assigned(name: str, value: str, recipe: Secrets) -> bool:
    """Whether a value that is assigned to the name of a credential is a credential."""
    if _MENTIONS_SECRET.search(value):
        return False
    return looks_random(value, recipe) or (_PASSWORD.search(name) is not None and _looks_made_up(value))


def _is_credential(kind: str, value: str, match: re.Match[str], recipe: Secrets) -> bool:
    """Whether a match of the pattern of `kind` is a credential, and not a placeholder, a variable or prose."""
    if kind == "private_key":
        return _DIGIT.search(value) is not None  # without a digit it is prose about keys
    if _PLACEHOLDER.search(value):
        return False
    if kind == "url_password":
        variable = value[0] == "$" and value[1:].isidentifier()
        return not (
            variable or _MENTIONS_SECRET.search(value) or value.lower() in _DEFAULT_PASSWORDS or value == match["user"]
        )
    return kind not in _MUST_LOOK_RANDOM or looks_random(value, recipe)


def looks_random(value: str, recipe: Secrets) -> bool:
    """Whether a value looks as if it was generated at random: it has digits and letters, changes between them often,
    and has a high entropy. Identifiers, versions and addresses consist of words; UUIDs and colours are excluded."""
    if len(value) < recipe.min_characters or not _DIGIT.search(value) or not _LETTER.search(value):
        return False
    if _PLACEHOLDER.search(value) or _UUID.fullmatch(value) or _COLOUR.fullmatch(value):
        return False
    if len(_CHANGE.findall(value)) < recipe.min_changes * len(value):
        return False
    return entropy(value) >= min(recipe.min_entropy, _reachable_entropy(value))


def _looks_made_up(value: str) -> bool:
    """Whether the value of a password looks made up by a person: 8 to 64 letters, digits and signs, a sign inside."""
    if not (8 <= len(value) <= 64 and _DIGIT.search(value) and _LETTER.search(value)):
        return False
    return _MADE_UP.fullmatch(value) is not None and not _PLACEHOLDER.search(value)


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits per character: 0 for "aaaa", 2 for "abcd"."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


def _reachable_entropy(value: str) -> float:
    """The entropy that random values of this length reach, in bits per character. Hex digits have at most 4 bits."""
    return 3.0 if _HEX.fullmatch(value) else 0.88 * math.log2(len(value))


def personal(text: str, recipe: Secrets) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of the e-mail and IP addresses in a text; kind is email or ip."""
    rules = Privacy(keep_examples=recipe.keep_examples, email=recipe.email, ip=recipe.ip)
    for match in privacy.find(text, rules, {"email", "ip"}):
        if match.rule == "ip" and _is_identifier(text, match.start, match.end):
            continue
        yield match.start, match.end, match.rule


def _is_identifier(text: str, start: int, end: int) -> bool:
    """Whether four numbers with dots are not an IP address but an object identifier (OID), such as 2.5.4.42."""
    line = text[max(text.rfind("\n", 0, start) + 1, start - 80) : start]
    return text[start : min(end, start + 4)] in _ARCS or _OID.search(line) is not None


def _replace_until_stable(text: str, search: Callable[[str], list], counts: Counter, token_of) -> str:
    """Replace the finds and search again, until nothing is found: around a replaced find, more may become visible.

    Raises `UnstableText` after 20 rounds.
    """
    for _ in range(_MAX_PASSES):
        found = search(text)
        if not found:
            return text
        counts.update(kind for _, _, kind in found)
        pieces, end = [], 0
        for start, stop, kind in found:
            pieces += [text[end:start], token_of(kind)]
            end = stop
        text = "".join([*pieces, text[end:]])
    raise privacy.UnstableText(
        f"{len(found)} credentials or addresses are left after {_MAX_PASSES} rounds of replacing"
    )
