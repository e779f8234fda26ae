"""What a page itself says about its use: opt-outs of AI training in its HTTP header and in `<meta>` elements.

* `noai` and `noimageai` stand among the directives for robots: `X-Robots-Tag: noai`, also for one robot
  (`X-Robots-Tag: CCBot: noai`), and `<meta name="robots" content="noai, noimageai">`, also by the name of a robot.
* A reservation of text and data mining is `tdm-reservation: 1` as a header or `<meta>` (W3C Community Group, "TDM
  Reservation Protocol"); 0 allows it. `tdm-policy` names the terms.

Pages also write `property` or `http-equiv` where `<meta>` has `name`.
"""

from __future__ import annotations

import json
import re

from resiliparse.parse.html import HTMLTree

from nemotron_assets.warc.charset import decode
from nemotron_assets.warc.http_head import Head

#: Opt-outs that are looked for.
SIGNALS = ("noai", "noimageai", "tdm-reservation")
#: Fields of the HTTP header that are stored with a page.
STORED = ("x-robots-tag", "tdm-reservation", "tdm-policy", "content-usage")

#: The header of a page that came without one.
NO_HEAD = Head(200, {})

_LONGEST = 1_000
_DIRECTIVE = re.compile(r"[\s,;:\"']+")
#: What a `<meta>` with an opt-out contains, in lower case and in bytes of any encoding.
_HINTS = (b"noai", b"noimageai", b"tdm-reservation")
_WIDE = tuple(b"\0".join(bytes([byte]) for byte in hint) for hint in _HINTS)
#: Names of `<meta>` elements for all robots or for one robot, such as "robots", "googlebot" or "gptbot".
_ROBOT = re.compile(r"robots?|x-robots-tag|[\w.-]{0,40}(?:bot|crawler|spider|extended|-ai)", re.IGNORECASE)
#: `<meta>` elements of a page that are read.
_MOST_METAS = 2_000


def stored_headers(head: Head) -> str | None:
    """The fields of the header that concern the use of the page, as a JSON object; None if it has none."""
    found = {name: value[:_LONGEST] for name in STORED if (value := head.get(name))}
    return json.dumps(found, ensure_ascii=False) if found else None


def opt_outs(head: Head, body: bytes, charset: str) -> tuple[str, ...]:
    """The opt-outs of a page, in the order of `SIGNALS`."""
    found = _directives(head.get("x-robots-tag"))
    if _reserves(head.get("tdm-reservation")):
        found.add("tdm-reservation")
    lower = body.lower()
    hints = _WIDE if charset.startswith("utf-16") else _HINTS
    if any(hint in lower for hint in hints):
        found |= _in_markup(decode(body, charset))
    return tuple(signal for signal in SIGNALS if signal in found)


def _in_markup(markup: str) -> set[str]:
    """The opt-outs in the `<meta>` elements of a page."""
    found: set[str] = set()
    for number, meta in enumerate(HTMLTree.parse(markup).document.get_elements_by_tag_name("meta")):
        if number == _MOST_METAS:
            break
        content = meta.getattr("content") or ""
        names = next(filter(None, map(meta.getattr, ("name", "property", "http-equiv"))), "")
        for name in _DIRECTIVE.split(names.strip().lower()):
            if name == "tdm-reservation" and _reserves(content):
                found.add(name)
            elif _ROBOT.fullmatch(name):
                found |= _directives(content)
    return found


def _directives(value: str) -> set[str]:
    return {word for word in _DIRECTIVE.split(value.lower()) if word in ("noai", "noimageai")}


def _reserves(value: str) -> bool:
    """Whether a value reserves the rights. Several headers of one name are joined by commas."""
    return "1" in _DIRECTIVE.split(value.strip())
