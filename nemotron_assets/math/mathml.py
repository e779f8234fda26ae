"""MathML to TeX, for pages whose formulas carry no TeX: presentation MathML, and the glyph elements of MathJax 3.

What a reader sees decides: structure, letters, operators and stretched fences are kept; spacing and sizes are left to
TeX. Unknown elements are read through, so that no letter is lost whatever a page contains.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MAX_DEPTH = 100  # nested elements; deeper ones are read as text


@dataclass(slots=True)
class Node:
    """One element of a formula; `text` holds the text of an element without children."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""


FUNCTIONS = frozenset(
    ("arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd",
     "hom", "inf", "injlim", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "projlim",
     "sec", "sin", "sinh", "sup", "tan", "tanh")
)  # fmt: skip

_GREEK = {
    chr(code): "\\" + name
    for code, name in zip(
        range(0x3B1, 0x3CA),
        ("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
         "nu", "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega"),
        strict=True,
    )
    if name != "omicron"
} | {
    chr(code): "\\" + name
    for code, name in {
        0x393: "Gamma", 0x394: "Delta", 0x398: "Theta", 0x39B: "Lambda", 0x39E: "Xi", 0x3A0: "Pi", 0x3A3: "Sigma",
        0x3A5: "Upsilon", 0x3A6: "Phi", 0x3A8: "Psi", 0x3A9: "Omega", 0x3D1: "vartheta", 0x3D5: "phi", 0x3D6: "varpi",
        0x3F0: "varkappa", 0x3F1: "varrho", 0x3F5: "epsilon", 0x3DD: "digamma",
    }.items()
}  # fmt: skip

#: Characters and their TeX, beside the Greek alphabet.
SYMBOLS = _GREEK | {
    "−": "-", "∗": "*", "⋅": r"\cdot", "·": r"\cdot", "×": r"\times", "÷": r"\div", "±": r"\pm", "∓": r"\mp",
    "≤": r"\leq", "≥": r"\geq", "⩽": r"\leqslant", "⩾": r"\geqslant", "≠": r"\neq", "≈": r"\approx", "≃": r"\simeq",
    "≅": r"\cong", "≡": r"\equiv", "∼": r"\sim", "∝": r"\propto", "≪": r"\ll", "≫": r"\gg", "≺": r"\prec",
    "≻": r"\succ", "⪯": r"\preceq", "⪰": r"\succeq", "∈": r"\in", "∉": r"\notin", "∋": r"\ni", "⊂": r"\subset",
    "⊃": r"\supset", "⊆": r"\subseteq", "⊇": r"\supseteq", "⊊": r"\subsetneq", "∪": r"\cup", "∩": r"\cap",
    "∖": r"\setminus", "∅": r"\emptyset", "∀": r"\forall", "∃": r"\exists", "∄": r"\nexists", "¬": r"\neg",
    "∧": r"\wedge", "∨": r"\vee", "⊕": r"\oplus", "⊖": r"\ominus", "⊗": r"\otimes", "⊘": r"\oslash", "⊙": r"\odot",
    "∘": r"\circ", "∙": r"\bullet", "•": r"\bullet", "⋆": r"\star", "†": r"\dagger", "‡": r"\ddagger",
    "→": r"\to", "←": r"\leftarrow", "↔": r"\leftrightarrow", "⇒": r"\Rightarrow", "⇐": r"\Leftarrow",
    "⇔": r"\Leftrightarrow", "⟹": r"\implies", "⟺": r"\iff", "⟶": r"\longrightarrow", "⟵": r"\longleftarrow",
    "↦": r"\mapsto", "⟼": r"\longmapsto", "↑": r"\uparrow", "↓": r"\downarrow", "↗": r"\nearrow", "↘": r"\searrow",
    "↪": r"\hookrightarrow", "⇀": r"\rightharpoonup", "⇌": r"\rightleftharpoons", "∞": r"\infty", "∂": r"\partial",
    "∇": r"\nabla", "∑": r"\sum", "∏": r"\prod", "∐": r"\coprod", "∫": r"\int", "∬": r"\iint", "∭": r"\iiint",
    "∮": r"\oint", "⋃": r"\bigcup", "⋂": r"\bigcap", "⨁": r"\bigoplus", "⨂": r"\bigotimes", "⋁": r"\bigvee",
    "⋀": r"\bigwedge", "⨆": r"\bigsqcup", "√": r"\surd", "ℓ": r"\ell", "ℏ": r"\hbar", "ℵ": r"\aleph", "ℜ": r"\Re",
    "ℑ": r"\Im", "℘": r"\wp", "ı": r"\imath", "ȷ": r"\jmath", "′": "'", "″": "''", "‴": "'''", "…": r"\ldots",
    "⋯": r"\cdots", "⋮": r"\vdots", "⋱": r"\ddots", "∠": r"\angle", "⊥": r"\perp", "∥": r"\parallel", "∣": r"\mid",
    "∤": r"\nmid", "⊢": r"\vdash", "⊨": r"\models", "⊤": r"\top", "⟨": r"\langle", "⟩": r"\rangle", "〈": r"\langle",
    "〉": r"\rangle", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil", "‖": r"\|", "∴": r"\therefore",
    "∵": r"\because", "□": r"\square", "◻": r"\square", "■": r"\blacksquare", "△": r"\triangle", "⋄": r"\diamond",
    "♯": r"\sharp", "♭": r"\flat", "♮": r"\natural", "§": r"\S", "¶": r"\P", "£": r"\pounds", "≜": r"\triangleq",
    "≔": ":=", "≐": r"\doteq", "≲": r"\lesssim", "≳": r"\gtrsim", "⋉": r"\ltimes", "⋊": r"\rtimes", "⊔": r"\sqcup",
    "⊓": r"\sqcap", "⊑": r"\sqsubseteq", "∎": r"\blacksquare", "⟂": r"\perp", "⊎": r"\uplus", "≀": r"\wr",
    "{": r"\{", "}": r"\}", "%": r"\%", "#": r"\#", "&": r"\&", "$": r"\$", "_": r"\_", "\\": r"\backslash",
    "~": r"\sim", "^": r"\hat{}", "\u00a0": " ", "’": "'", "∁": r"\complement", "⌢": r"\frown", "⌣": r"\smile",
}  # fmt: skip

_INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b\u200c\u200d\ufe00\ufeff"))

_ACCENTS = {
    "^": r"\hat", "ˆ": r"\hat", "̂": r"\hat", "~": r"\tilde", "˜": r"\tilde", "∼": r"\tilde", "̃": r"\tilde",
    "¯": r"\bar", "ˉ": r"\bar", "‾": r"\overline", "̄": r"\bar", "―": r"\overline", "→": r"\vec", "⃗": r"\vec",
    "˙": r"\dot", ".": r"\dot", "̇": r"\dot", "¨": r"\ddot", "̈": r"\ddot", "⃛": r"\dddot", "´": r"\acute",
    "`": r"\grave", "˘": r"\breve", "ˇ": r"\check", "˚": r"\mathring", "⏞": r"\overbrace", "︷": r"\overbrace",
    "_": r"\overline", "←": r"\overleftarrow", "↔": r"\overleftrightarrow", "⏜": r"\overparen",
}  # fmt: skip
_WIDE = {r"\hat": r"\widehat", r"\tilde": r"\widetilde", r"\bar": r"\overline", r"\vec": r"\overrightarrow"}
_BELOW = {"_": r"\underline", "̲": r"\underline", "¯": r"\underline", "―": r"\underline", "‾": r"\underline",
          "⏟": r"\underbrace", "︸": r"\underbrace"}  # fmt: skip
_STRETCHED_ARROWS = {"→": r"\xrightarrow", "⟶": r"\xrightarrow", "←": r"\xleftarrow", "⟵": r"\xleftarrow"}
#: Operators whose scripts stand above and below.
_LIMITS = frozenset("∑∏∐⋃⋂⨁⨂⋁⋀⨆∫∬∭∮")
_LIMIT_NAMES = frozenset(
    ["lim", "liminf", "limsup", "max", "min", "sup", "inf", "gcd", "det", "Pr", "injlim", "projlim", "argmax", "argmin"]
)
_MATRICES = {"()": "pmatrix", "[]": "bmatrix", "{}": "Bmatrix", "||": "vmatrix", "‖‖": "Vmatrix", "∥∥": "Vmatrix"}
_VARIANTS = {
    "normal": r"\mathrm", "bold": r"\mathbf", "double-struck": r"\mathbb", "script": r"\mathcal",
    "bold-script": r"\mathcal", "fraktur": r"\mathfrak", "bold-fraktur": r"\mathfrak", "monospace": r"\mathtt",
    "sans-serif": r"\mathsf", "bold-italic": r"\boldsymbol", "bold-sans-serif": r"\mathsf", "italic": "",
    "-tex-calligraphic": r"\mathcal", "-tex-mathit": r"\mathit",
}  # fmt: skip
_UNICODE_VARIANTS = (
    ("MATHEMATICAL BOLD ITALIC", r"\boldsymbol"), ("MATHEMATICAL BOLD SCRIPT", r"\mathcal"),
    ("MATHEMATICAL BOLD FRAKTUR", r"\mathfrak"), ("MATHEMATICAL BOLD", r"\mathbf"), ("MATHEMATICAL ITALIC", ""),
    ("MATHEMATICAL SCRIPT", r"\mathcal"), ("SCRIPT ", r"\mathcal"), ("MATHEMATICAL FRAKTUR", r"\mathfrak"),
    ("BLACK-LETTER", r"\mathfrak"), ("MATHEMATICAL DOUBLE-STRUCK", r"\mathbb"), ("DOUBLE-STRUCK", r"\mathbb"),
    ("MATHEMATICAL SANS-SERIF", r"\mathsf"), ("MATHEMATICAL MONOSPACE", r"\mathtt"),
)  # fmt: skip
_FENCES = {"(": "(", ")": ")", "[": "[", "]": "]", "{": r"\{", "}": r"\}", "|": "|", "∣": "|", "‖": r"\|", "∥": r"\|",
           "⟨": r"\langle", "⟩": r"\rangle", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil",
           "/": "/", "": ".", "〈": r"\langle", "〉": r"\rangle"}  # fmt: skip
_OPENING = frozenset("([{⟨⌊⌈〈")
_CLOSING = frozenset(")]}⟩⌋⌉〉")


_ENCLOSED = {"box": r"\boxed", "diagonalstrike": r"\cancel", "radical": r"\sqrt", "top": r"\overline",
             "bottom": r"\underline", "horizontalstrike": r"\sout"}  # fmt: skip


def to_tex(node: Node) -> str:
    """The TeX of a <math> element (or of any element inside one), without delimiters."""
    return " ".join(_Converter().convert(node).split())


class _Converter:
    def __init__(self) -> None:
        self.depth = 0

    def convert(self, node: Node) -> str:
        """TeX of one element; braces are added by whoever needs them."""
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                return _letters("".join(_all_text(node)))
            handler: Callable[[Node], str] | None = getattr(self, f"_{node.tag.replace('-', '_')}", None)
            return handler(node) if handler else self._row(node.children) if node.children else _letters(node.text)
        finally:
            self.depth -= 1

    # -- tokens ---------------------------------------------------------------------------------------------------

    def _mi(self, node: Node) -> str:
        text = _text(node)
        if len(text) > 1 and text.isascii() and text.isalpha():
            if text in FUNCTIONS:
                return "\\" + text
            variant = _VARIANTS.get(node.attributes.get("mathvariant", ""), r"\operatorname") or r"\mathit"
            return f"{variant}{{{text}}}"
        variant = _VARIANTS.get(node.attributes.get("mathvariant", ""), "")
        # An upright capital Greek letter is TeX's usual one; so is every symbol that is no letter.
        if variant == r"\mathrm" and not (text.isascii() and text.isalpha()):
            variant = ""
        return f"{variant}{{{_letters(text)}}}" if variant and text else _letters(text)

    def _mn(self, node: Node) -> str:
        return _letters(_text(node))

    def _mo(self, node: Node) -> str:
        text = _text(node)
        if len(text) > 1 and text.isascii() and text.isalpha():
            return "\\" + text if text in FUNCTIONS or text in ("mod", "bmod") else rf"\operatorname{{{text}}}"
        return {":=": ":=", "...": r"\ldots"}.get(text) or _letters(text)

    def _mtext(self, node: Node) -> str:
        text = "".join(_all_text(node)).translate(_INVISIBLE).replace("\u00a0", " ")
        if not text.strip():
            return r"\ " if text else ""
        escaped = "".join(SYMBOLS[c] if c in "{}%#&$_" else r"\textbackslash " if c == "\\" else c for c in text)
        return rf"\text{{{escaped}}}"

    def _ms(self, node: Node) -> str:
        return self._mtext(Node("mtext", text=f'"{"".join(_all_text(node))}"'))

    def _mspace(self, node: Node) -> str:
        try:
            width = float(node.attributes.get("width", "0").removesuffix("em") or 0)
        except ValueError:
            return " "
        return r"\qquad" if width >= 1.8 else r"\quad" if width >= 0.9 else " "

    def _annotation(self, node: Node) -> str:
        return ""

    _annotation_xml = _none = _mprescripts = _annotation

    # -- structure ------------------------------------------------------------------------------------------------

    def _semantics(self, node: Node) -> str:
        return self.convert(node.children[0]) if node.children else ""

    _maction = _semantics

    def _mstyle(self, node: Node) -> str:
        return self._row(node.children)

    _mrow = _math = _mpadded = _merror = _mtd = _mstyle

    def _mphantom(self, node: Node) -> str:
        return rf"\phantom{{{self._row(node.children)}}}"

    def _mfrac(self, node: Node) -> str:
        above, below = self._arguments(node, 2)
        if node.attributes.get("linethickness", "") in ("0", "0px", "0em", "0pt"):
            return rf"{{{above} \atop {below}}}"
        if node.attributes.get("bevelled") == "true":
            return f"{{{above}}}/{{{below}}}"
        return rf"\frac{{{above}}}{{{below}}}"

    def _msqrt(self, node: Node) -> str:
        return rf"\sqrt{{{self._row(node.children)}}}"

    def _mroot(self, node: Node) -> str:
        base, index = self._arguments(node, 2)
        return rf"\sqrt[{index}]{{{base}}}"

    def _msup(self, node: Node) -> str:
        base, above = self._arguments(node, 2)
        return self._scripts(node, base, "", above)

    def _msub(self, node: Node) -> str:
        base, below = self._arguments(node, 2)
        return self._scripts(node, base, below, "")

    def _msubsup(self, node: Node) -> str:
        return self._scripts(node, *self._arguments(node, 3))

    def _mover(self, node: Node) -> str:
        base, above = self._arguments(node, 2)
        mark = _text(node.children[1]) if len(node.children) > 1 else ""
        if (arrow := _STRETCHED_ARROWS.get(_base_text(node))) and mark not in _ACCENTS:
            return rf"{arrow}{{{above}}}"
        if (accent := _ACCENTS.get(mark)) and not _takes_limits(node):
            wide = len(_base_text(node)) > 1 and node.children[1].attributes.get("stretchy") != "false"
            return f"{_WIDE.get(accent, accent) if wide else accent}{{{base}}}"
        if _takes_limits(node) or base.startswith(r"\overbrace"):
            return f"{base}^{{{above}}}"
        return rf"\overset{{{above}}}{{{base}}}"

    def _munder(self, node: Node) -> str:
        base, below = self._arguments(node, 2)
        mark = _text(node.children[1]) if len(node.children) > 1 else ""
        if (accent := _BELOW.get(mark)) and not _takes_limits(node):
            return f"{accent}{{{base}}}"
        if _takes_limits(node) or base.startswith(r"\underbrace"):
            return f"{base}_{{{below}}}"
        return rf"\underset{{{below}}}{{{base}}}"

    def _munderover(self, node: Node) -> str:
        base, below, above = self._arguments(node, 3)
        if _takes_limits(node):
            return f"{base}_{{{below}}}^{{{above}}}"
        return rf"\overset{{{above}}}{{\underset{{{below}}}{{{base}}}}}"

    def _mmultiscripts(self, node: Node) -> str:
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

    def _mfenced(self, node: Node) -> str:
        opening, closing = node.attributes.get("open", "("), node.attributes.get("close", ")")
        marks = [c for c in node.attributes.get("separators", ",") if not c.isspace()]
        parts = [self.convert(child) for child in node.children]
        text = parts[0] if parts else ""
        for number, part in enumerate(parts[1:]):
            text = _join([text, marks[min(number, len(marks) - 1)] if marks else "", part])
        return _join([rf"\left{_fence(opening)}", text, rf"\right{_fence(closing)}"])

    def _menclose(self, node: Node) -> str:
        inside = self._row(node.children)
        notation = node.attributes.get("notation", "longdiv")
        for name, command in _ENCLOSED.items():
            if name in notation:
                return f"{command}{{{inside}}}"
        return inside

    def _mtable(self, node: Node) -> str:
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
        """A horizontal row: matrices with their fences, stretched fences in pairs, everything else as it comes."""
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
                if pair in _MATRICES:
                    parts.append(self._table(table, _MATRICES[pair]))
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
        return _join(parts)


def _flattened(children: list[Node]) -> list[Node]:
    """Rows without rows that only group: a matrix and its fences, say, often stand in different ones."""
    while len(children) == 1 and children[0].tag in ("mrow", "mstyle", "mpadded") and children[0].children:
        children = children[0].children
    return children


def _inner(node: Node) -> Node:
    while node.tag in ("mrow", "mstyle", "mpadded") and len(node.children) == 1:
        node = node.children[0]
    return node


def _is_binomial(node: Node, row: list[Node], i: int) -> bool:
    inner = _inner(node)
    closed = i + 2 < len(row) and row[i + 2].tag == "mo" and _text(row[i + 2]) == ")"
    return closed and inner.tag == "mfrac" and inner.attributes.get("linethickness") in ("0", "0px", "0em", "0pt")


def _stretched_pairs(row: list[Node]) -> dict[int, str]:
    """{position: "left" or "right"} of fences that stretch, in balanced pairs."""
    found: dict[int, str] = {}
    open_at: list[int] = []
    for i, child in enumerate(row):
        if child.tag != "mo" or child.attributes.get("stretchy") == "false":
            continue
        text, form = _text(child), child.attributes.get("form", "")
        if child.attributes.get("fence") != "true" or (text and text not in _FENCES):
            continue
        opens = form == "prefix" or (not form and (text in _OPENING or (text not in _CLOSING and not open_at)))
        if opens:
            open_at.append(i)
        elif open_at:
            found[open_at.pop()], found[i] = "left", "right"
    return found


def _takes_limits(node: Node) -> bool:
    """Whether the element's base is an operator with limits, as a sum or lim."""
    base = node.children[0] if node.children else None
    while base is not None and len(base.children) == 1:
        base = base.children[0]
    if base is None:
        return False
    text = _text(base)
    return (
        text in _LIMITS
        or text.replace(" ", "").replace("\u2009", "") in _LIMIT_NAMES
        or base.tag in ("munder", "mover")
    )


def _alignment(table: Node) -> str:
    """The environment of a table without fences."""
    columns = max((len(row.children) for row in table.children), default=0)
    align = table.attributes.get("columnalign", "").split()
    styles = " ".join(cell.attributes.get("style", "") for row in table.children for cell in row.children)
    classes = table.attributes.get("class", "")
    if align[:1] == ["right"] or "text-align:right" in styles.replace(" ", "") or columns == 1 or "tml-jot" in classes:
        return "aligned"
    return "matrix"


def _fence(text: str) -> str:
    return _FENCES.get(text, text or ".")


def _base_text(node: Node) -> str:
    return "".join(_all_text(node.children[0])).strip() if node.children else ""


def _text(node: Node) -> str:
    return "".join(_all_text(node)).translate(_INVISIBLE).strip()


def _all_text(node: Node) -> Iterator[str]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current.text
        stack.extend(reversed(current.children))


def _braced(tex: str) -> str:
    """A base as TeX needs it before ^ and _: single symbols as they are."""
    simple = len(tex) == 1 or (tex.startswith("\\") and tex[1:].isalpha())
    complete = tex.startswith("\\") and tex.endswith("}") and _one_group(tex)
    # TeX puts a script after a closing fence there, too; (x-a)^{2} reads better than {(x-a)}^{2}.
    fenced = tex.startswith(r"\left") and tex.endswith((")", "]", "|", "}")) and tex.count(r"\left") == 1
    fenced = fenced or (tex[:1] == "(" and tex[-1:] == ")" and _balanced(tex[1:-1]))
    return tex if simple or complete or fenced or not tex else f"{{{tex}}}"


def _balanced(tex: str) -> bool:
    depth = 0
    for character in tex:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def _one_group(tex: str) -> bool:
    """Whether tex is one command with its arguments, as \\mathbf{x} or \\frac{a}{b}."""
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


def _letters(text: str) -> str:
    """Characters as TeX: symbols by name, styled letters with their alphabet."""
    parts = []
    for character in text.translate(_INVISIBLE):
        if character in SYMBOLS:
            parts.append(SYMBOLS[character])
        elif character.isascii():
            parts.append(character)
        else:
            parts.append(_styled(character))
    return _join(parts)


def _styled(character: str) -> str:
    name = unicodedata.name(character, "")
    plain = unicodedata.normalize("NFKC", character)
    if plain == character or not name:
        return character
    for prefix, command in _UNICODE_VARIANTS:
        if name.startswith(prefix):
            inside = SYMBOLS.get(plain, plain)
            return f"{command}{{{inside}}}" if command else inside
    return plain if plain.strip() else " "


def _join(parts: list[str]) -> str:
    """Concatenate, with a blank where a command's name would swallow the next letter."""
    text = ""
    for part in parts:
        if not part:
            continue
        if text and part[0].isalpha() and part[0].isascii() and _ends_in_command(text):
            text += " "
        text += part
    return text


def _ends_in_command(text: str) -> bool:
    end = len(text)
    while end and text[end - 1].isalpha() and text[end - 1].isascii():
        end -= 1
    return end < len(text) and end > 0 and text[end - 1] == "\\"
