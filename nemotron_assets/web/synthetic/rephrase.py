"""Rephrases documents (Nemotron-CC §2.4): in Wikipedia's style, condensed, as extracted knowledge, and as a list.

Every segment of a document is one request. An answer that is truncated, or not in the form that was asked for, is
dropped. The other answers of a document are joined in the order of its segments, as published, and the row names their
generations. If no answer is left, or the joined text is too short, the document has no row and all its generations are
rejected.
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
from nemotron_assets.generation.degenerate import loop, prompt_words, words
from nemotron_assets.recipe.web.synthetic import ProseLimits, Rephrased
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Batches, Reject
from nemotron_assets.web.synthetic.passages import Passages, passages, room
from nemotron_assets.web.synthetic.prompts import PROMPTS
from nemotron_assets.web.synthetic.tables import REPHRASED
from resources.generations import Completion, OutputFormat, Request, Sampling

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.generation.writing import Writer

SEPARATOR = "\n"  # between the answers of a document (published)

_SHORTEST = 20  # least characters of the first line; longer than any label that is removed, such as "Passage 1:"


def request(name: str, recipe: Rephrased, passage: str, parents: tuple[str, ...] = ()) -> Request:
    """The request to rephrase one passage with a prompt."""
    limits, prompt = recipe.prompts()[name], PROMPTS[name]
    sampling = Sampling(recipe.temperature, recipe.top_p, limits.max_output_tokens)
    return Request(name, prompt.messages(passage), sampling, output_format(name, limits), parents=parents)


def output_format(name: str, limits: ProseLimits) -> OutputFormat:
    """The grammar of an answer: the prompt's marker line if it has one, then lines. Lines of `knowledge_list` are list
    items."""
    longest = limits.max_line_characters
    first, line, more = line_pattern(_SHORTEST, longest, "-"), rf"[^\n]{{1,{longest}}}", limits.max_lines - 1
    if name == "knowledge_list":
        return OutputFormat("regex", rf"- {first}(\n(  )?- {line}){{0,{more}}}")
    marker = PROMPTS[name].marker
    head = literal_pattern(marker) + r"\n" if marker else ""
    return OutputFormat("regex", rf"{head}{first}(\n\n?{line}){{0,{more}}}")


def parse(name: str, answer: str, limits: ProseLimits, passage: str = "") -> tuple[str, str]:
    """(the text of an answer, ""), or ("", the cause: "truncated", "degenerate" or "unparsable"). The text must repeat
    nothing of the prompt, and no sentence of its own unless the passage does."""
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
    if prompt_words(words(text), PROMPTS[name].task) or loop(text, passage):
        return "", "degenerate"
    return text, "" if text else "unparsable"


def write(curated: pl.LazyFrame, recipe: Rephrased, writer: Writer) -> tuple[Batches, dict[str, Tally]]:
    """Have the language model rephrase curated documents: (rows and rejects, counts by name of the prompt)."""
    prompts, tallies = recipe.prompts(), {name: Tally() for name in recipe.prompts()}
    rooms = {
        name: room(name, limits, writer.prompt_tokens(request(name, recipe, ""))) for name, limits in prompts.items()
    }
    chosen = passages(curated, prompts, rooms, writer.count)
    batches = writer.write(
        REPHRASED,
        lambda reject: rows(
            chosen,
            recipe,
            generator=writer.name,
            count=writer.count,
            generate=writer.ask,
            reject=reject,
            tallies=tallies,
        ),
    )
    return batches, tallies


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
    """Rows of `web.rephrased`, one per document and prompt. Generations that are in no row go to `reject`. `tallies`
    counts the answers to each prompt."""
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
        for part, completion in zip(found.segments, completions, strict=True):
            if why := cut_off(completion, limits[name].max_output_tokens):
                drop(completion, "truncated", why)
                continue
            text, cause = parse(name, completion.text, limits[name], part.text)
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
            "id": row_id(REPHRASED.full_name, document["id"], name),
            "parents": [document["id"]],
            "snapshot": document["snapshot"],
            "prompt": name,
            "text": text,
            "language": document["language"],
            "generator": generator,
            "generation_ids": [completion.id for completion, _ in kept],
            "tokens": tokens,
        }
