"""Other extractors of text from web pages, called as their documentation shows, for comparison with this pipeline."""

from __future__ import annotations

from collections.abc import Callable

from nemotron_assets.text.attributes import check_attributes
from resources.lynx import Lynx


def trafilatura(page: str) -> str:
    """The text by trafilatura with favor_recall."""
    import trafilatura as library

    return library.extract(page, favor_recall=True, include_tables=True) or ""


def resiliparse(page: str) -> str:
    """The text by resiliparse: all of it, with its layout."""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(page, preserve_formatting=True, main_content=False)


def justext(page: str) -> str:
    """The text by jusText with English stop words, without boilerplate paragraphs."""
    import justext as library

    paragraphs = library.justext(page.encode("utf-8", "replace"), library.get_stoplist("English"), encoding="utf-8")
    return "\n\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


def lynx(page: str) -> str:
    """The text by Lynx from the unchanged page, with the published flags and further ones that make hostile pages
    harmless."""
    return Lynx().dump(page)


EXTRACTORS: dict[str, Callable[[str], str]] = {
    "trafilatura": trafilatura,
    "resiliparse": resiliparse,
    "justext": justext,
    "lynx": lynx,
}


def extract(name: str, page: str) -> str:
    """A page's text by one of `EXTRACTORS`; "" if the extractor fails, as in the published pipeline."""
    try:
        check_attributes(page)
        return EXTRACTORS[name](page)
    except Exception:  # an extractor may fail in any way; the comparison goes on
        return ""
