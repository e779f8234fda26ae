"""Removes from a page what is not its content: navigation, banners, sidebars, footers, and signs of permalinks.

What a page says about its own parts decides first: the elements `<nav>`, `<footer>` and `<aside>`, ARIA roles, and
names of classes that page generators use. If the page marks its main part (`<main>`, `role="main"`, `<article>`, or one
of the usual names), everything outside goes. On other pages, blocks that consist of links go. Short texts stay: a
heading, a definition or "The converse is false." is no navigation because it is short.

Names alone are weak evidence ("has-sidebar" is a class of whole pages), so a named element stays if it holds most of
the page's text, the main heading, or code.
"""

from __future__ import annotations

import functools
import re

import lxml.etree

Element = lxml.etree._Element

_ROLES = frozenset(
    ("navigation", "banner", "contentinfo", "search", "menu", "menubar", "toolbar", "dialog", "alertdialog", "tablist",
     "doc-pagelist", "doc-toc")
)  # fmt: skip
_NAMES = re.compile(
    r"""(?:(?:[a-z0-9]{1,12}[-_]){0,4})
    (?:nav|navbar|navigation|navheader|navfooter|navrow\d?|navpath|docnav|topnav|sidenav|subnav|sidebar|sidebars
      |sphinxsidebar|breadcrumbs?|topbar|menubar|menu|footer|pagination|pager|paginator|prevnext|prev-next|next-prev
      |skip-?(?:links?|nav|to-content)|cookies?|cookie-?(?:banner|notice|consent|bar)|adverts?|advertisements?|ads
      |sharing|share|social|sharedaddy|newsletter|related|related-?(?:posts|articles|pages|links)|recommend(?:ed|ations)
      |editsection|jump-link|printfooter|catlinks|navbox|rst-versions|back-to-top|edit-(?:this-)?page|noprint
      |searchbox|search-?form|mainmenu|searchmenu|mobilemenu|nosearch|login|signup|masthead|colophon|copyright
      |toplang|bottomlang|titlearea|toc-?drawer|toolbar|picker|vpnav|vpsidebar|vpdocaside|vpdocfooter|vplocalnav)
    (?:[-_](?:wrapper|container|inner|area|list|links?|menu|drawer|bar|buttons?|box|left|right|primary|secondary|top
      |bottom|side|main|mobile|desktop|widget|section|nav|items?|content|panel|toggle|header|footer|chapters)){0,4}""",
    re.VERBOSE,
)


_SIGNS = frozenset(("¶", "#", "§", "🔗", "⚓", "⚓︎", "∞", "¶\ufe0e", ""))
_SIGN_CLASSES = frozenset(
    ("headerlink", "permalink", "header-anchor", "hash-link", "anchor", "anchorjs-link", "heading-anchor",
     "toclink-sign", "mark")
)  # fmt: skip
_HIDDEN_CLASSES = frozenset(
    ("sr-only", "visually-hidden", "screen-reader-text", "screen-reader-only", "visuallyhidden", "mw-editsection")
)
_ADMONITIONS = re.compile(
    r"\b(?:quote|onebox|note|admonition|callout|tip|warning|caution|footnotes?|important|info|hint|example)"
)
#: Names of main parts, from the narrowest to the widest.
_MAIN_NAMES = frozenset(
    ("mw-content-text", "bodycontent", "article-body", "articlebody", "article-content", "post-content", "post-body",
     "entry-content", "story-body", "markdown-body", "md-content", "theme-doc-markdown", "rst-content", "docs-content",
     "main-content", "maincontent", "page-content", "documentwrapper", "content", "contents")
)  # fmt: skip
_BLOCKS_OF_LINKS = frozenset(("ul", "ol", "div", "table", "p", "dl", "section", "center", "header", "td"))


@functools.lru_cache(4_096)
def _said(classes: str | None, name: str | None) -> frozenset[str]:
    """What the names of an element say of it: "sign", "hidden", "furniture", "sidebar"."""
    names = [part for part in [*(classes or "")[:1_000].split(), name or ""] if 0 < len(part) < 80]
    found = set()
    if not _SIGN_CLASSES.isdisjoint(names):
        found.add("sign")
    if not _HIDDEN_CLASSES.isdisjoint(names):
        found.add("hidden")
    for telling in filter(_NAMES.fullmatch, map(str.casefold, names)):
        found |= {"furniture", "sidebar"} if "sidebar" in telling else {"furniture"}
    return frozenset(found)


#: Elements that are judged by their tag.
_BY_TAG = frozenset(("nav", "footer", "aside", "header", "form"))
#: Elements that are not furniture, whatever their names.
_UNNAMED = frozenset(
    ("html", "body", "main", "article", "pre", "code", "h1", "td", "tr", "tbody", "script", "style", "br", "hr", "em",
     "i", "b", "strong", "tt", "sup", "sub", "img", "cite", "var", "kbd", "samp", "math")
)  # fmt: skip
_WITHOUT_PARTS = frozenset(("pre", "math", "script", "style"))  # nothing inside is judged
_EVIDENCE = 20  # how often, on the average, the text of a page is looked at


def remove_furniture(root: Element) -> None:
    """Remove from the tree of a page, in place, what is not its content. A page without other content stays as it
    is."""
    body = root if root.tag == "body" else root.find("body")
    if body is None:
        return
    page = _Page(body)
    page.remove_named()
    main, is_marked = page.main_part()
    if is_marked:
        page.keep_only(main)
    else:
        page.remove_links(main)


class _Page:
    """The body of a page. `budget` bounds how many characters are counted, however elements are nested."""

    def __init__(self, body: Element) -> None:
        self.body = body
        self.size = _length(body)
        self._sizes: dict[Element, int] = {}  # of elements, until the tree changes
        self.budget = _EVIDENCE * self.size + 10_000

    def remove_named(self) -> None:
        """Remove the elements that say, by tag, role or name, that they are not content."""
        walk = lxml.etree.iterwalk(self.body, events=("start",))
        doomed: list[Element] = []
        for _, element in walk:
            tag = element.tag
            if tag in _UNNAMED or not isinstance(tag, str):
                if tag in _WITHOUT_PARTS:
                    walk.skip_subtree()
                continue
            if names := element.keys():
                said = _said(element.get("class"), element.get("id"))
            elif tag in _BY_TAG:
                said = frozenset()
            else:
                continue
            telling = said or tag in _BY_TAG or ("role" in names and element.get("role"))
            if telling and self._is_named(element, tag, said):
                doomed.append(element)
                walk.skip_subtree()
        if self.size > 1 and sum(map(self._size, doomed)) >= self.size - 1:
            return
        for element in doomed:
            _drop(element)
        self._sizes.clear()

    def _is_named(self, element: Element, tag: str, said: frozenset[str]) -> bool:
        """Whether an element goes for its tag, its role, or what its names have `said`."""
        if tag in _BY_TAG:
            return self._is_furniture_by_tag(element, tag) and not _holds_formula(element)
        if element.get("role") in _ROLES:
            return not self._is_most(element) and not _holds_formula(element)
        if "sign" in said and tag in ("a", "span", "button"):
            return self._counted(element) < 5 and "".join(element.itertext()).strip() in _SIGNS and not len(element)
        if "hidden" in said:
            return self._counted(element) < 100 and not _holds_formula(element)
        if "furniture" not in said or ("sidebar" in said and self._is_note(element)):
            return False
        return self._is_dispensable(element)

    def _is_note(self, element: Element) -> bool:
        """Whether a sidebar stands in the main part and holds prose: it is a note beside the text."""
        return bool(_IN_MAIN(element)) and self._reads_like_prose(element)

    def _is_furniture_by_tag(self, element: Element, tag: str) -> bool:
        if self._is_most(element):
            return False
        if tag == "nav":
            return True
        if tag == "footer":
            return element.getparent().tag not in ("blockquote", "figure")
        if tag == "form":  # some servers put the whole page into one
            return self._is_dispensable(element) and _length(element) < 500
        inside = _is_inside(element, ("main", "article", "section"))
        if tag == "header":
            return not inside and next(element.iter("h1"), None) is None
        if element.get("role") in ("note", "doc-footnote") or _ADMONITIONS.search(element.get("class") or ""):
            return False
        return not (inside and self._reads_like_prose(element))

    def _is_dispensable(self, element: Element) -> bool:
        """Whether an element with a telling name may go: it is short or consists of links, and holds no main heading,
        code or formulas."""
        size = self._counted(element)
        is_short = size <= 300 or (size <= 600 and size <= self.size / 2) or size <= self.size / 10
        if not is_short and not (size <= self.size / 3 and _in_links(element) > size * 0.4):
            return False
        return next(element.iter("h1", "pre", "article", "main"), None) is None and not _holds_formula(element)

    def _reads_like_prose(self, element: Element) -> bool:
        size = self._counted(element)
        return size > 60 and _in_links(element) < size * 0.3

    def _is_most(self, element: Element) -> bool:
        """Whether an element has most of the page's text, and that is not mostly links."""
        size = self._counted(element)
        return size > self.size * 0.6 and _in_links(element) < size * 0.5

    def _counted(self, element: Element) -> int:
        """The number of characters of an element; the page's when the budget is spent."""
        if self.budget < 0:
            return self.size
        size = self._size(element)
        self.budget -= size
        return size

    def _size(self, element: Element) -> int:
        """The number of characters of an element, counted once."""
        if (size := self._sizes.get(element)) is None:
            size = self._sizes[element] = _length(element)
        return size

    def _has_share(self, size: int, share: float) -> bool:
        """Whether `size` characters are more than a share of those that the page has now."""
        return size > self.size * share or size > self._size(self.body) * share

    def main_part(self) -> tuple[Element | None, bool]:
        """(the main part of the page, whether the page marks it by an element or a role); (None, False) if none is
        found, or if it has little text. A name is weaker evidence: titles often stand outside."""
        marked = [e for e in self.body.iter("main") if not _is_inside(e, ("main",))]
        marked = marked or _MAIN_BY_ROLE(self.body)
        articles = [e for e in self.body.iter("article") if not _is_inside(e, ("article",))]
        if marked:
            best = max(marked[:20], key=_length)
            if self._has_share(_length(best), 0.2):
                return best, True
        if len(articles) == 1 and self._has_share(_length(articles[0]), 0.4):
            return articles[0], True
        if articles:
            return None, False  # a page of several posts: what lies around them is judged by its links
        named: list[tuple[int, Element]] = []
        for element in self.body.iter("div", "section", "td"):
            names = f"{element.get('class') or ''} {element.get('id') or ''}".casefold().split()
            if not _MAIN_NAMES.isdisjoint(names) and len(named) < 50:
                named.append((_length(element), element))
        size, best = max(named, key=lambda pair: pair[0], default=(0, None))
        return (best if self._has_share(size, 0.6) else None), False

    def keep_only(self, main: Element) -> None:
        """Remove everything outside an element, but not a main heading that stands before it."""
        has_heading = next(main.iter("h1"), None) is not None
        element = main
        while element is not self.body and (parent := element.getparent()) is not None:
            for other in list(parent):
                if other is element:
                    element.tail = None
                    continue
                heading = None if has_heading or not isinstance(other.tag, str) else next(other.iter("h1"), None)
                if heading is not None and parent.index(other) < parent.index(element):
                    has_heading = True
                    _replace(other, heading)
                elif not (_holds_formula(other) or _holds_code(other)):
                    _drop(other, with_tail=True)
            parent.text = None
            element = parent

    def remove_links(self, main: Element | None) -> None:
        """Remove the blocks outside the main part that consist of links, if enough text remains."""
        doomed: list[tuple[Element, int]] = []
        walk = lxml.etree.iterwalk(self.body, events=("start",))
        for _, element in walk:
            if element is main:
                walk.skip_subtree()
            if element is self.body or element is main or element.tag not in _BLOCKS_OF_LINKS:
                continue
            links = sum(1 for _ in zip(range(3), element.iter("a"), strict=False))
            if links < 3:
                continue
            size = self._counted(element)
            if self.budget < 0:
                break
            if size and _in_links(element) > size * 0.7 and not _holds_formula(element):
                doomed.append((element, size))
                walk.skip_subtree()
        if doomed and sum(size for _, size in doomed) < self._size(self.body) * 0.6:
            for element, _ in doomed:
                _drop(element)


_SHOWS_FORMULA = lxml.etree.XPath(
    r"descendant::math or descendant::mjx-container or descendant::*[contains(@class, 'math') or "
    r"contains(@class, 'katex') or contains(@class, 'MathJax') or contains(@class, 'latex')] or contains(., '\(')"
)
_MAIN_BY_ROLE = lxml.etree.XPath("descendant::*[@role = 'main']")
_IN_MAIN = lxml.etree.XPath("boolean(ancestor::*[self::main or self::article or @role = 'main'])")
_SIZE = lxml.etree.XPath("string-length(normalize-space(.))")
_LINKED = lxml.etree.XPath("descendant-or-self::a//text()", smart_strings=False)


def _length(element: Element) -> int:
    """The number of characters of an element's text, white space folded; scripts and styles do not count."""
    size = _SIZE(element)
    return int(size) - sum(len((script.text or "").strip()) for script in element.iter("script", "style", "noscript"))


def _in_links(element: Element) -> int:
    """The number of characters in the links of an element."""
    return sum(len(text.strip()) for text in _LINKED(element))


def _holds_formula(element: Element) -> bool:
    """Whether an element shows formulas, or holds them between delimiters."""
    return isinstance(element.tag, str) and _SHOWS_FORMULA(element)


def _holds_code(element: Element) -> bool:
    return isinstance(element.tag, str) and next(element.iter("pre"), None) is not None


def _is_inside(element: Element, tags: tuple[str, ...]) -> bool:
    return next(element.iterancestors(*tags), None) is not None


def _drop(element: Element, *, with_tail: bool = False) -> None:
    """Remove an element; the text behind it stays, if it is not to go `with_tail`."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail and not with_tail:
        before = element.getprevious()
        if before is not None:
            before.tail = f"{before.tail or ''} {element.tail}"
        else:
            parent.text = f"{parent.text or ''} {element.tail}"
    parent.remove(element)


def _replace(element: Element, heading: Element) -> None:
    """Put a heading in the place of the element around it."""
    if element is not heading:
        heading.tail = None
        element.getparent().replace(element, heading)
    else:
        element.tail = None
