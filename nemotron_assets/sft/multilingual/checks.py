"""Checks of SFT data in other languages: rows are whole and in their language, and none claims to be verified."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.multilingual.tables import MULTILINGUAL_SFT, SOURCES
from nemotron_assets.table.asset import table_check
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(MULTILINGUAL_SFT, blocking=True, reads=SOURCES)
def translated_rows_are_sound(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every row comes from a row that exists, is in a language of the recipe and not in English, has the numbers of the
    English row, and is unverified."""
    from nemotron_assets.sft.audit import faults, passed
    from nemotron_assets.sft.multilingual.audit import translation_faults

    rows, known = lake.read(MULTILINGUAL_SFT).scan(), {t.full_name: lake.read(t).scan() for t in SOURCES}
    found = {**faults(rows, known), **translation_faults(rows, known, recipe.sft.multilingual)}
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


@table_check(MULTILINGUAL_SFT)
def translations_of_rows_are_usable(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Warns when a larger share of the translations is rejected than the recipe accepts, and shows the causes."""
    import polars as pl

    rows = lake.read(MULTILINGUAL_SFT).rows
    of_table = lake.read(QUARANTINE).scan().filter(pl.col("stage") == MULTILINGUAL_SFT.full_name)
    causes = dict(of_table.group_by("cause").len().sort("cause").collect().iter_rows())
    share = sum(causes.values()) / max(1, rows + sum(causes.values()))
    return dg.AssetCheckResult(
        passed=share <= recipe.sft.multilingual.translation.max_reject_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rows": rows, "reject_share": share, "causes": causes},
    )


CHECKS = [translated_rows_are_sound, translations_of_rows_are_usable]
