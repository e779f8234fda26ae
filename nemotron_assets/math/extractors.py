"""Other ways from a page to its text, as their own documentation uses them, to compare ours with."""

from __future__ import annotations

from collections.abc import Callable

from resources.lynx import Lynx


def trafilatura(page: str) -> str:
    """trafilatura with favour on recall."""
    import trafilatura as library

    return library.extract(page, favor_recall=True, include_tables=True) or ""


def resiliparse(page: str) -> str:
    """resiliparse, all text with its layout."""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(page, preserve_formatting=True, main_content=False)


def justext(page: str) -> str:
    """jusText with English stop words."""
    import justext as library

    paragraphs = library.justext(page.encode("utf-8", "replace"), library.get_stoplist("English"), encoding="utf-8")
    return "\n\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


def lynx(page: str) -> str:
    """Lynx on the page as it is, with the published flags; hostile pages are kept from doing anything by more."""
    return Lynx().dump(page)


EXTRACTORS: dict[str, Callable[[str], str]] = {
    "trafilatura": trafilatura,
    "resiliparse": resiliparse,
    "justext": justext,
    "lynx": lynx,
}


def extract(name: str, page: str) -> str:
    """A page's text by one of `EXTRACTORS`; "" where it fails, as the published pipeline does."""
    try:
        return EXTRACTORS[name](page)
    except Exception:  # a peer may fail in any way; the comparison goes on
        return ""
