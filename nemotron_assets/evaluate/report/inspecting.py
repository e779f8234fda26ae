"""Looks at a finished page as a browser would: nothing in it runs, nothing is loaded, and no figure is empty."""

from __future__ import annotations

from collections.abc import Iterator

#: Elements that run something, load something or send something.
_ACTIVE = {
    "script", "iframe", "object", "embed", "link", "base", "form", "input", "button", "audio", "video", "source",
    "image", "img", "foreignobject", "animate", "set",
}  # fmt: skip
#: Attributes with addresses, and how an address may begin: a place in the page, or an asset in the UI of this machine.
_ADDRESSES = ("href", "src", "xlink:href", "action", "formaction", "srcset", "data", "poster")
_ALLOWED = ("#", "http://127.0.0.1:3000/assets/")


def problems(html: str) -> Iterator[str]:
    """What is wrong with a page, a sentence each."""
    from lxml import html as reader

    tree = reader.document_fromstring(html)
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue  # a comment
        tag = element.tag.lower().rpartition("}")[2]
        if tag in _ACTIVE:
            yield f"the page has an element {tag}, which may run or load something"
        for name, value in element.attrib.items():
            if name.lower().startswith("on"):
                yield f"an element {tag} has the attribute {name}, which runs a script"
            if name.lower() in _ADDRESSES and not value.startswith(_ALLOWED):
                yield f"an element {tag} leads to {value[:80]!r}"
    if "default-src 'none'" not in html:
        yield "the page has no content security policy"
    for figure in tree.iter("figure"):
        marks = figure.xpath(".//*[contains(@id, '.mark-')]")
        if not any(len(mark) for mark in marks):
            yield f"the figure {figure.findtext('figcaption')!r} is empty"
    places = set(tree.xpath("//@id"))
    for link in sorted({link for link in tree.xpath("//a/@href") if link.startswith("#")}):
        if link[1:] not in places:
            yield f"a link leads to {link!r}, which is not in the page"
