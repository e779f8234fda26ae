"""The asset `code.licenses`: which licence every file is under, and whether the recipe accepts it."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    LICENSES,
    recipe="code.licences",
    code="5",
    kinds={"python"},
    ins={"files": FILES},
    retry_policy=dg.RetryPolicy(max_retries=1, delay=15),
)
def licenses(
    context: dg.AssetExecutionContext,
    files: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The licence of every file, from headers, licence texts, manifests and debian/copyright, read with ScanCode's
    licensedcode (Nemotron Nano 2 §2.2.1: only code under a permissive licence is used). No text is scanned twice."""
    from nemotron_assets.code.licences.rows import licence_parts
    from resources.home import cache_dir

    return licence_parts(files, recipe.code.licences, lake, cache_dir("scancode"), context.run_id)


ASSETS = [licenses]
