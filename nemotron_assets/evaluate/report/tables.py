"""Declares the table of the report: one row with the whole page."""

from __future__ import annotations

from nemotron_assets.evaluate.tables import MADE
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

REPORT = Table(
    schema="evaluate",
    name="report",
    description="The report of the lake: one page of HTML with figures and tables, which needs no network and runs no "
    "script. One row.",
    columns=(
        ID,
        Column("html", "string", "the whole page"),
        Column("figures", "int64", "number of figures in the page"),
        Column("missing", "list[string]", "tables that the page would show and that this lake does not have"),
        *MADE,
    ),
    origins={
        "html": (
            "web.documents.title", "web.quality.level", "blend.phases.tokens", "models.base.id",
            "evaluate.benchmark_scores.value", "evaluate.suite_answers.right", "evaluate.budget_control.accuracy",
        ),
        "figures": (),
        "missing": (),
    },
)  # fmt: skip

TABLES = [REPORT]
