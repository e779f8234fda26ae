"""Asks a language model for jobs of several requests, in one stream, and counts the answers.

A job is what a stage makes one or more rows from, such as the segments of a document or the lines of a text. All jobs
of a partition go to the ledger as one stream of requests, so that the engine's batches are full.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nemotron_assets.table.progress import EVERY_S, time_left
from nemotron_assets.table.schema import Table
from resources.generations import Completion, Request

if TYPE_CHECKING:
    import polars as pl

CountTokens = Callable[[Sequence[str]], list[int]]
Generate = Callable[[Iterable[Request]], Iterator[Completion]]
Job = TypeVar("Job")

#: Why an answer is rejected: it was cut at a limit of tokens or of the grammar; it does not have the requested form; it
#: echoes the prompt or is a loop; it has less text than the recipe wants.
CAUSES = ("truncated", "unparsable", "degenerate", "too_short")

_EXAMPLE_CHARACTERS = 4_000
_FRAME_ROWS = 512


def answered(
    jobs: Iterable[tuple[Job, Sequence[Request]]], generate: Generate
) -> Iterator[tuple[Job, list[Completion]]]:
    """Ask for the requests of all jobs in one stream, and yield every job with its completions, both in order.

    `generate` must answer requests in order, as `Ledger.generate` does. Jobs without requests are yielded too.
    """
    waiting: deque[tuple[Job, int, list[Completion]]] = deque()

    def ask() -> Iterator[Request]:
        for job, requests in jobs:
            waiting.append((job, len(requests), []))
            yield from requests

    def ready() -> Iterator[tuple[Job, list[Completion]]]:
        while waiting and len(waiting[0][2]) == waiting[0][1]:
            job, _, completions = waiting.popleft()
            yield job, completions

    for completion in generate(ask()):
        yield from ready()  # jobs without requests that came before the job of this completion
        waiting[0][2].append(completion)
        yield from ready()
    yield from ready()


def cut_off(completion: Completion, max_output_tokens: int) -> str:
    """The detail of a truncated answer, such as "599 tokens of at most 598"; "" if the model ended it by itself.

    An answer counts as truncated if it has more than the limit - 2 tokens (as published).
    """
    if completion.finish_reason == "length" or completion.output_tokens > max_output_tokens - 2:
        return f"{completion.output_tokens} tokens of at most {max_output_tokens - 2}"
    return ""


def frames(rows: Iterable[dict], table: Table, size: int = _FRAME_ROWS) -> Iterator[pl.DataFrame]:
    """Rows as frames of at most `size` rows with the table's columns; at least one frame, which may be empty."""
    import polars as pl

    schema = table.empty().schema
    collected: list[dict] = []
    for row in rows:
        collected.append(row)
        if len(collected) == size:
            yield pl.DataFrame(collected, schema=schema)
            collected = []
    yield pl.DataFrame(collected, schema=schema)


@dataclass
class Tally:
    """Counts of the answers to one prompt, updated while they come in.

    The model was asked about `segments` segments of `documents` documents. `accepted` segments are part of one of the
    `rows`; `rejected` counts the others by cause. `tokens` counts the tokens of the rows' texts, `output_tokens` the
    tokens that the model wrote, and `new` the generations that were not in the ledger yet. `example` is the first text.
    """

    documents: int = 0
    segments: int = 0
    accepted: int = 0
    rows: int = 0
    tokens: int = 0
    output_tokens: int = 0
    new: int = 0
    rejected: Counter = field(default_factory=Counter)
    example: str = ""

    def answers(self, completions: Iterable[Completion]) -> None:
        """Count the answers to one document."""
        self.documents += 1
        for completion in completions:
            self.segments += 1
            self.output_tokens += completion.output_tokens
            self.new += completion.new

    def row(self, text: str, tokens: int, segments: int = 1) -> None:
        """Count a row made from the answers to `segments` segments."""
        self.rows += 1
        self.accepted += segments
        self.tokens += tokens
        self.example = self.example or text


def facts(tallies: Mapping[str, Tally]) -> dict[str, int]:
    """The sums of the counts over all prompts, as metadata of an asset."""
    names = ("documents", "segments", "accepted", "rows", "tokens", "output_tokens")
    sums = {name: sum(getattr(tally, name) for tally in tallies.values()) for name in names}
    sums["new_generations"] = sum(tally.new for tally in tallies.values())
    return sums | {cause: sum(tally.rejected[cause] for tally in tallies.values()) for cause in CAUSES}


def facts_table(tallies: Mapping[str, Tally]) -> str:
    """A Markdown table with the counts of every prompt, one row per prompt."""
    titles = ["prompt", "documents", "segments", "accepted", *CAUSES, "rows", "tokens", "written", "new"]
    lines = ["| " + " | ".join(title.replace("_", " ") for title in titles) + " |", "|---" + "|--:" * (len(titles) - 1)]
    for name, t in tallies.items():
        causes = [t.rejected[cause] for cause in CAUSES]
        counts = [t.documents, t.segments, t.accepted, *causes, t.rows, t.tokens, t.output_tokens, t.new]
        lines.append(f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    lines[1] += "|"
    return "\n".join(lines)


def example_markdown(text: str) -> str:
    """A text as a Markdown code block, also if the text contains code fences. A long text is cut."""
    shown = text if len(text) <= _EXAMPLE_CHARACTERS else text[:_EXAMPLE_CHARACTERS] + " …"
    fence = "```"
    while fence in shown:
        fence += "`"
    return f"{fence}text\n{shown}\n{fence}"


class Progress:
    """Logs how many requests are answered, at most every ten seconds; `rate` is the tokens written per second.

    The number of all requests is known once the stream of requests has ended. The ledger reads it far ahead.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log, self._started, self._logged, self.rate = log, time.monotonic(), time.monotonic(), 0.0
        self._asked, self._all_asked = 0, False

    def counted(self, requests: Iterable[Request]) -> Iterator[Request]:
        """The same requests, counted as they are read."""
        self._asked, self._all_asked = 0, False
        for request in requests:
            self._asked += 1
            yield request
        self._all_asked = True

    def __call__(self, finished: int, new: int, tokens: int) -> None:
        now = time.monotonic()
        seconds = max(now - self._started, 1e-9)
        self.rate = tokens / seconds
        if now - self._logged >= EVERY_S:
            self._logged = now
            known = (
                f" of {self._asked:,}" if self._all_asked else f" of more than {self._asked:,}" if self._asked else ""
            )
            left = time_left(new, self._asked - finished + new, seconds) if self._all_asked else ""
            self._log(
                f"{finished:,}{known} requests answered, {new:,} in this run; {tokens:,} tokens, "
                f"{self.rate:,.0f} tokens/s{', ' + left if left else ''}"
            )
