"""Annotations: a language model scores documents from 0 to 5 for what one can learn from them (Nemotron-CC §2.2).

Two annotators word the question differently, as the published ensemble has two language models. The answer is one
digit, enforced by the output grammar. Passages known to be good are judged as well, and once more with their words
shuffled: an annotator that knows what it does tells the two apart.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl

from nemotron_assets.recipe.web.quality import Annotations, Scorers
from nemotron_assets.scorers.statistics import rank_correlation, wins
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.web.quality import ANNOTATION_CODE
from nemotron_assets.web.quality.ensemble import LANGUAGE
from resources.generations import Completion, OutputFormat, Request, Sampling

DIGIT = OutputFormat("regex", "[0-5]")
_OUTPUT_TOKENS = 4  # the digit, and the end of the answer

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

#: Instructions by scorer: each scorer that is trained here learns from one annotator.
ANNOTATORS = {"edu_a": ("quality_points", _POINTS), "edu_b": ("quality_teacher", _TEACHER)}

Generate = Callable[[Iterable[Request]], Iterator[Completion]]
CountTokens = Callable[[Sequence[str]], list[int]]


def needed(scorers: Scorers) -> list[str]:
    """The annotators asked: those whose scorer is trained here."""
    return [name for name in ANNOTATORS if getattr(scorers, name) == "embedded"]


def request_hash(recipe: Annotations, annotators: Sequence[str], model_sha256: str) -> str:
    """What decides the annotations besides the documents there are; annotations with the same hash are kept."""
    asked = [f"{name}={ANNOTATORS[name]}" for name in annotators]
    return content_hash("\x1f".join([ANNOTATION_CODE, recipe.model_dump_json(), model_sha256, *asked]))


def kept(rows: pl.DataFrame, annotators: Sequence[str], request: str) -> pl.DataFrame | None:
    """The annotations there are, if they are those wanted: none when nobody is asked; None when they must be made."""
    if not annotators:
        return rows.clear()
    return rows if rows.height and set(rows["request"]) == {request} else None


def chosen(documents: pl.LazyFrame, recipe: Annotations) -> Iterator[pl.DataFrame]:
    """The chosen documents, a few hundred at a time."""
    yield from choose(documents, recipe).collect_batches(chunk_size=256, engine="streaming")


def choose(documents: pl.LazyFrame, recipe: Annotations) -> pl.LazyFrame:
    """The sample: the English documents with the lowest content hashes, as (id, snapshot, text)."""
    chosen = documents.filter(pl.col("language") == LANGUAGE).bottom_k(recipe.documents, by=["content_hash", "id"])
    return chosen.select("id", "snapshot", "text").sort("id")


def controls(passages: Iterable[str], recipe: Annotations) -> Iterator[tuple[str, str]]:
    """(source, text) of the passages that are judged to see whether an annotator can be trusted."""
    for _, passage in zip(range(recipe.controls), passages, strict=False):
        words = passage.split()
        random.Random(f"{recipe.seed}:{passage}").shuffle(words)
        yield "passage", passage
        yield "shuffled", " ".join(words)


def crop(text: str, tokens: int, count: CountTokens) -> str:
    """The longest start of a text with at most `tokens` tokens, up to a character."""
    low, high = 0, min(len(text), 16 * tokens)  # no tokenizer needs more characters for a token on average
    if count([text[:high]])[0] <= tokens:
        return text[:high].rstrip()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count([text[:middle]])[0] <= tokens else (low, middle)
    return text[:low].rstrip()


def annotations(
    documents: Iterable[pl.DataFrame],
    passages: Iterable[str],
    recipe: Annotations,
    annotators: Sequence[str],
    *,
    generator: str,
    request: str,
    count: CountTokens,
    generate: Generate,
    reject: Callable[[Reject], None],
) -> Iterator[pl.DataFrame]:
    """Rows of web.annotations for documents (id, snapshot, text) and passages, each judged by every annotator.

    `request` is the `request_hash`; answers that are no digit go to `reject`.
    """
    waiting: deque[dict] = deque()

    def texts() -> Iterator[tuple[str, str | None, str | None, str]]:
        for frame in documents:
            for row in frame.iter_rows(named=True):
                yield "crawl", row["id"], row["snapshot"], row["text"]
        for source, text in controls(passages, recipe):
            yield source, None, None, text

    def ask() -> Iterator[Request]:
        for source, document, snapshot, text in texts():
            shown = crop(text, recipe.text_tokens, count)
            for annotator in annotators:
                prompt, instructions = ANNOTATORS[annotator]
                parents = [] if document is None else [document]
                key = (annotator, source, document or content_hash(shown))
                waiting.append(
                    {
                        "id": row_id("web.annotations", *key),
                        "parents": parents,
                        "source": source,
                        "snapshot": snapshot,
                        "annotator": annotator,
                        "text": shown,
                        "prompt": prompt,
                    }
                )
                messages = (("system", instructions), ("user", f"Extract:\n{shown}"))
                sampling = Sampling(recipe.temperature, recipe.top_p, _OUTPUT_TOKENS)
                yield Request(prompt, messages, sampling, DIGIT, parents=tuple(parents))

    rows = []
    for completion in generate(ask()):
        row = waiting.popleft()
        score = completion.text.strip()
        if score not in {"0", "1", "2", "3", "4", "5"}:
            reject(Reject(row["id"], "no_digit", f"{row['prompt']}: {completion.text[:100]!r}"))
            continue
        rows.append(
            row | {"score": int(score), "generator": generator, "generation_id": completion.id, "request": request}
        )
        if len(rows) == 1_024:
            yield frame(rows)
            rows = []
    yield frame(rows)


def frame(rows: list[dict]) -> pl.DataFrame:
    """Rows of web.annotations as a frame, also when there are none."""
    from nemotron_assets.web.quality.tables import ANNOTATIONS

    empty = ANNOTATIONS.empty()
    return pl.DataFrame(rows, schema=empty.schema, orient="row") if rows else empty


def agreement(rows: pl.DataFrame) -> dict[str, dict[str, float]]:
    """What can be said of the annotators: {annotator: facts}.

    `over_shuffled` is how often a passage is scored above its own words in random order, `over_crawl` how often one is
    above a document of the crawl; ties count half, 0.5 is chance. `agreement` is the rank correlation of the two
    annotators' scores of the same documents. NaN where there is nothing to compare.
    """
    import numpy as np

    facts: dict[str, dict[str, float]] = {}
    crawl = rows.filter(pl.col("source") == "crawl")
    for annotator in rows["annotator"].unique().sort():
        mine = rows.filter(pl.col("annotator") == annotator)
        scores = {s: mine.filter(pl.col("source") == s)["score"].to_numpy() for s in ("crawl", "passage", "shuffled")}
        facts[annotator] = {
            "judged": float(mine.height),
            **{f"mean_{source}": float(values.mean()) if len(values) else np.nan for source, values in scores.items()},
            "spread": float(scores["crawl"].std()) if len(scores["crawl"]) else np.nan,
            "over_shuffled": wins(scores["passage"], scores["shuffled"]),
            "over_crawl": wins(scores["passage"], scores["crawl"]),
        }
    both = crawl.select("annotator", "score", document=pl.col("parents").list.first())
    if len(facts) == 2:
        first, second = (both.filter(pl.col("annotator") == name) for name in sorted(facts))
        pairs = first.join(second, on="document", suffix="_second")
        correlation = rank_correlation(pairs["score"].to_numpy(), pairs["score_second"].to_numpy())
        for values in facts.values():
            values["agreement"] = correlation
    return facts


def facts_table(facts: Mapping[str, Mapping[str, float]]) -> str:
    """Facts per annotator or scorer as Markdown."""
    names = list(dict.fromkeys(name for values in facts.values() for name in values))
    head = ["| | " + " | ".join(facts) + " |", "|---|" + "--:|" * len(facts)]
    lines = [f"| {n} | " + " | ".join(f"{v[n]:.3g}" if n in v else "" for v in facts.values()) + " |" for n in names]
    return "\n".join(head + lines)
