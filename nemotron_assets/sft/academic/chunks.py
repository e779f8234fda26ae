"""Cuts a text into pieces of at most a number of tokens, at line breaks where there are any."""

from __future__ import annotations

from nemotron_assets.generation.asking import CountTokens


def chunks(text: str, count: CountTokens, most: int) -> list[str]:
    """The text as pieces of at most `most` tokens, in order. Lines are kept whole if they fit; longer ones are cut
    between words, and words between characters. Pieces without visible characters are left out."""
    found: list[tuple[list[str], int]] = []
    lines = text.split("\n")
    for line, tokens in zip(lines, count(lines), strict=True):
        for before, piece, size in _fitting("\n", line, tokens, count, most):
            if found and found[-1][1] + 1 + size <= most:
                parts, held = found[-1]
                parts += (before, piece)
                found[-1] = (parts, held + 1 + size)
            else:
                found.append(([piece], size))
    return [piece for parts, _ in found if (piece := "".join(parts).strip("\n")).strip()]


def _fitting(before: str, line: str, tokens: int, count: CountTokens, most: int) -> list[tuple[str, str, int]]:
    """(what separates it from the text before, piece, tokens) of a line: the line itself, or its halves until they
    fit."""
    if tokens <= most or len(line) < 2:
        return [(before, line, tokens)]
    middle = len(line) // 2
    space = line.rfind(" ", middle // 2, middle)
    halves = (line[:space], line[space + 1 :]) if space > 0 else (line[:middle], line[middle:])
    sizes = count(halves)
    return [
        *_fitting(before, halves[0], sizes[0], count, most),
        *_fitting(" " if space > 0 else "", halves[1], sizes[1], count, most),
    ]
