"""Assets of the quality of code: numbers, the closer look, the corpus, and what is not in it."""

import dagster as dg

from nemotron_assets.code.quality.numbers import BOUNDS, CODE, MADE_WITH
from nemotron_assets.code.quality.tables import ANNOTATIONS, CURATED, DROPPED, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.evaluate.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import Part, Parts, table_asset
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

LICENSES = dg.AssetKey(["code", "licenses"])
_JUDGED = {
    "files": dg.AssetIn(FILES.asset_key),
    "annotations": dg.AssetIn(ANNOTATIONS.asset_key),
    "licences": dg.AssetIn(LICENSES),
    "duplicates": dg.AssetIn(DUPLICATES.asset_key),
}


@table_asset(
    ANNOTATIONS,
    recipe=[f"code_quality.{name}" for name in (*MADE_WITH, *BOUNDS)],
    code=CODE,
    kinds={"numba", "treesitter"},
    ins={"files": dg.AssetIn(FILES.asset_key)},
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

    settings, numbers = recipe.code_quality, signals.version(recipe.code_quality)
    signals.compile_passes(settings)  # once here, not in every worker at the same time
    work, reject = functools.partial(signals.annotate, recipe=settings), lake.rejects(ANNOTATIONS).add

    def of_repository(repo: str):
        batches = signals.bounded(files.part(repo).batches(signals.READ, settings.batch_rows), settings)
        return signals.as_rows(compute.map(batches, work, reject=reject, stage=ANNOTATIONS.full_name))

    return Parts(
        Part(repo, f"{content or context.run_id}-{numbers}", functools.partial(of_repository, repo))
        for repo, content in files.parts().items()
    )


@table_asset(
    SCREENED,
    recipe=("code_quality", "code_qa.benchmarks", "code_qa.ngram", "code_qa.min_words"),
    kinds={"polars"},
    ins={**_JUDGED, "benchmarks": dg.AssetIn(BENCHMARKS.asset_key)},
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

    settings = recipe.code_quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    left = curate.survivors(rows)
    batches = curate.chosen(files.batches(screen.READ, settings.batch_rows), left)
    items = decontamination.Items(
        benchmarks.scan().select(decontamination.READ).collect().iter_rows(named=True), recipe.code_qa
    )
    work, reject = functools.partial(screen.screen, recipe=settings, items=items), lake.rejects(SCREENED).add
    return compute.map(signals.bounded(batches, settings), work, reject=reject, stage=SCREENED.full_name)


@table_asset(
    CURATED, recipe="code_quality", kinds={"polars"}, ins={**_JUDGED, "screened": dg.AssetIn(SCREENED.asset_key)}
)
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

    settings = recipe.code_quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    fates = curate.fates(rows, screened.scan(), settings)
    kept = fates.filter(pl.col("rules").list.len() == 0).collect(engine="streaming")
    return curate.curated_rows(
        files.batches(curate.READ, settings.batch_rows), screened.batches(["parents", "redacted"], 256), kept
    )


@table_asset(
    DROPPED, recipe="code_quality", kinds={"polars"}, ins={**_JUDGED, "screened": dg.AssetIn(SCREENED.asset_key)}
)
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

    settings = recipe.code_quality
    rows = curate.judged(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    return curate.dropped_rows(curate.fates(rows, screened.scan(), settings))


ASSETS = [annotations, screened, curated, dropped]
