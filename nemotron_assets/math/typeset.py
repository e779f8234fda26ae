"""Reads formulas from elements of MathJax, KaTeX and MathML: the TeX that they keep, else what their layout shows.

MathJax and KaTeX leave the source of a formula in a script or an attribute, or an invisible copy for screen readers.
Some pages have none of these: saved pages, or output with glyphs only. Then the boxes of the layout are converted back
to MathML, by their names or by their positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import lxml.etree

from nemotron_assets.math.asciimath import asciimath_to_tex
from nemotron_assets.math.formula import Formula, formula
from nemotron_assets.math.mathml import MAX_DEPTH, Node, to_tex
from nemotron_assets.text.attributes import check_attributes

Element = lxml.etree._Element

_TEX_ENCODINGS = ("application/x-tex", "tex", "latex", "application/x-latex", "text/tex")
_TOKENS = frozenset(("mi", "mn", "mo", "mtext", "ms"))


def has_class(element: Element | None, name: str) -> bool:
    """Whether an element has a class; False for None."""
    return element is not None and name in (element.get("class") or "").split()


def script_formula(element: Element) -> Formula | None:
    """The formula in a <script type="math/…"> for MathJax; None for any other script."""
    kind = (element.get("type") or "").casefold().replace(" ", "")
    if not kind.startswith("math/"):
        return None
    display = "mode=display" in kind
    text = (element.text or "").strip().removeprefix("%").lstrip()
    text = text.removeprefix("<![CDATA[").removesuffix("]]>").removesuffix("%").strip()
    if kind.startswith("math/tex"):
        return formula(text, display, "script")
    if kind.startswith("math/asciimath"):
        return formula(asciimath_to_tex(text), display, "asciimath")
    return mathml_formula(parsed_mathml(text), display) if kind.startswith("math/mml") and text else None


def parsed_mathml(markup: str) -> Element | None:
    """The first <math> element of markup that stands in a script or an attribute; None if it has none."""
    check_attributes(markup)
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except lxml.etree.XMLSyntaxError:
        return None
    return None if root is None else next(root.iter("math", "m:math", "mml:math"), None)


def mathml_formula(element: Element | None, display: bool = False) -> Formula | None:
    """The formula of a <math> element: its TeX annotation or alternative text, else its MathML converted to TeX."""
    if element is None:
        return None
    display = display or element.get("display") == "block" or element.get("mode") == "display"
    for annotation in element.iter("annotation", "m:annotation", "mml:annotation"):
        encoding = (annotation.get("encoding") or "").casefold()
        if encoding in _TEX_ENCODINGS and (found := formula("".join(annotation.itertext()), display, "annotation")):
            return found
    for name in ("alttext", "data-latex", "data-tex"):
        if (value := element.get(name)) and (found := formula(value, display, "annotation")):
            return found
    return formula(to_tex(_node(element)), display, "mathml")


def _node(element: Element, depth: int = 0) -> Node:
    """A MathML element as a `Node`."""
    tag = element.tag.rpartition(":")[2] if isinstance(element.tag, str) else ""
    if depth > MAX_DEPTH:
        return Node(tag, text="".join(element.itertext()))
    children = [_node(child, depth + 1) for child in element if isinstance(child.tag, str)]
    if children and tag in _TOKENS:
        return Node(tag, dict(element.attrib), [], "".join(element.itertext()))
    return Node(tag, dict(element.attrib), children, element.text or "")


# -- MathJax ----------------------------------------------------------------------------------------------------------


def mathjax_formula(element: Element) -> Formula | None:
    """The formula in output of MathJax 3 and 4 (<mjx-container>), or of version 2 without its script: from TeX in an
    attribute, else from MathML for screen readers, else from the boxes of the glyphs. None if there is none of them."""
    display = element.get("display") in ("true", "block") or "isplay" in (element.get("class") or "")
    for name in ("data-tex", "data-original", "data-latex"):
        holder = element if element.get(name) else None
        if holder is not None and (found := formula(holder.get(name), display, "mathjax")):
            return found
    math = next(element.iter("math"), None)
    if math is None and (markup := _attribute(element, "data-mathml")):
        math = parsed_mathml(markup)
    if math is not None:
        found = mathml_formula(math, display)
        return found and Formula(found.tex, found.display, "mathjax")
    root = next((e for e in element.iter("mjx-math", "g", "span") if _name(e) == "math"), None)
    if root is None:
        return None
    if (value := root.get("data-latex")) and (found := formula(value, display, "mathjax")):
        return found
    node = _svg_node(root) if root.tag == "g" else _glyph_node(root)
    return formula(to_tex(node), display, "mathjax")


def _attribute(element: Element, name: str) -> str:
    """The attribute of an element, or of the first element inside that has it; "" if none has it."""
    holder = element if element.get(name) else element.find(f".//*[@{name}]")
    return "" if holder is None else holder.get(name)


def _name(element: Element) -> str:
    """The MathML name of a box of MathJax's output, such as "mfrac"; "" if it has none. It stands in the tag (version
    3), the class (version 2) or the attribute data-mml-node (SVG)."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    if tag.startswith("mjx-"):
        return {"texatom": "mrow"}.get(tag[4:], tag[4:])
    if node := element.get("data-mml-node"):
        return "mrow" if node == "TeXAtom" else node
    for name in (element.get("class") or "").split():
        if name.startswith("mjx-"):
            return {"texatom": "mrow"}.get(name[4:], name[4:])
    return ""


#: Boxes without content: lines, struts and copies.
_SKIPPED = frozenset(
    ("surd", "spacer", "line", "strut", "nstrut", "dstrut", "tstrut", "mark", "assistive-mml", "vsize", "mspace",
     "none", "annotation", "stretchy-v", "delim-v")
)  # fmt: skip
#: Boxes that only place their content.
_LAYOUT = frozenset(("row", "frac", "dbox", "dtable", "box", "itable", "table", "cell", "stack", "sqrt", ""))
#: {name of a box: the role of its content}.
_ROLES = {
    "sup": "above", "over": "above", "sub": "below", "under": "below", "num": "first", "numerator": "first",
    "den": "second", "denominator": "second", "script": "script", "base": "base", "op": "base", "root": "index",
}  # fmt: skip
_SCRIPTED = {"msup", "msub", "msubsup", "mover", "munder", "munderover"}


def _glyph_node(element: Element, depth: int = 0) -> Node:
    """A box of MathJax's HTML output as MathML."""
    name = _name(element)
    if depth > MAX_DEPTH or name in _TOKENS or name in ("c", "char", "utext"):
        return Node(name if name in _TOKENS else "mtext" if depth > MAX_DEPTH else "mi", text=_glyphs(element))

    def row(boxes: Iterable[Element]) -> Node:
        return Node("mrow", {}, [_glyph_node(box, depth + 1) for box in boxes if _name(box) not in _SKIPPED])

    roles: dict[str, list[Element]] = {}
    if name in _SCRIPTED or name in ("mfrac", "mroot"):
        _find_roles(element, name, roles, depth)
    if name == "mfrac":
        return Node("mfrac", {}, [row(roles.get("first", ())), row(roles.get("second", ()))])
    if name in _SCRIPTED:
        above, below = roles.get("above"), roles.get("below")
        if script := roles.get("script"):
            parts = [part for part in script[0] if _name(part) not in _SKIPPED]
            if name == "msubsup" and len(parts) > 1:
                above, below = parts[:1], parts[-1:]
            else:
                above, below = (None, script) if name in ("msub", "munder") else (script, None)
        base = roles.get("base") or [box for box in element if _name(box) not in _ROLES and _name(box) not in _LAYOUT]
        tags = ("munderover", "munder", "mover") if name[1] in "uo" else ("msubsup", "msub", "msup")
        tag = tags[0] if above and below else tags[1] if below else tags[2]
        return Node(tag, {}, [row(base), *([row(below)] if below else []), *([row(above)] if above else [])])
    if name in ("msqrt", "mroot"):
        boxes = [box for box in element.iter() if _name(box) == "box" and _name(box.getparent()) != "surd"]
        inside = row(boxes[-1:] if name == "mroot" or len(boxes) == 1 else boxes[:1])
        return Node("mroot", {}, [inside, row(roles["index"])]) if "index" in roles else Node("msqrt", {}, [inside])
    children = [_glyph_node(child, depth + 1) for child in element if _name(child) not in _SKIPPED]
    if name == "mtable":
        children = list(_rows(children))
    return Node(name if name.startswith("m") else "mrow", {}, children)


def _find_roles(element: Element, name: str, roles: dict[str, list[Element]], depth: int) -> None:
    """Add the boxes of an element to `roles` by their role, also boxes inside boxes that only place their content."""
    for child in element:
        inner = _name(child)
        if role := _ROLES.get(inner):
            roles.setdefault(role, []).append(child)
        elif depth < MAX_DEPTH and (inner in _LAYOUT or (name == "munderover" and inner == "munder")):
            _find_roles(child, name, roles, depth + 1)


def _rows(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield the rows of a table; the boxes around them are left out."""
    for node in nodes:
        if node.tag in ("mtr", "mlabeledtr"):
            yield node
        else:
            yield from _rows(node.children)


def _glyphs(element: Element) -> str:
    """The characters of a token. They stand there as text, or as code points in classes (mjx-c1D465) and attributes."""
    parts = []
    for part in element.iter():
        if not isinstance(part.tag, str) or part.tag in ("svg", "defs"):
            continue
        codes = re.findall(r"mjx-c([0-9A-F]{1,6})\b", part.get("class") or "")
        if part.get("data-c"):
            codes = [part.get("data-c")]
        parts.append("".join(map(_character, codes)) or part.text or "")
    return "".join(parts).strip()


def _character(code: str) -> str:
    """The character of a hexadecimal code point; "" for an invalid one."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    return chr(number) if 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else ""


def _svg_node(element: Element, depth: int = 0) -> Node:
    """A group of MathJax's SVG output as MathML. The heights of its parts tell superscripts from subscripts, and
    numerators from denominators."""
    name = _name(element)
    if depth > MAX_DEPTH or name in _TOKENS:
        return Node(name if name in _TOKENS else "mtext", text=_glyphs(element))
    boxes = [child for child in element if child.tag in ("g", "use", "path", "text")]
    groups = [child for child in boxes if child.tag == "g" and _name(child) not in _SKIPPED]
    if not groups:
        text = _glyphs(element)
        return Node("mi" if text else "none", text=text)
    nodes = [_svg_node(group, depth + 1) for group in groups]
    if name in _SCRIPTED and len(nodes) > 1:
        heights = [_height(group) for group in groups]
        below = [node for node, y in zip(nodes[1:], heights[1:], strict=True) if y < heights[0]]
        above = [node for node, y in zip(nodes[1:], heights[1:], strict=True) if y >= heights[0]]
        tags = ("munderover", "munder", "mover") if name[1] in "uo" else ("msubsup", "msub", "msup")
        tag = tags[0] if above and below else tags[1] if below else tags[2]
        return Node(tag, {}, [nodes[0], *below[:1], *above[:1]])
    if name == "mfrac" and len(nodes) > 1:
        first, second = (nodes[0], nodes[1]) if _height(groups[0]) >= _height(groups[1]) else (nodes[1], nodes[0])
        return Node("mfrac", {}, [first, second])
    if name == "msqrt":
        return Node("msqrt", {}, nodes[:1])
    if name == "mroot":
        return Node("mroot", {}, [nodes[0], nodes[-1]])
    return Node(name if name.startswith("m") and name != "math" else "mrow", {}, nodes)


def _height(group: Element) -> float:
    """The vertical position of an SVG group, from its transform; 0 if it has none."""
    found = re.search(r"translate\(\s*-?[\d.]{1,20}[ ,]+(-?[\d.]{1,20})", group.get("transform") or "")
    try:
        return float(found[1]) if found else 0.0
    except ValueError:
        return 0.0


# -- KaTeX ------------------------------------------------------------------------------------------------------------


def katex_formula(element: Element, display: bool) -> Formula | None:
    """The formula in output of KaTeX: from its MathML, else from the boxes of its HTML. None if it has neither, or
    if the boxes have lost their positions."""
    math = next(element.iter("math"), None)
    found = mathml_formula(math, display)
    if found is None:
        visible = next((e for e in element.iter("span") if has_class(e, "katex-html")), None)
        if visible is not None and _is_placed(visible):
            found = formula(to_tex(_katex_row(visible, 0)), display, "katex")
    return found and Formula(found.tex, found.display, "katex")


def _is_placed(visible: Element) -> bool:
    """Whether the boxes of KaTeX's HTML have their positions. Without these, a numerator cannot be told from a
    denominator, and a formula read from the boxes would be wrong."""
    for column in visible.iter("span"):
        if (column.get("class") or "").split() == ["vlist"]:
            boxes = [box for box in column if not _is_empty(box)]
            if len(boxes) > 1 and not any("top" in (box.get("style") or "") for box in boxes):
                return False
    return True


#: Classes of boxes without content.
_KATEX_SKIPPED = frozenset(
    ("strut", "pstrut", "mspace", "nulldelimiter", "vlist-s", "frac-line", "hide-tail", "overline-line",
     "underline-line", "arraycolsep", "vbox", "allowbreak", "newline", "katex-mathml", "tag", "eqn-num")
)  # fmt: skip
_KATEX_ALPHABETS = {
    "mathbf": "bold", "mathrm": "normal", "mathbb": "double-struck", "amsrm": "", "mathcal": "script",
    "mathscr": "script", "mathfrak": "fraktur", "mathtt": "monospace", "mathsf": "sans-serif",
    "boldsymbol": "bold-italic", "textbf": "bold",
}  # fmt: skip
#: {piece of a tall bracket: the bracket, or "" for a piece that adds nothing}.
_BRACKET_PIECES = {
    "⎛": "(", "⎜": "", "⎝": "", "⎞": ")", "⎟": "", "⎠": "", "⎡": "[", "⎢": "", "⎣": "", "⎤": "]", "⎥": "", "⎦": "",
    "⎧": "{", "⎨": "", "⎩": "", "⎪": "", "⎫": "}", "⎬": "", "⎭": "",
}  # fmt: skip


def _katex_row(element: Element, depth: int) -> Node:
    """The boxes in a box of KaTeX's HTML as a row."""
    if depth > MAX_DEPTH:
        return Node("mtext", text="".join(element.itertext()))
    nodes = [node for child in element if (node := _katex_node(child, depth + 1)) is not None]
    return Node("mrow", {}, nodes)


def _katex_node(element: Element, depth: int) -> Node | None:
    """A box of KaTeX's HTML as MathML; None for a box that only takes up space."""
    classes = set((element.get("class") or "").split())
    if element.tag != "span" or classes & _KATEX_SKIPPED:
        return None
    if depth > MAX_DEPTH:
        return Node("mtext", text="".join(element.itertext()))
    parts = {name: child for child in element for name in (child.get("class") or "").split()}
    if "msupsub" in parts:
        return _katex_scripts(element, parts["msupsub"], depth)
    if "mfrac" in parts:
        return _katex_fraction(element, parts["mfrac"], depth)
    if "mtable" in classes:
        return _katex_table(element, depth)
    if "sqrt" in classes:
        inside = Node("mrow", {}, [_katex_row(box, depth) for _, box in _stack(element) if not _is_empty(box)][:1])
        if "root" in parts:
            index = [_katex_row(box, depth) for _, box in _stack(parts["root"])]
            return Node("mroot", {}, [inside, Node("mrow", {}, index)])
        return Node("msqrt", {}, [inside])
    if classes & {"accent", "overline", "underline"}:
        return _katex_accent(element, classes, depth)
    if "op-limits" in classes:
        return _katex_limits(element, depth)
    if "delimsizing" in classes:
        text = "".join(element.itertext()).replace("\u200b", "")
        whole = "".join(_BRACKET_PIECES.get(character, character) for character in text)
        return Node("mo", {"fence": "true"}, [], "".join(dict.fromkeys(whole.strip())))
    if "text" in classes:
        return Node("mtext", text="".join(element.itertext()))
    if len(element):
        return _katex_row(element, depth)
    return _katex_token(element.text or "", classes)


def _katex_token(text: str, classes: set[str]) -> Node | None:
    """A box of text: an identifier, a number or an operator; None for an empty one."""
    text = text.replace("\u200b", "")
    if not text.strip():
        return None
    variant = next((found for name in classes if (found := _KATEX_ALPHABETS.get(name))), "")
    tag = "mi" if text[0].isalpha() else "mn" if text.strip().isdigit() else "mo"
    if variant == "normal" and len(text) == 1 and not text.isalpha():
        variant = ""
    return Node(tag, {"mathvariant": variant} if variant else {}, [], text)


def _stack(element: Element) -> list[tuple[float, Element]]:
    """(height above the base line in em, box) of the boxes in the first vertical list of an element, from top to
    bottom."""
    column = next((e for e in element.iter("span") if (e.get("class") or "").split() == ["vlist"]), None)
    found = []
    for box in column if column is not None else ():
        strut = next((e for e in box if has_class(e, "pstrut")), None)
        height = _style(strut, "height") if strut is not None else 0.0
        if len(box):
            found.append((-_style(box, "top") - height, box))
    return sorted(found, key=lambda pair: -pair[0])


def _style(element: Element, name: str) -> float:
    """A length of an element's style, in em; 0 if it has none."""
    value = re.search(rf"(?:^|[;\s]){name}\s*:\s*(-?[\d.]{{1,12}})em", element.get("style") or "")
    try:
        return float(value[1]) if value else 0.0
    except ValueError:
        return 0.0


def _is_empty(box: Element) -> bool:
    """Whether a box has no characters: a line or a drawing."""
    return not "".join(box.itertext()).replace("\u200b", "").strip()


def _katex_scripts(element: Element, scripts: Element, depth: int) -> Node:
    """A base with its superscript and subscript."""
    boxes = [(height, _katex_row(box, depth)) for height, box in _stack(scripts) if not _is_empty(box)]
    nodes = [node for child in element if child is not scripts and (node := _katex_node(child, depth + 1))]
    base = Node("mrow", {}, nodes)
    if len(boxes) > 1:
        return Node("msubsup", {}, [base, boxes[-1][1], boxes[0][1]])
    if not boxes:
        return base
    return Node("msup" if boxes[0][0] > 0 else "msub", {}, [base, boxes[0][1]])


def _katex_fraction(element: Element, fraction: Element, depth: int) -> Node:
    """A fraction with the boxes around it; without a line it is a binomial."""
    boxes = _stack(fraction)
    lined = any(has_class(line, "frac-line") for _, box in boxes for line in box)
    parts = [_katex_row(box, depth) for _, box in boxes if not any(has_class(e, "frac-line") for e in box)]
    parts = [*parts, Node("mrow"), Node("mrow")][:2]
    node = Node("mfrac", {} if lined else {"linethickness": "0"}, parts)
    around = [(child is fraction and node) or _katex_node(child, depth + 1) for child in element]
    return Node("mrow", {}, [part for part in around if part])


def _katex_table(element: Element, depth: int) -> Node:
    """A table, which KaTeX writes column by column."""
    columns = [column for column in element if (column.get("class") or "").startswith("col-align")]
    cells = [[_katex_row(box, depth) for _, box in _stack(column)] for column in columns]
    rows = [
        Node("mtr", {}, [Node("mtd", {}, [column[i]]) if i < len(column) else Node("mtd") for column in cells])
        for i in range(max(map(len, cells), default=0))
    ]
    return Node("mtable", {}, rows)


def _katex_accent(element: Element, classes: set[str], depth: int) -> Node:
    """A base with an accent, or a line above or below it."""
    base, mark = Node("mrow"), "¯" if "overline" in classes else "_" if "underline" in classes else "^"
    for _, box in _stack(element):
        body = next((e for e in box.iter("span") if has_class(e, "accent-body")), None)
        if body is not None:
            text = "".join(body.itertext()).strip()
            mark = text or ("→" if any(has_class(e, "overlay") for e in body.iter("span")) else "^")
        elif not _is_empty(box):
            base = _katex_row(box, depth)
    tag = "munder" if "underline" in classes else "mover"
    return Node(tag, {}, [base, Node("mo", {"stretchy": "false"} if "accent" in classes else {}, [], mark)])


def _katex_limits(element: Element, depth: int) -> Node:
    """An operator with limits above and below it."""
    boxes = [box for _, box in _stack(element)]
    at = next((i for i, box in enumerate(boxes) if any(has_class(e, "mop") for e in box.iter("span"))), 0)
    rows = [_katex_row(box, depth) for box in boxes]
    if not rows:
        return Node("mrow")
    below, above = rows[at + 1 : at + 2], rows[at - 1 : at] if at else []
    tag = "munderover" if below and above else "munder" if below else "mover" if above else "mrow"
    return Node(tag, {}, [rows[at], *below, *above])
