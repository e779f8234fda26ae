"""Assets of the quality of code: numbers, the closer look, the corpus, and what is not in it."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import ANNOTATIONS, CURATED, DROPPED, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.code.numbers import BOUNDS, CODE, MADE_WITH
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Batches, Part, Parts, Rejects
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

_JUDGED = {
    "files": FILES,
    "annotations": ANNOTATIONS,
    "licences": LICENSES,
    "duplicates": DUPLICATES,
}


@table_asset(
    ANNOTATIONS,
    recipe=[f"code.quality.{name}" for name in (*MADE_WITH, *BOUNDS)],
    code=CODE,
    kinds={"numba", "treesitter"},
    ins={"files": FILES},
)
def annotations(
    context: dg.AssetExecutionContext,
    files: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Numbers about every file, repository by repository: bytes and words in compiled passes, then the syntax tree
    (Nemotron Nano 2 §2.2.1). What a number counts is written at its column."""
    import functools

    from nemotron_assets.code.quality import signals

    settings, numbers = recipe.code.quality, signals.version(recipe.code.quality)
    signals.compile_passes(settings)  # once here, not in every worker at the same time
    work, rejects = functools.partial(signals.annotate, recipe=settings), Rejects()

    def of_repository(repo: str):
        batches = signals.bounded(files.part(repo).batches(signals.READ, settings.batch_rows), settings)
        return signals.as_rows(compute.map(batches, work, reject=rejects.add, stage=ANNOTATIONS.full_name))

    parts = (
        Part(repo, f"{content or context.run_id}-{numbers}", functools.partial(of_repository, repo))
        for repo, content in files.parts().items()
    )
    return Parts(parts, rejects=rejects)


@table_asset(
    SCREENED,
    recipe=("code.quality", "code.qa.benchmarks", "code.qa.ngram", "code.qa.min_words"),
    kinds={"polars"},
    ins={**_JUDGED, "benchmarks": BENCHMARKS},
)
def screened(
    context: dg.AssetExecutionContext,
    files: Reader,
    annotations: Reader,
    licences: Reader,
    duplicates: Reader,
    benchmarks: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """A closer look at the files that licence, copies and rules leave: complexity, credentials, personal data,
    benchmark items. Credentials and personal data are replaced in the text."""
    import functools

    from nemotron_assets.code import decontamination
    from nemotron_assets.code.quality import curate, screen, signals

    settings = recipe.code.quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    left = curate.survivors(rows)
    batches = curate.chosen(files.batches(screen.READ, settings.batch_rows), left)
    items = decontamination.Items(
        benchmarks.scan().select(decontamination.READ).collect().iter_rows(named=True), recipe.code.qa
    )
    work, rejects = functools.partial(screen.screen, recipe=settings, items=items), Rejects()
    rows = compute.map(signals.bounded(batches, settings), work, reject=rejects.add, stage=SCREENED.full_name)
    return Batches(rows, rejects)


@table_asset(CURATED, recipe="code.quality", kinds={"polars"}, ins={**_JUDGED, "screened": SCREENED})
def curated(
    context: dg.AssetExecutionContext,
    files: Reader,
    annotations: Reader,
    licences: Reader,
    duplicates: Reader,
    screened: Reader,
    recipe: dg.ResourceParam[Recipe],
):
    """The corpus: files under an allowed licence, once each, that every rule keeps, without credentials and personal
    data (Nemotron Nano 2 §2.2.1)."""
    import polars as pl

    from nemotron_assets.code.quality import curate

    settings = recipe.code.quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    fates = curate.fates(rows, screened.scan(), settings)
    kept = fates.filter(pl.col("rules").list.len() == 0).collect(engine="streaming")
    return curate.curated_rows(
        files.batches(curate.READ, settings.batch_rows), screened.batches(["parents", "redacted"], 256), kept
    )


@table_asset(DROPPED, recipe="code.quality", kinds={"polars"}, ins={**_JUDGED, "screened": SCREENED})
def dropped(
    files: Reader,
    annotations: Reader,
    licences: Reader,
    duplicates: Reader,
    screened: Reader,
    recipe: dg.ResourceParam[Recipe],
):
    """Files that are not in the corpus, each with every rule that drops it."""
    from nemotron_assets.code.quality import curate

    settings = recipe.code.quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    return curate.dropped_rows(curate.fates(rows, screened.scan(), settings))


ASSETS = [annotations, screened, curated, dropped]
