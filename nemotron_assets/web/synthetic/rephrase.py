"""Rephrasings of documents (Nemotron-CC §2.4): in Wikipedia's style, condensed, as extracted knowledge, as a list.

Every segment of a document is one request. Answers that are truncated or not in the form that was asked for are
dropped, what is left of a document is joined again in the order of its segments, as published; a document that loses
some of its segments this way keeps the rest, and its row names the generations that are in it. It is dropped when
nothing is left or the joined text is too short, and then every one of its generations counts as rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nemotron_assets.generation.answers import (
    ends_abruptly,
    line_pattern,
    literal_pattern,
    strip_markdown,
    without_bullets,
    without_marker,
    without_quotes,
    without_stray_labels,
)
from nemotron_assets.generation.asking import CountTokens, Generate, Tally, answered, cut_off
from nemotron_assets.recipe.web.synthetic import ProseLimits, Rephrased
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.web.synthetic.passages import Passages, passages, room
from nemotron_assets.web.synthetic.prompts import PROMPTS
from resources.generations import Completion, OutputFormat, Request, Sampling

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.generation.writing import Writer

SEPARATOR = "\n"  # between the segments of a joined document (published)

_SHORTEST = 20  # characters of the first line: longer than any label that is taken off


def request(name: str, recipe: Rephrased, passage: str, parents: tuple[str, ...] = ()) -> Request:
    """The question about one passage."""
    limits, prompt = recipe.prompts()[name], PROMPTS[name]
    sampling = Sampling(recipe.temperature, recipe.top_p, limits.max_output_tokens)
    return Request(name, prompt.messages(passage), sampling, output_format(name, limits), parents=parents)


def output_format(name: str, limits: ProseLimits) -> OutputFormat:
    """The grammar of an answer: the marker line if there is one, then lines, which are list items for a list."""
    longest = limits.max_line_characters
    first, line, more = line_pattern(_SHORTEST, longest, "-"), rf"[^\n]{{1,{longest}}}", limits.max_lines - 1
    if name == "knowledge_list":
        return OutputFormat("regex", rf"- {first}(\n(  )?- {line}){{0,{more}}}")
    marker = PROMPTS[name].marker
    head = literal_pattern(marker) + r"\n" if marker else ""
    return OutputFormat("regex", rf"{head}{first}(\n\n?{line}){{0,{more}}}")


def parse(name: str, answer: str, limits: ProseLimits) -> tuple[str, str]:
    """(the text of an answer, "") or ("", why there is none: truncated or unparsable)."""
    text, marker = strip_markdown(answer), PROMPTS[name].marker
    if any(ends_abruptly(line, limits.max_line_characters) for line in answer.split("\n")):
        return "", "truncated"
    if marker:
        body = without_marker(text, marker)
        text = "" if body is None else without_quotes(body)
    if name == "extract_knowledge":
        text = without_stray_labels(text)
    if name == "knowledge_list":
        text = without_bullets(text)
    return text, "" if text else "unparsable"


def chosen(curated: pl.LazyFrame, recipe: Rephrased, writer: Writer) -> Iterator[Passages]:
    """The passages of curated documents that each prompt is asked about, in the room that the prompt leaves."""
    prompts = recipe.prompts()
    rooms = {
        name: room(name, limits, writer.prompt_tokens(request(name, recipe, ""))) for name, limits in prompts.items()
    }
    return passages(curated, prompts, rooms, writer.count)


def rows(
    passages: Iterable[Passages],
    recipe: Rephrased,
    *,
    generator: str,
    count: CountTokens,
    generate: Generate,
    reject: Callable[[Reject], None],
    tallies: Mapping[str, Tally],
) -> Iterator[dict]:
    """Rows of web.rephrased; `reject` takes the generations that are in none, `tallies` counts per prompt."""
    jobs = (
        (found, [request(found.prompt, recipe, part.text, (part.document,)) for part in found.segments])
        for found in passages
    )
    limits = recipe.prompts()
    for found, completions in answered(jobs, generate):
        name, document, tally = found.prompt, found.document, tallies[found.prompt]
        tally.answers(completions)

        def drop(completion: Completion, cause: str, detail: str, name=name, document=document, tally=tally) -> None:
            tally.rejected[cause] += 1
            reject(Reject(completion.id, cause, f"{name} of document {document['id']}: {detail}"))

        kept: list[tuple[Completion, str]] = []
        for completion in completions:
            if why := cut_off(completion, limits[name].max_output_tokens):
                drop(completion, "truncated", why)
                continue
            text, cause = parse(name, completion.text, limits[name])
            if cause:
                drop(completion, cause, repr(completion.text[-300:] if cause == "truncated" else completion.text[:300]))
            else:
                kept.append((completion, text))
        text = SEPARATOR.join(text for _, text in kept)
        tokens = count([text])[0] if kept else 0
        if tokens < limits[name].min_tokens_after:
            for completion, _ in kept:
                drop(completion, "too_short", f"{tokens} tokens of at least {limits[name].min_tokens_after}")
            continue
        tally.row(text, tokens, len(kept))
        yield {
            "id": row_id("web.rephrased", document["id"], name),
            "parents": [document["id"]],
            "snapshot": document["snapshot"],
            "prompt": name,
            "text": text,
            "language": document["language"],
            "generator": generator,
            "generation_ids": [completion.id for completion, _ in kept],
            "tokens": tokens,
        }
