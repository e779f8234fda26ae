"""Writes dialogues about pages on mathematics in seven styles (MIND; styles of Nemotron Nano 2 §2.2.1).

A page of the best subset is cut into chunks. About each chunk the model writes a conversation between people who know
more and people who know less about it: the difference in knowledge makes them explain. The grammar allows only turns of
the style's speakers. Answers that are cut off, too short, or in which only one person speaks are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.answers import ends_abruptly, literal_pattern
from nemotron_assets.generation.asking import Tally, answered, cut_off
from nemotron_assets.generation.degenerate import echo, loop
from nemotron_assets.math import clean
from nemotron_assets.math.corpus.tables import MIND
from nemotron_assets.recipe.math.corpus import Mind, Style
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from resources.generations import OutputFormat, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

CATEGORY = "4plus_MIND"
_READ = ("id", "snapshot", "language", "text", "category", "finemath_int_scores", "finemath_scores", "models_used",
         "nemocurator_int_scores", "nemocurator_scores", "warc_filename", "warc_id", "origin_hash")  # fmt: skip
_KEPT = ("snapshot", "language", "finemath_int_scores", "finemath_scores", "nemocurator_int_scores",
         "nemocurator_scores", "warc_filename", "warc_id", "origin_hash")  # fmt: skip

_SYSTEM = "You write conversations about mathematics that are true to a given text."
_RULES = """\
- It has several turns, and every turn moves the subject on.
- Say only what follows from the text: no facts, results or examples that it does not have.
- Write formulas as LaTeX between dollar signs.
- Every turn is one line: the speaker's name, a colon, and what is said. Write nothing else."""


@dataclass(frozen=True)
class Conversation:
    """A style of dialogue: its speakers, and a setting that says how they talk about the text."""

    speakers: tuple[str, ...]
    setting: str

    def messages(self, chunk: str) -> tuple[tuple[str, str], ...]:
        """The chat messages (role, content) that ask for a dialogue about a chunk."""
        names = f"{', '.join(self.speakers[:-1])} and {self.speakers[-1]}"
        task = f"Turn the text below into a conversation between {names}. {self.setting}\n{_RULES}\n\nText:\n{chunk}"
        return ("system", _SYSTEM), ("user", task)


CONVERSATIONS: dict[Style, Conversation] = {
    "two_professors": Conversation(
        ("Professor A", "Professor B"),
        "Both know the field well. They go through the argument, say what each step rests on, and ask back.",
    ),
    "teacher_student": Conversation(
        ("Teacher", "Student"),
        "The student meets this for the first time and asks; the teacher answers step by step, with the reason for "
        "each step, and checks what was understood.",
    ),
    "two_students": Conversation(
        ("Student A", "Student B"),
        "They revise for an exam: one explains, the other asks where something was skipped, then they change roles.",
    ),
    "interview": Conversation(
        ("Interviewer", "Guest"),
        "The interviewer asks what readers of a magazine would; the guest, who works in the field, answers clearly.",
    ),
    "problem_solving": Conversation(
        ("Ann", "Ben", "Cem"),
        "They solve what the text asks, or rebuild its result, as a group: they propose, try, and mend their slips.",
    ),
    "layman_expert": Conversation(
        ("Layman", "Expert"),
        "The layman knows no mathematics beyond school and says so; the expert explains step by step and leaves out "
        "nothing that is needed.",
    ),
    "debate": Conversation(
        ("Speaker A", "Speaker B"),
        "They disagree on how to see or to do this, and each argues step by step with what the text says; in the end "
        "they state what they agree on.",
    ),
}  # fmt: skip


def request(style: Style, chunk: str, recipe: Mind, parents: tuple[str, ...] = ()) -> Request:
    """The request to the model for a dialogue about a chunk."""
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens)
    conversation = CONVERSATIONS[style]
    return Request(
        f"mind_{style}",
        conversation.messages(chunk),
        sampling,
        OutputFormat("regex", grammar(style, recipe)),
        parents=parents,
    )


def grammar(style: Style, recipe: Mind) -> str:
    """The regular expression that an answer must match: turns of the style's speakers, one per line. The first two
    turns are those of the first two speakers."""
    names = [literal_pattern(name) for name in CONVERSATIONS[style].speakers]
    speech = rf": [^\s][^\n]{{9,{recipe.max_turn_characters - 1}}}"
    more = rf"(\n({'|'.join(names)}){speech}){{{recipe.min_turns - 2},{recipe.max_turns - 2}}}"
    return rf"{names[0]}{speech}\n{names[1]}{speech}{more}"


def turns(style: Style, answer: str) -> list[tuple[str, str]]:
    """(speaker, speech) of every line of an answer; empty if any line is not a turn."""
    names = "|".join(re.escape(name) for name in CONVERSATIONS[style].speakers)
    found = []
    for line in filter(None, map(str.strip, answer.strip().split("\n"))):
        match = re.fullmatch(rf"(?:\*\*)?({names})(?:\*\*)?\s?:(?:\*\*)?\s*(\S.*)", line)
        if match is None:
            return []
        found.append((match[1], match[2]))
    return found


def problem(style: Style, answer: str, recipe: Mind, chunk: str = "") -> str:
    """The cause why an answer is not a dialogue, or "". It is "unparsable" if it has too few turns, only one speaker or
    the same speech twice, "truncated" if the grammar's limit ended a turn, and "degenerate" if a turn repeats the
    prompt or is a loop that the chunk does not have."""
    found = turns(style, answer)
    if any(ends_abruptly(speech, recipe.max_turn_characters) for _, speech in found):
        return "truncated"
    if any(echo(speech, CONVERSATIONS[style].messages("")[1][1]) or loop(speech, chunk) for _, speech in found):
        return "degenerate"
    if len(found) < recipe.min_turns or len({speaker for speaker, _ in found}) < 2:
        return "unparsable"
    return "unparsable" if len({speech for _, speech in found}) < len(found) else ""


@dataclass(frozen=True)
class _Chunk:
    """Chunk number `number` of a page, and the styles in which dialogues about it are written."""

    page: Mapping[str, Any]
    number: int
    styles: list[Style]


def choose_pages(pages: pl.LazyFrame, recipe: Mind) -> tuple[pl.LazyFrame, str]:
    """(the pages to write about, a description of the choice for the metadata)."""
    best = pages.filter(pl.col("category") == "4plus")
    description = "the pages of the subset 4plus"
    if recipe.best_if_none and best.select(pl.len()).collect(engine="streaming").item() == 0:
        best, description = pages, "the pages with the highest scores, because no page is in the subset 4plus"
    if recipe.max_pages is None:
        return best.select(_READ), description
    top = best.select("id", "finemath_scores").collect(engine="streaming")
    ids = top.sort("finemath_scores", "id", descending=[True, False]).head(recipe.max_pages)["id"]
    best = best.filter(pl.col("id").is_in(ids.implode()))
    return best.select(_READ), f"{description}; of these the best {recipe.max_pages}"


def _requests(pages: pl.LazyFrame, recipe: Mind, writer: Writer) -> Iterator[tuple[_Chunk, list[Request]]]:
    """Yield every chunk of the pages with its requests, one per style. The id of the page and the number of the chunk
    decide the styles."""
    for frame in pages.collect_batches(chunk_size=256, maintain_order=True, engine="streaming"):
        for page in frame.iter_rows(named=True):
            parts = clean.chunks(page["text"], writer.count, recipe.chunk_tokens)
            sizes = writer.count(parts)
            fitting = [
                part
                for part, size in zip(parts, sizes, strict=True)
                if recipe.min_chunk_tokens <= size <= recipe.chunk_tokens
            ]
            for number, chunk in enumerate(fitting[: recipe.max_chunks]):
                first = int(page["id"][:8], 16) + number
                styles = [recipe.styles[(first + k) % len(recipe.styles)] for k in range(recipe.styles_per_chunk)]
                styles = list(dict.fromkeys(styles))
                requests = [request(style, chunk, recipe, (page["id"],)) for style in styles]
                if max(map(writer.prompt_tokens, requests)) + recipe.max_output_tokens <= writer.window:
                    yield _Chunk(page, number, styles), requests


def dialogue_rows(
    pages: pl.LazyFrame,
    writer: Writer,
    recipe: Mind,
    reject: Callable[[Reject], None],
    tallies: Mapping[str, Tally],
) -> Iterator[dict]:
    """Yield rows of `math.mind` about pages that `choose_pages` chose. Unusable answers go to `reject`; `tallies`
    counts the answers of each style."""
    for chunk, completions in answered(_requests(pages, recipe, writer), writer.ask):
        for style, completion in zip(chunk.styles, completions, strict=True):
            tally = tallies[style]
            tally.answers([completion])
            spoken = turns(style, completion.text)
            text = "\n".join(f"{speaker}: {speech}" for speaker, speech in spoken)
            tokens = writer.count([text])[0] if text else 0
            detail = cut_off(completion, recipe.max_output_tokens)
            cause = (
                "truncated" if detail else problem(style, completion.text, recipe, completion.request.messages[-1][1])
            )
            if not cause and tokens < recipe.min_tokens:
                cause, detail = "too_short", f"the dialogue has {tokens} of at least {recipe.min_tokens} tokens"
            if cause:
                tally.rejected[cause] += 1
                detail = detail or f"the answer begins {completion.text[:300]!r}"
                reject(Reject(completion.id, cause, f"{style} of page {chunk.page['id']}: {detail}"))
                continue
            tally.row(text, tokens)
            yield {
                **{name: chunk.page[name] for name in _KEPT},
                "id": row_id(MIND.full_name, chunk.page["id"], chunk.number, style),
                "parents": [chunk.page["id"]],
                "text": text,
                "style": style,
                "chunk": chunk.number,
                "turns": len(spoken),
                "tokens": tokens,
                "prompt": completion.request.prompt,
                "generator": writer.name,
                "generation_id": completion.id,
                "category": CATEGORY,
                "models_used": list(dict.fromkeys([*chunk.page["models_used"], writer.name])),
            }
