"""IP addresses of versions 4 and 6 that may belong to a person: global unicast addresses.

Version numbers such as 2.4.18.1 look like addresses of version 4. The text around a candidate decides.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator

from nemotron_assets.recipe.web.privacy import Ip, Privacy
from nemotron_assets.text.personal_data.spans import BEGIN, END, Span, in_word

_V4 = re.compile(r"[0-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_V6 = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,36}")  # 2000::/3; the code text[2::4] does not match
_VERSION = re.compile(
    rf"(?:{BEGIN}(?:"
    r"version|versions|ver|v|release|releases|released|build|firmware|driver|update|updated|upgrade|upgraded|"
    r"since|patch|revision|rev|section|sections|chapter|figure|table|rule|clause|oid|mib|asn|rfc|versión|versione|versão|"
    r"versie|wersja|wersji|версия|версии|версию|сборка|abschnitt|kapitel|chapitre|sección|capítulo|sezione|capitolo|"
    r"раздел|hoofdstuk|rozdział|avsnitt|afsnit|udgave|utgåva|ausgabe|chrome|chromium|edge|windows|android|ios|macos)|"
    r"§|版本|版|バージョン|버전|เวอร์ชัน|เวอร์ชั่น|รุ่น|الإصدار|إصدار|النسخة|संस्करण)"
    r"[\s:：=(\"'#.]{0,3}(?:number |nr\.? |to |from |is |of |in |auf |von |de |à |na |до |на )?\Z",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    rf"{BEGIN}(?:"
    r"ip|ips|ipv4|inet|address|addresses|addr|host|hosts|server|ping|gateway|nameserver|dns|client|peer|remote|"
    r"visitor|traceroute|ssh|listen|bind|adresse|dirección|indirizzo|endereço|adres|адрес|сервер|adress|servidor|serveur|"
    r"rechner)"
    rf"{END}|地址|服务器|伺服器|位址|アドレス|サーバー?|주소|서버|ที่อยู่|เซิร์ฟเวอร์|عنوان|العنوان|الخادم|خادم|पता|सर्वर",
    re.IGNORECASE,
)
_RANGE = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}-\Z")
_PORT = re.compile(r":[0-9]{2,5}(?![0-9.])|/[0-9]{1,2}(?![0-9.])")


def ip_addresses(text: str, recipe: Privacy) -> Iterator[Span]:
    """The IP addresses in a text: first those of version 4, then those of version 6."""
    for found in _V4.finditer(text):
        if _is_v4(text, *found.span(), recipe.ip.version_below) and _may_be_personal(found[0], recipe):
            yield found.span()
    if ":" in text:
        for found in _V6.finditer(text):
            start, end = found.start(), found.start() + len(found[0].rstrip(":"))
            if start and (in_word(text[start - 1]) or text[start - 1] in ":.-"):
                continue
            if in_word(text[end : end + 1]):
                continue
            if _may_be_personal(text[start:end], recipe):
                yield start, end


def _is_v4(text: str, start: int, end: int, version_below: int) -> bool:
    """Whether four numbers with dots are an address, not a version number, judged by the numbers and their context.

    "version 84.23.101.7" is a version number, "ip 84.23.101.7" an address. Numbers that are all below `version_below`
    are an address only after a word such as "address", or with a port or a network length.
    """
    octets = text[start:end].split(".")
    if any(str(int(octet)) != octet or int(octet) > 255 for octet in octets) or octets[2:] == ["0", "0"]:
        return False
    before, after = text[max(0, start - 40) : start].rpartition("\n")[2], text[end : end + 8]
    if in_word(before[-1:]) or in_word(after[:1]) or before[-1:] in (".", "~", "^") or after[:1] == "~":
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


def _may_be_personal(address: str, recipe: Privacy) -> bool:
    """Whether an address may belong to a person: it is valid, global unicast, and not in a network that is kept."""
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
