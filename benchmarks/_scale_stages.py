"""The stages of the scale benchmark: the code of the assets, as benchmarks/scale.py runs it in child processes."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._scale_documents import Corpus

STAGES = ("documents", "signatures", "near_duplicates", "duplicates", "repeated_spans", "unique_documents")


def load_modules(names: Sequence[str]) -> Any:
    """Load what these stages need, compiled kernels included, by running them on 400 documents; returns the recipe."""
    from nemotron_assets.recipe import load_recipe

    recipe = load_recipe("laptop").web
    last = max((STAGES.index(name) for name in names if name in STAGES), default=-1)
    few = Corpus("few", 200, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        for corpus, name in itertools.product((few, Corpus("more", 200, seed=1, old=few)), STAGES[: last + 1]):
            run(Path(folder, "lake"), corpus, name, recipe)
    return recipe


def open_lake(root: Path) -> Any:
    from resources.lakehouse import Lakehouse

    return Lakehouse(root=str(root), row_group_mb=32, compression_level=1)


def run(root: Path, corpus: Corpus, name: str, recipe: Any) -> None:
    """Run one stage of one snapshot: `documents`, or an asset of the group dedup."""
    from nemotron_assets.dedup.candidates import across
    from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others
    from nemotron_assets.dedup.near import CascadingPairs
    from nemotron_assets.dedup.signatures import signature_parts
    from nemotron_assets.web.dedup import tables as t
    from nemotron_assets.web.dedup.substring import CascadingSpans
    from nemotron_assets.web.dedup.unique import unique_documents_of
    from nemotron_assets.web.tables import DOCUMENTS
    from resources.compute import Compute

    lake, snapshot, dedup = open_lake(root), corpus.snapshot, recipe.dedup
    compute = Compute()
    read = lambda table: lake.read(table, snapshot)  # noqa: E731

    def duplicates() -> Any:
        rewrite_others(snapshot, lake, dedup, t.CORPUS)
        return duplicates_of(snapshot, lake, dedup, t.CORPUS)

    def unique() -> Any:
        inputs = (read(table).scan() for table in (DOCUMENTS, t.DUPLICATES, t.REPEATED_SPANS))
        return unique_documents_of(*inputs, recipe.substring, dedup.memory_mb)

    work: dict[str, tuple[Any, Callable[[], Any]]] = {
        "documents": (DOCUMENTS, corpus.parts),
        "signatures": (t.SIGNATURES, lambda: signature_parts(read(DOCUMENTS), dedup, t.SIGNATURES)),
        "near_duplicates": (
            t.NEAR_DUPLICATES,
            lambda: CascadingPairs(lake, snapshot, dedup, t.CORPUS, across(compute)).parts(),
        ),
        "duplicates": (t.DUPLICATES, duplicates),
        "repeated_spans": (
            t.REPEATED_SPANS,
            lambda: CascadingSpans(lake, snapshot, recipe.substring, dedup, compute).parts(),
        ),
        "unique_documents": (t.UNIQUE_DOCUMENTS, unique),
    }
    table, make = work[name]
    with contextlib.closing(compute):  # the CPU time of its workers counts when they have ended
        lake.write(table, make(), snapshot)


def judged(root: Path, corpora: Sequence[Corpus], document_id: Callable[[str, int], str]) -> dict[str, Any]:
    """Recall and precision of the dropped documents, with their numbers, over the snapshots of a lake."""
    import polars as pl

    from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
    from nemotron_assets.web.tables import DOCUMENTS

    lake = open_lake(root)
    pairs = [
        (document_id(corpus.snapshot, row), document_id((corpus.old or corpus).snapshot, other), similarity)
        for corpus in corpora
        for row, other, similarity in corpus.truth()
        if similarity >= 0.8 and ((corpus.old or corpus).snapshot in {c.snapshot for c in corpora})
    ]
    true = pl.DataFrame(pairs, schema={"copy": pl.String, "original": pl.String, "wanted": pl.Float64}, orient="row")
    dropped = lake.read(DUPLICATES).scan().select("document", "duplicate_of", "similarity").collect()
    both = pl.concat(
        [
            true.join(dropped, left_on=["copy", "original"], right_on=["document", "duplicate_of"]),
            true.join(dropped, left_on=["original", "copy"], right_on=["document", "duplicate_of"]),
        ],
        how="diagonal",
    )
    wrong = both.filter((pl.col("similarity") - pl.col("wanted")).abs() > 1e-9).height
    documents = lake.read(DOCUMENTS)
    return {
        "recall": both.height / len(true) if len(true) else 1.0,
        "precision": (both.height - wrong) / len(dropped) if len(dropped) else 1.0,
        "pairs": len(true),
        "dropped": len(dropped),
        "documents": documents.rows,
        "unique": lake.read(UNIQUE_DOCUMENTS).rows,
        "text": documents.scan().select(pl.col("text").str.len_bytes().sum()).collect(engine="streaming").item(),
    }
