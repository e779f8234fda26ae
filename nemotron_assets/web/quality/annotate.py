"""Annotations: a language model scores a sample of documents from 0 to 5 for educational value (Nemotron-CC §2.2).

There are two annotators, which word the question differently, as the published ensemble has two language models. An
answer is one digit, enforced by the output grammar.

Reference passages that are known to be good are annotated as controls, each also with its words in random order. An
annotator that can be trusted gives the passages higher scores than the shuffled ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.asking import CountTokens, Generate, answered
from nemotron_assets.recipe.web.quality import Annotations, Quality, Scorers
from nemotron_assets.scorers.references import passages
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Batches, Reject
from nemotron_assets.web.quality import ANNOTATION_CODE
from nemotron_assets.web.quality.ensemble import ENGLISH
from nemotron_assets.web.quality.tables import ANNOTATIONS
from resources.generations import OutputFormat, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

DIGIT = OutputFormat("regex", "[0-5]")
_OUTPUT_TOKENS = 4  # the digit and the end of the answer

_POINTS = """\
You rate web pages for a library of learning material. Count one point for each statement that is true of the extract:
1. It says something about the world, beyond menus, notices and advertising.
2. It treats a subject that is taught somewhere, be it only in part or in passing.
3. It explains: ideas follow from one another, terms are introduced, little distracts.
4. A pupil or student could learn from it without other help, as from a chapter, tutorial or worked example.
5. It is so clear, correct and complete that it could be printed in a textbook as it is.
Answer with the number of points, one digit from 0 to 5, and nothing else."""

_TEACHER = """\
You are an experienced teacher who looks for reading for your class. Look at the extract and give it a mark:
5 excellent reading, I would hand it out today; 4 good, after small cuts; 3 usable beside a proper text; \
2 a few useful lines; 1 hardly anything to learn; 0 nothing to learn, or not readable.
Reply with the mark alone, a single digit."""

#: (name of the prompt, system message) of each annotator. An annotator is named after the scorer that learns from it.
ANNOTATORS = {"edu_a": ("quality_points", _POINTS), "edu_b": ("quality_teacher", _TEACHER)}


def annotators_to_ask(scorers: Scorers) -> list[str]:
    """The annotators whose scorer is trained here. A published scorer needs no annotations."""
    return [name for name in ANNOTATORS if getattr(scorers, name) == "embedded"]


def request_hash(recipe: Annotations, annotators: Sequence[str], model_sha256: str) -> str:
    """Hash of everything but the documents that decides the annotations: code, recipe, prompts and language model."""
    asked = [f"{name}={ANNOTATORS[name]}" for name in annotators]
    return content_hash("\x1f".join([ANNOTATION_CODE, recipe.model_dump_json(), model_sha256, *asked]))


def reusable(stored: pl.DataFrame, annotators: Sequence[str], request: str) -> pl.DataFrame | None:
    """The stored rows of `web.annotations` if they were made for this request hash, an empty frame if no annotator is
    asked, or None if the annotations must be made."""
    if not annotators:
        return stored.clear()
    return stored if stored.height and set(stored["request"]) == {request} else None


def write(documents: pl.LazyFrame, recipe: Quality, annotators: Sequence[str], request: str, writer: Writer) -> Batches:
    """Have the language model annotate a sample of `documents` (rows of `web.unique_documents`) and the controls."""
    settings, good = recipe.annotations, passages(recipe.scorers)
    sample = choose_documents(documents, settings).collect_batches(chunk_size=256, engine="streaming")
    return writer.write(
        ANNOTATIONS,
        lambda reject: annotation_rows(
            sample,
            good,
            settings,
            annotators,
            generator=writer.name,
            request=request,
            count=writer.count,
            generate=writer.ask,
            reject=reject,
        ),
    )


def choose_documents(documents: pl.LazyFrame, recipe: Annotations) -> pl.LazyFrame:
    """The sample: the English documents with the lowest content hashes, as rows of (id, snapshot, text)."""
    chosen = documents.filter(pl.col("language") == ENGLISH).bottom_k(recipe.documents, by=["content_hash", "id"])
    return chosen.select("id", "snapshot", "text").sort("id")


def controls(good: Iterable[str], recipe: Annotations) -> Iterator[tuple[str, str]]:
    """(source, text) of the controls: each passage as it is ("passage") and with its words shuffled ("shuffled")."""
    for _, passage in zip(range(recipe.controls), good, strict=False):
        words = passage.split()
        random.Random(f"{recipe.seed}:{passage}").shuffle(words)
        yield "passage", passage
        yield "shuffled", " ".join(words)


def crop(text: str, tokens: int, count: CountTokens) -> str:
    """The longest beginning of a text that has at most `tokens` tokens."""
    low, high = 0, min(len(text), 16 * tokens)  # no tokenizer needs more than 16 characters for a token on average
    if count([text[:high]])[0] <= tokens:
        return text[:high].rstrip()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count([text[:middle]])[0] <= tokens else (low, middle)
    return text[:low].rstrip()


def annotation_rows(
    documents: Iterable[pl.DataFrame],
    good: Iterable[str],
    recipe: Annotations,
    annotators: Sequence[str],
    *,
    generator: str,
    request: str,
    count: CountTokens,
    generate: Generate,
    reject: Callable[[Reject], None],
) -> Iterator[dict[str, Any]]:
    """Rows of `web.annotations`: every document (id, snapshot, text) and control, scored by every annotator.

    `good` are the passages for the controls, `request` is the `request_hash`. An answer that is not a digit from 0 to
    5 goes to `reject`.
    """

    def texts() -> Iterator[tuple[str, str | None, str | None, str]]:
        for frame in documents:
            for row in frame.iter_rows(named=True):
                yield "crawl", row["id"], row["snapshot"], row["text"]
        for source, text in controls(good, recipe):
            yield source, None, None, text

    def jobs() -> Iterator[tuple[dict[str, Any], list[Request]]]:
        for source, document, snapshot, text in texts():
            shown = crop(text, recipe.text_tokens, count)
            for annotator in annotators:
                prompt, instructions = ANNOTATORS[annotator]
                parents = [] if document is None else [document]
                row = {
                    "id": row_id(ANNOTATIONS.full_name, annotator, source, document or content_hash(shown)),
                    "parents": parents,
                    "source": source,
                    "snapshot": snapshot,
                    "annotator": annotator,
                    "text": shown,
                    "prompt": prompt,
                }
                messages = (("system", instructions), ("user", f"Extract:\n{shown}"))
                sampling = Sampling(recipe.temperature, recipe.top_p, _OUTPUT_TOKENS)
                yield row, [Request(prompt, messages, sampling, DIGIT, parents=tuple(parents))]

    for row, (completion,) in answered(jobs(), generate):
        score = completion.text.strip()
        if score not in {"0", "1", "2", "3", "4", "5"}:
            reject(Reject(row["id"], "no_digit", f"{row['prompt']}: {completion.text[:100]!r}"))
            continue
        yield row | {"score": int(score), "generator": generator, "generation_id": completion.id, "request": request}
