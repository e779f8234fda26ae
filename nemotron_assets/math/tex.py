"""Finds TeX formulas in text and compares them independently of notation.

Two formulas are *the same* if their normal forms are equal. A normal form has no spacing, sizes and grouping that a
reader does not see, one name for each synonym, and scripts in a fixed order. No macro is expanded and nothing is
executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nemotron_assets.math.delimiters import Span, scan
from nemotron_assets.math.symbols import FUNCTIONS

_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.)|[^\s\\]", re.DOTALL)

#: Commands that change only spacing, size or position.
_SILENT = frozenset(
    (r"\,", r"\;", r"\:", r"\!", r"\>", r"\left", r"\right", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\bigl",
     r"\bigr", r"\Bigl", r"\Bigr", r"\biggl", r"\biggr", r"\Biggl", r"\Biggr", r"\bigm", r"\Bigm", r"\middle",
     r"\displaystyle", r"\textstyle", r"\scriptstyle", r"\scriptscriptstyle", r"\limits", r"\nolimits", r"\quad",
     r"\qquad", r"\thinspace", r"\medspace", r"\thickspace", r"\enspace", r"\negthinspace", r"\allowbreak",
     r"\nobreak", r"\relax", r"\strut", r"\mathstrut", r"\noindent", r"\nonumber", r"\notag", r"\hfill",
     r"\mathrel", r"\mathbin", r"\mathop", r"\mathord", r"\mathopen", r"\mathclose", r"\mathpunct", r"\mathinner",
     r"\/", "~", "\\ ", "\\\n")
)  # fmt: skip
#: {command or character: the command with the same meaning that stands in normal forms}.
_SYNONYMS = {
    r"\le": r"\leq", r"\ge": r"\geq", r"\ne": r"\neq", r"\rightarrow": r"\to", r"\gets": r"\leftarrow",
    r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\dotsc": r"\ldots", r"\dotsb": r"\ldots", r"\dotsm": r"\ldots",
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\vert": "|", r"\lvert": "|",
    r"\rvert": "|", r"\mid": "|", r"\Vert": r"\|", r"\lVert": r"\|", r"\rVert": r"\|", r"\parallel": r"\|",
    r"\colon": ":", r"\land": r"\wedge", r"\lor": r"\vee", r"\lnot": r"\neg", r"\ast": "*", r"\dfrac": r"\frac",
    r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom", r"\prime": "'",
    r"\rm": r"\mathrm", r"\bf": r"\mathbf", r"\it": r"\mathit", r"\tt": r"\mathtt", r"\sf": r"\mathsf",
    r"\cal": r"\mathcal", r"\Bbb": r"\mathbb", r"\bold": r"\mathbf", r"\bm": r"\mathbf", r"\boldsymbol": r"\mathbf",
    r"\pmb": r"\mathbf", r"\operatorname": r"\mathrm", r"\operatorname*": r"\mathrm", r"\text": r"\mathrm",
    r"\textrm": r"\mathrm", r"\textnormal": r"\mathrm", r"\mbox": r"\mathrm", r"\hbox": r"\mathrm",
    r"\textbf": r"\mathbf", r"\textit": r"\mathit", r"\texttt": r"\mathtt", r"\textsf": r"\mathsf",
    r"\mathscr": r"\mathcal", r"\widehat": r"\hat", r"\widetilde": r"\tilde", r"\overline": r"\bar",
    r"\overrightarrow": r"\vec", r"\Longrightarrow": r"\implies", r"\Rightarrow": r"\implies",
    r"\Longleftrightarrow": r"\iff", r"\Leftrightarrow": r"\iff", r"\longrightarrow": r"\to", r"\owns": r"\ni",
    r"\empty": r"\emptyset", r"\varnothing": r"\emptyset", r"\hslash": r"\hbar", r"\cdotp": r"\cdot",
    r"\centerdot": r"\cdot", r"\lt": "<", r"\gt": ">", r"\backslash": r"\setminus", r"\smallsetminus": r"\setminus",
    r"\triangleq": r"\triangleq", r"\infin": r"\infty", r"\bmod": r"\mod", r"\substack": "", r"\mathit": "",
    r"\mathnormal": "", r"\newline": r"\\", r"\cr": r"\\", r"\tabularnewline": r"\\",
    "−": "-", "–": "-", "×": r"\times", "·": r"\cdot", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "∞": r"\infty",
    "→": r"\to", "’": "'", "′": "'", "…": r"\ldots", "∈": r"\in", "π": r"\pi", "α": r"\alpha", "β": r"\beta",
}  # fmt: skip
#: {environment: the environment with the same meaning that stands in normal forms}.
_ENVIRONMENTS = {
    "align": "aligned", "align*": "aligned", "alignat": "aligned", "alignat*": "aligned", "aligned": "aligned",
    "split": "aligned", "gathered": "aligned", "gather": "aligned", "gather*": "aligned", "eqnarray": "aligned",
    "eqnarray*": "aligned", "multline": "aligned", "multline*": "aligned", "equation": "aligned",
    "equation*": "aligned", "displaymath": "aligned", "math": "aligned", "array": "matrix", "smallmatrix": "matrix",
    "dcases": "cases", "matrix*": "matrix", "pmatrix*": "pmatrix", "bmatrix*": "bmatrix",
}  # fmt: skip
#: Environments that add nothing a reader sees, such as brackets; they are left out of normal forms.
_INVISIBLE = frozenset({"aligned", "matrix"})

#: Commands that take arguments in braces. After any other command, braces only group.
_WITH_ARGUMENTS = frozenset(
    (r"\frac", r"\sqrt", r"\binom", r"\overset", r"\underset", r"\stackrel", r"\overbrace", r"\underbrace",
     r"\hat", r"\tilde", r"\bar", r"\vec", r"\dot", r"\ddot", r"\acute", r"\grave", r"\breve", r"\check",
     r"\mathring", r"\underline", r"\mathrm", r"\mathbf", r"\mathcal", r"\mathbb", r"\mathfrak", r"\mathtt",
     r"\mathsf", r"\boxed", r"\cancel", r"\phantom", r"\xrightarrow", r"\xleftarrow", r"\pmod", r"\overleftarrow",
     r"\dddot")
)  # fmt: skip

MAX_TOKENS = 20_000


def tokens(tex: str) -> list[str]:
    """The TeX tokens of a formula, without blanks and comments; at most `MAX_TOKENS`."""
    without_comments = re.sub(r"(?<!\\)%[^\n]*\n?", "", tex)
    return _TOKEN.findall(without_comments)[:MAX_TOKENS]


def normal_form(tex: str) -> str:
    """The normal form of a formula: tokens joined by blanks. It is equal for formulas that a reader sees as the same:
    "x^{2}_i" and "x_{i}^2"."""
    return " ".join(_normalised(tokens(undelimited(tex))))


def undelimited(tex: str) -> str:
    """A formula without its delimiters: $…$, $$…$$, \\(…\\), \\[…\\]."""
    tex = tex.strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        if len(tex) > len(opening) + len(closing) - 1 and tex.startswith(opening) and tex.endswith(closing):
            return tex[len(opening) : -len(closing)].strip()
    return tex


def _normalised(found: list[str]) -> list[str]:
    """The tokens of the normal form, from the tokens of a formula."""
    words: list[str] = []
    i = 0
    while i < len(found):
        token = found[i]
        if token in (r"\begin", r"\end"):
            name, after = _group(found, i + 1)
            environment = _ENVIRONMENTS.get("".join(name), "".join(name))
            i = after
            if token == r"\begin" and "".join(name) in ("array", "alignat", "alignat*", "alignedat", "tabular"):
                _, i = _group(found, i)
            if environment not in _INVISIBLE:
                words.append(f"{token}{{{environment}}}")
            continue
        if token in (r"\label", r"\tag", r"\tag*", r"\hspace", r"\hspace*", r"\vspace", r"\kern", r"\color", r"\ref"):
            _, i = _group(found, i + 1)
            continue
        if token in _SILENT or token in ("&", "$", r"\(", r"\)"):
            # A dot after \left or \right means that there is no bracket.
            i += 2 if token in (r"\left", r"\right") and found[i + 1 : i + 2] == ["."] else 1
            continue
        token = _SYNONYMS.get(token, token)
        if token:
            words.append(token)
        i += 1
    return _scripts_in_order(_with_named_functions(_without_groups(words)))


def _group(found: list[str], start: int) -> tuple[list[str], int]:
    """(tokens of the {…} that starts at `start`, index after it); ([], `start`) if no group starts there."""
    if start >= len(found) or found[start] != "{":
        return [], start
    depth = 0
    for i in range(start, len(found)):
        depth += (found[i] == "{") - (found[i] == "}")
        if depth == 0:
            return found[start + 1 : i], i + 1
    return found[start + 1 :], len(found)


def _without_groups(words: list[str]) -> list[str]:
    """Tokens without braces, except around scripts and arguments of more than one token.

    "{x}_{i}" becomes "x_i", while "x_{ij}" keeps its braces.
    """
    result: list[str] = []
    stack: list[int] = []
    for word in words:
        if word == "{":
            stack.append(len(result))
            result.append("{")
        elif word == "}" and stack:
            start = stack.pop()
            inside = result[start + 1 :]
            before = result[start - 1] if start else ""
            is_argument = before in ("^", "_", "}") or before in _WITH_ARGUMENTS or _is_second_argument(result, start)
            if len(inside) <= 1 or not is_argument:
                result[start:] = inside
            else:
                result.append("}")
        elif word != "}":
            result.append(word)
    return [word for word in result if word not in ("\\\\",)]


def _is_second_argument(words: list[str], start: int) -> bool:
    """Whether the group at `start` is a second argument after a first one of one token, as in \\frac 1 {2 x}."""
    return start >= 2 and words[start - 2] in (r"\frac", r"\binom", r"\overset", r"\underset", r"\stackrel")


def _with_named_functions(words: list[str]) -> list[str]:
    """Tokens with commands for the functions that are spelled in upright letters: \\mathrm{sin} becomes \\sin."""
    result: list[str] = []
    i = 0
    while i < len(words):
        if words[i] == r"\mathrm" and words[i + 1 : i + 2] == ["{"]:
            inside, end = _group(words, i + 1)
            if (name := "".join(inside)) in FUNCTIONS:
                result.append("\\" + name)
                i = end
                continue
        result.append(words[i])
        i += 1
    return result


def _scripts_in_order(words: list[str]) -> list[str]:
    """Tokens with scripts in a fixed order: x^{a}_{b} becomes x_{b}^{a}, f'_k becomes f_k', and f^{'} becomes f'."""
    result: list[str] = []
    i = 0
    while i < len(words):
        if words[i] == "'":
            after = i
            while after < len(words) and words[after] == "'":
                after += 1
            if words[after : after + 1] == ["_"]:  # f'_k becomes f_k'
                below, end = _script(words, after)
                result += below + words[i:after]
                i = end
                continue
            result += words[i:after]
            i = after
            continue
        if words[i] == "^":
            above, after = _script(words, i)
            if (primes := [word for word in above[1:] if word not in "{}"]) and set(primes) == {"'"}:
                result += primes
                i = after
                continue
        if words[i] == "^":
            above, after = _script(words, i)
            if words[after : after + 1] == ["_"]:
                below, end = _script(words, after)
                result += below + above
                i = end
                continue
        result.append(words[i])
        i += 1
    return result


def _script(words: list[str], start: int) -> tuple[list[str], int]:
    """(tokens of the script whose ^ or _ stands at `start`, index after it)."""
    if words[start + 1 : start + 2] == ["{"]:
        inside, end = _group(words, start + 1)
        return [words[start], "{", *inside, "}"], end
    return words[start : start + 2], min(start + 2, len(words))


@dataclass(frozen=True, slots=True)
class Found:
    """A formula in a text. `tex` is without delimiters; `start` and `end` are offsets in the text and include them."""

    tex: str
    display: bool
    start: int
    end: int


_FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$", re.MULTILINE)


def code_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of the fenced code blocks of a text. A fence that is not closed starts no block."""
    spans, opened, fence = [], -1, ""
    fences = list(_FENCE.finditer(text))
    # An opening fence counts only if a closing fence of its kind follows: otherwise it would hide the rest of the text.
    last_closing = {}
    for mark in fences:
        if not mark[2].strip():
            last_closing[mark[1]] = mark.start()
    for mark in fences:
        if not fence:
            if last_closing.get(mark[1], -1) > mark.start() and "`" not in mark[2]:
                opened, fence = mark.start(), mark[1]
        elif mark[1] == fence and not mark[2].strip():
            spans.append((opened, mark.end()))
            fence = ""
    return spans


def without_code(text: str) -> str:
    """A text without its fenced code blocks."""
    parts, start = [], 0
    for low, high in code_spans(text):
        parts.append(text[start:low])
        start = high
    return "".join([*parts, text[start:]])


def find(text: str) -> Iterator[Found]:
    """Yield the formulas between delimiters in a text, in order; fenced code blocks are skipped."""

    def accept(span: Span) -> bool:
        # As in Pandoc, an opening dollar sign stands before a non-blank. A closing one stands behind a non-blank and
        # not before a digit: "costs $5 or $10" has no formula.
        inside = span.inside
        if span.kind == "environment" or not inside.strip() or "\n\n" in inside.replace("\r", ""):
            return False
        if span.kind == "dollars":
            return not (inside[0].isspace() or inside[-1].isspace() or text[span.end : span.end + 1].isdigit())
        return span.kind != "dollars2" or "$" not in inside.replace("\\$", "")

    start = 0
    for low, high in [*code_spans(text), (len(text), len(text))]:
        for span in scan(text, accept, start, low):
            yield Found(span.inside.strip(), span.kind in ("dollars2", "brackets"), span.start, span.end)
        start = high
