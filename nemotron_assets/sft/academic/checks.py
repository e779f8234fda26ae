"""Checks of academic documents and of the questions about them: rows are whole, and few answers are rejected."""

import dagster as dg

from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS, ACADEMIC_QA, LONGDOC_QA
from nemotron_assets.table.asset import table_check
from nemotron_assets.table.schema import Table
from nemotron_assets.web.quality.tables import CURATED
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(ACADEMIC_DOCUMENTS, blocking=True, reads=[CURATED, NEMOTRON_CC_MATH])
def academic_documents_are_sound(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Ids are unique, labels are those that the recipe keeps, every document is in its source table with the same text,
    and none is held out."""
    from nemotron_assets.sft.academic.audit import document_faults

    sources = {table.full_name: lake.read(table).scan() for table in (CURATED, NEMOTRON_CC_MATH)}
    own = recipe.sft.academic.documents
    found = document_faults(lake.read(ACADEMIC_DOCUMENTS).scan(), sources, own, recipe.blend.held_out_share)
    return dg.AssetCheckResult(passed=not any(found.values()), metadata=found)


@table_check(ACADEMIC_QA, blocking=True, reads=[ACADEMIC_DOCUMENTS])
def academic_questions_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row comes from documents that exist and says what decided its status; a multiple-choice question has four
    different options, and its final answer is one of them."""
    from nemotron_assets.sft.academic.audit import question_faults
    from nemotron_assets.sft.audit import faults, passed

    rows, known = lake.read(ACADEMIC_QA).scan(), {ACADEMIC_DOCUMENTS.full_name: lake.read(ACADEMIC_DOCUMENTS).scan()}
    found = {**faults(rows, known), **question_faults(rows)}
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


@table_check(LONGDOC_QA, blocking=True, reads=[ACADEMIC_DOCUMENTS])
def long_documents_are_sound(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every row is the beginning of a document that exists, followed by its questions and answers, and is not longer
    than the recipe allows."""
    from nemotron_assets.sft.academic.audit import longdoc_faults
    from nemotron_assets.sft.audit import faults, passed

    rows, documents = lake.read(LONGDOC_QA).scan(), lake.read(ACADEMIC_DOCUMENTS).scan()
    shared = faults(rows, {ACADEMIC_DOCUMENTS.full_name: documents})
    shared.pop("wrong_text")  # the text begins with the document; see longdoc_faults
    found = {**shared, **longdoc_faults(rows, documents, recipe.sft.academic.longdoc)}
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


def _usable(table: Table, section: str) -> dg.AssetChecksDefinition:
    """The check that warns when too many answers for `table` cannot be used."""

    @table_check(table, name="answers_are_usable")
    def check(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
        """Warns when a larger share of the answers is rejected than the recipe accepts, and shows the causes."""
        import polars as pl

        rows = lake.read(table).rows
        of_table = lake.read(QUARANTINE).scan().filter(pl.col("stage") == table.full_name)
        causes = dict(of_table.group_by("cause").len().sort("cause").collect().iter_rows())
        share = sum(causes.values()) / max(1, rows + sum(causes.values()))
        return dg.AssetCheckResult(
            passed=share <= recipe.section(section).max_reject_share,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"rows": rows, "reject_share": share, "causes": causes},
        )

    return check


CHECKS = [
    academic_documents_are_sound,
    academic_questions_are_sound,
    long_documents_are_sound,
    _usable(ACADEMIC_QA, "sft.academic.qa"),
    _usable(LONGDOC_QA, "sft.academic.longdoc"),
]
