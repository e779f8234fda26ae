"""A trace finds exactly the rows that `parents` columns name, in both directions, through versions and models."""

from __future__ import annotations

import io
import json

import duckdb
import networkx as nx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.commands.cli import cli
from nemotron_assets.commands.trace import print_trace
from nemotron_assets.lineage import walk
from nemotron_assets.lineage.nodes import Node, NotFound, Origin
from nemotron_assets.lineage.walk import trace
from nemotron_assets.snapshots.read_back import read_back
from nemotron_assets.stages import all_tables
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Column, Table
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse
from resources.warehouse import table_view
from resources.warehouse.lineage_views import views
from tests.pages import hash_of
from tests.sql.lake import Opened, fill, write


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """(rows by table, opened warehouse, the graph of parents) of a filled lake."""
    root = tmp_path_factory.mktemp("lake")
    rows = fill(Lakehouse(root=str(root / "lake")))
    graph = nx.DiGraph()
    for name, content in rows.items():
        for row in content:
            if "id" in row:
                graph.add_node(row["id"], table=name)
                links = [*row.get("parents", []), *row.get("generation_ids", []), row.get("generation_id")]
                links.append(row.get("model_id"))
                graph.add_edges_from((row["id"], parent) for parent in links if parent)
    opened = Opened(root)
    yield rows, opened, graph
    opened.connection.close()


def follow(opened, target, **options):
    return trace(opened.cursor(), all_tables().values(), target, **{"limit": 1000, **options})


def ids(found, direction):
    return {node.key for node in found.reached(direction) if not node.is_version}


def test_backward_finds_exactly_the_ancestors(lake):
    rows, opened, graph = lake
    for name in (
        "blend.sequences",
        "blend.token_shards",
        "web.nemotron_cc_v2",
        "web.translated_diverse_qa",
        "web.rephrased",
        "web.diverse_qa",
        "web.multilingual",
        "web.documents",
        "snapshots.pages",
        "llm.generations",
    ):
        id_ = rows[name][-1]["id"]
        found = follow(opened, id_, forward=False)
        assert found.starts == [Node(name, id_)]
        assert ids(found, "above") == nx.descendants(graph, id_)
        assert all(graph.nodes[n.key]["table"] == n.table for n in found.reached("above"))


@pytest.mark.parametrize("subset", ["High-Quality", "High-Quality-Synthetic", "Diverse-QA", "Translated-Diverse-QA"])
def test_a_published_text_leads_to_its_record_and_to_the_shards(lake, subset):
    rows, opened, graph = lake
    row = next(r for r in rows["web.nemotron_cc_v2"] if r["subset"] == subset)
    found = follow(opened, row["id"])
    above = found.above[found.starts[0]]
    assert above == [Node(row["sources"][0], row["parents"][0])], "the table is the one the row names"
    assert {n.key for n in found.reached("above")} == nx.descendants(graph, row["id"])
    (origin,) = found.origins
    assert origin.http_range and origin.file.endswith(".warc.gz")
    assert hash_of(origin.url) == row["origin_hash"]
    used = {s["id"] for s in rows["blend.token_shards"] if row["id"] in s["parents"]}
    assert used and used <= ids(found, "below") and found.counts("below")["models.base"] == 2


def test_origins_are_the_places_of_the_pages(lake):
    rows, opened, graph = lake
    foreign = {d["id"] for d in rows["blend.token_shards"] if d["sources"] == ["web.multilingual"]}
    # Each of these documents comes from another page.
    sequence = next(s for s in rows["blend.sequences"] if set(s["parents"]) <= foreign and len(set(s["parents"])) > 1)
    found = follow(opened, sequence["id"], forward=False)
    pages = {p["id"]: p for p in rows["snapshots.pages"] if p["id"] in nx.descendants(graph, sequence["id"])}
    assert len(pages) > 1, "a sequence of several documents comes from several pages"
    assert {o.page for o in found.origins} == set(pages)
    for origin in found.origins:
        page = pages[origin.page]
        assert (origin.file, origin.offset, origin.length) == (page["warc_file"], page["warc_offset"], 900)
        assert origin.http_range == f"bytes={page['warc_offset']}-{page['warc_offset'] + 899}"


def test_a_page_forward_reaches_every_row_model_and_score(lake):
    rows, opened, graph = lake
    page = rows["snapshots.pages"][0]
    found = follow(opened, page["id"], backward=False)
    models_and_scores = {r["id"] for t in ("models.base", "evaluate.benchmark_scores") for r in rows[t]}
    assert ids(found, "below") == nx.ancestors(graph, page["id"]) | models_and_scores
    assert {n.table for n in found.reached("below") if n.is_version} == {"blend.token_shards", "blend.sequences"}


def test_a_page_outside_every_sequence_reaches_no_model(lake):
    rows, opened, _ = lake
    held_out = next(p for p in rows["snapshots.pages"] if p["url"].endswith("/3"))
    assert "models.base" not in follow(opened, held_out["id"]).counts("below")


def test_a_url_starts_at_the_pages_of_all_snapshots(lake):
    rows, opened, _ = lake
    url = rows["snapshots.pages"][0]["url"]
    found = follow(opened, url)
    assert sorted(n.key for n in found.starts) == sorted(p["id"] for p in rows["snapshots.pages"] if p["url"] == url)
    assert len(found.starts) == 2
    assert found.counts("below")["web.duplicates"] == 1


def test_a_score_goes_back_through_its_model_to_the_pages(lake):
    rows, opened, _ = lake
    score = rows["evaluate.benchmark_scores"][0]
    found = follow(opened, score["id"], forward=False)
    assert [n.key for n in found.above[found.starts[0]] if n.table == "models.base"] == [score["model_id"]]
    assert found.counts("above")["blend.token_shards"] == len(rows["blend.token_shards"])
    assert found.origins


def test_a_model_trained_on_from_another(lake):
    rows, opened, _ = lake
    first, second = (m["id"] for m in rows["models.base"])
    assert Node("models.base", first) in follow(opened, second).above[Node("models.base", second)]
    assert Node("models.base", second) in follow(opened, first).below[Node("models.base", first)]


def test_a_table_version_can_be_traced(lake):
    rows, opened, _ = lake
    version = rows["models.base"][0]["input_versions"][0]
    found = follow(opened, version)
    assert found.counts("above")["blend.token_shards"] == len(rows["blend.token_shards"])
    assert found.counts("below")["models.base"] == 2


def test_fan_out_is_bounded_and_counted(lake):
    rows, opened, _ = lake
    version = rows["models.base"][0]["input_versions"][1]
    found = follow(opened, version, limit=3, forward=False)
    start = found.starts[0]
    assert len(found.above[start]) == 3
    assert found.more[start, "above"] == len(rows["blend.sequences"]) - 3
    assert all(len(parents) <= 3 for parents in found.above.values())
    assert found.unfollowed, "three sequences of two lengths have more than three documents"


def test_models_come_first_among_those_that_use_a_version_and_no_table_hides_the_others(lake, monkeypatch):
    _, opened, _ = lake
    uses = [("evaluate.ruler_items", f"item {number}", "blend.sequences", 3) for number in range(9)]
    uses += [("models.base", "base", "blend.sequences", 3), ("evaluate.throughput", "speed", "blend.sequences", 3)]
    monkeypatch.setattr(walk._Walker, "_inputs", lambda self, where: sorted(uses))
    found, version = walk._Found(), Node("blend.sequences", "@3")
    walk._Walker(opened.cursor(), list(all_tables().values()), 4)._users(version, found)
    assert [child.key for _, child in found.pairs] == ["base", "item 0", "speed", "item 1"]
    assert found.more[version] == len(uses) - 4


def test_an_unknown_target_is_an_error(lake):
    _, opened, _ = lake
    with pytest.raises(NotFound, match="no row of the lake has the id"):
        follow(opened, "nothing' or true --")
    with pytest.raises(NotFound, match="was fetched from"):
        follow(opened, "https://nowhere.example/")


def test_output_is_plain_json_and_a_tree(lake, capsys):
    rows, opened, _ = lake
    found = follow(opened, rows["blend.token_shards"][0]["id"], limit=3)
    document = json.loads(json.dumps(found.as_json()))
    assert document["start"] == [f"blend.token_shards {rows['blend.token_shards'][0]['id']}"]
    assert {e["child"] for e in document["backward"]} <= set(document["nodes"])
    print_trace(found)
    printed = capsys.readouterr().out
    assert found.origins[0].file in printed and "models.base" in printed


def test_a_version_that_was_vacuumed_is_noted(tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"))
    rows = fill(lake)
    table = all_tables()["blend.token_shards"]
    write(lake, {table.full_name: rows[table.full_name][:1]})
    lake.open(table).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    opened = Opened(tmp_path)
    found = follow(opened, rows["models.base"][0]["id"], forward=False)
    assert any("can no longer be read" in note for note in found.notes)
    opened.connection.close()


# -- random graphs ----------------------------------------------------------------------------------------------------

LEVELS = 4


def random_tables() -> list[Table]:
    """A root and levels whose rows may come from any level before them."""
    names = [f"t.level{n}" for n in range(LEVELS)]
    columns = (ID, PARENTS, Column("url", "string", "address"))
    return [Table("t", f"level{n}", "one level", columns, parents=tuple(names[:n])) for n in range(LEVELS)]


@st.composite
def graphs(draw):
    """Rows of every level: lists of (number of the row, its parents as (level, row))."""
    levels: list[list[list[tuple[int, int]]]] = [[[] for _ in range(draw(st.integers(1, 4)))]]
    for level in range(1, LEVELS):
        earlier = [(above, row) for above in range(level) for row in range(len(levels[above]))]
        levels.append(draw(st.lists(st.lists(st.sampled_from(earlier), max_size=4), max_size=4)))
    return levels


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.data())
def test_random_graphs(levels, data):
    tables = random_tables()
    connection = duckdb.connect(":memory:")
    connection.execute("create schema t; create schema lineage")
    graph = nx.DiGraph()
    for level, (table, rows) in enumerate(zip(tables, levels, strict=True)):
        connection.execute(f"create table {table.full_name} as {table_view(table, None)}")
        for number, parents in enumerate(rows):
            id_, above = f"r{level}-{number}", [f"r{a}-{b}" for a, b in parents]
            graph.add_node(id_)
            graph.add_edges_from((id_, parent) for parent in above)
            connection.execute(f"insert into {table.full_name} values (?, ?, ?)", [id_, above, f"x://{number}"])
    connection.execute("create table lineage.tables (table_name varchar, path varchar, in_lake boolean)")
    for statement in views(tables):
        connection.execute(statement)
    chosen = data.draw(st.sampled_from(sorted(graph.nodes)))
    edges = set(connection.execute("select child, parent, parent_table from lineage.edges").fetchall())
    assert edges == {(c, p, f"t.level{p[1]}") for c, p in graph.edges}
    for id_ in dict.fromkeys([chosen, "r0-0"]):
        found = trace(connection, tables, id_, limit=100)
        assert ids(found, "above") == nx.descendants(graph, id_)
        assert ids(found, "below") == nx.ancestors(graph, id_)
        assert {(c.key, p.key) for c, ps in found.above.items() for p in ps} == {
            e for e in graph.edges if e[0] in {id_, *nx.descendants(graph, id_)}
        }
        assert not found.more and not found.notes


# -- back to the bytes ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample_pages():
    """The first pages of the embedded sample's first WARC file, as rows of snapshots.pages."""
    from nemotron_assets.warc.reader import Limits, WarcFile

    crawl = Crawl(source="sample")
    snapshot = crawl.snapshots()[0].id
    path = crawl.warc_paths(snapshot)[0]
    rows = []
    with crawl.open(path) as stream:
        for page in WarcFile(io.BytesIO(stream.read()), Limits()).pages():
            rows.append(
                {
                    "id": row_id("snapshots.pages", path, page.offset),
                    "parents": [],
                    "snapshot": snapshot,
                    "url": page.url,
                    "host": page.host,
                    "fetched_at": page.fetched_at,
                    "status": page.status,
                    "mime": page.mime,
                    "html": page.html,
                    "payload_digest": page.payload_digest,
                    "warc_file": path,
                    "warc_offset": page.offset,
                    "warc_length": page.length,
                    "fate": page.fate,
                }
            )
    return rows


def test_read_back_gives_the_same_page(sample_pages):
    for row in sample_pages[:5]:
        origin = Origin(row["id"], row["url"], row["warc_file"], row["warc_offset"], row["warc_length"])
        html, same = read_back(origin, row, Crawl(source="sample"))
        assert same and html == row["html"]
    _, same = read_back(origin, {**row, "payload_digest": "sha1:OTHER"}, Crawl(source="sample"))
    assert not same
    with pytest.raises(ValueError, match="no byte range"):
        read_back(Origin("p", "u", "own.jsonl", 3, 0), row, None)


def test_the_command_reads_the_record_again(sample_pages, tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("NEMOTRON_LAKE", raising=False)
    write(Lakehouse(root=str(tmp_path / "lake")), {"snapshots.pages": sample_pages[:3]})
    row = sample_pages[1]
    result = CliRunner().invoke(cli, ["trace", row["url"], "--read"], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"offset={row['warc_offset']} length={row['warc_length']}" in result.output
    assert "the same page" in result.output and row["payload_digest"] in result.output
    result = CliRunner().invoke(cli, ["trace", row["id"], "--backward", "--json", "--read"], catch_exceptions=False)
    assert json.loads(result.output)["read"][row["id"]]["same"] is True


def test_a_missing_or_changed_record_is_an_error(sample_pages, tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("NEMOTRON_LAKE", raising=False)
    gone, moved = sample_pages[0], sample_pages[1]
    wrong = [{**gone, "warc_file": "crawl-data/gone.warc.gz"}, {**moved, "warc_offset": sample_pages[2]["warc_offset"]}]
    wrong[1]["warc_length"] = sample_pages[2]["warc_length"]
    write(Lakehouse(root=str(tmp_path / "lake")), {"snapshots.pages": wrong})
    for row, words in zip(wrong, ("not read", "ANOTHER page"), strict=True):
        result = CliRunner().invoke(cli, ["trace", row["id"], "--read"], catch_exceptions=False)
        assert result.exit_code == 1 and words in result.output
