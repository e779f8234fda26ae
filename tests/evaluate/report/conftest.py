"""A filled lake whose page titles, model names and paths of files try to be markup, and the report of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from nemotron_assets.evaluate.report.page import Page, page
from nemotron_assets.stages import all_tables
from resources.lakehouse import Lakehouse
from tests.sql.lake import START, Opened, fill, write

#: What a page may have as its title: markup in HTML and SVG, a template, a formula, an end of every element around it.
HOSTILE = (
    '</title></table></svg><script>document.title = "taken"; alert(1)</script><img src=x onerror=alert(2)>'
    "<a href='javascript:alert(3)'>{{ 7 * 7 }}{% raw %}$\\frac{1}{2}$ &lt;b&gt; \u202e"
)
#: By table: one with rows, one without, and a step that makes no table.
CPU = {"web.documents": 12.5, "models.base": 80.0, "align.merge_scores": 2.0, "lake.maintenance": 1.0}
FACTS = {"recipe": "test", "made at": "2026-01-01"}


@dataclass
class Reported:
    """A lake and its report."""

    opened: Opened
    page: Page
    file: Path


def hostile_rows(rows: dict) -> dict:
    """Rows of a filled lake with hostile titles, languages, model names and tasks."""
    changed = {"web.documents": [{**row, "title": HOSTILE} for row in rows["web.documents"]]}
    changed["web.documents"][0]["language"] = HOSTILE
    changed["models.training_metrics"] = [{**row, "model": HOSTILE} for row in rows["models.training_metrics"]]
    scores = rows["evaluate.benchmark_scores"]
    changed["evaluate.benchmark_scores"] = [{**row, "model": HOSTILE, "gzip_bits_per_byte": 2.0} for row in scores]
    changed["evaluate.budget_control"] = [
        {"id": f"b{budget}{mode}", "model": HOSTILE, "model_id": "m", "model_version": "1", "mode": mode, "at": START,
         "budget": budget, "items": 8, "accuracy": 0.5 + budget / 100, "well_formed": 1.0, "thought_tokens": budget / 2}
        for budget in (0, 8, 32) for mode in ("own", "enforced")
    ]  # fmt: skip
    unused = {**rows["llm.generations"][0], "id": "unused", "prompt": "of no asset"}
    changed["llm.generations"] = [*rows["llm.generations"], unused]
    answers = [{"id": f"a{n}", "model": HOSTILE, "model_id": "m", "model_version": "1", "stage": "base", "task": "copy",
                "item": f"i{n}", "right": n < 3, "finish_reason": "stop", "at": START + timedelta(days=1)}
               for n in range(8)]  # fmt: skip
    changed["evaluate.suite_answers"] = answers
    return changed


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    root = tmp_path_factory.mktemp("reported")
    lake = Lakehouse(root=str(root / "lake"), free_disk_mb=0)
    write(lake, hostile_rows(fill(lake)))
    opened = Opened(root)
    made = page(opened.cursor(), lambda name: lake.read(all_tables()[name]).version, CPU, FACTS)
    (file := root / "report.html").write_text(made.html, encoding="utf-8")
    yield Reported(opened, made, file)
    opened.connection.close()
