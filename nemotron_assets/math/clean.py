"""Cleans rendered pages with a language model, and guards against damage that the model does.

A page is cut into chunks at blank lines. A model rewrites each chunk without navigation and with every formula in LaTeX
(Nemotron-CC-Math §2). The guard then compares the answer with the chunk: formulas and code blocks as multisets, words
by their share. A formula in another notation passes. A changed formula or code block is put back. If the answer lacks a
formula or a code block, or has too many new words or too few of the chunk's words, the answer is discarded: then the
chunk keeps its own text, from which rules remove navigation. So even a weak model cannot lose a formula.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nemotron_assets.math import tex

NO_CONTENT = "NO USEFUL CONTENT"
SEPARATOR = "\n\n"  # between chunks and between blocks

SYSTEM = "You are an editor who prepares pages on mathematics for readers. You never add content of your own."
TASK = """\
Below is a part of a web page as a text browser shows it. Write the part again, clean:
1. Keep the page's own content and its headings: explanations, theorems, proofs, definitions, examples, exercises.
2. Leave out navigation, menus, sidebars, advertisements, lists of related pages, and everything of that kind.
3. Keep all mathematics. Write every formula as LaTeX between single dollar signs, with no other delimiters.
4. Keep all code exactly as it is, in its fenced blocks; mend only what is obviously broken.
5. Keep useful comments, answers and references.
6. Correct plain slips of spelling and grammar and make sentences clear, but never change what they say.
7. Do not answer questions that the page asks.
8. Give the text a clear structure: paragraphs, headings, lists.
9. If the part holds nothing worth reading, write only: {no_content}
10. Write nothing before and nothing after the text.

{text}"""

Outcome = Literal[
    "kept",
    "restored",
    "rules_dropped",
    "rules_invented",
    "rules_shortened",
    "rules_truncated",
    "rules_too_long",
    "empty",
    "rules",
]

#: {outcome of a chunk: what it means}.
OUTCOMES: dict[str, str] = {
    "kept": "the model's text is used; it has every formula and code block of the chunk",
    "restored": "the model's text is used, with the formulas or code blocks that it had changed put back",
    "empty": "the chunk is left out: the model found no content in it, and it has no formula or code block",
    "rules_dropped": "rules cleaned the chunk: the model's answer lacks formulas or code blocks",
    "rules_invented": "rules cleaned the chunk: the answer has too many words, or a formula, that the chunk lacks",
    "rules_shortened": "rules cleaned the chunk: the answer lacks too much of the chunk's text",
    "rules_truncated": "rules cleaned the chunk: the answer was cut off at the token limit",
    "rules_too_long": "rules cleaned the chunk: it does not fit into the model's context window",
    "rules": "rules cleaned the chunk: the recipe did not give it to the model",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits of the guard (default). `max_invented`: the largest share of the answer's words that the chunk lacks.
    `min_kept`: the smallest share of the chunk's words that the answer must have. `max_added`: how many formulas the
    model may add for mathematics in plain letters, such as "p + q", as a share of the chunk's formulas; two more are
    always allowed."""

    max_invented: float = 0.2
    min_kept: float = 0.5
    max_added: float = 0.5


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A chunk after clean-up: its text, its outcome (see `OUTCOMES`), the number of its `formulas`, and how many
    formulas and code blocks were put back (`restored`)."""

    text: str
    outcome: Outcome
    formulas: int
    restored: int


_WRAPPED = re.compile(r"(`{3,})(?:markdown|md|text|txt|latex|tex)?[ \t]*\n(.*)\n\1", re.DOTALL)
_PREAMBLE = re.compile(r"(?i)(?:sure|certainly|here(?:'s| is| are)|okay|of course)\b[^\n]*:\s*")
_GAP = re.compile(r"\n(?:[ \t\r]*\n)+")
_WORD = re.compile(r"[^\W_]{2,}")
_LETTERS = re.compile(r"\\[A-Za-z]+|[^A-Za-z0-9]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


# -- chunks -----------------------------------------------------------------------------------------------------------


def chunks(text: str, count: Callable[[Sequence[str]], list[int]], limit: int) -> list[str]:
    """Cut a text at blank lines into chunks of at most `limit` tokens; `count` counts the tokens of texts. Formulas and
    code blocks are never cut. A block of more than `limit` tokens is a chunk of its own."""
    blocks = list(_blocks(text))
    found: list[tuple[list[str], int]] = []
    for block, size in zip(blocks, count(blocks), strict=True):
        if found and found[-1][1] + size + 1 <= limit:
            found[-1][0].append(block)
            found[-1] = (found[-1][0], found[-1][1] + size + 1)
        else:
            found.append(([block], size))
    return [SEPARATOR.join(part) for part, _ in found]


def merge(pieces: Sequence[str], most: int | None = None) -> str:
    """Join the texts of a page's chunks with blank lines; empty ones are left out. The result has at most `most`
    characters: it is cut after the last block that fits. The blank lines are needed: otherwise a single dollar sign at
    the end of a chunk could open a formula that ends in the next chunk."""
    text = SEPARATOR.join(piece for piece in pieces if piece.strip())
    if most is None or len(text) <= most:
        return text
    kept, size = [], 0
    for block in _blocks(text):
        size += len(block) + len(SEPARATOR)
        if size > most + len(SEPARATOR):
            break
        kept.append(block)
    return SEPARATOR.join(kept)


def _blocks(text: str) -> Iterator[str]:
    """The blocks of a text, in order. Blank lines separate blocks, except inside formulas and code blocks."""
    spans, start = _spans(text), 0
    at = 0
    for gap in _GAP.finditer(text):
        while at < len(spans) and spans[at][1] <= gap.start():
            at += 1
        if at < len(spans) and spans[at][0] <= gap.start():
            continue
        if part := text[start : gap.start()].strip("\r\n"):
            yield part
        start = gap.end()
    if part := text[start:].strip("\r\n"):
        yield part


def _spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of the formulas and code blocks of a text, in order."""
    return sorted([*tex.code_spans(text), *((formula.start, formula.end) for formula in tex.find(text))])


def code_blocks(text: str) -> list[str]:
    """The code in the fenced blocks of a text, without blanks at the ends of lines."""
    return [_code_inside(text[start:end]) for start, end in tex.code_spans(text)]


def _code_inside(block: str) -> str:
    """The lines of a fenced block between its fences."""
    return "\n".join(line.rstrip() for line in block.rstrip().split("\n")[1:-1])


# -- the guard --------------------------------------------------------------------------------------------------------


def formulas_and_code(text: str) -> tuple[Counter[str], Counter[str]]:
    """How often each formula (in normal form) and each code block stands in a text; no chunk may lose any of them."""
    return Counter(tex.normal_form(formula.tex) for formula in tex.find(text)), Counter(code_blocks(text))


def lost(before: str, after: str) -> int:
    """How many formulas and code blocks of the text `before` are missing in the text `after`."""
    return sum(
        sum((old - new).values()) for old, new in zip(formulas_and_code(before), formulas_and_code(after), strict=True)
    )


def judge(chunk: str, answer: str, *, truncated: bool, guard: Guard) -> Cleaned:
    """The cleaned chunk, from a model's `answer` or by rules. Its text always has every formula and code block of the
    chunk. `truncated` says that the answer was cut off at the token limit."""
    if truncated:
        return by_rules(chunk, "rules_truncated")
    before, code = [formula.tex for formula in tex.find(chunk)], code_blocks(chunk)
    answer = _unwrapped(answer, code)
    if not answer or answer.strip(" .\"'*`").upper() == NO_CONTENT:
        return by_rules(chunk, "rules_dropped") if before or code else Cleaned("", "empty", 0, 0)
    if (repaired := _put_back(answer, before, code)) is None:
        return by_rules(chunk, "rules_dropped")
    answer, restored = repaired
    if _is_invented(chunk, answer, guard):
        return by_rules(chunk, "rules_invented")
    wanted, has = _words(without_boilerplate(chunk)), _words(answer)
    if wanted and sum((wanted & has).values()) / sum(wanted.values()) < guard.min_kept:
        return by_rules(chunk, "rules_shortened")
    answer = _with_dollar_signs(answer)
    return Cleaned(answer, "restored" if restored else "kept", len(before), restored)


def by_rules(chunk: str, outcome: Outcome = "rules") -> Cleaned:
    """A chunk cleaned by rules alone; `outcome` says why."""
    return Cleaned(without_boilerplate(chunk), outcome, sum(1 for _ in tex.find(chunk)), 0)


def lossless(page: str, text: str) -> str:
    """The cleaned `text` of a page if it has every formula and code block of the page; else the page's own text cleaned
    by rules; else the page's own text."""
    for candidate in (text, without_boilerplate(page)):
        if not lost(page, candidate):
            return candidate
    return page


def _put_back(answer: str, formulas: list[str], code: list[str]) -> tuple[str, int] | None:
    """(the answer with the chunk's formulas and code blocks in place of changed ones, how many were put back); None if
    the answer lacks one of them."""
    restored = 0
    if Counter(code) - Counter(code_blocks(answer)):
        places = tex.code_spans(answer)
        if len(places) != len(code):
            return None
        for (start, end), original in reversed(list(zip(places, code, strict=True))):
            opening, _, _ = answer[start:end].partition("\n")
            if _code_inside(answer[start:end]) != original:
                fence = re.match(r"[`~]+", opening)[0]
                answer = f"{answer[:start]}{opening}\n{original}\n{fence}{answer[end:]}"
                restored += 1
        if Counter(code) - Counter(code_blocks(answer)):
            return None
    found = list(tex.find(answer))
    old, new = [tex.normal_form(f) for f in formulas], [tex.normal_form(f.tex) for f in found]
    if not Counter(old) - Counter(new):
        return answer, restored
    edits: list[tuple[int, str]] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "replace" and i2 - i1 == j2 - j1:
            edits += [(j, formulas[i]) for i, j in zip(range(i1, i2), range(j1, j2), strict=True)]
        elif kind in ("replace", "delete"):
            return None
    for j, original in reversed(edits):
        place = found[j]
        fence = "$$" if place.display else "$"
        answer = f"{answer[: place.start]}{fence}{original}{fence}{answer[place.end :]}"
    if Counter(old) - Counter(tex.normal_form(f.tex) for f in tex.find(answer)):
        return None
    if Counter(code) - Counter(code_blocks(answer)):
        return None
    return answer, restored + len(edits)


def _is_invented(chunk: str, answer: str, guard: Guard) -> bool:
    """Whether the chunk lacks too many of the answer's words, or lacks a formula or code block of the answer.

    A new formula is allowed where the chunk has its letters and digits as plain text: "$p$" for "p".
    """
    old_words, new_words = _words(chunk), _words(answer)
    if new_words and sum((new_words - old_words).values()) / sum(new_words.values()) > guard.max_invented:
        return True
    (formulas, code), (new_formulas, new_code) = formulas_and_code(chunk), formulas_and_code(answer)
    added = list((new_formulas - formulas).elements())
    if len(added) > guard.max_added * sum(formulas.values()) + 2:
        return True
    letters = _LETTERS.sub("", chunk)
    if any(_LETTERS.sub("", formula) not in letters for formula in added):
        return True
    return any(_LETTERS.sub("", block) not in letters for block in new_code - code)


def _with_dollar_signs(answer: str) -> str:
    """The answer with $…$ and $$…$$ instead of \\(…\\) and \\[…\\]; unchanged if other formulas would be found in
    it."""
    text = answer
    for place in reversed(list(tex.find(answer))):
        if text.startswith("\\", place.start):
            fence = "$$" if place.display else "$"
            text = f"{text[: place.start]}{fence}{place.tex}{fence}{text[place.end :]}"
    return text if text == answer or formulas_and_code(text) == formulas_and_code(answer) else answer


def _unwrapped(answer: str, code: list[str]) -> str:
    """The answer without a first line such as "Here is the cleaned text:", and without a fence around the whole of
    it."""
    answer = answer.strip()
    if (match := _PREAMBLE.match(answer)) and match.end() < len(answer):
        answer = answer[match.end() :].strip()
    wrapped = _WRAPPED.fullmatch(answer)
    if wrapped and not (code and _code_inside(answer) in code):
        answer = wrapped[2].strip()
    return answer


def _words(text: str) -> Counter[str]:
    """How often each word, case-folded, stands in a text outside its formulas and code blocks."""
    parts, start = [], 0
    for low, high in _spans(text):
        parts.append(text[start:low])
        start = high
    parts.append(text[start:])
    return Counter(word.casefold() for word in _WORD.findall(" ".join(parts)))


# -- rules ------------------------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
#: A line that can only be a page's furniture, and one that can also be a heading: "Search", "Index".
_FURNITURE = re.compile(
    r"(?i)^\W*(?:skip to (?:main )?content|log ?in|sign (?:in|up)|register|table of contents|back to top|share|tweet|"
    r"cookies?|privacy(?: policy)?|terms(?: of (?:use|service))?|copyright\b.{0,200}|all rights reserved.{0,200}|"
    r"©.{0,200}|generated (?:on|by)\b.{0,200}|show source|edit this page|last (?:updated|modified)\b.{0,100}|"
    r"powered by\b.{0,100}|this page was (?:last|generated)\b.{0,200})\W*$"
)
_BUTTON = re.compile(
    r"(?i)^\W*(?:home|menu|search|next|previous|prev|index|modules|contents|navigation|up|down|top|print|help|about|"
    r"contact(?: us)?|next (?:page|topic|chapter|section)|previous (?:page|topic|chapter|section))\W*$"
)

_LINK = re.compile(r"(?i)^\W*(?:home|menu|next|previous|prev|up|top)\W*$")
_BETWEEN_LINKS = re.compile(r"\s*[|•·»«]\s*")


def without_boilerplate(text: str) -> str:
    """A rendered text without lines of navigation: "Log in", "© 2020 Somebody", and "Next" beside "Previous". The
    markup has told the rest of the navigation from the content before the page was laid out (text/furniture.py), so no
    other text is left out: a heading, a definition or a list item is short, too."""
    spans, lines, start = _spans(text), text.split("\n"), 0
    kinds: list[str] = []
    at = 0
    for line in lines:
        end = start + len(line)
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        held = at < len(spans) and spans[at][0] < end
        kinds.append("text" if held else _kind(line))
        start = end + 1
    kept = [line for line, drop in zip(lines, _dropped(kinds), strict=True) if not drop]
    cleaned = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)) if len(kept) < len(lines) else text
    return cleaned.strip("\n") if not lost(text, cleaned) else text


def _kind(line: str) -> str:
    """What a line without formulas and code is: "blank", "furniture", "button", "link" or "text". "Home | Up" is
    furniture."""
    if not line.strip():
        return "blank"
    if len(line) > 250:
        return "text"
    if _FURNITURE.match(line):
        return "furniture"
    parts = _BETWEEN_LINKS.split(line.strip())
    if all(_BUTTON.match(part) or _FURNITURE.match(part) for part in parts):
        return "furniture" if len(parts) > 1 else "link" if _LINK.match(line) else "button"
    return "text"


def _dropped(kinds: Sequence[str]) -> Iterator[bool]:
    """Whether each line is left out. A button is left out beside another line of navigation, and a link such as "Next"
    at either end of the text: elsewhere it is a heading or a table cell."""
    filled = [i for i, kind in enumerate(kinds) if kind != "blank"]
    ends = {filled[0], filled[-1]} if filled else set()
    beside = {
        i
        for before, after in itertools.pairwise(filled)
        if kinds[before] != "text" and kinds[after] != "text"
        for i in (before, after)
    }
    for i, kind in enumerate(kinds):
        yield kind == "furniture" or (kind == "button" and i in beside) or (kind == "link" and i in beside | ends)


def prose(text: str) -> str:
    """The blocks of a text that read like sentences."""
    return SEPARATOR.join(block for block in _blocks(text) if _is_prose(block))


def _is_prose(block: str) -> bool:
    """Whether a block reads like sentences. A single line needs 15 words, or 8 words and an end mark such as "." or
    "?". Of several lines with 10 words in all, half must have 8 words or an end mark."""
    lines = [line for line in block.split("\n") if line.strip()]
    long = [line for line in lines if _count_words(line) >= 8 or _SENTENCE_END.search(line.rstrip())]
    words = _count_words(block)
    if len(lines) == 1:
        return (words >= 8 and bool(_SENTENCE_END.search(block.rstrip()))) or words >= 15
    return len(long) >= len(lines) / 2 and words >= 10


def _count_words(text: str) -> int:
    """How many words a text has. In scripts without blanks between words, such as Chinese, two characters count as one
    word."""
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + len(_UNSPACED.findall(text)) // 2
