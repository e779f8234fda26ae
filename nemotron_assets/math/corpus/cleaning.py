"""Makes rows of `math.cleaned`: cuts pages into chunks, asks the model, lets the guard judge, joins the chunks.

Pages that the recipe does not give to the model are cleaned by rules in the same pass. The model's answers are in the
ledger of generations, so the next run after a killed one asks only for the answers that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.asking import answered, cut_off, frames
from nemotron_assets.math import clean, tex
from nemotron_assets.math.clean import Cleaned, Guard
from nemotron_assets.math.corpus.tables import CLEANED
from nemotron_assets.recipe.math.corpus import MathCleaner
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Reject, Rejects
from nemotron_assets.table.spill import spill
from resources.generations import Completion, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer
    from resources.lakehouse import Reader

PROMPT = "math_clean"
_READ = ("id", "snapshot", "warc_file", "url", "host", "fetched_at", "language", "text", "content_hash")


def request(chunk: str, recipe: MathCleaner, parents: tuple[str, ...] = ()) -> Request:
    """The request to the model to clean one chunk."""
    task = clean.TASK.format(no_content=clean.NO_CONTENT, text=chunk)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens, top_k=recipe.top_k)
    return Request(PROMPT, (("system", clean.SYSTEM), ("user", task)), sampling, parents=parents)


def pages_for_model(rendered: pl.LazyFrame, recipe: MathCleaner) -> set[str] | None:
    """The ids of the pages that are given to the model: pages with formulas, the lowest content hashes first. None
    means all pages."""
    if recipe.max_pages is None:
        return None
    pages = rendered.filter(pl.col("formulas") > 0).select("id", "content_hash")
    return set(pages.bottom_k(recipe.max_pages, by=["content_hash", "id"]).collect(engine="streaming")["id"])


@dataclass(frozen=True)
class _Chunk:
    """A chunk of a page: it has a `request` to the model, or is already cleaned by rules (`done`)."""

    text: str
    request: Request | None = None
    done: Cleaned | None = None


@dataclass(frozen=True)
class _Page:
    """A row of `math.rendered` and its chunks."""

    row: dict[str, Any]
    chunks: list[_Chunk] = field(default_factory=list)


class Cleaning:
    """The clean-up of one partition. `new` and `tokens` count the answers, and their tokens, that the model wrote in
    this run."""

    def __init__(
        self,
        rendered: Reader,
        recipe: MathCleaner,
        writer: Writer,
    ) -> None:
        self.rendered, self.recipe, self.writer, self.rejects = rendered, recipe, writer, Rejects()
        self.guard = Guard(recipe.max_invented, recipe.min_kept, recipe.max_added)
        self.new = self.tokens = 0

    def parts(self) -> Iterator[Part]:
        """One part per WARC file. A part is made again if its pages change, or the choice of pages for the model."""
        pages = pages_for_model(self.rendered.scan(), self.recipe)
        for file, content in self.rendered.parts().items():
            part = self.rendered.part(file)
            chosen = None
            if pages is not None:
                ids = part.scan().select("id").collect(engine="streaming")["id"].to_list()
                chosen = sorted(pages.intersection(ids))
            asked = "all" if chosen is None else content_hash(" ".join(chosen))
            yield Part(file, f"{content}:{asked}", lambda part=part, chosen=chosen: self._part(part, chosen))

    def _part(self, part: Reader, chosen: Collection[str] | None) -> Iterator[Any]:
        """The rows of one part; `chosen` are the ids of its pages for the model, None for all."""
        pages = self._pages(part, chosen)
        rows = clean_rows(pages, self._ask, self.recipe, self.guard, self.writer.name, self.rejects.add)
        if chosen is not None and not chosen:
            return iter(frames(rows, CLEANED))
        with self.writer.device():
            return spill(frames(rows, CLEANED))

    def written(self) -> dict[str, int]:
        """What the model wrote in this run, for the asset's metadata."""
        return {"new_generations": self.new, "output_tokens": self.tokens}

    def _ask(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield the model's answers, and count the new ones."""
        for completion in self.writer.ask(requests):
            self.new += completion.new
            self.tokens += completion.output_tokens if completion.new else 0
            yield completion

    def _pages(self, part: Reader, chosen: Collection[str] | None) -> Iterator[_Page]:
        """Yield the pages of a part with their chunks. A page that is not for the model is one chunk."""
        wanted = None if chosen is None else set(chosen)
        for batch in part.batches(_READ, batch_size=self.recipe.batch_rows):
            for row in batch.to_pylist():
                if wanted is None or row["id"] in wanted:
                    yield _Page(row, self._chunks(row))
                else:
                    yield _Page(row, [_Chunk(row["text"], done=clean.by_rules(row["text"]))])

    def _chunks(self, row: dict[str, Any]) -> list[_Chunk]:
        """The chunks of a page for the model. Chunks beyond the recipe's number are joined and cleaned by rules."""
        parts = clean.chunks(row["text"], self.writer.count, self.recipe.chunk_tokens)
        most = len(parts) if self.recipe.max_chunks is None else self.recipe.max_chunks
        found = []
        for text in parts[:most]:
            asked = request(text, self.recipe, (row["id"],))
            if self._fits(self.writer.prompt_tokens(asked)):
                found.append(_Chunk(text, asked))
            else:
                found.append(_Chunk(text, done=clean.by_rules(text, "rules_too_long")))
        if rest := clean.merge(parts[most:]):
            found.append(_Chunk(rest, done=clean.by_rules(rest)))
        return found

    def _fits(self, prompt_tokens: int) -> bool:
        """Whether a prompt and its answer fit into the model's context window."""
        window = self.writer.window
        longest = min(self.recipe.max_prompt_share * window, window - self.recipe.max_output_tokens)
        return prompt_tokens <= longest


def clean_rows(
    pages: Iterable[_Page],
    ask: Callable[[Iterable[Request]], Iterator[Completion]],
    recipe: MathCleaner,
    guard: Guard,
    generator: str,
    reject: Callable[[Reject], None],
) -> Iterator[dict]:
    """Yield rows of `math.cleaned`. A page with an empty cleaned text goes to `reject`."""
    jobs = ((page, [chunk.request for chunk in page.chunks if chunk.request]) for page in pages)
    for page, completions in answered(jobs, ask):
        answers, row = iter(completions), page.row
        done = [
            chunk.done or _judge(chunk.text, next(answers), recipe.max_output_tokens, guard) for chunk in page.chunks
        ]
        merged = clean.merge([piece.text for piece in done])
        text = clean.lossless(row["text"], merged)
        kept = clean.merge([text], recipe.max_characters)
        if not kept.strip():
            reject(Reject(row["id"], "no_content", f"clean-up left no text of {row['url']}"))
            continue
        yield {
            **{name: row[name] for name in _READ if name not in ("id", "text", "content_hash")},
            "id": row_id(CLEANED.full_name, row["id"]),
            "parents": [row["id"]],
            "text": kept,
            "characters": len(kept),
            "formulas": sum(1 for _ in tex.find(kept)),
            "code_blocks": len(clean.code_blocks(kept)),
            "outcomes": [piece.outcome for piece in done],
            "formulas_restored": sum(piece.restored for piece in done),
            "repaired": text != merged,
            "cut_characters": len(text) - len(kept),
            "generator": generator if any(piece.outcome in ("kept", "restored") for piece in done) else None,
            "generation_ids": [completion.id for completion in completions],
            "content_hash": content_hash(kept),
        }


def _judge(chunk: str, completion: Completion, max_output_tokens: int, guard: Guard) -> Cleaned:
    """The cleaned chunk, from the model's answer or by rules."""
    truncated = bool(cut_off(completion, max_output_tokens))
    return clean.judge(chunk, completion.text, truncated=truncated, guard=guard)
