"""Declares the asset of the sample of all published data sets."""

import dagster as dg

from nemotron_assets.blend.sample.tables import DATASET_SAMPLE, TABLES_READ
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts
from resources.lakehouse import Lakehouse, Reader


@table_asset(DATASET_SAMPLE, recipe="release.sample", ins=TABLES_READ, kinds={"polars"})
def dataset_sample(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], **tables: Reader):
    """Nemotron-Pretraining-Dataset-sample: of each published data set the rows with the lowest ids, in ten subsets. Ids
    are hashes, so the rows are the same in every run. A subset for which the lake has no rows is empty."""
    from nemotron_assets.blend.sample.choosing import sample_parts
    from nemotron_assets.blend.sample.report import metadata

    readers, numbers = {reader.table.full_name: reader for reader in tables.values()}, recipe.release.sample
    return Parts(
        sample_parts(readers, numbers),
        metadata=lambda: metadata(lake.read(DATASET_SAMPLE).scan(), readers, numbers),
    )


ASSETS = [dataset_sample]
