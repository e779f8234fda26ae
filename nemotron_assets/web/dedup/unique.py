"""The rows of `web.unique_documents`: documents that are not duplicates, without the spans that they repeat."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.dedup.workspace import batches_of, load, schema_of, stream, workspace
from nemotron_assets.recipe.dedup import Substring
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.web.dedup.spans import without_spans
from nemotron_assets.web.dedup.tables import DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS

_COLUMNS = [name for name in UNIQUE_DOCUMENTS.column_names if name != "parents"]
_SPAN = ("parents", "why", "start", "end")
_GONE = "select parents[1] as id from stream"
_KEPT = "select documents.*, cuts from documents anti join gone using (id) left join cuts using (id)"


def unique_documents_of(
    documents: pl.LazyFrame, duplicates: pl.LazyFrame, spans: pl.LazyFrame, recipe: Substring, memory_mb: int
) -> Iterator[pl.DataFrame]:
    """Rows of `web.unique_documents` as a stream: the documents without their repeated spans. Duplicates are left out,
    and so are documents of which too little or nothing new remains. The joins take at most `memory_mb`."""
    with workspace(memory_mb) as connection:
        connection.execute("set preserve_insertion_order = true")
        load(
            connection,
            "gone",
            schema_of(DUPLICATES, "parents"),
            batches_of(duplicates.select("parents"), DUPLICATES),
            _GONE,
        )
        load(connection, "spans", schema_of(REPEATED_SPANS, *_SPAN), batches_of(spans.select(_SPAN), REPEATED_SPANS))
        connection.execute("insert into gone select parents[1] from spans where why <> 'repeated'")
        connection.execute(
            "create table cuts as select parents[1] as id, list({'start': start, 'end': \"end\"}) as cuts from spans "
            "where why = 'repeated' group by all"
        )
        stream(
            connection, "documents", schema_of(DOCUMENTS, *_COLUMNS), batches_of(documents.select(_COLUMNS), DOCUMENTS)
        )
        for batch in connection.execute(_KEPT).to_arrow_reader(8_192):
            yield _without_cuts(pl.from_arrow(batch), recipe)


def _without_cuts(rows: pl.DataFrame, recipe: Substring) -> pl.DataFrame:
    # These loops go over the rows of one batch.
    texts = [
        text if cuts is None else without_spans(text, [(c["start"], c["end"]) for c in cuts], recipe.boundary)
        for text, cuts in rows.select("text", "cuts").iter_rows()
    ]
    hashes = [
        known if whole else content_hash(text)
        for text, known, whole in zip(texts, rows["content_hash"], rows["cuts"].is_null(), strict=True)
    ]
    ids = [row_id(UNIQUE_DOCUMENTS.full_name, document) for document in rows["id"]]
    return (
        rows.with_columns(
            id=pl.Series(ids, dtype=pl.String),
            parents=pl.concat_list("id"),
            text=pl.Series(texts, dtype=pl.String),
            content_hash=pl.Series(hashes, dtype=pl.String),
        )
        .with_columns(characters=pl.col("text").str.len_chars().cast(pl.Int64))
        .select(UNIQUE_DOCUMENTS.column_names)
    )
