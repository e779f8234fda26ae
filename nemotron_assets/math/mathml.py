"""Converts MathML to TeX, for pages whose formulas carry no TeX: presentation MathML, and MathJax 3's glyph elements.

The TeX keeps what a reader sees: structure, letters, operators and stretched brackets. Spacing and sizes are left to
TeX. The content of unknown elements is read as if the element were not there, so that no letter is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nemotron_assets.math.symbols import (
    ACCENTS,
    BELOW,
    CLOSING,
    ENCLOSED,
    FENCES,
    FUNCTIONS,
    INVISIBLE,
    LIMIT_NAMES,
    LIMITS,
    MATRICES,
    OPENING,
    STRETCHED_ARROWS,
    SYMBOLS,
    VARIANTS,
    WIDE,
    join,
    letters,
)

MAX_DEPTH = 100  # nested elements; deeper ones are read as text


@dataclass(slots=True)
class Node:
    """One element of a formula. `text` is the text of an element without children."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""


def to_tex(node: Node) -> str:
    """The TeX of a <math> element (or of any element inside one), without delimiters."""
    return " ".join(_Converter().convert(node).split())


class _Converter:
    """Converts elements. `element_<name>` converts elements of that name; the prefix makes sure that a name from a page
    cannot call any other method."""

    def __init__(self) -> None:
        self.depth = 0

    def convert(self, node: Node) -> str:
        """The TeX of one element. The caller adds braces where they are needed."""
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                return letters("".join(_all_text(node)))
            handler: Callable[[Node], str] | None = getattr(self, f"element_{node.tag.replace('-', '_')}", None)
            return handler(node) if handler else self._row(node.children) if node.children else letters(node.text)
        finally:
            self.depth -= 1

    # -- tokens ---------------------------------------------------------------------------------------------------

    def element_mi(self, node: Node) -> str:
        text = _text(node)
        if len(text) > 1 and text.isascii() and text.isalpha():
            if text in FUNCTIONS:
                return "\\" + text
            variant = VARIANTS.get(node.attributes.get("mathvariant", ""), r"\operatorname") or r"\mathit"
            return f"{variant}{{{text}}}"
        variant = VARIANTS.get(node.attributes.get("mathvariant", ""), "")
        # TeX sets capital Greek letters and symbols upright without \mathrm.
        if variant == r"\mathrm" and not (text.isascii() and text.isalpha()):
            variant = ""
        return f"{variant}{{{letters(text)}}}" if variant and text else letters(text)

    def element_mn(self, node: Node) -> str:
        return letters(_text(node))

    def element_mo(self, node: Node) -> str:
        text = _text(node)
        if len(text) > 1 and text.isascii() and text.isalpha():
            return "\\" + text if text in FUNCTIONS or text in ("mod", "bmod") else rf"\operatorname{{{text}}}"
        return {":=": ":=", "...": r"\ldots"}.get(text) or letters(text)

    def element_mtext(self, node: Node) -> str:
        text = "".join(_all_text(node)).translate(INVISIBLE).replace("\u00a0", " ")
        if not text.strip():
            return r"\ " if text else ""
        escaped = "".join(SYMBOLS[c] if c in "{}%#&$_" else r"\textbackslash " if c == "\\" else c for c in text)
        return rf"\text{{{escaped}}}"

    def element_ms(self, node: Node) -> str:
        return self.element_mtext(Node("mtext", text=f'"{"".join(_all_text(node))}"'))

    def element_mspace(self, node: Node) -> str:
        try:
            width = float(node.attributes.get("width", "0").removesuffix("em") or 0)
        except ValueError:
            return " "
        return r"\qquad" if width >= 1.8 else r"\quad" if width >= 0.9 else " "

    def element_annotation(self, node: Node) -> str:
        return ""

    element_annotation_xml = element_none = element_mprescripts = element_annotation

    # -- structure ------------------------------------------------------------------------------------------------

    def element_semantics(self, node: Node) -> str:
        return self.convert(node.children[0]) if node.children else ""

    element_maction = element_semantics

    def element_mstyle(self, node: Node) -> str:
        return self._row(node.children)

    element_mrow = element_math = element_mpadded = element_merror = element_mtd = element_mstyle

    def element_mphantom(self, node: Node) -> str:
        return rf"\phantom{{{self._row(node.children)}}}"

    def element_mfrac(self, node: Node) -> str:
        above, below = self._arguments(node, 2)
        if node.attributes.get("linethickness", "") in ("0", "0px", "0em", "0pt"):
            return rf"{{{above} \atop {below}}}"
        if node.attributes.get("bevelled") == "true":
            return f"{{{above}}}/{{{below}}}"
        return rf"\frac{{{above}}}{{{below}}}"

    def element_msqrt(self, node: Node) -> str:
        return rf"\sqrt{{{self._row(node.children)}}}"

    def element_mroot(self, node: Node) -> str:
        base, index = self._arguments(node, 2)
        return rf"\sqrt[{index}]{{{base}}}"

    def element_msup(self, node: Node) -> str:
        base, above = self._arguments(node, 2)
        return self._scripts(node, base, "", above)

    def element_msub(self, node: Node) -> str:
        base, below = self._arguments(node, 2)
        return self._scripts(node, base, below, "")

    def element_msubsup(self, node: Node) -> str:
        return self._scripts(node, *self._arguments(node, 3))

    def element_mover(self, node: Node) -> str:
        base, above = self._arguments(node, 2)
        mark = _text(node.children[1]) if len(node.children) > 1 else ""
        if (arrow := STRETCHED_ARROWS.get(_base_text(node))) and mark not in ACCENTS:
            return rf"{arrow}{{{above}}}"
        if (accent := ACCENTS.get(mark)) and not _takes_limits(node):
            wide = len(_base_text(node)) > 1 and node.children[1].attributes.get("stretchy") != "false"
            return f"{WIDE.get(accent, accent) if wide else accent}{{{base}}}"
        if _takes_limits(node) or base.startswith(r"\overbrace"):
            return f"{base}^{{{above}}}"
        return rf"\overset{{{above}}}{{{base}}}"

    def element_munder(self, node: Node) -> str:
        base, below = self._arguments(node, 2)
        mark = _text(node.children[1]) if len(node.children) > 1 else ""
        if (accent := BELOW.get(mark)) and not _takes_limits(node):
            return f"{accent}{{{base}}}"
        if _takes_limits(node) or base.startswith(r"\underbrace"):
            return f"{base}_{{{below}}}"
        return rf"\underset{{{below}}}{{{base}}}"

    def element_munderover(self, node: Node) -> str:
        base, below, above = self._arguments(node, 3)
        if _takes_limits(node):
            return f"{base}_{{{below}}}^{{{above}}}"
        return rf"\overset{{{above}}}{{\underset{{{below}}}{{{base}}}}}"

    def element_mmultiscripts(self, node: Node) -> str:
        if not node.children:
            return ""
        base, *scripts = node.children
        split = next((i for i, child in enumerate(scripts) if child.tag == "mprescripts"), len(scripts))
        before = "".join(self._pairs(scripts[split + 1 :]))
        after = "".join(self._pairs(scripts[:split]))
        return f"{'{}' + before if before else ''}{_braced(self.convert(base))}{after}"

    def _pairs(self, scripts: list[Node]) -> Iterator[str]:
        for below, above in zip(scripts[::2], scripts[1::2] + [Node("none")], strict=False):
            lower, upper = self.convert(below), self.convert(above)
            yield (f"_{{{lower}}}" if lower else "") + (f"^{{{upper}}}" if upper else "")

    def element_mfenced(self, node: Node) -> str:
        opening, closing = node.attributes.get("open", "("), node.attributes.get("close", ")")
        marks = [c for c in node.attributes.get("separators", ",") if not c.isspace()]
        parts = [self.convert(child) for child in node.children]
        text = parts[0] if parts else ""
        for number, part in enumerate(parts[1:]):
            text = join([text, marks[min(number, len(marks) - 1)] if marks else "", part])
        return join([rf"\left{_fence(opening)}", text, rf"\right{_fence(closing)}"])

    def element_menclose(self, node: Node) -> str:
        inside = self._row(node.children)
        notation = node.attributes.get("notation", "longdiv")
        for name, command in ENCLOSED.items():
            if name in notation:
                return f"{command}{{{inside}}}"
        return inside

    def element_mtable(self, node: Node) -> str:
        return self._table(node, _alignment(node))

    def _table(self, node: Node, environment: str) -> str:
        rows = []
        for row in node.children:
            cells = row.children[1:] if row.tag == "mlabeledtr" else row.children
            cells = [cell for cell in cells if "tml-" not in cell.attributes.get("class", "") or cell.children]
            if row.tag in ("mtr", "mlabeledtr"):
                rows.append(" & ".join(self._row(cell.children) if cell.children else _text(cell) for cell in cells))
            else:
                rows.append(self.convert(row))
        columns = ""
        if environment == "array":
            columns = f"{{{'c' * max(1, max((row.count(' & ') + 1 for row in rows), default=1))}}}"
        return rf"\begin{{{environment}}}{columns} " + r" \\ ".join(rows) + rf" \end{{{environment}}}"

    # -- helpers --------------------------------------------------------------------------------------------------

    def _arguments(self, node: Node, count: int) -> list[str]:
        parts = [self.convert(child) for child in node.children[:count]]
        return parts + [""] * (count - len(parts))

    def _scripts(self, node: Node, base: str, below: str, above: str) -> str:
        if below == "" and above and not above.replace("'", "").strip() and base:
            return _braced(base) + above  # f'
        if above.startswith("'") and below == "":
            primes = len(above) - len(above.lstrip("'"))
            return f"{_braced(base)}{above[:primes]}^{{{above[primes:].strip()}}}"
        base = base if _takes_limits(node) else _braced(base)
        return base + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")

    def _row(self, children: list[Node]) -> str:
        """The TeX of elements in a row: a matrix together with its brackets, stretched brackets in pairs, and all other
        elements one by one."""
        children = _flattened(children)
        parts: list[str] = []
        stretched = _stretched_pairs(children)
        i = 0
        while i < len(children):
            child = children[i]
            table = children[i + 1] if i + 1 < len(children) else None
            if child.tag == "mo" and table is not None and _inner(table).tag == "mtable":
                table = _inner(table)
                after = children[i + 2] if i + 2 < len(children) else None
                pair = _text(child) + (_text(after) if after is not None and after.tag == "mo" else "")
                if pair in MATRICES:
                    parts.append(self._table(table, MATRICES[pair]))
                    i += 3
                    continue
                if _text(child) == "{" and (after is None or after.tag != "mo" or not _text(after)):
                    parts.append(self._table(table, "cases"))
                    i += 2 if after is None or after.tag != "mo" else 3
                    continue
            if child.tag == "mo" and _text(child) == "(" and table is not None and _is_binomial(table, children, i):
                above, below = self._arguments(_inner(table), 2)
                parts.append(rf"\binom{{{above}}}{{{below}}}")
                i += 3
                continue
            if i in stretched:
                parts.append(f"\\{stretched[i]}{_fence(_text(child))}")
            else:
                parts.append(self.convert(child))
            i += 1
        return join(parts)


def _flattened(children: list[Node]) -> list[Node]:
    """The elements of a row, without nested rows that only group. A matrix and its brackets often stand in different
    nested rows."""
    while len(children) == 1 and children[0].tag in ("mrow", "mstyle", "mpadded") and children[0].children:
        children = children[0].children
    return children


def _inner(node: Node) -> Node:
    """The element inside nested rows of one element."""
    while node.tag in ("mrow", "mstyle", "mpadded") and len(node.children) == 1:
        node = node.children[0]
    return node


def _is_binomial(node: Node, row: list[Node], i: int) -> bool:
    """Whether `node`, behind the opening bracket at index `i`, is a fraction without a line in brackets."""
    inner = _inner(node)
    closed = i + 2 < len(row) and row[i + 2].tag == "mo" and _text(row[i + 2]) == ")"
    return closed and inner.tag == "mfrac" and inner.attributes.get("linethickness") in ("0", "0px", "0em", "0pt")


def _stretched_pairs(row: list[Node]) -> dict[int, str]:
    """{index: "left" or "right"} of the brackets of a row that stretch; only balanced pairs."""
    found: dict[int, str] = {}
    open_at: list[int] = []
    for i, child in enumerate(row):
        if child.tag != "mo" or child.attributes.get("stretchy") == "false":
            continue
        text, form = _text(child), child.attributes.get("form", "")
        if child.attributes.get("fence") != "true" or (text and text not in FENCES):
            continue
        opens = form == "prefix" or (not form and (text in OPENING or (text not in CLOSING and not open_at)))
        if opens:
            open_at.append(i)
        elif open_at:
            found[open_at.pop()], found[i] = "left", "right"
    return found


def _takes_limits(node: Node) -> bool:
    """Whether the base of an element is an operator with limits above and below, such as a sum or lim."""
    base = node.children[0] if node.children else None
    while base is not None and len(base.children) == 1:
        base = base.children[0]
    if base is None:
        return False
    text = _text(base)
    return (
        text in LIMITS or text.replace(" ", "").replace("\u2009", "") in LIMIT_NAMES or base.tag in ("munder", "mover")
    )


def _alignment(table: Node) -> str:
    """The TeX environment of a table without brackets."""
    columns = max((len(row.children) for row in table.children), default=0)
    align = table.attributes.get("columnalign", "").split()
    styles = " ".join(cell.attributes.get("style", "") for row in table.children for cell in row.children)
    classes = table.attributes.get("class", "")
    if align[:1] == ["right"] or "text-align:right" in styles.replace(" ", "") or columns == 1 or "tml-jot" in classes:
        return "aligned"
    return "matrix"


def _fence(text: str) -> str:
    """A bracket as TeX needs it after \\left or \\right; "." if there is no bracket."""
    return FENCES.get(text, text or ".")


def _base_text(node: Node) -> str:
    """The text of an element's first child."""
    return "".join(_all_text(node.children[0])).strip() if node.children else ""


def _text(node: Node) -> str:
    """The text of an element with its children, without invisible characters."""
    return "".join(_all_text(node)).translate(INVISIBLE).strip()


def _all_text(node: Node) -> Iterator[str]:
    """Yield the texts of an element and of all elements inside it, in order."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current.text
        stack.extend(reversed(current.children))


def _braced(tex: str) -> str:
    """A base as TeX needs it before ^ and _: in braces, unless it is one symbol, one command or in brackets."""
    simple = len(tex) == 1 or (tex.startswith("\\") and tex[1:].isalpha())
    complete = tex.startswith("\\") and tex.endswith("}") and _one_group(tex)
    # A script may follow a closing bracket: (x-a)^{2} reads better than {(x-a)}^{2}.
    fenced = tex.startswith(r"\left") and tex.endswith((")", "]", "|", "}")) and tex.count(r"\left") == 1
    fenced = fenced or (tex[:1] == "(" and tex[-1:] == ")" and _balanced(tex[1:-1]))
    return tex if simple or complete or fenced or not tex else f"{{{tex}}}"


def _balanced(tex: str) -> bool:
    """Whether every parenthesis closes one that was opened before."""
    depth = 0
    for character in tex:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def _one_group(tex: str) -> bool:
    """Whether TeX is one command with its arguments, such as \\mathbf{x} or \\frac{a}{b}."""
    name = 1
    while name < len(tex) and tex[name].isalpha():
        name += 1
    depth = 0
    for i in range(name, len(tex)):
        if tex[i] == "{":
            depth += 1
        elif tex[i] == "}":
            depth -= 1
        elif depth == 0:
            return False
    return depth == 0 and name > 1
