"""The report: what it shows of a filled lake and of an empty one, and that nothing in it can run or be loaded."""

from __future__ import annotations

import pytest
from lxml import html as reader
from pydantic import ValidationError

from nemotron_assets.commands.selection import select
from nemotron_assets.evaluate.report import drawing
from nemotron_assets.evaluate.report.inspecting import problems
from nemotron_assets.evaluate.report.page import page
from nemotron_assets.evaluate.report.published import Published, Scores, published
from tests.evaluate.report.conftest import CPU, FACTS, HOSTILE
from tests.sql.lake import Opened

SECTIONS = ("funnel", "mixes", "blend", "training", "scores", "budgets", "compression", "throughput", "ablations",
            "cost", "lineage", "tables")  # fmt: skip


def test_a_filled_lake_has_every_section_and_full_figures(reported):
    tree = reader.document_fromstring(reported.page.html)
    assert [s.get("id") for s in tree.iter("section")] == list(SECTIONS)
    assert list(problems(reported.page.html)) == []
    assert len(list(tree.iter("figure"))) == reported.page.figures >= 14
    for key in ("funnel", "mixes", "blend", "training", "scores", "budgets", "cost"):
        assert tree.xpath(f"//section[@id='{key}']//figure"), key


def test_what_a_page_or_a_model_wrote_stays_text(reported):
    tree = reader.document_fromstring(reported.page.html)
    cells = ["".join(cell.itertext()) for cell in tree.iter("td")]
    assert HOSTILE in cells, "the title of a page"
    assert not list(tree.iter("script", "img", "iframe"))
    assert "49" not in cells, "no template is evaluated"
    drawn = ["".join(text.itertext()) for text in tree.xpath("//*[local-name()='text']")]
    assert any(text.startswith("</title></table>") for text in drawn), "names in figures are texts"


def test_published_numbers_stand_beside_those_of_the_lake(reported):
    tree = reader.document_fromstring(reported.page.html)
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]
    gsm8k = next(row for row in rows if row[0] == "GSM8K, CoT")
    assert gsm8k[1:5] == ["91.66", "91.36", "84", "74.45"]
    assert "model card of NVIDIA-Nemotron-Nano-9B-v2-Base" in reported.page.html


def test_the_final_model_leads_to_the_tables_that_it_comes_from(reported):
    lineage = reader.document_fromstring(reported.page.html).get_element_by_id("lineage")
    links = lineage.xpath(".//a/@href")
    assert {"#table-models.base", "#table-blend.token_shards", "#table-blend.sequences"} <= set(links)
    assert "nemotron trace blend.token_shards@" in lineage.text_content()


def test_an_empty_lake_names_every_table_and_the_command_that_makes_it(tmp_path):
    from nemotron_assets.definitions import defs

    opened = Opened(tmp_path)
    made = page(opened.cursor(), lambda name: -1, {}, FACTS)
    opened.connection.close()
    tree = reader.document_fromstring(made.html)
    assert made.figures == 0 and not list(tree.iter("figure"))
    assert list(problems(made.html)) == []
    sentences = {p.get("data-table"): p.findtext("code") for p in tree.xpath("//p[@class='missing']")}
    assert set(sentences) == set(made.missing) >= {"web.documents", "models.base", "llm.generations"}
    graph = defs.resolve_asset_graph()
    for command in set(sentences.values()) - {"nemotron ablate FILE"}:
        table = command.removeprefix("nemotron run ")
        if not table.startswith(("+compress/", "+evaluate/throughput")):
            assert select(graph, table), command


@pytest.mark.parametrize(
    ("markup", "wrong"),
    [
        ("<script>1</script>", "element script"),
        ("<p onclick='x()'>a</p>", "onclick"),
        ("<a href='https://example.com'>a</a>", "https://example.com"),
        ("<img src='data:image/png;base64,AA=='>", "element img"),
        ("<figure><figcaption>nothing</figcaption><svg></svg></figure>", "'nothing' is empty"),
        ("<a href='#nowhere'>a</a>", "#nowhere"),
    ],
)
def test_problems_of_a_page_are_found(reported, markup, wrong):
    harmed = reported.page.html.replace("<main>", f"<main>{markup}")
    found = list(problems(harmed))
    assert len(found) >= 1 and any(wrong in one for one in found), found


def test_equal_content_gives_an_equal_page(reported):
    again = page(reported.opened.cursor(), lambda name: 0, CPU, FACTS)
    same = page(reported.opened.cursor(), lambda name: 0, CPU, FACTS)
    assert again.html == same.html


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (999, "999"), (12_345, "12.3k"), (2_500_000, "2.5M"), (3.2e9, "3.2G"), (0.12345, "0.123"), (None, "")],
)
def test_numbers_are_short(value, said):
    assert drawing.number(value) == said


def test_nothing_is_drawn_without_values():
    assert drawing.bars("t", {}) is drawing.bars("t", {"a": 0}) is drawing.lines("t", {"a": ([], [])}) is None
    assert drawing.points("t", {"a": []}) is drawing.intervals("t", {}) is None


def test_published_numbers_are_typed():
    numbers = published()
    assert isinstance(numbers, Published) and numbers.throughput.rows[1][1] == 6.3
    mmlu = numbers.base_scores.benchmarks[0]
    assert (mmlu.name, mmlu.scores[0]) == ("MMLU", 78.24)
    with pytest.raises(ValidationError, match="give 2 scores from 0 to 100"):
        Scores.model_validate(
            {"source": "s", "models": ["a", "b"], "benchmarks": [{"name": "x", "task": "x", "scores": [1]}]}
        )
