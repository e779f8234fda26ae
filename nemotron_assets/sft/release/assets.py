"""Assets of the SFT release: benchmark items found in rows of SFT data, and Nemotron-Pretraining-SFT as published."""

import dagster as dg

from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.release.tables import CONTAMINATED, NEMOTRON_SFT, SFT_TABLES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

_SOURCES = {table.name: table for table in SFT_TABLES}


@table_asset(
    CONTAMINATED, recipe="sft.release.contamination", ins={"benchmarks": BENCHMARKS, **_SOURCES}, kinds={"numpy"}
)
def contaminated(
    benchmarks: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
    **sources: Reader,
):
    """Benchmark items found in rows of SFT data: which item of which split, and the words that both have. Every table
    is searched for the items of all benchmarks and of the test splits of SFT data. n-grams that many items have, such
    as instructions, do not count."""
    from nemotron_assets.sft.release import report
    from nemotron_assets.sft.release.decontamination import contaminated_parts

    rejects = Rejects()
    parts = contaminated_parts(list(sources.values()), benchmarks, recipe.sft.release.contamination, compute, rejects)
    return Parts(parts, metadata=lambda: report.contamination(lake.read(CONTAMINATED).scan()), rejects=rejects)


@table_asset(NEMOTRON_SFT, recipe="sft.release.unverified", ins=_SOURCES, deps=[CONTAMINATED], kinds={"polars"})
def nemotron_sft(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], **sources: Reader):
    """Nemotron-Pretraining-SFT as published, with the configs Code, General and MATH. Rows whose answer failed are left
    out, and so are rows with a benchmark item. Rows whose answer is not verified are taken only from tables that the
    recipe names."""
    from nemotron_assets.sft.release import report
    from nemotron_assets.sft.release.selecting import release_parts

    numbers, readers = recipe.sft.release, list(sources.values())
    return Parts(
        release_parts(readers, lake, numbers),
        metadata=lambda: report.release(lake.read(NEMOTRON_SFT).scan(), readers, lake, numbers),
    )


ASSETS = [contaminated, nemotron_sft]
