"""Translates rows of SFT data: question, reasoning and answer as one text, line by line (Nano 2 §3.1).

The lines go through nemotron_assets/generation/translation, as those of Diverse QA do: code, formulas, addresses and
numbers come back unchanged, an answer stands in strict brackets, and the language is judged. In addition a translation
must not refuse, and not speak to whoever reads the data. What passes is still not verified: a fluent text may say
something else. So its status is unverified, whatever that of the English row is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.translation.drafts import Draft, translate
from nemotron_assets.generation.translation.languages import SOURCE
from nemotron_assets.generation.translation.prompt import PROMPT, prompt_room
from nemotron_assets.generation.translation.refusals import refusal
from nemotron_assets.recipe.sft.multilingual import Multilingual
from nemotron_assets.sft.answers import Fault, text_fault
from nemotron_assets.sft.multilingual.tables import MULTILINGUAL_SFT
from nemotron_assets.sft.rows import Maker, Origin
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Batches, Reject
from nemotron_assets.text.language import detect

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

_READ = ("id", "subset", "category", "question", "reasoning", "answer", "status", "verified_by", "origin_hash")
#: A line between question, reasoning and answer. It has no words, so that it comes back as it is.
_BETWEEN = "\n\u241e\n"
_USABLE = ("verified", "majority", "judged")
_FRAME = 256
_MOST_CHARACTERS = 1_000_000


def write(
    tables: Mapping[str, pl.LazyFrame], recipe: Multilingual, unverified: Iterable[str], writer: Writer,
    model: str, characters: int,
) -> tuple[Batches, Tally]:  # fmt: skip
    """Have the model translate rows of SFT tables (by name): (rows and rejects, counts). `unverified` names the tables
    whose unverified rows are used; `model` and `characters` are the language detector's."""
    tally, judge = Tally(), functools.partial(detect, model=model, characters=characters)

    def rows(reject: Callable[[Reject], None]) -> Iterable[dict[str, Any]]:
        tally.reject = reject
        chosen = samples(tables, recipe, unverified)
        return tally.counted(translated_rows(chosen, recipe, writer, judge, tally))

    return writer.write(MULTILINGUAL_SFT, rows), tally


def samples(
    tables: Mapping[str, pl.LazyFrame], recipe: Multilingual, unverified: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """The English rows to translate, with the keys id, table, languages, text, and the columns `_READ`."""
    usable = {name: [*_USABLE, *(["unverified"] if name in set(unverified) else [])] for name in recipe.sources}
    for name, most in recipe.sources.items():
        rows = tables[name].filter(
            (pl.col("language") == SOURCE) & pl.col("status").is_in(usable[name]) & _in_training(tables[name])
        )
        rows = rows.filter(_lines() <= recipe.translation.max_lines) if recipe.translation.max_lines else rows
        if most is not None:
            ids = rows.select("id").bottom_k(most, by="id").collect(engine="streaming")["id"]
            rows = rows.filter(pl.col("id").is_in(ids.implode()))
        for frame in rows.select(_READ).collect_batches(chunk_size=_FRAME, maintain_order=True, engine="streaming"):
            for row in frame.iter_rows(named=True):
                parts = [row["question"], row["reasoning"] or "", row["answer"]]
                yield row | {"table": name, "languages": languages(row["id"], recipe), "text": _BETWEEN.join(parts)}


def languages(row: str, recipe: Multilingual) -> list[str]:
    """The languages that a row is translated into: the first ones by a hash of the row and the language."""
    names = sorted(recipe.translation.languages, key=lambda language: content_hash(f"{row} {language}"))
    return sorted(names[: recipe.languages_per_row])


def translated_rows(
    chosen: Iterable[dict[str, Any]], recipe: Multilingual, writer: Writer, judge: Callable, tally: Tally
) -> Iterator[dict[str, Any]]:
    """Yield rows of `sft.multilingual_sft`. Translations that are not accepted go to the tally's rejects."""
    numbers = recipe.translation.model_copy(update={"max_lines": None})  # rows are translated whole
    room = prompt_room(numbers, writer.prompt_tokens, "sft.multilingual.translation")
    drafts = translate(chosen, numbers, count=writer.count, room=room, generate=writer.ask, detect=judge)
    for draft in drafts:
        tally.answers += len(draft.generations)
        tally.new += draft.new
        tally.output_tokens += draft.output_tokens
        made = parts_of(draft)
        if isinstance(made, Fault) or (draft.fault is not None):
            fault = draft.fault or made
            tally.rejected[PROMPT, fault.cause] += 1
            said = f"{draft.language}, row {draft.sample['id']} of {draft.sample['table']}: {fault.detail}"
            tally.reject(Reject(_id(draft), fault.cause, said))
        else:
            yield _row(draft, made, writer)


def parts_of(draft: Draft) -> tuple[str, str, str] | Fault:
    """Question, reasoning and answer of an accepted translation, or why it cannot be used all the same."""
    if draft.fault is not None:
        return Fault(draft.fault.cause, draft.fault.detail)
    text = draft.text()
    found, english = text.split(_BETWEEN), draft.sample["text"].split(_BETWEEN)
    if len(found) != 3 or len(english) != 3:
        return Fault("unparsable", f"{len(found)} parts instead of question, reasoning and answer: {text[:200]!r}")
    if any(bool(part.strip()) != bool(source.strip()) for part, source in zip(found, english, strict=True)):
        return Fault("empty", f"a part has lost its words: {text[:200]!r}")
    for part, source in zip(found, english, strict=True):
        if said := refusal(source, part, draft.language):
            return Fault("refused", f"it begins with {said!r}: {part[:200]!r}")
    fault = text_fault("\n".join(found), _MOST_CHARACTERS, draft.language)
    of_source = text_fault("\n".join(english), _MOST_CHARACTERS, SOURCE)
    if fault and not (of_source and of_source.cause == fault.cause):
        return fault
    return found[0], found[1], found[2]


def _row(draft: Draft, parts: tuple[str, str, str], writer: Writer) -> dict[str, Any]:
    source = draft.sample
    maker = Maker(MULTILINGUAL_SFT, source["subset"], source["category"], writer.name, writer.count)
    question, reasoning, answer = parts
    detail = f"a translation whose lines, numbers and language were checked, of a row that is {source['status']}"
    return maker.row(
        (source["table"], source["id"], draft.language),
        Origin((source["id"],), (source["table"],), source["origin_hash"], draft.language),
        prompt=PROMPT,
        question=question,
        reasoning=reasoning or None,
        answer=answer,
        outcome=Outcome("unverified", None, detail),
        generation_ids=[draft.used_generations[number] for number in sorted(draft.used_generations)],
        source_status=source["status"],
        detected_score=draft.detected[1] if draft.detected else 0.0,
        attempts=draft.attempts,
    )


def _id(draft: Draft) -> str:
    return row_id(MULTILINGUAL_SFT.full_name, draft.sample["table"], draft.sample["id"], draft.language)


def _in_training(rows: pl.LazyFrame) -> pl.Expr:
    """Whether a row is not in the test split of its table; true for a table without splits."""
    return pl.col("split") != "test" if "split" in rows.collect_schema() else pl.lit(True)


def _lines() -> pl.Expr:
    """The number of lines with visible characters of a row."""
    whole = pl.concat_str(["question", "reasoning", "answer"], separator="\n", ignore_nulls=True)
    return whole.str.split("\n").list.eval(pl.element().str.strip_chars() != "").list.sum()
