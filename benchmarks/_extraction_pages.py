"""Pages with known main text for benchmarks/extraction.py: the sample's documentation, and articles in site layouts.

- documentation: pages of the sample that mark their main part. Each is measured twice: as it is, and "unmarked", with
  <main>, <article> and role="main" turned into plain elements without names, so that nothing tells the main part.
- articles: prose of the sample in the layouts of made-up sites: semantic elements, blocks with the class names of blog
  software, and tables without names, with menus, teasers, related links, comments forms and footers around it.
"""

from __future__ import annotations

import html
import random
import re
from dataclasses import dataclass, field

_SPACE = re.compile(r"\s+")


@dataclass
class Page:
    """A decoded page of a `kind`, with its main text and the pieces of it that must stay."""

    kind: str
    name: str
    html: str
    text: str
    items: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


def sample(language: str = "en") -> list[Page]:
    """The pages of documentation of the sample that mark their main part, as they are and unmarked."""
    import gzip
    import json

    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from nemotron_assets.warc.charset import decide, decode
    from resources.crawl import SAMPLE

    wanted = {}
    with gzip.open(SAMPLE / "truth" / "pages.jsonl.gz", "rt") as lines:
        for line in map(json.loads, lines):
            if line["kind"] in ("article", "math") and line["language"] == language and line["status"] == 200:
                wanted[line["snapshot"], line["url"]] = line
    found, seen = [], set()
    for path in sorted(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz")):
        snapshot = path.relative_to(SAMPLE).parts[1]
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                known = wanted.get((snapshot, record.headers.get("WARC-Target-URI")))
                if known is None or known["source_path"] in seen:
                    continue
                body = record.reader.read()
                markup = decode(body, decide(body, record.http_charset).name)
                if page := documentation(known["url"], markup):
                    seen.add(known["source_path"])
                    found.append(page)
    return found + [unmarked(page) for page in found]


def documentation(name: str, markup: str) -> Page | None:
    """A page of documentation with the truth of its marked main part; None if it marks none, or a short one."""
    import lxml.html

    tree = lxml.html.document_fromstring(
        markup.encode("utf-8", "replace"), parser=lxml.html.HTMLParser(encoding="utf-8")
    )
    places = tree.xpath("//main | //*[@role='main']") or tree.xpath("//article")
    if len(places) != 1 or len(places[0].text_content()) < 500:
        return None
    main = places[0]
    for gone in main.xpath(
        ".//nav | .//script | .//style | .//button | .//a[contains(@class, 'headerlink')] | .//form"
    ):
        gone.drop_tree()
    return Page("documentation", name, markup, *_pieces(main))


def unmarked(page: Page) -> Page:
    """The page without what marks its main part."""
    markup = re.sub(r"(</?)(?:main|article)\b[^>]*>", r"\1div>", page.html, flags=re.IGNORECASE)
    markup = re.sub(r"<(\w+)([^<>]*?)\srole=[\"']?main[\"']?[^<>]*>", r"<\1>", markup, flags=re.IGNORECASE)
    return Page(
        "unmarked", page.name, markup, page.text, page.items, page.cells, page.headings, page.paragraphs, page.code
    )


def _pieces(main) -> tuple[str, list[str], list[str], list[str], list[str], list[str]]:
    """(text, list items, table cells, headings, paragraphs, code blocks) of a main part."""
    from benchmarks._math_pages import text_pieces

    items = [
        _flat(e) for e in main.iter("li") if not e.xpath(".//p | .//ul | .//ol | .//dl | .//pre | .//table | .//div")
    ]
    cells = [_flat(e) for e in main.iter("td") if not e.xpath(".//p | .//ul | .//table | .//pre | .//div | .//br")]
    headings = [_flat(e) for name in ("h1", "h2", "h3", "h4") for e in main.iter(name)]
    paragraphs = [_flat(e) for e in main.iter("p") if not e.xpath(".//br | .//pre | .//math | .//img")]
    code = ["".join(text_pieces(e, set())).strip("\n") for e in main.iter("pre") if not e.xpath("ancestor::table")]
    text = " ".join(text_pieces(main, set(main.iter("script", "style", "math", "svg"))))
    return (
        text,
        [item for item in items if len(item) > 3],
        [cell for cell in cells if len(cell) > 3],
        [heading for heading in headings if len(heading) > 3],
        [paragraph for paragraph in paragraphs if len(paragraph) > 40],
        [block for block in code if "\n" in block],
    )


def _flat(element) -> str:
    return _SPACE.sub(" ", element.text_content()).strip().rstrip("¶§ ")


# -- articles ---------------------------------------------------------------------------------------------------------

_TITLES = ("A quiet harbour", "Repairing an old clock", "Bread without yeast", "What the survey found", "A walk in May")
_MENU = ("News", "Sports", "Culture", "Science", "Opinion", "Travel", "About us", "Contact", "Archive", "Jobs")
_TEASERS = (
    "Ten places to see before the summer ends", "Why the old bridge will be closed for a year",
    "Readers write: the best soup of the region", "How a small team won the cup", "The market opens again on Sunday",
)  # fmt: skip


def articles(prose: list[str], number: int = 60, seed: int = 7) -> list[Page]:
    """Articles made of `prose` paragraphs, each in one of six layouts."""
    dice, found = random.Random(seed), []
    layouts = (_semantic, _blog, _tables, _bare, _news, _shop)
    for count in range(number):
        title = f"{dice.choice(_TITLES)}, part {count + 1}"
        paragraphs = dice.sample(prose, dice.randint(4, 9))
        steps = [
            f"{dice.choice(('Take', 'Clean', 'Put back', 'Measure'))} part {n} {dice.choice('abcdef')}"
            for n in range(4)
        ]
        cells = [f"{dice.choice(('north', 'south', 'east', 'west'))} {dice.randint(10, 99)}" for _ in range(6)]
        body = [f"<p>{_wrapped(html.escape(text), dice)}</p>" for text in paragraphs]
        body.insert(
            2, f"<h2>The steps of part {count + 1}</h2><ol>{''.join(f'<li>{step}</li>' for step in steps)}</ol>"
        )
        rows = "".join(f"<tr><td>{cells[i]}</td><td>{cells[i + 1]}</td></tr>" for i in range(0, 6, 2))
        body.insert(3, f"<table><tr><th>Side</th><th>Other side</th></tr>{rows}</table>")
        heading = f"The steps of part {count + 1}"
        text = " ".join([title, *paragraphs, heading, *steps, "Side Other side", *cells])
        page = layouts[count % len(layouts)](title, "".join(body), dice)
        found.append(Page("article", f"article {count}", page, text, steps, cells, [title, heading], paragraphs))
    return found


def _wrapped(text: str, dice: random.Random) -> str:
    """A text as an editor wraps its source."""
    words, lines, width = text.split(), [""], dice.choice((60, 80, 10_000))
    for word in words:
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n   ".join(lines)


def _links(texts, form: str = "<li><a href='/x'>{}</a></li>") -> str:
    return "".join(form.format(text) for text in texts)


def _page(body: str) -> str:
    head = "<meta charset=utf-8><title>Site</title>"
    return f"<!DOCTYPE html><html lang=en><head>{head}</head><body>{body}</body></html>"


def _semantic(title: str, body: str, dice: random.Random) -> str:
    return _page(
        f"<header><a href='/'>The Daily</a><nav><ul>{_links(_MENU)}</ul></nav></header><main><article><h1>{title}</h1>"
        f"{body}</article></main><aside><h2>Read next</h2><ul>{_links(_TEASERS)}</ul></aside><footer><p>Copyright 2024 "
        f"The Daily. All rights reserved.</p><ul>{_links(('Imprint', 'Privacy policy', 'Terms'))}</ul></footer>"
    )


def _blog(title: str, body: str, dice: random.Random) -> str:
    return _page(
        f"<div id='page' class='has-sidebar'><div class='site-header'><a href='/'>My blog</a></div><div class=menu><ul>"
        f"{_links(_MENU[:6])}</ul></div><div id='content'><div class='post'><h1 class='entry-title'>{title}</h1><div "
        f"class='entry-content'>{body}</div><div class='sharedaddy'><a href='#'>Tweet</a> <a href='#'>Share</a></div>"
        f"</div><div class='post-navigation'><a href='a'>Older</a> <a href='b'>Newer</a></div></div><div id='sidebar' "
        f"class='widget-area sidebar'><h3>Recent posts</h3><ul>{_links(_TEASERS)}</ul><h3>Archives</h3><ul>"
        f"{_links(f'May {year}' for year in range(2010, 2020))}</ul></div><div class='site-footer'>Powered by a "
        f"program</div></div>"
    )


def _tables(title: str, body: str, dice: random.Random) -> str:
    return _page(
        f"<table width='100%'><tr><td colspan=2><a href='/'>Home</a> | <a href='/n'>News</a> | <a href='/l'>Links</a>"
        f"</td></tr><tr><td valign=top>{_links(_MENU, '<a href=x>{}</a><br>')}</td><td><h1>{title}</h1>{body}</td></tr>"
        f"<tr><td colspan=2><center>&copy; 1999 by the webmaster</center></td></tr></table>"
    )


def _bare(title: str, body: str, dice: random.Random) -> str:
    menu = " | ".join(f"<a href='/{name}'>{name}</a>" for name in _MENU[:5])
    return _page(
        f"<p>{menu}</p><h1>{title}</h1>{body}<hr><p><a href='a'>Back</a> <a href='b'>Next</a> <a href='c'>Top</a></p>"
    )


def _news(title: str, body: str, dice: random.Random) -> str:
    teasers = "".join(f"<div class='teaser'><h3><a href='/t'>{text}</a></h3></div>" for text in _TEASERS)
    return _page(
        f"<div class='topbar'><ul>{_links(_MENU)}</ul></div><div class='cookie-banner'><p>Our site uses cookies. "
        f"<a href='#'>Accept</a></p></div><div class='columns'><div class='col-8'><h1>{title}</h1><div "
        f"class='article-body'>{body}</div></div><div class='col-4'>{teasers}</div></div><div class=letter><p>Get "
        f"our letter every week.</p></div><div class='footer'>{_links(_MENU, '<a href=x>{}</a> ')}</div>"
    )


def _shop(title: str, body: str, dice: random.Random) -> str:
    return _page(
        f"<div><div><a href='/'>Shop</a><a href='/a'>Account</a><a href='/b'>Basket</a></div><ol class='breadcrumb'>"
        f"{_links(('Home', 'Magazine', 'Guides'))}</ol><div><h1>{title}</h1>{body}</div><ul>{_links(_TEASERS)}</ul>"
        f"<div role='contentinfo'>All rights reserved</div></div>"
    )
