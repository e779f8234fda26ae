"""Which documents are written about, and the passages of them that a language model gets to read.

The rules are those of the published recipe (NeMo Curator's Nemotron-CC pipelines): documents below a minimum are left
out; the text is split into lines; lines longer than the room in the prompt are dropped; adjacent lines are joined while
they fit; joined segments below a minimum are dropped. Token counts are the generator's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from nemotron_assets.generation.asking import CountTokens
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.web.synthetic import PromptLimits

COLUMNS = ("id", "snapshot", "language", "level", "text", "content_hash")

# Where only some documents are wanted, this many times as many are looked at: some have no segment that fits.
_CANDIDATES = 8
_BATCH = 256


@dataclass(frozen=True)
class Segment:
    """Some adjacent lines of a document. `tokens` counts the lines and the line breaks between them."""

    document: str
    number: int
    text: str
    tokens: int


@dataclass(frozen=True)
class Passages:
    """A document (some columns of web.curated) and the segments of it that a prompt is asked about."""

    prompt: str
    document: Mapping[str, str]
    segments: list[Segment]


def passages(
    documents: pl.LazyFrame, prompts: Mapping[str, PromptLimits], rooms: Mapping[str, int], count: CountTokens
) -> Iterator[Passages]:
    """The passages of all documents for all prompts; `rooms` says how many tokens a segment may have.

    Of a level for which a prompt's `documents` names a number, those with the lowest content hash are taken: the same
    in every run, and the same for all prompts.
    """
    for (level, most), names in _groups(prompts).items():
        wanted = documents.filter(pl.col("level") == level).select(COLUMNS)
        if most is not None:
            order = ["content_hash", "id"]
            wanted = wanted.bottom_k(most * _CANDIDATES, by=order).sort(order)
        taken: Counter[str] = Counter()
        for frame in wanted.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
            for document in frame.iter_rows(named=True):
                open_names = [name for name in names if most is None or taken[name] < most]
                lines = [line for line in map(str.strip, document["text"].split("\n")) if line] if open_names else []
                counts = count(lines)
                for name in open_names:
                    found = segments(document["id"], lines, counts, rooms[name], prompts[name])
                    if found:
                        taken[name] += 1
                        yield Passages(name, document, found)


def room(name: str, limits: PromptLimits, prompt_tokens: int) -> int:
    """Tokens a segment may have: what a prompt without a passage, and two tokens of slack, leave of the input.

    Raises `RecipeError` when no segment could be long enough.
    """
    left = limits.max_input_tokens - prompt_tokens - 2
    if left < limits.min_segment_tokens:
        raise RecipeError(
            f"prompt {name} has {prompt_tokens} tokens without a passage, which leaves {left} of max_input_tokens = "
            f"{limits.max_input_tokens} for a segment of at least {limits.min_segment_tokens}: raise max_input_tokens"
        )
    return left


def segments(document: str, lines: list[str], counts: list[int], room: int, limits: PromptLimits) -> list[Segment]:
    """Cut a document's lines, without blank ones, into segments of at most `room` tokens. `counts`: tokens per line."""
    if sum(counts) + len(lines) - 1 < limits.min_document_tokens:
        return []
    found: list[tuple[list[str], int]] = []
    for line, tokens in zip(lines, counts, strict=True):
        if tokens > room:
            continue
        if found and found[-1][1] + 1 + tokens <= room:
            found[-1][0].append(line)
            found[-1] = (found[-1][0], found[-1][1] + 1 + tokens)
        else:
            found.append(([line], tokens))
    kept = [(part, tokens) for part, tokens in found if tokens >= limits.min_segment_tokens][: limits.max_segments]
    return [Segment(document, number, "\n".join(part), tokens) for number, (part, tokens) in enumerate(kept)]


def _groups(prompts: Mapping[str, PromptLimits]) -> dict[tuple[str, int | None], list[str]]:
    """The prompts that want the same documents, by level and number of documents."""
    groups: dict[tuple[str, int | None], list[str]] = {}
    for name, limits in prompts.items():
        for level, most in limits.documents.items():
            groups.setdefault((level, most), []).append(name)
    return groups
