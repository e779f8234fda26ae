"""Assets of where code comes from: the repositories, their files, which of them are copies, and the metadata."""

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
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.recipe.code.numbers import BY_PATH
from nemotron_assets.table.asset import table_asset, table_spec
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader

#: Raised when the logic of reading files changes.
CODE = "1"


@table_asset(
    REPOSITORIES,
    recipe="code.sources",
    kinds={"git"},
    automation=dg.AutomationCondition.on_missing()
    | dg.AutomationCondition.on_cron(current_recipe().code.sources.schedule),
)
def repositories(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], crawl: dg.ResourceParam[Crawl]):
    """The repositories that the recipe's sources offer, each at one commit: Parquet dumps, git repositories and
    bundles, archives, and lists of archives on a server (Nemotron Nano 2 §2.2.1: GitHub)."""
    from nemotron_assets.code.sources.files import LeftOut, as_rows
    from nemotron_assets.code.sources.files import repositories as offered
    from resources.repositories import open_source

    settings, refused = recipe.code.sources, LeftOut()
    sources = {source.name: open_source(source, settings, crawl) for source in settings.sources}
    yield from as_rows(offered(sources, refused))
    context.log.info(f"repositories left out: {refused}")


@table_asset(
    FILES,
    recipe="code.sources",
    code=CODE,
    kinds={"git"},
    ins={"found": REPOSITORIES},
)
def files(
    context: dg.AssetExecutionContext,
    found: Reader,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Text files of the repositories, decoded, each with its language by name, extension, first line or content,
    repository by repository. Binaries, links, pointers and whatever else is no text are counted, never followed."""
    from nemotron_assets.code.sources.files import RepositoryFiles
    from resources.repositories import open_source

    settings = recipe.code.sources
    sources = {source.name: open_source(source, settings, crawl) for source in settings.sources}
    return RepositoryFiles(found, sources, settings, compute, lake, context.run_id, CODE).parts()


rejected_files = table_spec(REJECTED_FILES, made_by=files)
contents = table_spec(CONTENTS, made_by=files)


@table_asset(
    DUPLICATES,
    recipe=("code.dedup", *(f"code.quality.{name}" for name in BY_PATH)),
    kinds={"duckdb", "numba"},
    ins={
        "files": FILES,
        "found": REPOSITORIES,
        "licenses": LICENSES,
    },
)
def duplicates(files: Reader, found: Reader, licenses: Reader, recipe: dg.ResourceParam[Recipe]):
    """Files that are dropped because one that is kept has the same or nearly the same text, over all repositories. Kept
    is one in its own place, then the one under the licence that asks for least, then the newest, then that of the
    largest repository."""
    import polars as pl

    from nemotron_assets.code.quality.rules import by_path
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
    """Where every file of the corpus can be fetched again, and the hash its text must have as the repository has it
    (the release's Nemotron-Code-Metadata has the first three columns). `nemotron code rebuild` makes texts of it."""
    import polars as pl

    from nemotron_assets.code.sources.metadata import metadata_of

    return metadata_of(files.scan(), curated.scan().select(pl.col("parents").list.first().alias("file"), "license"))


@table_asset(
    ATTRIBUTIONS,
    recipe=("code.licences.full_text",),
    code="3",  # a whole text by pairs of words
    kinds={"polars"},
    ins={"files": FILES, "metadata": METADATA},
)
def attributions(files: Reader, metadata: Reader, recipe: dg.ResourceParam[Recipe]):
    """The licence and notice texts of every repository that files of the corpus are from, and of licences it only names
    their own; they go with the corpus wherever it goes (`nemotron export code.attributions`)."""
    from nemotron_assets.code.sources.attribution import attributions_of

    return attributions_of(files, metadata, recipe.code.licences.full_text)


ASSETS = [repositories, files, rejected_files, contents, duplicates, metadata, attributions]
