"""Checks of where code comes from: every entry has a fate, ids are unique, nothing that is kept is a copy."""

import dagster as dg

from nemotron_assets.code.sources.tables import (
    ATTRIBUTIONS,
    CONTENTS,
    DUPLICATES,
    FILES,
    METADATA,
    REJECTED_FILES,
    REPOSITORIES,
)
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(REPOSITORIES, blocking=True)
def repositories_are_distinct(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every repository is there once at each commit."""
    import polars as pl

    rows, ids = lake.read(REPOSITORIES).scan().select(pl.len(), ids=pl.col("id").n_unique()).collect().row(0)
    return dg.AssetCheckResult(passed=rows == ids, metadata={"repositories": rows, "doubled": rows - ids})


@table_check(FILES, blocking=True)
def every_entry_has_a_fate(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every entry of every repository is a file that is kept or has its fate, every repository was read, ids are
    unique, and no path leads out of its repository."""
    import polars as pl

    from nemotron_assets.code.sources.report import fates, fates_table, languages
    from nemotron_assets.code.sources.text import unsafe
    from nemotron_assets.plots import bars

    contents = lake.read(CONTENTS).scan()
    files = lake.read(FILES).scan()
    counts = fates(contents)
    kept, ids = files.select(pl.len(), ids=pl.col("id").n_unique()).collect(engine="streaming").row(0)
    rejected = lake.read(REJECTED_FILES).rows
    entries = int(contents.select(pl.col("entries").sum()).collect().item() or 0)
    offered = lake.read(REPOSITORIES).scan().select("repo", "commit_id")
    lacking = offered.join(contents, on=["repo", "commit_id"], how="anti").select(pl.len()).collect().item()
    batches = lake.read(FILES).batches(["rel_path"], batch_size=8_192)
    leading_out = sum(unsafe(path) is not None for batch in batches for path in batch["rel_path"].to_pylist())
    passed = kept == ids == counts.get("kept", 0) and entries == kept + rejected == sum(counts.values())
    return dg.AssetCheckResult(
        passed=passed and not lacking and not leading_out,
        metadata={
            "entries": entries,
            "files": kept,
            "doubled": kept - ids,
            "repositories_without_totals": lacking,
            "unsafe_paths": leading_out,
            "fates": dg.MetadataValue.md(fates_table(counts)),
            "plot": bars(counts, "Fates of entries", "entries"),
            "languages": bars(languages(files, recipe.code.sources.languages), "Bytes per language", "bytes"),
        },
    )


@table_check(FILES)
def repositories_were_read(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """The share of repositories that could not be read to their end is within the recipe's limit."""
    from nemotron_assets.code.sources.report import unread

    broken = unread(lake.read(CONTENTS).scan())
    share = len(broken) / max(1, lake.read(CONTENTS).rows)
    allowed = recipe.code.sources.max_unreadable_share
    listed = "\n".join(f"- {repo}: {outcome}" for repo, outcome in broken.head(50).iter_rows())
    return dg.AssetCheckResult(
        passed=share <= allowed,
        metadata={"unread_share": share, "allowed": allowed, "unread": dg.MetadataValue.md(listed or "none")},
    )


@table_check(DUPLICATES, blocking=True)
def duplicates_name_kept_files(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every file is a duplicate at most once, of a file that is there and no duplicate itself; and of every text there
    is exactly one file that is none."""
    import polars as pl

    from nemotron_assets.code.sources.report import copies
    from nemotron_assets.plots import bars

    rows = lake.read(DUPLICATES).scan().with_columns(file=pl.col("parents").list.first())
    files = lake.read(FILES).scan().select("id", "content_hash")
    count, distinct = rows.select(pl.len(), pl.col("file").n_unique().alias("files")).collect().row(0)
    gone = rows.join(files, left_on="duplicate_of", right_on="id", how="anti").select(pl.len()).collect().item()
    chains = rows.join(rows.select("file"), left_on="duplicate_of", right_on="file", how="semi")
    chained = chains.select(pl.len()).collect().item()
    kept = files.join(rows.select(id="file"), on="id", how="anti").select(pl.len(), n=pl.col("content_hash").n_unique())
    left, texts = kept.collect(engine="streaming").row(0)
    counts = copies(rows)
    return dg.AssetCheckResult(
        passed=count == distinct and not gone and not chained and left == texts,
        metadata={
            "duplicates": count,
            "kept": left,
            "kept_twice": left - texts,
            "named_twice": count - distinct,
            "of_missing_files": gone,
            "of_duplicates": chained,
            "plot": bars(counts, "Duplicates by what decided", "files"),
        },
    )


@table_check(METADATA, blocking=True)
def metadata_is_complete(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row names a file of the table of files, with its hash, and no text is named twice."""
    import polars as pl

    rows = lake.read(METADATA).scan()
    files = lake.read(FILES).scan().select("repo", "commit_id", "rel_path", "content_hash")
    total, texts = rows.select(pl.len(), pl.col("content_hash").n_unique().alias("texts")).collect().row(0)
    known = rows.join(files, on=["repo", "commit_id", "rel_path", "content_hash"], how="semi")
    matching = known.select(pl.len()).collect(engine="streaming").item()
    return dg.AssetCheckResult(
        passed=total == texts == matching,
        metadata={"rows": total, "doubled": total - texts, "not_in_files": total - matching},
    )


@table_check(ATTRIBUTIONS)
def every_repository_is_attributed(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """With the files of every repository in the corpus goes the whole text of the licences they are under."""
    from nemotron_assets.code.sources.attribution import incomplete

    texts = lake.read(ATTRIBUTIONS).batches(["repo", "commit_id", "text"], 64)
    lacking = incomplete(texts, lake.read(METADATA).scan(), recipe.code.licences.full_text)
    return dg.AssetCheckResult(
        passed=not lacking,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "licences_without_text": len(lacking),
            "first": ", ".join(f"{repo}: {name or 'no licence'}" for repo, name in lacking[:50]) or "none",
        },
    )


CHECKS = [
    repositories_are_distinct,
    every_entry_has_a_fate,
    repositories_were_read,
    duplicates_name_kept_files,
    metadata_is_complete,
    every_repository_is_attributed,
]
