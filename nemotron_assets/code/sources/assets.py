"""Assets of repositories and their files: what was read, which files are duplicates, metadata, licence texts."""

from datetime import timedelta

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.code.sources.tables import (
    ATTRIBUTIONS,
    CONTENTS,
    DUPLICATES,
    FILES,
    METADATA,
    REJECTED_FILES,
    REPOSITORIES,
)
from nemotron_assets.conditions import follow_inputs
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.recipe.code.numbers import BY_PATH
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset, table_spec
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader

#: Version of the code that reads files. Raise it when a change of the code changes the rows of code.files.
CODE = "3"


@table_asset(
    REPOSITORIES,
    recipe="code.sources",
    kinds={"git"},
    automation=follow_inputs(after=PAGES) | dg.AutomationCondition.on_cron(current_recipe().code.sources.schedule),
    freshness_policy=dg.FreshnessPolicy.time_window(timedelta(days=current_recipe().maintenance.fresh_days)),
)
def repositories(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    lake: dg.ResourceParam[Lakehouse],
):
    """The repositories that the recipe's sources offer, one row per repository and commit. A source is a Parquet dump,
    a folder of git repositories, bundles or archives, or a list of archives on a server (Nemotron Nano 2 §2.2.1:
    GitHub)."""
    import itertools

    from nemotron_assets.code.sources.files import SkippedRepositories, as_rows, offered_repositories
    from nemotron_assets.rights.tombstones import load
    from resources.repositories import open_source

    settings, skipped = recipe.code.sources, SkippedRepositories()
    sources = {source.name: open_source(source, settings, crawl) for source in settings.sources}
    offered = itertools.islice(offered_repositories(sources, skipped, load(lake)), settings.max_repositories)
    yield from as_rows(offered)
    context.log.info(f"repositories that were skipped: {skipped}")


@table_asset(FILES, recipe="code.sources", code=CODE, kinds={"git"}, ins={"found": REPOSITORIES})
def files(
    context: dg.AssetExecutionContext,
    found: Reader,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """The text files of the repositories, decoded, each with its language: by its name, extension, first line or
    content. Every other entry is listed in code.rejected_files with its reason; links are never followed."""
    from nemotron_assets.code.sources.files import RepositoryFiles
    from resources.repositories import open_source

    settings = recipe.code.sources
    sources = {source.name: open_source(source, settings, crawl) for source in settings.sources}
    return RepositoryFiles(found, sources, settings, compute, lake, context.run_id, CODE).parts()


rejected_files = table_spec(REJECTED_FILES, made_by=files)
contents = table_spec(CONTENTS, made_by=files)


@table_asset(
    DUPLICATES,
    code="2",  # adds the column containment
    recipe=("code.dedup", *(f"code.quality.{name}" for name in BY_PATH)),
    kinds={"duckdb", "numba"},
    ins={
        "files": FILES,
        "found": REPOSITORIES,
        "licenses": LICENSES,
    },
)
def duplicates(files: Reader, found: Reader, licenses: Reader, recipe: dg.ResourceParam[Recipe]):
    """Files that are dropped because another file, of any repository, has the same or nearly the same text. Of several
    copies the one is kept that no path rule drops; then the one with the fewest conditions in its licence, the newest
    one, and the one in the largest repository."""
    import polars as pl

    from nemotron_assets.code.path_rules import by_path
    from nemotron_assets.code.sources.duplicates import duplicates_of, licence_frames

    misplaced = pl.any_horizontal(by_path(recipe.code.quality).values())
    return duplicates_of(files, found, recipe.code.dedup, licence_frames(licenses), misplaced)


@table_asset(
    METADATA,
    recipe=(),
    kinds={"polars"},
    ins={"files": FILES, "curated": CURATED},
)
def metadata(files: Reader, curated: Reader):
    """Where to fetch every file of the corpus again, and the hash of the original file. `nemotron code rebuild` fetches
    the texts. (The release's Nemotron-Code-Metadata has the repository, commit and path only.)"""
    import polars as pl

    from nemotron_assets.code.sources.metadata import metadata_of

    return metadata_of(files.scan(), curated.scan().select(pl.col("parents").list.first().alias("file"), "license"))


@table_asset(
    ATTRIBUTIONS,
    recipe=("code.licences.full_text",),
    code="3",  # whole texts are recognised by pairs of words
    kinds={"polars"},
    ins={"files": FILES, "metadata": METADATA},
)
def attributions(files: Reader, metadata: Reader, recipe: dg.ResourceParam[Recipe]):
    """Licence and notice texts of the repositories that files of the corpus are from, and the general text of every
    licence that a repository only names. They must be passed on with the corpus (`nemotron export code.attributions`).
    """
    from nemotron_assets.code.sources.attribution import attributions_of

    return attributions_of(files, metadata, recipe.code.licences.full_text)


ASSETS = [repositories, files, rejected_files, contents, duplicates, metadata, attributions]
