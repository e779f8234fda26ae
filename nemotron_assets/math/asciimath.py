"""Converts AsciiMath to TeX, for pages that write their formulas for MathJax in AsciiMath."""

from __future__ import annotations

import re

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
_NAMED = (
    "sin cos tan sec csc cot sinh cosh tanh arcsin arccos arctan log ln exp lim max min sup inf det dim gcd mod sum "
    "prod int oint nabla in to times cdot star circ cup cap subset supset wedge vee neg forall exists infty partial "
    "ldots cdots vdots ddots quad equiv cong approx propto perp angle triangle"
)
_SYMBOLS = {
    "+-": r"\pm",
    "-+": r"\mp",
    "xx": r"\times",
    "-:": r"\div",
    "**": r"\ast",
    "***": r"\star",
    "//": "/",
    "@": r"\circ",
    "o+": r"\oplus",
    "ox": r"\otimes",
    "o.": r"\odot",
    "^^": r"\wedge",
    "vv": r"\vee",
    "nn": r"\cap",
    "uu": r"\cup",
    "!=": r"\neq",
    "<=": r"\leq",
    ">=": r"\geq",
    "-<": r"\prec",
    ">-": r"\succ",
    "-=": r"\equiv",
    "~=": r"\cong",
    "~~": r"\approx",
    "~": r"\sim",
    "prop": r"\propto",
    "!in": r"\notin",
    "sub": r"\subset",
    "sup": r"\supset",
    "sube": r"\subseteq",
    "supe": r"\supseteq",
    "not": r"\neg",
    "=>": r"\Rightarrow",
    "<=>": r"\Leftrightarrow",
    "iff": r"\Leftrightarrow",
    "if": r"\text{if}",
    "and": r"\text{and}",
    "or": r"\text{or}",
    "AA": r"\forall",
    "EE": r"\exists",
    "_|_": r"\perp",
    "TT": r"\top",
    "|--": r"\vdash",
    "|==": r"\models",
    "oo": r"\infty",
    "del": r"\partial",
    "grad": r"\nabla",
    "O/": r"\emptyset",
    "aleph": r"\aleph",
    "/_": r"\angle",
    ":.": r"\therefore",
    "...": r"\ldots",
    "CC": r"\mathbb{C}",
    "NN": r"\mathbb{N}",
    "QQ": r"\mathbb{Q}",
    "RR": r"\mathbb{R}",
    "ZZ": r"\mathbb{Z}",
    "->": r"\to",
    "|->": r"\mapsto",
    "rarr": r"\to",
    "larr": r"\leftarrow",
    "uarr": r"\uparrow",
    "darr": r"\downarrow",
    "harr": r"\leftrightarrow",
    "rArr": r"\Rightarrow",
    "lArr": r"\Leftarrow",
    "dx": "dx",
    "dy": "dy",
    "dz": "dz",
    "dt": "dt",
    "%": r"\%",
    "#": r"\#",
    "&": r"\&",
    "$": r"\$",
    "hArr": r"\Leftrightarrow",
    **{name: f"\\{name}" for name in (_GREEK + " " + _NAMED).split()},
}
_OPENING = {"(": "(", "[": "[", "{": r"\{", "(:": r"\langle", "<<": r"\langle", "{:": "."}
_CLOSING = {")": ")", "]": "]", "}": r"\}", ":)": r"\rangle", ">>": r"\rangle", ":}": "."}
#: {function of one argument: TeX command}; `_ENCLOSE` has the two sides of those that enclose their argument.
_ONE_ARGUMENT = {
    "sqrt": r"\sqrt", "hat": r"\hat", "bar": r"\overline", "vec": r"\vec", "dot": r"\dot", "ddot": r"\ddot",
    "tilde": r"\tilde", "ul": r"\underline", "abs": "|", "norm": r"\|", "floor": r"\lfloor", "ceil": r"\lceil",
    "bb": r"\mathbf", "bbb": r"\mathbb", "cc": r"\mathcal", "tt": r"\mathtt", "fr": r"\mathfrak", "sf": r"\mathsf",
}  # fmt: skip
_ENCLOSE = {
    "abs": ("|", "|"),
    "norm": (r"\|", r"\|"),
    "floor": (r"\lfloor ", r" \rfloor"),
    "ceil": (r"\lceil ", r" \rceil"),
}
#: {function of two arguments: TeX with a place for each}.
_TWO_ARGUMENTS = {"frac": r"\frac{%s}{%s}", "root": r"\sqrt[%s]{%s}", "stackrel": r"\overset{%s}{%s}",
        "overset": r"\overset{%s}{%s}", "underset": r"\underset{%s}{%s}"}  # fmt: skip
_KNOWN_TOKENS = sorted(
    {*_SYMBOLS, *_OPENING, *_CLOSING, *_ONE_ARGUMENT, *_TWO_ARGUMENTS, "text", "/", "_", "^"}, key=len, reverse=True
)
_TOKEN = re.compile(
    r'\s+|"[^"]*"|text\([^()]*\)|\d+(?:\.\d+)?|' + "|".join(map(re.escape, _KNOWN_TOKENS)) + r"|\\[A-Za-z]+|.",
    re.DOTALL,
)
_MAX_DEPTH = 60


def asciimath_to_tex(source: str) -> str:
    """The TeX of an AsciiMath formula: "sqrt x/2" becomes "\\frac{\\sqrt{x}}{2}". Unknown tokens stay as they are."""
    tokens = [token for token in _TOKEN.findall(source) if not token.isspace()]
    parser = _Parser(tokens)
    parts = []
    while parser.position < len(tokens):
        parts.append(parser.expression(0))
        if parser.position < len(tokens):  # a closing bracket without its opening one
            parts.append(_CLOSING.get(parser.take(), ""))
    return " ".join(" ".join(parts).split())


class _Parser:
    """Parses the tokens of a formula from left to right; `position` is the next token."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.position = tokens, 0

    def take(self) -> str:
        """The next token, which is consumed."""
        self.position += 1
        return self.tokens[self.position - 1]

    def peek(self) -> str:
        """The next token, which is not consumed; "" at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def expression(self, depth: int) -> str:
        """The TeX of all terms up to the next closing bracket, which is not consumed."""
        parts: list[str] = []
        while self.peek() and self.peek() not in _CLOSING:
            written, plain = self._scripted(depth)
            if self.peek() == "/":
                self.take()
                if self.peek():
                    _, denominator = self._scripted(depth)
                    parts.append(rf"\frac{{{plain}}}{{{denominator}}}")
                    continue
            parts.append(written)
        return " ".join(parts)

    def _scripted(self, depth: int) -> tuple[str, str]:
        """(TeX, TeX without the brackets that only group) of one term with its scripts: "(a+b)", "a+b"."""
        written, plain = self._simple(depth)
        scripts = ""
        while self.peek() in ("_", "^") and self.position + 1 < len(self.tokens):
            sign = self.take()
            script = self._simple(depth)[1]
            scripts += f"{sign}{script}" if len(script) == 1 else f"{sign}{{{script}}}"
        return written + scripts, (written + scripts) if scripts else plain

    def _simple(self, depth: int) -> tuple[str, str]:
        """(TeX, TeX without the brackets that only group) of one term without its scripts."""
        token = self.take()
        if token[0] == '"' or (token.startswith("text(") and token.endswith(")")):
            text = token.strip('"').removeprefix("text(").removesuffix(")") if token[0] != '"' else token.strip('"')
            return (rf"\text{{{text}}}",) * 2
        if depth > _MAX_DEPTH:
            return token, token
        if token in _OPENING:
            inside = self.expression(depth + 1)
            closing = _CLOSING.get(self.take(), ")") if self.peek() in _CLOSING else "."
            opening = _OPENING[token]
            if "\\" not in inside and "." not in (opening, closing):  # nothing tall stands between them
                return f"{opening}{inside}{closing}", inside
            return rf"\left{opening} {inside} \right{closing}", inside
        if token in _ONE_ARGUMENT and self.peek():
            argument = self._simple(depth + 1)[1]
            if token in _ENCLOSE:
                return (argument.join(_ENCLOSE[token]),) * 2
            return (f"{_ONE_ARGUMENT[token]}{{{argument}}}",) * 2
        if token in _TWO_ARGUMENTS and self.peek():
            first = self._simple(depth + 1)[1]
            second = self._simple(depth + 1)[1] if self.peek() else ""
            return (_TWO_ARGUMENTS[token] % (first, second),) * 2
        return (_SYMBOLS.get(token, token),) * 2
