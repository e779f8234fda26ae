"""Selects the paragraphs of a page that are content, as the jusText library (3.0.2) does, in linear time.

The tests compare the result with the library's, paragraph by paragraph, on every page of the sample. Two things are
done otherwise. The library walks a page through SAX callbacks and normalises a text several times; here one walk
normalises each text once. The library's search for neighbouring paragraphs is quadratic in the number of short
paragraphs, so that one hostile page could block a worker; here two sweeps find all neighbours.
"""

from __future__ import annotations

import re
from itertools import accumulate

import lxml.etree
from justext.core import PARAGRAPH_TAGS

from nemotron_assets.recipe.web.documents import JusText

# jusText's preprocessor removes these elements with their content ...
_REMOVED = ("script", "style", "head", "applet", "button", "input", "select", "textarea", lxml.etree.Comment)
# ... and these without their content, which stays.
_UNWRAPPED = ("form", "iframe", "embed", "layer", "object", "param")
_HEADING = re.compile(r"\bh\d\b")


class NestedTooDeeply(ValueError):
    """Elements are nested deeper than the parser follows (2,048). It would silently lose the text inside."""


class Paragraph:
    """A block of text. `length` and `links` count its characters and those of them inside links. `heading` and
    `selection` say whether it began inside a heading or a `<select>`."""

    __slots__ = ("heading", "length", "links", "selection", "text")

    def __init__(self, nodes: list[str], links: int, heading: bool, selection: bool) -> None:
        self.text = nodes[0].strip() if len(nodes) == 1 else normalise_white_space("".join(nodes).strip())
        self.length, self.links, self.heading, self.selection = len(self.text), links, heading, selection


def justext_text(markup: str, stop_words: frozenset[str], limits: JusText) -> str:
    """The paragraphs of a page that are content, separated by blank lines. `stop_words` are lower case.
    Raises `NestedTooDeeply`."""
    dom = parse(markup)
    if dom is None:
        return ""
    found = paragraphs(dom)
    good = select_content(found, stop_words, limits)
    return "\n\n".join(paragraph.text for paragraph, kept in zip(found, good, strict=True) if kept)


def parse(markup: str) -> lxml.etree._Element | None:
    """The tree of a page without scripts, styles and the like; None for a page without elements.
    Raises `NestedTooDeeply`."""
    dom = tree_of(markup)
    return None if dom is None else removed(dom)


def tree_of(markup: str) -> lxml.etree._Element | None:
    """The whole tree of a page; None for a page without elements. Raises `NestedTooDeeply`."""
    # jusText's own entry point is not used: it trusts an encoding declared inside the markup, although the markup is
    # decoded already. `huge_tree` lifts a limit at which the parser silently drops text (256 nested elements).
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        dom = lxml.etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except lxml.etree.XMLSyntaxError:  # the page is only white space or a comment
        return None
    if dom is None:
        return None
    if any(entry.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise NestedTooDeeply("elements are nested more than 2,048 deep")
    return dom


def removed(dom: lxml.etree._Element) -> lxml.etree._Element:
    """A tree, changed in place, without scripts, styles and the like."""
    lxml.etree.strip_elements(dom, *_REMOVED, with_tail=False)
    lxml.etree.strip_tags(dom, *_UNWRAPPED)
    return dom


def normalise_white_space(text: str) -> str:
    """Replace each run of white space by one line break if the run contains one, else by one blank."""
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
    """The blocks of text of a page, in order. A block ends where a block-level element begins or ends, and at two
    `<br>` in a row. Text nodes of white space alone are ignored."""
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
            # `heading` and `selection` of a paragraph are those of the elements that are open when it begins.
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
            text = normalise_white_space(text)
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
        if len(_HEADING_TAGS) < 1_000:  # bounded, because pages invent tags
            _HEADING_TAGS[name] = known
    return known


def select_content(found: list[Paragraph], stop_words: frozenset[str], limits: JusText) -> list[bool]:
    """Whether each paragraph is content. Paragraphs that cannot be judged alone are judged by their neighbours."""
    alone = [_classify_alone(paragraph, stop_words, limits) for paragraph in found]
    classes = _decide_near_good(_decide_short(alone))
    lifted = _lift_headings(found, alone, classes, limits.max_heading_distance) if limits.headings else classes
    return [kind == "good" for kind in lifted]


def _decide_short(alone: list[str]) -> list[str]:
    """The classes with every "short" made good or bad. A short paragraph takes the class of its neighbours when both
    agree. When they differ, it is good if the nearest paragraph on the bad side is near-good."""
    before, after = _nearest_before(alone, ("good", "bad")), _nearest_before(alone[::-1], ("good", "bad"))[::-1]
    near_before = _nearest_before(alone, ("good", "bad", "neargood"))
    near_after = _nearest_before(alone[::-1], ("good", "bad", "neargood"))[::-1]
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
    return classes


def _decide_near_good(undecided: list[str]) -> list[str]:
    """The classes with every "neargood" made good, or bad where both neighbours are bad."""
    classes, last = list(undecided), "bad"
    after = _nearest_before(classes[::-1], ("good", "bad"))[::-1]
    for i, kind in enumerate(classes):
        if kind == "neargood":
            classes[i] = "bad" if last == after[i] == "bad" else "good"
        last = classes[i]
    return classes


def _lift_headings(found: list[Paragraph], alone: list[str], classes: list[str], distance: int) -> list[str]:
    """The classes with every heading made good that is at most `distance` characters before a good paragraph, unless
    it was bad by itself.

    jusText has another step that is meant to lift short headings before their neighbours are judged. It looks at
    classes that are not set yet, so it has no effect and is left out here.
    """
    lifted, next_good = list(classes), None
    end = [0, *accumulate(paragraph.length for paragraph in found)]
    for i in range(len(found) - 1, -1, -1):
        if classes[i] == "good":
            next_good = i
        elif found[i].heading and alone[i] != "bad" and next_good is not None:
            lifted[i] = "good" if end[next_good] - end[i + 1] <= distance else classes[i]
    return lifted


def _classify_alone(paragraph: Paragraph, stop_words: frozenset[str], limits: JusText) -> str:
    """The class of a paragraph without its neighbours: "good", "neargood", "short" or "bad"."""
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


def _nearest_before(classes: list[str], wanted: tuple[str, ...]) -> list[str]:
    """For each paragraph, the class of the nearest paragraph before it that is among `wanted`; "bad" if none is."""
    last, found = "bad", []
    for kind in classes:
        found.append(last)
        if kind in wanted:
            last = kind
    return found
