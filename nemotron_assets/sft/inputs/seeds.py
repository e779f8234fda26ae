"""Reads files of seeds (one JSON object per line) into rows with the same columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from nemotron_assets.held_out import held_out_order, page_hash
from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.storable import storable

SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "seeds"
#: A few seeds of sets that no package of the sample has.
OWN = Path(__file__).resolve().parent / "own"

_MOST_CHARACTERS = 100_000  # of a seed


def files(folder: str) -> dict[str, Path]:
    """{name of the set: its file} of the folder that the recipe names, and of the project's own sets that the folder
    does not have. Raises FileNotFoundError for a folder without any file of seeds."""
    path = SAMPLE if folder == "sample" else Path(folder)
    given = {file.stem: file for file in sorted(path.glob("*.jsonl"))}
    if not given:
        raise FileNotFoundError(
            f"no file of seeds in {path} (sft.inputs.folder): expected files such as passages.jsonl"
        )
    return {file.stem: file for file in sorted(OWN.glob("*.jsonl"))} | given


def read(folder: str, reject: Callable[[Reject], None]) -> Iterator[pl.DataFrame]:
    """One frame per set of seeds. A line that is not a seed goes to `reject`, and so does one whose name was used."""
    for name, file in sorted(files(folder).items()):
        yield pl.DataFrame(list(_rows(name, file, reject)), schema=SEEDS.empty().schema)


def with_pages(seeds: pl.DataFrame, documents: pl.LazyFrame, duplicates: pl.LazyFrame) -> pl.DataFrame:
    """Seeds with the hash of the page that each was taken from, or of the page that was kept in its place: `documents`
    and `duplicates` are rows of `web.documents` and `web.duplicates`. Of several hashes, a seed has the one that is
    held out first."""
    own = seeds.filter(pl.col("url").is_not_null()).select("url", page_hash=page_hash()).unique()
    if own.is_empty():
        return seeds
    # In memory: documents of the pages of seeds, and those that were kept in their place.
    of_seeds = documents.select(document="id", page_hash=page_hash()).join(own.lazy(), on="page_hash", how="semi")
    dropped = duplicates.select("duplicate_of", document=pl.col("parents").list.first())
    dropped = of_seeds.join(dropped, on="document").collect(engine="streaming")
    kept = documents.join(dropped.lazy(), left_on="id", right_on="duplicate_of", how="semi")
    kept = kept.select(duplicate_of="id", other=page_hash()).collect(engine="streaming")
    others = own.join(dropped, on="page_hash").join(kept, on="duplicate_of").select("url", page_hash="other")
    pages = pl.concat([own, others]).sort(held_out_order("page_hash"), "page_hash")
    pages = pages.unique("url", keep="first", maintain_order=True)
    return seeds.drop("page_hash").join(pages, on="url", how="left", maintain_order="left").select(seeds.columns)


def _rows(name: str, file: Path, reject: Callable[[Reject], None]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = _row(name, json.loads(line.decode("utf-8")), number)
                if row["item"] in seen:
                    raise ValueError(f"the id {row['item'][:100]!r} is used twice")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                reject(
                    Reject(
                        row_id(SEEDS.full_name, name, number), "broken_seed", f"{file.name} line {number}: {error!r}"
                    )
                )
                continue
            seen.add(row["item"])
            yield row


def _row(name: str, seed: dict[str, Any], number: int) -> dict[str, Any]:
    """The row of a seed. Raises an error that names what is wrong with it."""
    item = _text(seed, "id") or f"{name}-{number}"
    question, text, answer = (_text(seed, field) for field in ("question", "text", "answer"))
    choices, tests = _texts(seed, "choices"), _texts(seed, "tests")
    if question is None and text is None:
        raise ValueError("the seed has neither a question nor a text")
    if choices and answer not in choices:
        raise ValueError(f"the answer {str(answer)[:100]!r} is not one of the choices")
    return {
        "id": row_id(SEEDS.full_name, name, item),
        "seed_set": name,
        "item": item,
        "question": question,
        "choices": choices,
        "answer": answer,
        "text": text,
        "topic": _text(seed, "topic") or "",
        "tests": tests,
        "language": _text(seed, "language") or "en",
        "source": _text(seed, "source") or _text(seed, "package") or name,
        "licence": _text(seed, "licence") or "",
        "url": _text(seed, "url"),
        "content_hash": content_hash("\x1f".join([question or "", text or "", *choices])),
        "page_hash": None,
    }


def _text(seed: dict[str, Any], field: str) -> str | None:
    value = seed.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{field} is not a text: {value!r}"[:200])
    if len(value) > _MOST_CHARACTERS:
        raise ValueError(f"{field} has {len(value):,} characters of at most {_MOST_CHARACTERS:,}")
    return storable(value).strip() or None


def _texts(seed: dict[str, Any], field: str) -> list[str]:
    values = seed.get(field) or []
    if not isinstance(values, list):
        raise TypeError(f"{field} is not a list: {values!r}"[:200])
    return [text for value in values if (text := _text({field: value}, field))]
