"""Checks of repositories and their files: every entry has a fate, ids are unique, and no kept file is a duplicate."""

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
    """No commit of a repository has two rows."""
    import polars as pl

    rows, ids = lake.read(REPOSITORIES).scan().select(pl.len(), ids=pl.col("id").n_unique()).collect().row(0)
    return dg.AssetCheckResult(passed=rows == ids, metadata={"repositories": rows, "repeated_ids": rows - ids})


@table_check(FILES, blocking=True)
def every_entry_has_a_fate(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every entry of every repository is in code.files or in code.rejected_files, every repository has totals, ids are
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
    unsafe_paths = sum(unsafe(path) is not None for batch in batches for path in batch["rel_path"].to_pylist())
    passed = kept == ids == counts.get("kept", 0) and entries == kept + rejected == sum(counts.values())
    return dg.AssetCheckResult(
        passed=passed and not lacking and not unsafe_paths,
        metadata={
            "entries": entries,
            "files": kept,
            "repeated_ids": kept - ids,
            "repositories_without_totals": lacking,
            "unsafe_paths": unsafe_paths,
            "fates": dg.MetadataValue.md(fates_table(counts)),
            "plot": bars(counts, "Entries by fate", "entries"),
            "languages": bars(languages(files, recipe.code.sources.languages), "Bytes per language", "bytes"),
        },
    )


@table_check(FILES)
def repositories_were_read(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """The share of repositories that could not be read completely is within the recipe's limit."""
    from nemotron_assets.code.sources.report import unread
    from nemotron_assets.table.markdown import markdown_text

    broken = unread(lake.read(CONTENTS).scan())
    share = len(broken) / max(1, lake.read(CONTENTS).rows)
    allowed = recipe.code.sources.max_unreadable_share
    listed = "\n".join(
        f"- {markdown_text(repo)}: {markdown_text(outcome)}" for repo, outcome in broken.head(50).iter_rows()
    )
    return dg.AssetCheckResult(
        passed=share <= allowed,
        metadata={"unread_share": share, "allowed": allowed, "unread": dg.MetadataValue.md(listed or "none")},
    )


@table_check(DUPLICATES, blocking=True)
def duplicates_name_kept_files(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """A file is a duplicate of at most one file. That file exists and is kept. Of all files with the same text exactly
    one is kept."""
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
            "texts_kept_twice": left - texts,
            "files_with_two_rows": count - distinct,
            "duplicate_of_missing_file": gone,
            "duplicate_of_dropped_file": chained,
            "plot": bars(counts, "Duplicates by criterion", "files"),
        },
    )


@table_check(METADATA, blocking=True)
def metadata_is_complete(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row names a file of code.files with its hash, and no two rows have the same text."""
    import polars as pl

    rows = lake.read(METADATA).scan()
    files = lake.read(FILES).scan().select("repo", "commit_id", "rel_path", "content_hash")
    total, texts = rows.select(pl.len(), pl.col("content_hash").n_unique().alias("texts")).collect().row(0)
    known = rows.join(files, on=["repo", "commit_id", "rel_path", "content_hash"], how="semi")
    matching = known.select(pl.len()).collect(engine="streaming").item()
    return dg.AssetCheckResult(
        passed=total == texts == matching,
        metadata={"rows": total, "repeated_texts": total - texts, "not_in_files": total - matching},
    )


@table_check(ATTRIBUTIONS)
def every_repository_is_attributed(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """For every repository in the corpus, the table has the whole text of every licence that its files are under."""
    from nemotron_assets.code.sources.attribution import missing_texts

    texts = lake.read(ATTRIBUTIONS).batches(["repo", "commit_id", "text"], 64)
    lacking = missing_texts(texts, lake.read(METADATA).scan(), recipe.code.licences.full_text)
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
