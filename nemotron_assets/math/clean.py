"""Clean-up of rendered pages by a language model, and the guard that keeps it from damaging them.

A page is cut into chunks at blank lines; a model rewrites each chunk without navigation, with every formula in LaTeX
(Nemotron-CC-Math §2). Its answer is then compared with the chunk: formulas and code blocks as multisets, words as
shares. What was only written another way passes; what the model changed is put back; where something was dropped, or
too much was invented or left out, the chunk keeps its own words, and only what reads like boilerplate is removed by
rules. So the weakest model cannot lose an equation.
"""

from __future__ import annotations

import difflib
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

#: What may become of a chunk.
OUTCOMES: dict[str, str] = {
    "kept": "the model's text, every formula and code block in it",
    "restored": "the model's text, with formulas or code it had changed put back",
    "empty": "the model found nothing worth reading, and there was neither formula nor code",
    "rules_dropped": "rules instead: the model had dropped formulas or code",
    "rules_invented": "rules instead: too many of its words, or a formula, are not the page's",
    "rules_shortened": "rules instead: too much of the page's text was missing",
    "rules_truncated": "rules instead: its answer was cut at the limit",
    "rules_too_long": "rules only: the chunk leaves no room in the model's window",
    "rules": "rules only: this chunk was not given to the model",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits of the guard (default): shares of words, 0 to 1, and formulas that the model may write for what the page
    has in plain letters, as a share of the page's formulas and two more."""

    max_invented: float = 0.2
    min_kept: float = 0.5
    max_added: float = 0.5


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A chunk after clean-up: its text, what became of it, how many formulas it had, and how many were put back."""

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
    """Cut a text at blank lines into chunks of at most `limit` tokens; formulas and code blocks are never cut. A block
    that is longer than `limit` is a chunk of its own."""
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
    """The texts of a page's chunks as one, empty ones left out, at most `most` characters: whole blocks, from the
    start of the page. A blank line stands between chunks, as it did before: with less, a stray dollar at the end of one
    could make a formula of the next one's start."""
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
    """The parts of a text between blank lines that are in no formula and no code block, in order."""
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
    """Where the formulas and code blocks of a text stand, in order."""
    return sorted([*tex.code_spans(text), *((formula.start, formula.end) for formula in tex.find(text))])


def code_blocks(text: str) -> list[str]:
    """The contents of the fenced code blocks of a text, blanks behind lines aside."""
    return [_code(text[start:end]) for start, end in tex.code_spans(text)]


def _code(block: str) -> str:
    return "\n".join(line.rstrip() for line in block.rstrip().split("\n")[1:-1])


# -- the guard --------------------------------------------------------------------------------------------------------


def contents(text: str) -> tuple[Counter[str], Counter[str]]:
    """What must not get lost of a text: its formulas in normal form, and its code blocks, each with its number."""
    return Counter(tex.normal_form(formula.tex) for formula in tex.find(text)), Counter(code_blocks(text))


def lost(before: str, after: str) -> int:
    """How many formulas and code blocks of `before` are missing in `after`."""
    return sum(sum((had - has).values()) for had, has in zip(contents(before), contents(after), strict=True))


def judge(chunk: str, answer: str, *, truncated: bool, guard: Guard) -> Cleaned:
    """What to make of a model's answer to a chunk; the text always has every formula and code block of the chunk."""
    if truncated:
        return _by_rules(chunk, "rules_truncated")
    before, code = [formula.tex for formula in tex.find(chunk)], code_blocks(chunk)
    answer = _bare(answer, code)
    if not answer or answer.strip(" .\"'*`").upper() == NO_CONTENT:
        return _by_rules(chunk, "rules_dropped") if before or code else Cleaned("", "empty", 0, 0)
    if (repaired := _restored(answer, before, code)) is None:
        return _by_rules(chunk, "rules_dropped")
    answer, restored = repaired
    if _invented(chunk, answer, guard):
        return _by_rules(chunk, "rules_invented")
    wanted, has = _words(without_boilerplate(chunk)), _words(answer)
    if wanted and sum((wanted & has).values()) / sum(wanted.values()) < guard.min_kept:
        return _by_rules(chunk, "rules_shortened")
    answer = _one_style(answer)
    return Cleaned(answer, "restored" if restored else "kept", len(before), restored)


def by_rules(chunk: str, outcome: Literal["rules", "rules_too_long"] = "rules") -> Cleaned:
    """A chunk that no model saw."""
    return _by_rules(chunk, outcome)


def whole(page: str, text: str) -> str:
    """The cleaned text of a page, or its own text by rules, or as it is: the first of them that has lost nothing."""
    for candidate in (text, without_boilerplate(page)):
        if not lost(page, candidate):
            return candidate
    return page


def _by_rules(chunk: str, outcome: Outcome) -> Cleaned:
    return Cleaned(without_boilerplate(chunk), outcome, sum(1 for _ in tex.find(chunk)), 0)


def _restored(answer: str, formulas: list[str], code: list[str]) -> tuple[str, int] | None:
    """The answer with changed formulas and code put back, and how many; None if something was dropped."""
    restored = 0
    if Counter(code) - Counter(code_blocks(answer)):
        places = tex.code_spans(answer)
        if len(places) != len(code):
            return None
        for (start, end), original in reversed(list(zip(places, code, strict=True))):
            opening, _, _ = answer[start:end].partition("\n")
            if _code(answer[start:end]) != original:
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
    had, has = Counter(code), Counter(code_blocks(answer))
    if Counter(old) - Counter(tex.normal_form(f.tex) for f in tex.find(answer)) or had - has:
        return None
    return answer, restored + len(edits)


def _invented(chunk: str, answer: str, guard: Guard) -> bool:
    """Whether too many of the answer's words are not the chunk's, or a formula or code block of it is made up.

    A formula may be new where the page writes it in plain letters: then its letters and digits stand in the chunk.
    """
    had, has = _words(chunk), _words(answer)
    if has and sum((has - had).values()) / sum(has.values()) > guard.max_invented:
        return True
    (formulas, code), (new_formulas, new_code) = contents(chunk), contents(answer)
    added = list((new_formulas - formulas).elements())
    if len(added) > guard.max_added * sum(formulas.values()) + 2:
        return True
    letters = _LETTERS.sub("", chunk)
    if any(_LETTERS.sub("", formula) not in letters for formula in added):
        return True
    return any(_LETTERS.sub("", block) not in letters for block in new_code - code)


def _one_style(answer: str) -> str:
    """The answer with every formula between dollar signs; as it is if that would change what is read of it."""
    text = answer
    for place in reversed(list(tex.find(answer))):
        if text.startswith("\\", place.start):
            fence = "$$" if place.display else "$"
            text = f"{text[: place.start]}{fence}{place.tex}{fence}{text[place.end :]}"
    return text if text == answer or contents(text) == contents(answer) else answer


def _bare(answer: str, code: list[str]) -> str:
    """Without a first line such as "Here is the cleaned text:" and without a fence around everything."""
    answer = answer.strip()
    if (match := _PREAMBLE.match(answer)) and match.end() < len(answer):
        answer = answer[match.end() :].strip()
    wrapped = _WRAPPED.fullmatch(answer)
    if wrapped and not (code and _code(answer) in code):
        answer = wrapped[2].strip()
    return answer


def _words(text: str) -> Counter[str]:
    """The words outside formulas and code, folded; what a formula is made of is compared elsewhere."""
    parts, start = [], 0
    for low, high in _spans(text):
        parts.append(text[start:low])
        start = high
    parts.append(text[start:])
    return Counter(word.casefold() for word in _WORD.findall(" ".join(parts)))


# -- rules ------------------------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
_LIST_ITEM = re.compile(r"^\s*(?:[*+o@#-]|\d+[.)])\s")
_NAVIGATION = re.compile(
    r"(?i)^\W*(?:home|menu|search|skip to (?:main )?content|log ?in|sign (?:in|up)|register|next|previous|prev|index|"
    r"modules|contents|table of contents|navigation|up|back to top|share|tweet|print|cookies?|privacy(?: policy)?|"
    r"terms(?: of (?:use|service))?|copyright\b.*|all rights reserved.*|©.*|generated (?:on|by)\b.*|show source|"
    r"edit this page|last updated\b.*|powered by\b.*|this page was\b.*)\W*$"
)


def without_boilerplate(text: str) -> str:
    """A rendered text without what reads like navigation. Formulas and code always stay."""
    blocks = [(block, bool(_spans(block)), _is_prose(block)) for block in _blocks(text)]
    result: list[str] = []
    for number, (block, has_spans, is_prose) in enumerate(blocks):
        if has_spans or is_prose:
            result.append(_without_navigation(block))
        elif any(blocks[number + 1][1:] if number + 1 < len(blocks) else ()) and _is_heading(block):
            result.append(block.strip())
    cleaned = SEPARATOR.join(part for part in result if part.strip())
    return cleaned if not lost(text, cleaned) else text


def prose(text: str) -> str:
    """The parts of a text that read like sentences."""
    return SEPARATOR.join(block for block in _blocks(text) if _is_prose(block))


def _without_navigation(block: str) -> str:
    """The lines of a block, but for those that only lead elsewhere and are not in a formula or code block."""
    spans, start, kept = _spans(block), 0, []
    for line in block.split("\n"):
        end = start + len(line)
        if not _NAVIGATION.match(line) or any(low < end and start < high for low, high in spans):
            kept.append(line)
        start = end + 1
    return "\n".join(kept)


def _is_heading(block: str) -> bool:
    """Whether a block may be the heading of what follows it."""
    return "\n" not in block and len(block) < 120 and not _NAVIGATION.match(block) and not _LIST_ITEM.match(block)


def _is_prose(block: str) -> bool:
    """Whether a block reads like sentences."""
    lines = [line for line in block.split("\n") if line.strip()]
    long = [line for line in lines if _size(line) >= 8 or _SENTENCE_END.search(line.rstrip())]
    words = _size(block)
    if len(lines) == 1:
        return (words >= 8 and bool(_SENTENCE_END.search(block.rstrip()))) or words >= 15
    return len(long) >= len(lines) / 2 and words >= 10


def _size(text: str) -> int:
    """Words of a text; where none are set apart by blanks, two characters count as one."""
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + len(_UNSPACED.findall(text)) // 2
