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
    "kept", "restored", "rules_dropped", "rules_invented", "rules_shortened", "rules_truncated", "empty", "rules"
]

#: What may become of a chunk.
OUTCOMES: dict[str, str] = {
    "kept": "the model's text, every formula and code block in it",
    "restored": "the model's text, with formulas or code it had changed put back",
    "empty": "the model found nothing worth reading, and there was neither formula nor code",
    "rules_dropped": "rules instead: the model had dropped formulas or code",
    "rules_invented": "rules instead: too many of its words are not the page's",
    "rules_shortened": "rules instead: too much of the page's text was missing",
    "rules_truncated": "rules instead: its answer was cut at the limit",
    "rules": "rules only: this chunk was not given to the model",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits of the guard (default): shares of words, 0 to 1."""

    max_invented: float = 0.2
    min_kept: float = 0.5


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A chunk after clean-up: its text, what became of it, and how many formulas it has of those it had."""

    text: str
    outcome: Outcome
    formulas: int
    restored: int


_FENCE = re.compile(r"^(?P<fence>`{3,})[^\n]*\n.*?^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE)
_PREAMBLE = re.compile(r"(?i)(?:sure|certainly|here(?:'s| is| are)|okay|of course)\b")
_WORD = re.compile(r"[^\W_]{2,}")


def chunks(text: str, count: Callable[[Sequence[str]], list[int]], limit: int) -> list[str]:
    """Cut a text at blank lines into chunks of at most `limit` tokens; code blocks are never cut. A block that is
    longer than `limit` is a chunk of its own."""
    blocks = list(_blocks(text))
    sizes = count(blocks)
    found: list[tuple[list[str], int]] = []
    for block, size in zip(blocks, sizes, strict=True):
        if found and found[-1][1] + size + 1 <= limit:
            found[-1] = ([*found[-1][0], block], found[-1][1] + size + 1)
        else:
            found.append(([block], size))
    return ["\n\n".join(part) for part, _ in found]


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and whole code blocks, in order."""
    start = 0
    for match in _FENCE.finditer(text):
        yield from _paragraphs(text[start : match.start()])
        yield match[0]
        start = match.end()
    yield from _paragraphs(text[start:])


def _paragraphs(text: str) -> Iterator[str]:
    for part in re.split(r"\n[ \t]*\n", text):
        if part.strip():
            yield part.strip("\n")


def code_blocks(text: str) -> list[str]:
    """The contents of the fenced code blocks of a text, blanks behind lines aside."""
    found = []
    for match in _FENCE.finditer(text):
        body = match[0].split("\n", 1)[1].rsplit("\n", 1)[0] if match[0].count("\n") > 1 else ""
        found.append("\n".join(line.rstrip() for line in body.split("\n")))
    return found


def judge(chunk: str, answer: str, *, truncated: bool, guard: Guard) -> Cleaned:
    """What to make of a model's answer to a chunk; the text always has every formula and code block of the chunk."""
    before = [formula.tex for formula in tex.find(chunk)]
    code = code_blocks(chunk)
    if truncated:
        return _by_rules(chunk, "rules_truncated")
    if answer.strip().strip(".") == NO_CONTENT:
        return Cleaned("", "empty", 0, 0) if not before and not code else _by_rules(chunk, "rules_dropped")
    answer = _without_preamble(answer)
    if (repaired := _restored(answer, before, code)) is None:
        return _by_rules(chunk, "rules_dropped")
    answer, restored = repaired
    had, has = _words(chunk), _words(answer)
    if has and sum((has - had).values()) / sum(has.values()) > guard.max_invented:
        return _by_rules(chunk, "rules_invented")
    wanted = _words(without_boilerplate(chunk))
    if wanted and sum((wanted & has).values()) / sum(wanted.values()) < guard.min_kept:
        return _by_rules(chunk, "rules_shortened")
    return Cleaned(answer.strip(), "restored" if restored else "kept", len(before), restored)


def by_rules(chunk: str) -> Cleaned:
    """A chunk that no model saw."""
    return _by_rules(chunk, "rules")


def _by_rules(chunk: str, outcome: Outcome) -> Cleaned:
    return Cleaned(without_boilerplate(chunk), outcome, sum(1 for _ in tex.find(chunk)), 0)


def _restored(answer: str, formulas: list[str], code: list[str]) -> tuple[str, int] | None:
    """The answer with changed formulas and code put back, and how many; None if something was dropped."""
    restored = 0
    places = list(_FENCE.finditer(answer))
    lost = Counter(code) - Counter(code_blocks(answer))
    if lost:
        if len(places) != len(code):
            return None
        for place, original in reversed(list(zip(places, code, strict=True))):
            opening = place[0].split("\n", 1)[0]
            if code_blocks(place[0]) != [original]:
                answer = f"{answer[: place.start()]}{opening}\n{original}\n{place['fence']}{answer[place.end() :]}"
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
    return answer, restored + len(edits)


def _without_preamble(answer: str) -> str:
    """Without a first line such as "Here is the cleaned text:"."""
    first, _, rest = answer.strip().partition("\n")
    if (
        rest
        and first.rstrip().endswith(":")
        and re.match(r"(?i)(sure|certainly|here('s| is| are)|okay|of course)\b", first)
    ):
        return rest.strip()
    return answer.strip()


def _words(text: str) -> Counter[str]:
    """The words outside formulas and code, folded; what a formula is made of is compared elsewhere."""
    outside = _FENCE.sub(" ", text)
    parts, start = [], 0
    for formula in tex.find(outside):
        parts.append(outside[start : formula.start])
        start = formula.end
    parts.append(outside[start:])
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
    """A rendered text without what reads like navigation. Blocks with formulas or code always stay."""
    kept: list[tuple[str, bool]] = []
    for block in _blocks(text):
        kept.append((block, _is_content(block)))
    result: list[str] = []
    for number, (block, content) in enumerate(kept):
        # A short block directly before content is its heading.
        heading = (
            not content and "\n" not in block and len(block) < 120 and not _NAVIGATION.match(block)
            and not _LIST_ITEM.match(block) and number + 1 < len(kept) and kept[number + 1][1]
        )  # fmt: skip
        if content:
            result.append("\n".join(line for line in _content_lines(block)))
        elif heading:
            result.append(block.strip())
    return "\n\n".join(part for part in result if part.strip())


def _content_lines(block: str) -> Iterator[str]:
    if block.startswith("```"):
        yield block
        return
    for line in block.split("\n"):
        if not _NAVIGATION.match(line) or "$" in line:
            yield line


def _is_content(block: str) -> bool:
    """Whether a block reads like prose, or holds a formula or code."""
    if _FENCE.search(block) or next(tex.find(block), None) is not None:
        return True
    lines = [line for line in block.split("\n") if line.strip()]
    long = [line for line in lines if len(line.split()) >= 8 or _SENTENCE_END.search(line.rstrip())]
    words = len(_WORD.findall(block))
    if len(lines) == 1:
        return (words >= 8 and bool(_SENTENCE_END.search(block.rstrip()))) or words >= 15
    return len(long) >= len(lines) / 2 and words >= 10
