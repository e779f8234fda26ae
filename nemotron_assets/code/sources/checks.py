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
    from nemotron_assets.table.buckets import distinct

    rows = lake.read(REPOSITORIES).rows
    doubled = rows - distinct(lake.read(REPOSITORIES).scan())
    return dg.AssetCheckResult(passed=doubled == 0, metadata={"repositories": rows, "repeated_ids": doubled})


@table_check(FILES, blocking=True)
def every_entry_has_a_fate(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every entry of every repository is in code.files or in code.rejected_files, every repository has totals, ids are
    unique, and no path leads out of its repository."""
    import polars as pl

    from nemotron_assets.code.sources.report import fates, fates_table, languages
    from nemotron_assets.code.sources.text import unsafe
    from nemotron_assets.plots import bars
    from nemotron_assets.table.buckets import distinct, summed

    contents = lake.read(CONTENTS).scan()
    files = lake.read(FILES).scan()
    counts = fates(contents)
    kept, ids = lake.read(FILES).rows, distinct(files)
    rejected = lake.read(REJECTED_FILES).rows
    entries = int(contents.select(pl.col("entries").sum()).collect().item() or 0)
    key = ["repo", "commit_id"]
    lacking = summed(
        lambda offered, read: offered.join(read, on=key, how="anti").select(count=pl.len()),
        (lake.read(REPOSITORIES).scan().select(key), "repo"),
        (contents.select(key), "repo"),
    )["count"]
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

    from nemotron_assets.code.sources.report import copies, kept_twice
    from nemotron_assets.plots import bars
    from nemotron_assets.table.buckets import absent, distinct, present

    rows = lake.read(DUPLICATES).scan().with_columns(file=pl.col("parents").list.first())
    files, count = lake.read(FILES).scan(), lake.read(DUPLICATES).rows
    repeated = count - distinct(rows, "file")
    gone = absent(rows, "duplicate_of", files)
    chained = present(rows, "duplicate_of", rows, "file")
    left, twice = kept_twice(files, rows)
    counts = copies(rows)
    return dg.AssetCheckResult(
        passed=not (repeated or gone or chained or twice),
        metadata={
            "duplicates": count,
            "kept": left,
            "texts_kept_twice": twice,
            "files_with_two_rows": repeated,
            "duplicate_of_missing_file": gone,
            "duplicate_of_dropped_file": chained,
            "plot": bars(counts, "Duplicates by criterion", "files"),
        },
    )


@table_check(METADATA, blocking=True)
def metadata_is_complete(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row names a file of code.files with its hash, and no two rows have the same text."""
    import polars as pl

    from nemotron_assets.table.buckets import distinct, summed

    key = ["repo", "commit_id", "rel_path", "content_hash"]
    rows, files, total = lake.read(METADATA).scan(), lake.read(FILES).scan(), lake.read(METADATA).rows
    texts = distinct(rows, "content_hash")
    matching = summed(
        lambda rows, files: rows.join(files, on=key, how="semi").select(count=pl.len()),
        (rows.select(key), "content_hash"),
        (files.select(key), "content_hash"),
    )["count"]
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
