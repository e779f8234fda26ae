"""Pages with known formulas for the extraction benchmark: those of the sample or of a folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

STRIPPED = "mathml-stripped"


@dataclass
class Page:
    """A decoded page with its formulas, code blocks and main text."""

    name: str
    html: str
    tex: list[tuple[str, str]]
    code: list[str] = field(default_factory=list)
    text: str = ""


def sample_pages() -> list[Page]:
    """The pages of the sample that have formulas, each once."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from nemotron_assets.math.truth import pages_with_formulas
    from nemotron_assets.warc.charset import decide, decode
    from resources.crawl import SAMPLE

    truth = {(page["snapshot"], page["url"]): page for page in pages_with_formulas()}
    found = []
    for path in sorted(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz")):
        snapshot = path.relative_to(SAMPLE).parts[1]
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                url = record.headers.get("WARC-Target-URI")
                if known := truth.pop((snapshot, url), None):
                    body = record.reader.read()
                    header = record.http_charset
                    html = decode(body, decide(body, header).name)
                    found.append(page_of(url, html, known))
    return found


def folder_pages(folder: Path, truth: Path) -> list[Page]:
    """The pages of a folder that a truth file names."""
    from nemotron_assets.warc.charset import decide, decode

    found = []
    for number, line in enumerate(truth.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        known = json.loads(line)
        if not (known.get("file") or known.get("url")):
            raise SystemExit(f"{truth}, line {number}: it has neither file nor url")
        names = [known["file"]] if known.get("file") else names_of(known["url"])
        place = next((folder / name for name in names if (folder / name).is_file()), None)
        if place is None:
            raise SystemExit(f"{truth}, line {number}: {folder} has none of {', '.join(names)}")
        body = place.read_bytes()
        found.append(page_of(place.name, decode(body, decide(body, None).name), known))
    return found


def names_of(url: str) -> list[str]:
    """The names that the file of a page may have."""
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    return [name + end for name in (quote(url, safe=""), last) if name for end in ("", ".html")]


def page_of(name: str, html: str, known: dict) -> Page:
    """A page with its truth; what the truth does not name is taken from the page itself."""
    tex = [(encoding.partition(":")[0], formula) for encoding, formula in known["tex"]]
    tree = parsed(html)
    if any(encoding == "img-alt-sphinx" for encoding, _ in tex):
        named = Counter(formula.strip() for _, formula in tex)
        shown = Counter(formula.strip() for formula in displayed_images(html))
        tex += [("img-alt-sphinx", formula) for formula in (shown - named).elements()]
    code = known["code"] if "code" in known else code_blocks(tree)
    return Page(name, html, tex, code, known["text"] if "text" in known else main_text(tree))


def parsed(html: str):
    import lxml.html

    return lxml.html.document_fromstring(html.encode("utf-8", "replace"), parser=lxml.html.HTMLParser(encoding="utf-8"))


def displayed_images(html: str) -> list[str]:
    """The TeX of the images that Sphinx puts into div elements of class math; the truth does not name them."""
    images = parsed(html).xpath("//div[contains(concat(' ', @class, ' '), ' math ')]//img[@alt]")
    return [image.get("alt") for image in images if "math" not in (image.get("class") or "").split()]


def code_blocks(tree) -> list[str]:
    """The texts of <pre> elements with at least two lines, without line numbers."""
    found = []
    for block in tree.iter("pre"):
        if block.xpath("ancestor-or-self::*[contains(@class, 'linenodiv') or contains(@class, 'linenos')]"):
            continue
        numbers = set(block.xpath(".//*[contains(@class, 'lineno')]"))
        text = "".join(piece for piece in text_pieces(block, numbers)).strip("\n")
        if text.count("\n") and text.strip():
            found.append(text)
    return found


def text_pieces(element, left_out: set):
    """The text of an element, without the elements `left_out`."""
    if element.text:
        yield element.text
    for child in element:
        if isinstance(child.tag, str) and child not in left_out:
            if child.tag == "br":
                yield "\n"
            yield from text_pieces(child, left_out)
        if child.tail:
            yield child.tail


_CHROME = (
    "script",
    "style",
    "noscript",
    "nav",
    "header",
    "footer",
    "aside",
    "form",
    "template",
    "svg",
    "math",
    "title",
)
_FORMULAS = ["MathJax", "katex", "mwe-math-element", "ltx_Math", "math", "mjx-chtml", "MathJax_Preview"]


def main_text(tree) -> str:
    """The visible text of the page's main element."""
    places = tree.xpath("//main | //*[@role='main'] | //article") or tree.xpath("//body") or [tree]
    unwanted = set(places[0].iter(*_CHROME, "mjx-container"))
    for name in _FORMULAS:
        unwanted.update(places[0].xpath(f".//*[contains(concat(' ', @class, ' '), ' {name} ')]"))
    text = " ".join(text_pieces(places[0], unwanted))
    return re.sub(r"\\\(.{1,2000}?\\\)|\\\[.{1,5000}?\\\]|\$\$.{1,5000}?\$\$", " ", text, flags=re.DOTALL)


_ANNOTATED = ("katex", "wikipedia", "mathml-annotation", "temml_mathml_annotation", "ar5iv", "mathjax3_chtml_assistive")


def without_annotations(page: Page) -> Page | None:
    """The page with its MathML stripped of TeX; None for a page without TeX in MathML, or with other formulas."""
    if not page.tex or not {encoding for encoding, _ in page.tex} <= set(_ANNOTATED) or "<annotation" not in page.html:
        return None
    html = re.sub(r"<annotation\b[^>]*>.*?</annotation>", "", page.html, flags=re.DOTALL)
    html = re.sub(r"\s(?:alttext|data-latex|data-tex)=(?:\"[^\"]*\"|'[^']*')", "", html)
    html = re.sub(r"<img[^>]*mwe-math-fallback[^>]*>", "", html)
    return Page(f"{page.name} ({STRIPPED})", html, [(STRIPPED, formula) for _, formula in page.tex])
