"""Finds credentials in code and replaces them by a placeholder such as REDACTED_AWS_KEY.

- Keys and tokens of services are found by their prefix and length ("ghp_" and 36 characters), passwords on command
  lines by the command (`curl -u ann:…`): `credential_forms` has these forms.
- A value that is assigned to a name such as `password` is a credential if it looks random: it has more bits per
  character than words have, and it changes between letters and digits every few characters ("k3J9x0Qm2").
- A password that a person made up is found if it mixes letters, digits and signs ("Tr0ub4dor&3").
- Placeholders ("changeme", "your-token"), hashes of passwords and names of types are not credentials.

E-mail and IP addresses are found by the rules for web texts. All searches take time linear in the length of the text:
a pattern starts only at the beginning of a run of characters, or the run has a bounded length.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nemotron_assets.code.quality.credential_forms import FORMS
from nemotron_assets.recipe.code.quality import Secrets
from nemotron_assets.recipe.web.privacy import Privacy
from nemotron_assets.text import personal_data as privacy

_MAX_PASSES = 20
#: Kinds whose finds must also look random, because their patterns match other text as well.
_MUST_LOOK_RANDOM = frozenset(
    ("openai_key", "authorization", "service_token", "discord_token", "facebook_token", "webhook")
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
    # SECRET_KEY = "x", password: 'x', and password = "x" with brackets in it: k3(w#v)
    re.compile(
        _NAME + r"""["'\]]{0,2}+[ \t]{0,8}+(?:[:=]>?|:=|,|\()[ \t]{0,8}+(?P<quote>["'])"""
        r"""(?P<value>(?=[^"'\n]{0,200}[()\[\]{}<>~+=^\\])[^\s"'`]{8,100}+)(?P=quote)""",
        re.IGNORECASE,
    ),
    # <password>x</password>
    re.compile(rf"{_NAME}>(?P<value>{_VALUE}{{6,200}}+)</", re.IGNORECASE),
)
_PASSWORD = re.compile(r"pass|pwd", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|changeme|change_me|your[_-]|my[_-]|redacted|xxxx|\*\*\*\*|1234567|abcdef|test|"
    r"0{8}|123e4567|deadbeef|insert|replace|<your|enter_|qwerty|letmein|foobar|^(?:ctrl|alt|shift|cmd|meta|mod)[+-]",
    re.IGNORECASE,
)
#: A value with such a word is the name of a secret, or a message about one, but not a secret.
_MENTIONS_SECRET = re.compile(r"passw|secret|token", re.IGNORECASE)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
#: A hash of a password, from which nobody gets the password: bcrypt, argon2, crypt, PBKDF2, LDAP's {SSHA}.
_PASSWORD_HASH = re.compile(
    r"\$(?:2[abxy]?|argon2(?:id?|d)|scrypt|pbkdf2[a-z0-9-]*|apr1|sha1|[1567yP]|md5|bcrypt-sha256)\$|"
    r"(?:pbkdf2|bcrypt|argon2|scrypt|sha1|sha256|sha512|md5|sha384)(?:_[a-z0-9]{1,12})?[$:-]|"
    r"\{[A-Za-z0-9.-]{3,12}\}|SCRAM-SHA|"
    r"\*[0-9A-F]{40}$",
)
#: A word that begins with a capital letter, as names of types do.
_CAPITALISED, _LETTERS = re.compile(r"[A-Z][a-z]{2,}"), re.compile(r"[A-Za-z]+")
#: What stands in the place of a password, or is no password: variables, templates, calls, patterns, paths.
_NO_PASSWORD = re.compile(
    r"^\$|\$[({]|\$[A-Z][A-Z_]{2,}|\$[a-z_]{4,}|\{\{|\}\}|%[({]|%[A-Za-z_]+%|<%|#\{|\{[a-z_0-9]*\}|://|"
    r"^[\w.>:-]*[A-Za-z_][\w.]*\(.*\)[;,]*$|"  # string(min=8)
    r"\[[^\]]*-[^\]]*\]|\\[dwsSDW]|[.\])][*+?]|\(\?|"  # [a-z0-9]+
    r"^[/.~<(\[{^]|[>\]})][;,]?$|\.[a-z]{2,4}$|"  # /run/x, <token>, key.pem
    r"^[A-Za-z_]\w*(?:(?:\.|::|->)\w+)+$"  # settings.KEY_2
)
#: Names whose values are credentials even if they are UUIDs or passwords with signs.
_KEY_NAME = re.compile(r"(?:api|access|auth|private|encryption|secret)[_-]?key|secret|passw|pwd", re.IGNORECASE)
#: What stands before "token" in such a name: authToken.
_TOKEN_OF = re.compile(
    r"(?:api|auth|access|bearer|bot|refresh|service|deploy|admin|personal|private)[_-]?\Z", re.IGNORECASE
)
#: Ends of names whose values say something about a credential: token_version, apiKeyId.
_ABOUT = re.compile(
    r"(?:id|uid|name|ref|hash|version|type|url|uri|endpoint|path|file|label|field|header|prefix|pattern|regex|format|"
    r"policy|class|handler|hasher|algorithm|method|scheme)s?[\"'\]]*\s*(?:[:=(,]|$)",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[^A-Za-z0-9]")
_STRONG_SIGN = re.compile(r"[^A-Za-z0-9_.:/-]")  # "X-Api-Key-2" has none
#: A change of the class of a character: small letter, capital, digit, sign.
_CLASSES = re.compile(r"[a-z]+|[A-Z]+|[0-9]+|[^A-Za-z0-9]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COLOUR = re.compile(r"#[0-9a-f]{3,12}", re.IGNORECASE)
#: A change between digit and letter, or from lower to upper case unless a capitalised word begins there ("myWord").
_CHANGE = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[a-z](?=[A-Z](?![a-z]{2}))")
#: A password with a sign between letters and digits. A sign at the beginning is that of a variable ($name), a selector
#: or a pattern.
_MADE_UP = re.compile(r"[A-Za-z0-9]{1,62}+[!@#$%^&*][A-Za-z0-9!@#$%^&*]{0,62}")
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
    for kind, needles, pattern in FORMS:
        if not any(needle in text for needle in needles):
            continue
        for match in pattern.finditer(text):
            start, end = match.span("value") if "value" in pattern.groupindex else match.span()
            if _is_credential(kind, text[start:end], match, recipe):
                found.append((start, end, kind))
    for cue in _cue_positions(text):
        for pattern in _ASSIGNED:
            match = pattern.match(text, cue)
            if match and _is_assigned(
                text[max(0, cue - 12) : cue], text[cue : match.start("value")], match["value"], recipe
            ):
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


def _is_assigned(before: str, name: str, value: str, recipe: Secrets) -> bool:
    """Whether a value that is assigned to the name of a credential is a credential. `before` stands before the name."""
    if _MENTIONS_SECRET.search(value) or _ABOUT.search(name):
        return False
    if _UUID.fullmatch(value):
        says_key = _KEY_NAME.match(name) or _TOKEN_OF.search(before)
        return bool(says_key) and not _PLACEHOLDER.search(value)
    if looks_random(value, recipe):
        return True
    if _PASSWORD.search(name) and (_looks_made_up(value) or _looks_drawn(value)):
        return True
    return _KEY_NAME.match(name) is not None and _has_signs(value)


def _is_credential(kind: str, value: str, match: re.Match[str], recipe: Secrets) -> bool:
    """Whether a match of the pattern of `kind` is a credential, and not a placeholder, a variable or prose."""
    if kind == "private_key":
        return _DIGIT.search(value) is not None  # without a digit it is prose about keys
    if kind == "basic_auth":
        login = _login(value)
        return login is not None and _is_typed(login[1])
    if kind == "typed_password":
        return _is_typed(value)
    if kind == "assigned":
        return not _MENTIONS_SECRET.search(value) and (_has_signs(value) or _looks_drawn(value))
    if _PLACEHOLDER.search(value):
        return False
    if kind == "url_password":
        variable = value[0] == "$" and value[1:].isidentifier()
        return not (
            variable or _MENTIONS_SECRET.search(value) or value.lower() in _DEFAULT_PASSWORDS or value == match["user"]
        )
    if kind == "webhook":
        return _DIGIT.search(value) is not None
    if kind == "authorization":
        login = _login(value)
        if login:
            return _is_typed(login[1])
        if _UUID.fullmatch(value):
            return True
    return kind not in _MUST_LOOK_RANDOM or looks_random(value, recipe)


def _login(value: str) -> tuple[str, str] | None:
    """(user, password) of which a value is the base64: ("ann", "k9x") of "YW5uOms5eA=="."""
    try:
        user, colon, password = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon and user and user.isprintable() and password.isprintable() else None


def _is_typed(value: str) -> bool:
    """Whether an argument of a program is a password: letters with digits or signs, no variable and no default."""
    value = value.rstrip(";,")
    if len(value) < 6 or not _LETTER.search(value) or not (_DIGIT.search(value) or len(_SIGN.findall(value)) > 1):
        return False
    known = _PLACEHOLDER.search(value) or _MENTIONS_SECRET.search(value) or _PASSWORD_HASH.match(value)
    return not known and not _NO_PASSWORD.search(value) and not _is_words(value) and len(_CLASSES.findall(value)) > 2


def _has_signs(value: str) -> bool:
    """Whether a value mixes letters, digits and several signs as a made-up or generated password does: k3(w#v)x."""
    if not (8 <= len(value) <= 100 and _DIGIT.search(value) and _LETTER.search(value) and _STRONG_SIGN.search(value)):
        return False
    if _PLACEHOLDER.search(value) or _NO_PASSWORD.search(value) or _PASSWORD_HASH.match(value):
        return False
    return len(_CLASSES.findall(value)) >= 0.4 * len(value)


def _looks_drawn(value: str) -> bool:
    """Whether a value mixes small letters, capitals and digits at random. It may be too short for `looks_random`."""
    if not 8 <= len(value) <= 64 or _PLACEHOLDER.search(value) or _NO_PASSWORD.search(value) or _is_words(value):
        return False
    kinds = {"a" if c.islower() else "A" if c.isupper() else "0" for c in value if c.isalnum()}
    return len(kinds) == 3 and value.isalnum() and len(_CHANGE.findall(value)) >= 0.4 * len(value)


def _is_words(value: str) -> bool:
    """Whether a value is a name of capitalised words, such as the type X509CertificateHolder."""
    letters = sum(map(len, _LETTERS.findall(value)))
    return sum(map(len, _CAPITALISED.findall(value))) >= 0.82 * letters


def looks_random(value: str, recipe: Secrets) -> bool:
    """Whether a value looks as if it was generated at random: it has digits and letters, changes between them often,
    and has a high entropy. Identifiers, versions and addresses consist of words; UUIDs and colours are excluded."""
    if len(value) < recipe.min_characters or not _DIGIT.search(value) or not _LETTER.search(value):
        return False
    if _PLACEHOLDER.search(value) or _UUID.fullmatch(value) or _COLOUR.fullmatch(value):
        return False
    if _PASSWORD_HASH.match(value) or _is_words(value):
        return False
    if len(_CHANGE.findall(value)) < recipe.min_changes * len(value):
        return False
    return entropy(value) >= min(recipe.min_entropy, _reachable_entropy(value))


def _looks_made_up(value: str) -> bool:
    """Whether the value of a password looks made up by a person: 8 to 64 letters, digits and signs, a sign inside."""
    if not (8 <= len(value) <= 64 and _DIGIT.search(value) and _LETTER.search(value)):
        return False
    return _MADE_UP.fullmatch(value) is not None and not _PLACEHOLDER.search(value) and not _is_words(value)


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
