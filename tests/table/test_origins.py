"""Column lineage: which columns of other tables a column is made of."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.definitions import defs
from nemotron_assets.stages import all_tables
from nemotron_assets.table.asset import column_lineage
from nemotron_assets.table.origins import column_origins
from nemotron_assets.table.schema import Column, Table

PAGES = Table(
    "t", "pages", "pages", (Column("id", "string", "id"), Column("url", "string", "u"), Column("html", "string", "h"))
)
DOCUMENTS = Table(
    "t", "documents", "documents",
    tuple(Column(name, "string", name) for name in ("id", "parents", "url", "text", "content_hash", "run_id")),
    parents=("t.pages",), origins={"*": ("t.pages.html",)},
)  # fmt: skip


def test_origins_follow_from_the_declaration():
    assert column_origins(DOCUMENTS, {"t.pages": PAGES, "t.documents": DOCUMENTS}) == {
        "id": ("t.pages.id",),
        "parents": ("t.pages.id",),
        "url": ("t.pages.url",),
        "text": ("t.pages.html",),
        "content_hash": ("t.pages.html",),
    }


def test_origins_of_a_column_that_is_not_declared_are_refused():
    with pytest.raises(ValueError, match=r"t\.pages has no column 'title', but names its origins"):
        Table("t", "pages", "pages", PAGES.columns, origins={"title": ()})


def test_every_origin_is_a_column_of_a_table_above():
    tables, graph = all_tables(), defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys() - {dg.AssetKey(["lake", "maintenance"])}:
        table = tables[".".join(key.path)]
        # A table that is written beside another one is made of that table's inputs.
        above = {".".join(ancestor.path) for ancestor in graph.get_ancestor_asset_keys(key)}
        for column, origins in column_origins(table, tables).items():
            for origin in origins:
                source, _, name = origin.rpartition(".")
                assert source in above, f"{table.full_name}.{column}: {source} is not above the table in the graph"
                assert name in tables[source].column_names, f"{table.full_name}.{column}: there is no column {origin}"


def test_every_table_that_is_made_of_others_has_column_lineage():
    tables, graph = all_tables(), defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys() - {dg.AssetKey(["lake", "maintenance"])}:
        table = tables[".".join(key.path)]
        if graph.get(key).parent_keys:
            assert column_lineage(table).deps_by_column, table.full_name


def test_the_lineage_of_some_columns():
    def of(name, column):
        deps = column_lineage(all_tables()[name]).deps_by_column[column]
        return {f"{'.'.join(dep.asset_key.path)}.{dep.column_name}" for dep in deps}

    assert of("web.documents", "text") >= {"snapshots.pages.html"}
    assert of("web.documents", "warc_file") == {"snapshots.pages.warc_file"}
    assert of("web.curated", "level") == {"web.verdicts.level"}
    assert of("math.duplicates", "duplicate_of") == {"math.cleaned.id"}
    assert "code.curated.content" in of("blend.token_shards", "tokens")
    assert of("models.base", "sha256") == {"blend.token_shards.tokens", "blend.tokenizer.uri"}
