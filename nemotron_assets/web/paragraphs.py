"""jusText's choice of paragraphs, made in one walk over the page and in linear time.

What is kept is what the jusText library (3.0.2) keeps, paragraph for paragraph; the tests hold the two against each
other on every page of the sample. The library walks a page through SAX callbacks and normalises every text several
times, and its search for neighbours is quadratic in the number of short paragraphs, which one hostile page is enough
to exploit. Here each text is normalised once and every neighbour is known from two sweeps.
"""

from __future__ import annotations

import re
from itertools import accumulate

import lxml.etree
from justext.core import PARAGRAPH_TAGS

from nemotron_assets.recipe.web.documents import JusText

# What jusText's preprocessor cuts out with all that is in it, and what it opens, so that its content stays.
_CUT = ("script", "style", "head", "applet", "button", "input", "select", "textarea", lxml.etree.Comment)
_OPENED = ("form", "iframe", "embed", "layer", "object", "param")
_HEADING = re.compile(r"\bh\d\b")


class NestedTooDeeply(ValueError):
    """Elements nested deeper than the parser follows (2,048): it would silently lose what is inside."""


class Paragraph:
    """A block of text. `links` counts its characters inside links; `heading` and `selection` say whether the element
    it began in is or is inside a heading or a `<select>`."""

    __slots__ = ("heading", "length", "links", "selection", "text")

    def __init__(self, nodes: list[str], links: int, heading: bool, selection: bool) -> None:
        self.text = nodes[0].strip() if len(nodes) == 1 else one_space("".join(nodes).strip())
        self.length, self.links, self.heading, self.selection = len(self.text), links, heading, selection


def justext_text(markup: str, stop_words: frozenset[str], limits: JusText) -> str:
    """The paragraphs jusText takes for content, separated by blank lines. `stop_words` are lower case.
    Raises `NestedTooDeeply`."""
    dom = parse(markup)
    if dom is None:
        return ""
    found = paragraphs(dom)
    good = choose(found, stop_words, limits)
    return "\n\n".join(paragraph.text for paragraph, kept in zip(found, good, strict=True) if kept)


def parse(markup: str) -> lxml.etree._Element | None:
    """The page's tree without what is no text; None for a page without elements. Raises `NestedTooDeeply`."""
    # jusText's own entry point trusts an encoding declared inside the markup, which is decoded already; and the
    # parser's ordinary limit drops everything that is nested deeper than 256 elements without a word.
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        dom = lxml.etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except lxml.etree.XMLSyntaxError:  # nothing but blanks or a comment
        return None
    if dom is None:
        return None
    if any(entry.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise NestedTooDeeply("elements are nested more than 2,048 deep")
    lxml.etree.strip_elements(dom, *_CUT, with_tail=False)
    lxml.etree.strip_tags(dom, *_OPENED)
    return dom


def one_space(text: str) -> str:
    """The text with each run of white space made one line break, if there is one in it, or else one blank."""
    if "\n" not in text and "\r" not in text:
        words = " ".join(text.split())
        return f"{' ' * text[:1].isspace()}{words}{' ' * (bool(words) and text[-1:].isspace())}"
    first, *inner, last = text.replace("\r", "\n").split("\n")
    lines = [" ".join(line.split()) for line in (first, *inner, last)]
    start = "" if lines[0] and not first[0].isspace() else " " if lines[0] else "\n"
    middle = "\n".join(filter(None, lines))
    if not middle:
        return "\n"
    return start + middle + ("\n" if not lines[-1] else " " if last[-1].isspace() else "")


def paragraphs(dom: lxml.etree._Element) -> list[Paragraph]:
    """The page's blocks of text, in order. A block ends where a block-level element begins or ends and at two
    `<br>` in a row; text nodes of white space alone do not count."""
    found: list[Paragraph] = []
    nodes: list[str] = []
    links = headings = selections = 0
    heading = selection = in_link = after_break = False

    def finish() -> None:
        if nodes and (paragraph := Paragraph(nodes, links, heading, selection)).length:
            found.append(paragraph)

    for event, element in lxml.etree.iterwalk(dom, events=("start", "end", "pi")):
        name = element.tag
        if event == "start":
            # A paragraph belongs to the elements that are open when it begins.
            headings += _is_heading(name)
            selections += "select" in name
            if name in PARAGRAPH_TAGS or (name == "br" and after_break):
                finish()
                nodes, links, heading, selection = [], 0, headings > 0, selections > 0
            else:
                after_break = name == "br"
                if after_break:
                    nodes.append(" ")
                elif name == "a":
                    in_link = True
            text = element.text
        else:
            if event == "end":
                headings -= _is_heading(name)
                selections -= "select" in name
                if name in PARAGRAPH_TAGS:
                    finish()
                    nodes, links, heading, selection = [], 0, headings > 0, selections > 0
                elif name == "a":
                    in_link = False
            text = element.tail
        if text and not text.isspace():
            text = one_space(text)
            nodes.append(text)
            links += len(text) * in_link
            after_break = False
    finish()
    return found


_HEADING_TAGS: dict[str, bool] = {}


def _is_heading(name: str) -> bool:
    known = _HEADING_TAGS.get(name)
    if known is None:
        known = bool(_HEADING.search(name))
        if len(_HEADING_TAGS) < 1_000:  # pages invent tags without end
            _HEADING_TAGS[name] = known
    return known


def choose(found: list[Paragraph], stop_words: frozenset[str], limits: JusText) -> list[bool]:
    """Which paragraphs are content: first each by itself, then the undecided ones by their neighbours."""
    alone = [_class_alone(paragraph, stop_words, limits) for paragraph in found]
    # Short ones join good neighbours, or near-good ones on the side where everything else is bad.
    before, after = _neighbours(alone, ("good", "bad")), _neighbours(alone[::-1], ("good", "bad"))[::-1]
    near_before = _neighbours(alone, ("good", "bad", "neargood"))
    near_after = _neighbours(alone[::-1], ("good", "bad", "neargood"))[::-1]
    classes = list(alone)
    for i, kind in enumerate(alone):
        if kind != "short":
            continue
        if before[i] == after[i]:
            classes[i] = before[i]
        else:
            near = (before[i] == "bad" and near_before[i] == "neargood") or (
                after[i] == "bad" and near_after[i] == "neargood"
            )
            classes[i] = "good" if near else "bad"
    # Near-good ones are content unless both sides are bad; what comes before is decided by then.
    after = _neighbours(classes[::-1], ("good", "bad"))[::-1]
    last = "bad"
    for i, kind in enumerate(classes):
        if kind == "neargood":
            classes[i] = "bad" if last == after[i] == "bad" else "good"
        last = classes[i]
    # A heading close before content is content, unless it was bad by itself. (jusText also has a step that is to
    # lift short headings before their neighbours are judged; it looks at classes that are not set yet: no effect.)
    lifted = [False] * len(found)
    if limits.headings:
        end = [0, *accumulate(paragraph.length for paragraph in found)]
        next_good = None
        for i in range(len(found) - 1, -1, -1):
            if classes[i] == "good":
                next_good = i
            elif found[i].heading and alone[i] != "bad" and next_good is not None:
                lifted[i] = end[next_good] - end[i + 1] <= limits.max_heading_distance
    return [kind == "good" or up for kind, up in zip(classes, lifted, strict=True)]


def _class_alone(paragraph: Paragraph, stop_words: frozenset[str], limits: JusText) -> str:
    """good, neargood, short or bad, judged by the paragraph alone."""
    length = paragraph.length
    if length and paragraph.links / length > limits.max_link_density:
        return "bad"
    if "\xa9" in paragraph.text or "&copy" in paragraph.text or paragraph.selection:
        return "bad"
    if length < limits.length_low:
        return "bad" if paragraph.links else "short"
    words = paragraph.text.lower().split()
    density = sum(map(stop_words.__contains__, words)) / len(words) if words else 0
    if density >= limits.stopwords_high:
        return "good" if length > limits.length_high else "neargood"
    return "neargood" if density >= limits.stopwords_low else "bad"


def _neighbours(classes: list[str], wanted: tuple[str, ...]) -> list[str]:
    """For each place, the nearest class among `wanted` before it; bad where there is none."""
    last, found = "bad", []
    for kind in classes:
        found.append(last)
        if kind in wanted:
            last = kind
    return found
