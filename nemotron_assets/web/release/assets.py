"""The asset that assembles Nemotron-CC-v2: everything that is published, in one table."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from nemotron_assets.web.quality.tables import CURATED
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED, TRANSLATED_DIVERSE_QA
from resources.lakehouse import Lakehouse, Reader
from resources.warehouse import Warehouse


@table_asset(
    NEMOTRON_CC_V2,
    recipe="release.subsets",
    code="2",  # the address of a page decides whether it is held out
    kinds={"duckdb", "polars"},
    ins={
        "curated": CURATED,
        "rephrased": REPHRASED,
        "diverse_qa": DIVERSE_QA,
        "translated_diverse_qa": TRANSLATED_DIVERSE_QA,
    },
)
def nemotron_cc_v2(
    context: dg.AssetExecutionContext,
    curated: Reader,
    rephrased: Reader,
    diverse_qa: Reader,
    translated_diverse_qa: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    warehouse: dg.ResourceParam[Warehouse],
):
    """The six subsets of Nemotron-CC-v2: curated pages of three quality levels, rephrasings, questions and answers, and
    their translations. Every row names the web document that it is or was written from. A subset is made again only
    when one of its inputs has changed."""
    from nemotron_assets.web.release.report import metadata
    from nemotron_assets.web.release.subsets import Tally, parts

    readers = {r.table.full_name: r for r in (curated, rephrased, diverse_qa, translated_diverse_qa)}
    read = {name: reader.batches for name, reader in readers.items()}
    contents = {name: reader.content() for name, reader in readers.items()}
    snapshot, numbers, tally, rejects = context.partition_key, recipe.release, Tally(), Rejects()
    return Parts(
        parts(numbers.subsets, read, contents, numbers.memory_mb, rejects.add, tally),
        metadata=lambda: metadata(lake.read(NEMOTRON_CC_V2, snapshot).scan(), warehouse, snapshot, tally.left_out),
        rejects=rejects,
    )


ASSETS = [nemotron_cc_v2]
