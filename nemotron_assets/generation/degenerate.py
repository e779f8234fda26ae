"""Finds texts in which a weak model wrote no answer: an echo of the prompt's own template, or a loop.

A small model often copies the form that it was shown ("Question: the question") in the place of filling it in, or falls
into a loop: "The code is very clean. The code is very clean. The code is". Both look complete and pass a grammar.
"""

from __future__ import annotations

import re
from collections import Counter

#: A word; in scripts without spaces, each letter is one.
_WORD = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’][^\W_]+)?")
_LABEL = re.compile(r"[\s\"'“(*-]*(?:(?:the|a|your|my) )?(?:question|answer)s?(?: \d+)?\s*:", re.I)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*|\n+")
#: Words of a template's blanks. A text of nothing else says nothing: "The answer is the answer to the question."
_BLANKS = frozenset((
    "a", "an", "the", "this", "that", "these", "it", "its", "is", "are", "was", "be", "of", "to", "for", "from", "in",
    "on", "about", "and", "or", "with", "by", "as", "what", "which", "your", "you", "my", "question", "questions",
    "answer", "answers", "given", "following", "above", "below", "passage", "text", "same", "itself", "here", "right",
    "correct", "complete",
))  # fmt: skip
_FRAMED = frozenset({"question", "questions", "answer", "answers", "passage", "text"})
#: Words in a row of the prompt that an answer may repeat.
_MOST_ECHOED = 7
#: A loop: so many words, said twice in a row, or fewer words said three times that make so many words together.
_LONG, _TOGETHER = 8, 9
_LONGEST_PERIOD = 40
#: A sentence of at least so many words that stands so many times in a text.
_SENTENCE_WORDS, _SENTENCE_TIMES = 5, 3
_JUDGED = 4_000  # words of a text that are looked through


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return [word.casefold() for word in _WORD.findall(text)[:_JUDGED]]


def echo(text: str, template: str = "") -> str:
    """What a text repeats of the prompt that it should answer, or "".

    It begins with a label of the form ("The answer: …"), consists of the form's blanks only ("What is the answer to the
    question?"), or has more than seven words in a row of the `template`, which is the prompt without its passage.
    """
    if label := _LABEL.match(text):
        return f"the label {label[0].strip()!r}"
    said = words(text)
    if said and _BLANKS.issuperset(said) and not _FRAMED.isdisjoint(said):
        return f"only words of the form: {text.strip()[:200]!r}"
    return prompt_words(said, template)


def prompt_words(said: list[str], template: str) -> str:
    """More than seven words in a row that `said` shares with the template of a prompt, or ""."""
    asked, length = words(template), _MOST_ECHOED + 1
    runs = {tuple(asked[i : i + length]) for i in range(len(asked) - length + 1)}
    for i in range(len(said) - length + 1) if runs else ():
        if tuple(said[i : i + length]) in runs:
            return f"words of the prompt: {' '.join(said[i : i + length])!r}"
    return ""


def loop(text: str, source: str = "") -> str:
    """What a text repeats in a loop, or "". A text whose `source` repeats something, too, has no loop of its own: the
    translation of a refrain."""
    found = _period(words(text)) or _repeated_sentence(text)
    if found and source and (_period(words(source)) or _repeated_sentence(source)):
        return ""
    return found


def _period(said: list[str]) -> str:
    """The words that follow each other at least twice (long ones) or three times, or ""."""
    for period in range(1, min(_LONGEST_PERIOD, len(said) // 2) + 1):
        needed = period if period >= _LONG else max(2 * period, _TOGETHER - period)
        streak = 0
        for i in range(len(said) - period):
            streak = streak + 1 if said[i] == said[i + period] else 0
            if streak >= needed:
                return f"{' '.join(said[i + 1 : i + 1 + period])[:200]!r} again and again"
    return ""


def _repeated_sentence(text: str) -> str:
    """A sentence that stands three times or more in a text, or ""."""
    counts = Counter(tuple(said) for part in _SENTENCE.split(text) if len(said := words(part)) >= _SENTENCE_WORDS)
    said, times = max(counts.items(), key=lambda pair: pair[1], default=((), 0))
    return f"{' '.join(said)[:200]!r} {times} times" if times >= _SENTENCE_TIMES else ""
