"""Chooses the documents that a prompt is asked about, and cuts them into segments that fit into the prompt.

The rules are those of the published recipe (NeMo Curator's Nemotron-CC pipelines):

1. Documents with fewer tokens than a minimum are left out.
2. The text is split into lines. Lines that do not fit into the prompt are dropped.
3. Adjacent lines are joined into a segment as long as they fit.
4. Segments with fewer tokens than a minimum are dropped.

Tokens are counted with the generator's tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from nemotron_assets.generation.asking import CountTokens
from nemotron_assets.held_out import page_hash
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.web.synthetic import PromptLimits

COLUMNS = ("id", "snapshot", "language", "level", "text", "content_hash")

# If a number of documents is wanted, this many times as many are read, because some have no segment that fits.
_CANDIDATES = 8
_BATCH = 256


@dataclass(frozen=True)
class Segment:
    """Joined lines of a document. `number` counts its segments from 0; `tokens` includes one per line break."""

    document: str
    number: int
    text: str
    tokens: int


@dataclass(frozen=True)
class Passages:
    """A document (columns `COLUMNS` of `web.curated`, and the `origin_hash` of its page), and its segments that the
    prompt is asked about."""

    prompt: str
    document: Mapping[str, str]
    segments: list[Segment]


def passages(
    documents: pl.LazyFrame, prompts: Mapping[str, PromptLimits], rooms: Mapping[str, int], count: CountTokens
) -> Iterator[Passages]:
    """The segments of all documents for all prompts, one `Passages` per document and prompt.

    `rooms` has the number of tokens that a segment may have, by prompt. If a prompt's `documents` names a number for a
    level, the documents with the lowest content hashes are taken: the same ones in every run and for all prompts.
    """
    for (level, most), names in _groups(prompts).items():
        wanted = documents.filter(pl.col("level") == level).select(*COLUMNS, origin_hash=page_hash())
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
    """The number of tokens that a segment may have: `max_input_tokens` less the prompt without a passage and two tokens
    of slack. Raises `RecipeError` if that is less than the shortest segment."""
    left = limits.max_input_tokens - prompt_tokens - 2
    if left < limits.min_segment_tokens:
        raise RecipeError(
            f"prompt {name} has {prompt_tokens} tokens without a passage, which leaves {left} of max_input_tokens = "
            f"{limits.max_input_tokens} for a segment of at least {limits.min_segment_tokens}: raise max_input_tokens"
        )
    return left


def segments(document: str, lines: list[str], counts: list[int], room: int, limits: PromptLimits) -> list[Segment]:
    """Join the lines of a document into segments of at most `room` tokens. `lines` has no blank lines, `counts` has the
    tokens of each line."""
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
    """The names of the prompts that want the same documents, by level and number of documents."""
    groups: dict[tuple[str, int | None], list[str]] = {}
    for name, limits in prompts.items():
        for level, most in limits.documents.items():
            groups.setdefault((level, most), []).append(name)
    return groups
