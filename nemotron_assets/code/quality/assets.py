"""Assets of the quality of source files: measurements, screening, the corpus, and the files that are not in it."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import ANNOTATIONS, CURATED, DROPPED, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.code.numbers import BOUNDS, CODE, MADE_WITH
from nemotron_assets.table.asset import table_asset
from resources.compute import Compute
from resources.lakehouse import Reader

#: Inputs of `curate.early_reasons`.
_EARLY = {
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
):
    """Measurements of every file, repository by repository: bytes and words are counted in compiled passes, then the
    syntax tree is searched (Nemotron Nano 2 §2.2.1). The description of a column says what it counts."""
    from nemotron_assets.code.quality.signals import annotation_parts

    return annotation_parts(files, recipe.code.quality, compute, context.run_id)


@table_asset(
    SCREENED,
    recipe=("code.quality", "code.qa.benchmarks", "code.qa.ngram", "code.qa.min_words"),
    code="3",
    kinds={"polars"},
    ins={**_EARLY, "benchmarks": BENCHMARKS},
)
def screened(
    files: Reader,
    annotations: Reader,
    licences: Reader,
    duplicates: Reader,
    benchmarks: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
):
    """Slow searches in the files that licences, duplicates and rules leave: complexity, credentials, personal data,
    benchmark items. Credentials and personal data are replaced in the text."""
    from nemotron_assets.code.decontamination import read_items
    from nemotron_assets.code.quality import curate, screen

    settings, items = recipe.code.quality, read_items(benchmarks.scan(), recipe.code.qa)
    rows = curate.early_reasons(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    batches = curate.chosen(files.batches(screen.READ, settings.batch_rows), curate.survivors(rows))
    return screen.screened_rows(batches, settings, items, compute)


@table_asset(CURATED, recipe="code.quality", kinds={"polars"}, ins={**_EARLY, "screened": SCREENED})
def curated(
    files: Reader,
    annotations: Reader,
    licences: Reader,
    duplicates: Reader,
    screened: Reader,
    recipe: dg.ResourceParam[Recipe],
):
    """The corpus: files under an allowed licence that are not duplicates and that no rule drops, without credentials
    and personal data (Nemotron Nano 2 §2.2.1)."""
    from nemotron_assets.code.quality import curate

    settings = recipe.code.quality
    rows = curate.early_reasons(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    reasons = curate.all_reasons(rows, screened.scan(), settings)
    texts = files.batches(curate.READ, settings.batch_rows)
    return curate.curated_rows(texts, screened.batches(["parents", "redacted"], 256), reasons)


@table_asset(DROPPED, recipe="code.quality", kinds={"polars"}, ins={**_EARLY, "screened": SCREENED})
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
    rows = curate.early_reasons(files.scan(), annotations.scan(), licences.scan(), duplicates.scan(), settings)
    return curate.dropped_rows(curate.all_reasons(rows, screened.scan(), settings))


ASSETS = [annotations, screened, curated, dropped]
