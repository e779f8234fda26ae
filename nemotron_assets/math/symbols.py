"""Tables of mathematical characters and names with their TeX commands."""

from __future__ import annotations

import unicodedata

#: Functions with a TeX command of their own: "sin" is \sin.
FUNCTIONS = frozenset(
    ("arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd",
     "hom", "inf", "injlim", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "projlim",
     "sec", "sin", "sinh", "sup", "tan", "tanh")
)  # fmt: skip

_GREEK = {
    chr(code): "\\" + name
    for code, name in zip(
        range(0x3B1, 0x3CA),
        (
            "alpha",
            "beta",
            "gamma",
            "delta",
            "varepsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "omicron",
            "pi",
            "rho",
            "varsigma",
            "sigma",
            "tau",
            "upsilon",
            "varphi",
            "chi",
            "psi",
            "omega",
        ),
        strict=True,
    )
    if name != "omicron"
} | {
    chr(code): "\\" + name
    for code, name in {
        0x393: "Gamma",
        0x394: "Delta",
        0x398: "Theta",
        0x39B: "Lambda",
        0x39E: "Xi",
        0x3A0: "Pi",
        0x3A3: "Sigma",
        0x3A5: "Upsilon",
        0x3A6: "Phi",
        0x3A8: "Psi",
        0x3A9: "Omega",
        0x3D1: "vartheta",
        0x3D5: "phi",
        0x3D6: "varpi",
        0x3F0: "varkappa",
        0x3F1: "varrho",
        0x3F5: "epsilon",
        0x3DD: "digamma",
    }.items()
}

#: {character: TeX}, including the Greek alphabet.
SYMBOLS = _GREEK | {
    "−": "-",
    "∗": "*",
    "⋅": r"\cdot",
    "·": r"\cdot",
    "×": r"\times",
    "÷": r"\div",
    "±": r"\pm",
    "∓": r"\mp",
    "≤": r"\leq",
    "≥": r"\geq",
    "⩽": r"\leqslant",
    "⩾": r"\geqslant",
    "≠": r"\neq",
    "≈": r"\approx",
    "≃": r"\simeq",
    "≅": r"\cong",
    "≡": r"\equiv",
    "∼": r"\sim",
    "∝": r"\propto",
    "≪": r"\ll",
    "≫": r"\gg",
    "≺": r"\prec",
    "≻": r"\succ",
    "⪯": r"\preceq",
    "⪰": r"\succeq",
    "∈": r"\in",
    "∉": r"\notin",
    "∋": r"\ni",
    "⊂": r"\subset",
    "⊃": r"\supset",
    "⊆": r"\subseteq",
    "⊇": r"\supseteq",
    "⊊": r"\subsetneq",
    "∪": r"\cup",
    "∩": r"\cap",
    "∖": r"\setminus",
    "∅": r"\emptyset",
    "∀": r"\forall",
    "∃": r"\exists",
    "∄": r"\nexists",
    "¬": r"\neg",
    "∧": r"\wedge",
    "∨": r"\vee",
    "⊕": r"\oplus",
    "⊖": r"\ominus",
    "⊗": r"\otimes",
    "⊘": r"\oslash",
    "⊙": r"\odot",
    "∘": r"\circ",
    "∙": r"\bullet",
    "•": r"\bullet",
    "⋆": r"\star",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "→": r"\to",
    "←": r"\leftarrow",
    "↔": r"\leftrightarrow",
    "⇒": r"\Rightarrow",
    "⇐": r"\Leftarrow",
    "⇔": r"\Leftrightarrow",
    "⟹": r"\implies",
    "⟺": r"\iff",
    "⟶": r"\longrightarrow",
    "⟵": r"\longleftarrow",
    "↦": r"\mapsto",
    "⟼": r"\longmapsto",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "↗": r"\nearrow",
    "↘": r"\searrow",
    "↪": r"\hookrightarrow",
    "⇀": r"\rightharpoonup",
    "⇌": r"\rightleftharpoons",
    "∞": r"\infty",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∑": r"\sum",
    "∏": r"\prod",
    "∐": r"\coprod",
    "∫": r"\int",
    "∬": r"\iint",
    "∭": r"\iiint",
    "∮": r"\oint",
    "⋃": r"\bigcup",
    "⋂": r"\bigcap",
    "⨁": r"\bigoplus",
    "⨂": r"\bigotimes",
    "⋁": r"\bigvee",
    "⋀": r"\bigwedge",
    "⨆": r"\bigsqcup",
    "√": r"\surd",
    "ℓ": r"\ell",
    "ℏ": r"\hbar",
    "ℵ": r"\aleph",
    "ℜ": r"\Re",
    "ℑ": r"\Im",
    "℘": r"\wp",
    "ı": r"\imath",
    "ȷ": r"\jmath",
    "′": "'",
    "″": "''",
    "‴": "'''",
    "…": r"\ldots",
    "⋯": r"\cdots",
    "⋮": r"\vdots",
    "⋱": r"\ddots",
    "∠": r"\angle",
    "⊥": r"\perp",
    "∥": r"\parallel",
    "∣": r"\mid",
    "∤": r"\nmid",
    "⊢": r"\vdash",
    "⊨": r"\models",
    "⊤": r"\top",
    "⟨": r"\langle",
    "⟩": r"\rangle",
    "〈": r"\langle",
    "〉": r"\rangle",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "⌈": r"\lceil",
    "⌉": r"\rceil",
    "‖": r"\|",
    "∴": r"\therefore",
    "∵": r"\because",
    "□": r"\square",
    "◻": r"\square",
    "■": r"\blacksquare",
    "△": r"\triangle",
    "⋄": r"\diamond",
    "♯": r"\sharp",
    "♭": r"\flat",
    "♮": r"\natural",
    "§": r"\S",
    "¶": r"\P",
    "£": r"\pounds",
    "≜": r"\triangleq",
    "≔": ":=",
    "≐": r"\doteq",
    "≲": r"\lesssim",
    "≳": r"\gtrsim",
    "⋉": r"\ltimes",
    "⋊": r"\rtimes",
    "⊔": r"\sqcup",
    "⊓": r"\sqcap",
    "⊑": r"\sqsubseteq",
    "∎": r"\blacksquare",
    "⟂": r"\perp",
    "⊎": r"\uplus",
    "≀": r"\wr",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "#": r"\#",
    "&": r"\&",
    "$": r"\$",
    "_": r"\_",
    "\\": r"\backslash",
    "~": r"\sim",
    "^": r"\hat{}",
    "\u00a0": " ",
    "’": "'",
    "∁": r"\complement",
    "⌢": r"\frown",
    "⌣": r"\smile",
}

#: Characters that take no space and are removed; an argument for `str.translate`.
INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b\u200c\u200d\ufe00\ufeff"))

#: {character above a base: TeX command}.
ACCENTS = {
    "^": r"\hat", "ˆ": r"\hat", "̂": r"\hat", "~": r"\tilde", "˜": r"\tilde", "∼": r"\tilde", "̃": r"\tilde",
    "¯": r"\bar", "ˉ": r"\bar", "‾": r"\overline", "̄": r"\bar", "―": r"\overline", "→": r"\vec", "⃗": r"\vec",
    "˙": r"\dot", ".": r"\dot", "̇": r"\dot", "¨": r"\ddot", "̈": r"\ddot", "⃛": r"\dddot", "´": r"\acute",
    "`": r"\grave", "˘": r"\breve", "ˇ": r"\check", "˚": r"\mathring", "⏞": r"\overbrace", "︷": r"\overbrace",
    "_": r"\overline", "←": r"\overleftarrow", "↔": r"\overleftrightarrow", "⏜": r"\overparen",
}  # fmt: skip
#: {accent command: command for a base of several characters}.
WIDE = {r"\hat": r"\widehat", r"\tilde": r"\widetilde", r"\bar": r"\overline", r"\vec": r"\overrightarrow"}
#: {character below a base: TeX command}.
BELOW = {"_": r"\underline", "̲": r"\underline", "¯": r"\underline", "―": r"\underline", "‾": r"\underline",
          "⏟": r"\underbrace", "︸": r"\underbrace"}  # fmt: skip
#: {arrow: TeX command of the arrow with a text above it}.
STRETCHED_ARROWS = {"→": r"\xrightarrow", "⟶": r"\xrightarrow", "←": r"\xleftarrow", "⟵": r"\xleftarrow"}
#: Operators whose scripts stand above and below them.
LIMITS = frozenset("∑∏∐⋃⋂⨁⨂⋁⋀⨆∫∬∭∮")
#: Functions whose scripts stand above and below them.
LIMIT_NAMES = frozenset(
    ["lim", "liminf", "limsup", "max", "min", "sup", "inf", "gcd", "det", "Pr", "injlim", "projlim", "argmax", "argmin"]
)
#: {fences around a table: TeX environment}.
MATRICES = {"()": "pmatrix", "[]": "bmatrix", "{}": "Bmatrix", "||": "vmatrix", "‖‖": "Vmatrix", "∥∥": "Vmatrix"}
#: {value of MathML's mathvariant: TeX command}.
VARIANTS = {
    "normal": r"\mathrm", "bold": r"\mathbf", "double-struck": r"\mathbb", "script": r"\mathcal",
    "bold-script": r"\mathcal", "fraktur": r"\mathfrak", "bold-fraktur": r"\mathfrak", "monospace": r"\mathtt",
    "sans-serif": r"\mathsf", "bold-italic": r"\boldsymbol", "bold-sans-serif": r"\mathsf", "italic": "",
    "-tex-calligraphic": r"\mathcal", "-tex-mathit": r"\mathit",
}  # fmt: skip
#: (prefix of a character's Unicode name, TeX command): MATHEMATICAL BOLD CAPITAL A is \mathbf{A}.
_UNICODE_VARIANTS = (
    ("MATHEMATICAL BOLD ITALIC", r"\boldsymbol"), ("MATHEMATICAL BOLD SCRIPT", r"\mathcal"),
    ("MATHEMATICAL BOLD FRAKTUR", r"\mathfrak"), ("MATHEMATICAL BOLD", r"\mathbf"), ("MATHEMATICAL ITALIC", ""),
    ("MATHEMATICAL SCRIPT", r"\mathcal"), ("SCRIPT ", r"\mathcal"), ("MATHEMATICAL FRAKTUR", r"\mathfrak"),
    ("BLACK-LETTER", r"\mathfrak"), ("MATHEMATICAL DOUBLE-STRUCK", r"\mathbb"), ("DOUBLE-STRUCK", r"\mathbb"),
    ("MATHEMATICAL SANS-SERIF", r"\mathsf"), ("MATHEMATICAL MONOSPACE", r"\mathtt"),
)  # fmt: skip
#: {bracket: TeX after \left or \right}.
FENCES = {"(": "(", ")": ")", "[": "[", "]": "]", "{": r"\{", "}": r"\}", "|": "|", "∣": "|", "‖": r"\|", "∥": r"\|",
           "⟨": r"\langle", "⟩": r"\rangle", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil",
           "/": "/", "": ".", "〈": r"\langle", "〉": r"\rangle"}  # fmt: skip
OPENING = frozenset("([{⟨⌊⌈〈")
CLOSING = frozenset(")]}⟩⌋⌉〉")

#: {notation of MathML's menclose: TeX command}.
ENCLOSED = {"box": r"\boxed", "diagonalstrike": r"\cancel", "radical": r"\sqrt", "top": r"\overline",
             "bottom": r"\underline", "horizontalstrike": r"\sout"}  # fmt: skip


def letters(text: str) -> str:
    """Text as TeX: symbols by their commands, styled letters with their alphabet, such as \\mathbf{A}."""
    parts = []
    for character in text.translate(INVISIBLE):
        if character in SYMBOLS:
            parts.append(SYMBOLS[character])
        elif character.isascii():
            parts.append(character)
        else:
            parts.append(_styled(character))
    return join(parts)


def _styled(character: str) -> str:
    """A character that is neither ASCII nor a known symbol, as TeX."""
    name = unicodedata.name(character, "")
    plain = unicodedata.normalize("NFKC", character)
    if plain == character or not name:
        return character
    for prefix, command in _UNICODE_VARIANTS:
        if name.startswith(prefix):
            inside = SYMBOLS.get(plain, plain)
            return f"{command}{{{inside}}}" if command else inside
    return plain if plain.strip() else " "


def join(parts: list[str]) -> str:
    """Concatenate pieces of TeX, with a blank between a command and a letter: "\\alpha" and "x" give "\\alpha x"."""
    text = ""
    for part in parts:
        if not part:
            continue
        if text and part[0].isalpha() and part[0].isascii() and _ends_in_command(text):
            text += " "
        text += part
    return text


def _ends_in_command(text: str) -> bool:
    """Whether TeX ends in a command without braces, such as "\\alpha"."""
    end = len(text)
    while end and text[end - 1].isalpha() and text[end - 1].isascii():
        end -= 1
    return end < len(text) and end > 0 and text[end - 1] == "\\"
