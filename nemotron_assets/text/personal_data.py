"""Personal data in texts: found by rules that look at the value itself, replaced or a reason to drop the document.

A rule is a cheap search for candidates (an @, a run of digits) and a test that the candidate is what it looks like:
the mail domain has a public suffix, the telephone number is in its country's numbering plan, the card number has an
issuer and a right check digit, the address is global unicast. Documentation is full of things that only look alike:
version numbers, section numbers, and the values that standards reserve for examples; those stay.

Every search is linear: patterns begin with one character class, have bounded repetitions and nothing that could be
tried in two ways. Names and postal addresses are not looked for: rules cannot tell them from other words.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nemotron_assets.recipe.web.privacy import Email, Ip, Privacy

Span = tuple[int, int]
_MAX_PASSES = 20


class UnstableText(ValueError):
    """Replacing personal data in a text made ever new personal data."""


@dataclass(frozen=True, slots=True)
class Match:
    """One piece of personal data: `text[start:end]` by the rule of that name."""

    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text after the rules. `counts` has the matches per rule; `dropped`: a rule wants the document dropped."""

    text: str
    counts: dict[str, int]
    dropped: bool


def scrub(text: str, recipe: Privacy) -> Scrubbed:
    """The text with its personal data replaced as the recipe says. Scrubbing the result changes nothing."""
    rules, counts = recipe.rules(), Counter()
    kept = {name for name, rule in rules.items() if rule.action == "keep"}
    counts.update(match.rule for match in find(text, recipe, kept))
    # What overlapped a replaced match may be one by itself, so that one pass is not always enough.
    for _ in range(_MAX_PASSES):
        matches = find(text, recipe, rules.keys() - kept)
        if not matches:
            return Scrubbed(text, dict(counts), False)
        counts.update(match.rule for match in matches)
        if any(rules[match.rule].action == "drop" for match in matches):
            return Scrubbed(text, dict(counts), True)
        pieces, end = [], 0
        for match in matches:
            pieces += [text[end : match.start], _replacement(text[match.start : match.end], match.rule, recipe)]
            end = match.end
        text = "".join([*pieces, text[end:]])
    raise UnstableText(f"still {len(matches)} matches after {_MAX_PASSES} rounds of replacing")


def find(text: str, recipe: Privacy, rules: set[str] | None = None) -> list[Match]:
    """Personal data in a text by the named rules (default: all), in order and without overlaps."""
    view = _plain(text)
    found = [
        Match(start, end, name)
        for name in _FINDERS
        if rules is None or name in rules
        for start, end in _FINDERS[name](view, recipe)
    ]
    if len(found) < 2:
        return found
    # Of two that overlap, the one that begins first, then the longer, then the one whose finder comes first.
    found.sort(key=lambda match: (match.start, match.start - match.end))
    chosen = [found[0]]
    for match in found[1:]:
        if match.start >= chosen[-1].end:
            chosen.append(match)
    return chosen


# Digits of other scripts, and the blanks and hyphens of typesetters: one character for one, so that places stay.
_PLAIN = {0xA0: " ", 0x2007: " ", 0x2009: " ", 0x202F: " ", 0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-",
          0xFF0B: "+", 0xFF20: "@", 0x2212: "-"}  # fmt: skip
_PLAIN |= {zero + digit: str(digit) for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10) for digit in range(10)}
_UNUSUAL = re.compile("[" + "".join(map(chr, _PLAIN)) + "]")


def _plain(text: str) -> str:
    return text if text.isascii() or not _UNUSUAL.search(text) else text.translate(_PLAIN)


# -- e-mail ----------------------------------------------------------------------------------------------------------

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'")
# Letters of scripts that put blanks between words; elsewhere an address ends where the script changes.
_LETTERS = "A-Za-z0-9_\u00c0-\u0dff\u0e80-\u1fff"
_LETTER = re.compile(f"[{_LETTERS}]")
_DOMAIN = re.compile(rf"[{_LETTERS}.\-]{{4,253}}")
_AT = re.compile(r"[\[({<] ?(?:at|AT|At|@) ?[\])}>] ?")
_LABEL = re.compile(rf"[{_LETTERS}\-]{{1,63}}")
_DOT = re.compile(r" ?[\[({<] ?(?:dot|DOT|Dot|\.) ?[\])}>] ?|\.")
_MAX_LABELS = 8
_EXAMPLES = ("example.com", "example.net", "example.org", "example.edu")


def _emails(text: str, recipe: Privacy) -> Iterator[Span]:
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
    """The address whose name ends at `at` and whose domain is the longest of the labels' beginnings that exists."""
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
            continue  # jane@acme.com.She wrote: the next sentence
        domain = ".".join(labels[:n]).rstrip("-_").lower()
        if _is_mail_domain(domain):
            if not _is_no_one_s(text[start:at].lower(), domain, recipe.email, recipe.keep_examples):
                yield start, ends[n - 1]
            return


def _is_no_one_s(user: str, domain: str, rule: Email, keep_examples: bool) -> bool:
    domains = rule.keep_domains + _EXAMPLES * keep_examples
    return user in rule.keep_users or any(domain == known or domain.endswith(f".{known}") for known in domains)


@functools.cache
def _suffixes():
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


@functools.lru_cache(maxsize=4096)
def _is_mail_domain(domain: str) -> bool:
    """Whether it is a name under a public suffix: `name.service` and `1.2.x` are not."""
    labels = domain.split(".")
    if any(not label or label[0] in "-_" or label[-1] in "-_" for label in labels):
        return False
    return _suffixes().privatesuffix(domain) is not None


# -- telephone -------------------------------------------------------------------------------------------------------

_INTERNATIONAL = re.compile(r"\+\(?[1-9][0-9()./\- ]{6,24}")
_NATIONAL = re.compile(r"[0-9(][0-9()./\- ]{6,24}")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}")
_CUE = re.compile(
    r"(?:\b(?:tel|telephone|phone|ph|fax|mobile|mob|cell|cellphone|hotline|whatsapp|telefon|telefax|telefonnummer|handy|"
    r"mobil|telefono|teléfono|tél|téléphone|telephon|telefone|celular|móvil|movil|cellulare|telefoon|tlf|komórka|тел|"
    r"телефон|факс|моб)|电话|電話|手机|手機|传真|傳真|携帯|전화|팩스|휴대폰|โทร|โทรศัพท์|แฟกซ์|هاتف|جوال|فاكس|تليفون)"
    r"(?:[ .]{0,2}(?:no|nr|number|num|nummer|n°|№|番号|번호|หมายเลข))?[\s:.\-=#/\"'：]{0,6}\Z",
    re.IGNORECASE,
)
_CUE_WINDOW = 36
_MAX_GROUPS, _MAX_PARSES = 4, 5_000
#: Numbers that regulators keep free for films and examples: (country code, start of the national number).
_FICTITIOUS = ((44, "1632960"), (44, "7700900"), (44, "2079460"), (33, "199001"), (33, "639980"), (61, "491570"))


def _phones(text: str, recipe: Privacy) -> Iterator[Span]:
    taken, parses = -1, iter(range(_MAX_PARSES))
    for found in _INTERNATIONAL.finditer(text) if "+" in text else ():
        start = found.start()
        if start and (text[start - 1].isalnum() or text[start - 1] in "+_"):
            continue
        if end := _phone_end(text, start, found.end(), None, recipe, parses):
            opened = text.startswith("(", start - 1, start) and ")" in text[start:end].partition("(")[0]
            yield start - opened, end
            taken = end
    for found in _NATIONAL.finditer(text):
        start, end = found.span()
        before = text[max(0, start - _CUE_WINDOW) : start]
        if start < taken or before[-1:].isalnum() or before[-1:] in ("+", "_"):
            continue
        if _CUE.search(before):
            for region in recipe.phone.regions:
                if stop := _phone_end(text, start, end, region, recipe, parses):
                    yield start, stop
                    break
        elif "US" in recipe.phone.regions and before[-1:] not in tuple(".-/"):
            shaped = _NORTH_AMERICAN.match(text, start)
            if (
                shaped
                and not _continues(text, shaped.end())
                and (_phone_end(text, start, shaped.end(), "US", recipe, parses) == shaped.end())
            ):
                yield shaped.span()


def _continues(text: str, end: int) -> bool:
    """Whether a number goes on as a word or a longer number at `end`."""
    after = text[end : end + 2]
    return bool(after) and (after[0].isalnum() or after[0] == "_" or (after[0] in ".-/" and after[1:].isalnum()))


def _phone_end(
    text: str, start: int, end: int, region: str | None, recipe: Privacy, parses: Iterator[int]
) -> int | None:
    """Where the longest valid number that begins at `start` ends; None if none does. When a text has used up its
    `parses`, the number of digits must do: only a directory has so many numbers, or a page that means harm."""
    for _ in range(_MAX_GROUPS):
        while end > start and not text[end - 1].isdigit():
            end -= 1
        digits = sum(map(str.isdigit, text[start:end]))
        if digits < 7:
            return None
        if digits <= 17 and not (end < len(text) and (text[end].isalnum() or text[end] == "_")):
            if next(parses, None) is None:
                return end if digits <= 15 else None
            number = _valid_number(text[start:end], region)
            if number is not None:
                return None if recipe.keep_examples and _is_fictitious(*number) else end
        while end > start and text[end - 1].isdigit():  # without its last group
            end -= 1
    return None


@functools.lru_cache(maxsize=4096)
def _valid_number(number: str, region: str | None) -> tuple[int, str] | None:
    """(country code, national number) of a number in its country's numbering plan."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return parsed.country_code, phonenumbers.national_significant_number(parsed)


def _is_fictitious(country: int, national: str) -> bool:
    if country == 1:
        return national[3:8] == "55501"
    return any(country == code and national.startswith(start) for code, start in _FICTITIOUS)


# -- IP addresses ----------------------------------------------------------------------------------------------------

_V4 = re.compile(r"[0-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_V6 = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,36}")  # 2000::/3; text[2::4] is a slice
_VERSION = re.compile(
    r"(?:\b(?:version|versions|ver|v|release|releases|released|build|firmware|driver|update|updated|upgrade|upgraded|"
    r"since|patch|revision|rev|section|sections|chapter|figure|table|rule|clause|oid|mib|asn|rfc)|§)"
    r"[\s:=(\"'#.]{0,3}(?:to |from |is |of |in )?\Z",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\b(?:ip|ips|ipv4|inet|address|addresses|addr|host|hosts|server|ping|gateway|nameserver|dns|client|peer|remote|"
    r"visitor|traceroute|ssh|listen|bind)\b",
    re.IGNORECASE,
)
_RANGE = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}-\Z")
_PORT = re.compile(r":[0-9]{2,5}(?![0-9.])|/[0-9]{1,2}(?![0-9.])")


def _ips(text: str, recipe: Privacy) -> Iterator[Span]:
    for found in _V4.finditer(text):
        if _is_v4(text, *found.span(), recipe.ip.version_below) and _is_someone_s(found[0], recipe):
            yield found.span()
    if ":" in text:
        for found in _V6.finditer(text):
            start, end = found.start(), found.start() + len(found[0].rstrip(":"))
            if start and (text[start - 1].isalnum() or text[start - 1] in "_:.-"):
                continue
            if end < len(text) and (text[end].isalnum() or text[end] == "_"):
                continue
            if _is_someone_s(text[start:end], recipe):
                yield start, end


def _is_v4(text: str, start: int, end: int, version_below: int) -> bool:
    """Whether four numbers with dots are an address and no version number, by themselves and what stands around."""
    octets = text[start:end].split(".")
    if any(str(int(octet)) != octet or int(octet) > 255 for octet in octets) or octets[2:] == ["0", "0"]:
        return False
    before, after = text[max(0, start - 40) : start].rpartition("\n")[2], text[end : end + 8]
    if before[-1:].isalnum() or after[:1].isalnum() or before[-1:] in ("_", ".", "~", "^") or after[:1] in ("_", "~"):
        return False
    if before.endswith("-") and not _RANGE.search(before):
        return False
    if after[:1] in (".", "-", "+") and after[1:2].isalnum() and not (after[0] == "-" and _V4.match(text, end + 1)):
        return False
    if before.endswith("/") and not before.endswith("//"):  # Chrome/99.0.1.2, /2001/1.2.3.4
        return False
    if _PORT.match(after) or before.endswith(("//", "@")):
        return True
    small = max(map(int, octets)) < version_below
    return not (small and not _ADDRESS.search(before)) and not _VERSION.search(before)


def _is_someone_s(address: str, recipe: Privacy) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if recipe.keep_examples and (not parsed.is_global or parsed.is_multicast):
        return False
    return not any(parsed in network for network in _networks(recipe.ip) if network.version == parsed.version)


@functools.lru_cache(maxsize=8)
def _networks(rule: Ip) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, rule.keep_networks))


# -- payment cards and accounts --------------------------------------------------------------------------------------

_CARD = re.compile(
    r"[2-6][0-9]{3}(?:[0-9]{9,15}|([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?|([ -])[0-9]{6}\2[0-9]{4,5})"
)
#: (first numbers of an issuer's range, lengths of its cards).
_ISSUERS = (
    ((4, 4), (13, 16, 19)), ((51, 55), (16,)), ((2221, 2720), (16,)), ((34, 34), (15,)), ((37, 37), (15,)),
    ((6011, 6011), (16, 17, 18, 19)), ((644, 659), (16, 17, 18, 19)), ((300, 305), (14, 16)), ((36, 36), (14, 16)),
    ((38, 39), (14, 16)), ((3528, 3589), (16, 17, 18, 19)), ((62, 62), (16, 17, 18, 19)), ((2200, 2204), (16,)),
    ((5018, 5018), (16, 19)), ((5020, 5020), (16, 19)), ((5038, 5038), (16, 19)), ((6304, 6304), (16, 19)),
    ((6759, 6759), (16, 19)), ((6761, 6763), (16, 19)),
)  # fmt: skip
#: Numbers that card networks and payment services publish for testing.
_TEST_CARDS = (
    "4111111111111111", "4242424242424242", "4012888888881881", "4000056655665556", "4222222222222", "5555555555554444",
    "5105105105105100", "5200828282828210", "2223003122003222", "378282246310005", "371449635398431", "378734493671000",
    "6011111111111117", "6011000990139424", "30569309025904", "38520000023237", "3530111333300000", "3566002020360505",
    "6200000000000005",
)  # fmt: skip


def _cards(text: str, recipe: Privacy) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        start, end = found.span()
        if start and (text[start - 1].isalnum() or text[start - 1] in "_.-+/#&"):
            continue
        if _continues(text, end):
            continue
        digits = found[0].replace(" ", "").replace("-", "")
        if is_card_number(digits) and not (recipe.keep_examples and digits in _TEST_CARDS):
            yield start, end


def is_card_number(digits: str) -> bool:
    """Whether a card network issues numbers of this range and length, and the check digit (Luhn) is right."""
    issued = any(
        len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last
        for (first, last), lengths in _ISSUERS
    )
    if not issued:
        return False
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


_IBAN = re.compile(r"[A-Z][A-Z][0-9]{2} ?[A-Z0-9]{4}")
#: Characters of an IBAN per country (the IBAN registry).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
#: Numbers that banks' own documentation uses.
_EXAMPLE_IBANS = (
    "DE89370400440532013000",
    "GB82WEST12345698765432",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "CH9300762011623852957",
    "ES9121000418450200051332",
)


def _ibans(text: str, recipe: Privacy) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        start, length = found.start(), _IBAN_LENGTHS.get(found[0][:2])
        if length is None or (start and (text[start - 1].isalnum() or text[start - 1] == "_")):
            continue
        number, place = [], start
        for place in range(start, min(len(text), start + length + length // 4 + 1)):
            character = text[place]
            if "0" <= character <= "9" or "A" <= character <= "Z":
                number.append(character)
            elif character != " " or text[place - 1] == " ":
                break
            if len(number) == length:
                break
        end, iban = place + 1, "".join(number)
        if len(iban) != length or _continues(text, end) or not is_iban(iban):
            continue
        if not (recipe.keep_examples and iban in _EXAMPLE_IBANS):
            yield start, end


def is_iban(iban: str) -> bool:
    """Whether the check digits of an IBAN without blanks are right (ISO 7064, mod 97)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


_FINDERS: dict[str, Callable[[str, Privacy], Iterator[Span]]] = {
    "email": _emails,
    "iban": _ibans,
    "payment_card": _cards,
    "ip": _ips,
    "phone": _phones,
}


# -- replacements ----------------------------------------------------------------------------------------------------


def _replacement(value: str, rule: str, recipe: Privacy) -> str:
    settings = recipe.rules()[rule]
    if settings.replacement == "token":
        return settings.token
    plain = _plain(value).lower()
    same = plain if rule in ("email", "ip") else "".join(filter(str.isalnum, plain))
    digest = hashlib.blake2b(f"{rule}:{same}".encode(), key=recipe.fake_key.encode()[:64], digest_size=8).digest()
    number = int.from_bytes(digest)
    match rule:
        case "email":
            return f"user{number % 10**9:09d}@example.com"
        case "phone":
            return f"+1 {_AREA_CODES[number % len(_AREA_CODES)]}-555-01{number // 1000 % 100:02d}"
        case "ip" if ":" in value:
            return str(ipaddress.IPv6Address((0x20010DB8 << 96) + number))
        case "ip":
            return f"{('192.0.2', '198.51.100', '203.0.113')[number % 3]}.{number // 3 % 254 + 1}"
        case "payment_card":
            return _TEST_CARDS[number % len(_TEST_CARDS)]
        case _:
            return _EXAMPLE_IBANS[number % len(_EXAMPLE_IBANS)]


_AREA_CODES = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303)
