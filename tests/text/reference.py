"""The 28 numbers of a text in plain Python, sentence by sentence as text/heuristics.py defines them.

It is slow, because it shares no code with the compiled passes. The benchmark compares its decisions with it, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from nemotron_assets.recipe.web.heuristics import Measures

URL = re.compile(r'https?://[^\s<>"]+')


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def paragraphs_of(text: str) -> list[tuple[str, ...]]:
    """Paragraphs as tuples of their stripped lines."""
    found: list[list[str]] = [[]]
    for line in (line.strip() for line in text.split("\n")):
        if line:
            found[-1].append(line)
        else:
            found.append([])
    return [tuple(lines) for lines in found if lines]


def top(words: list[str], n: int, characters: int) -> float:
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    most = max(counts.values(), default=0)
    if most < 2:
        return 0.0
    longest = max(len(" ".join(gram)) for gram, count in counts.items() if count == most)
    return min(most * longest, characters) / characters


def repeated(words: list[str], n: int, characters: int) -> float:
    seen, in_words, in_blanks = set(), set(), set()
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        if gram in seen:
            in_words.update(range(i, i + n))
            in_blanks.update(range(i, i + n - 1))  # the blank after word i
        seen.add(gram)
    covered = sum(len(words[i]) for i in in_words) + len(in_blanks)
    return covered / characters if characters else 0.0


def numbers(text: str, strings: Measures) -> dict[str, float | int]:
    """The numbers of one text by name."""

    def share(what: int, per: int, of_nothing: float = 0.0) -> float:
        return what / per if per else of_nothing

    characters = len(text)
    words = text.split()
    paragraphs = paragraphs_of(text)
    lines = [line for paragraph in paragraphs for line in paragraph]
    categories = Counter(unicodedata.category(c) for c in text)
    of_class = {kind: sum(n for c, n in categories.items() if c[0] == kind) for kind in "LMN"}
    plain = sum(text.count(c) for c in "\n?!,.")
    lengths = [len("\n".join(paragraph)) for paragraph in paragraphs]

    def has(paragraph: tuple[str, ...], any_of: tuple[str, ...]) -> bool:
        return any(string in ascii_lower(line) for line in paragraph for string in any_of)

    placeholder = any(has(paragraph, strings.placeholder) for paragraph in paragraphs)
    found = {
        "non_alphanumeric_share": share(characters - sum(of_class.values()) - plain, characters),
        "symbol_word_share": share(sum(w in strings.ellipses or 2 * w.count("#") > len(w) for w in words), len(words)),
        "digit_share": share(categories["Nd"], characters),
        "url_share": share(sum(map(len, URL.findall(text))), characters),
        "whitespace_share": share(sum(c.isspace() for c in text), characters),
        "parenthesis_share": share(sum(c in strings.parentheses for c in text), characters),
        "boilerplate_share": 1.0
        if placeholder
        else share(sum(has(p, strings.boilerplate) for p in paragraphs), len(paragraphs)),
        "unique_line_share": share(len(set(lines)), len(lines), 1.0),
        "unique_paragraph_share": share(len(set(paragraphs)), len(paragraphs), 1.0),
        "unique_line_character_share": share(sum(map(len, set(lines))), sum(map(len, lines)), 1.0),
        "unique_paragraph_character_share": share(sum(len("\n".join(p)) for p in set(paragraphs)), sum(lengths), 1.0),
        "words": len(words),
        "unended_line_share": share(sum(line[-1] not in strings.terminal for line in lines), len(lines)),
        "alphabetic_word_share": share(
            sum(any(unicodedata.category(c)[0] == "L" for c in w) for w in words), len(words)
        ),
        "common_words": sum(w in strings.common_words for w in words),
        "mean_word_characters": share(sum(map(len, words)), len(words)),
        "longest_word_characters": max(map(len, words), default=0),
        "cut_off_line_share": share(sum(ascii_lower(line).endswith(strings.cut_off) for line in lines), len(lines)),
        "bullet_line_share": share(sum(line[0] in strings.bullets for line in lines), len(lines)),
    }
    found |= {f"top_{n}gram_share": top(words, n, characters) for n in (2, 3, 4)}
    found |= {f"repeated_{n}gram_share": repeated(words, n, characters) for n in range(5, 11)}
    return found
