"""Tables of repositories and their files: what was read, what was rejected, copies, metadata and licence texts."""

from __future__ import annotations

from nemotron_assets.code.columns import BYTES, COMMIT_ID, CONTENT, LANGUAGE, REL_PATH, REPO
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Published, Table

LICENSE = Column(
    "license", "string", "SPDX expression of the licence that the file is used under; null: undecided", nullable=True
)
BLOB_ID = Column(
    "blob_id",
    "string",
    "git's id of the file's bytes (SHA-1, 40 hex digits); Software Heritage finds the file by it as well",
)

REPOSITORIES = Table(
    "code",
    "repositories",
    "The repositories that the recipe's sources offer, one row per repository and commit.",
    (
        ID,
        REPO,
        COMMIT_ID,
        Column("source", "string", "name of the recipe's source (code.sources) that offers the repository"),
        Column("kind", "string", "how the source stores it: parquet, git, bundle, archive or url"),
        Column("location", "string", "path of the repository inside the source, or its address"),
        Column(
            "version", "string", "version of the release, for example 2.1.0; null: the source has none", nullable=True
        ),
        Column("updated_at", "timestamp", "time of the commit, UTC; null: the source does not know it", nullable=True),
        Column("stars", "int64", "stars on GitHub; null: the source does not know them", nullable=True),
        Column("fingerprint", "string", "hash that changes when the content of the repository changes"),
    ),
)

FILES = Table(
    "code",
    "files",
    "The text files of the repositories, decoded, each with its language.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        Column(
            "language_by",
            "string",
            "what the language was found by: filename (Makefile), extension (.py), shebang (#!/bin/sh), content, or "
            "nothing if it is unknown",
        ),
        CONTENT,
        BYTES,
        Column("encoding", "string", "encoding of the file's bytes: utf-8, utf-8-sig, utf-16-le, cp1252, ..."),
        BLOB_ID,
        CONTENT_HASH,
    ),
    part_by="repo",
    parents=("code.repositories",),
)

REJECTED_FILES = Table(
    "code",
    "rejected_files",
    "Entries of the repositories that are not in code.files, each with the reason.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        Column(
            "rel_path",
            "string",
            "path of the entry as its source writes it, with unprintable characters escaped, at most 1,000 characters",
        ),
        Column(
            "fate",
            "string",
            "why the entry was rejected: binary, empty, too_large, lfs_pointer, symlink, submodule, special (a device "
            "or the like), undecodable, path_unsafe, duplicate_path, over_limit (of the repository), unreadable, or "
            "rejected (the entry crashed or stopped a worker)",
        ),
        Column("detail", "string", "what was found, for example '3 control characters'; at most 200 characters"),
        Column("bytes", "int64", "size in bytes; null: the source does not state it", nullable=True),
    ),
    parents=("code.repositories",),
)

CONTENTS = Table(
    "code",
    "contents",
    "Totals of each repository: its entries by fate, its size, and the paths of its licence texts.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        Column("entries", "int64", "number of entries that the source lists, without folders"),
        Column("files", "int64", "number of entries that are in code.files"),
        Column("bytes", "int64", "size of the files in code.files together, in bytes"),
        Column("fates", "list[string]", "fates of the entries, most frequent first; kept: the entry is in code.files"),
        Column("fate_counts", "list[int64]", "number of entries with each fate, in the order of the column fates"),
        Column(
            "licence_files",
            "list[string]",
            "paths of files in code.files that have the name of a licence text or notice",
        ),
        Column("outcome", "string", "read, or the error that ended the reading of the repository"),
        Column(
            "state",
            "string",
            "hash of what the row was made from; a later run reads the repository again if it differs",
            volatile=True,
        ),
    ),
    parents=("code.repositories",),
)

DUPLICATES = Table(
    "code",
    "duplicates",
    "Files that are dropped because another file, which is kept, has the same or nearly the same text.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        Column("duplicate_of", "string", "id of the file that is kept"),
        Column("duplicate_of_repo", "string", "repository of the file that is kept"),
        Column("duplicate_of_path", "string", "path of the file that is kept"),
        Column("kind", "string", "exact: both files have the same text; near: their texts are similar"),
        Column("similarity", "float64", "Jaccard similarity of the two sets of shingles; 1.0 for the same text"),
        Column(
            "containment",
            "float64",
            "share of the smaller set of shingles that the larger one has, too; 1.0 for a text that stands whole in "
            "the other one; null in rows of an older version",
            nullable=True,
        ),
        Column(
            "why",
            "string",
            "the criterion by which the other file is preferred (place, licence, commit, version, files or name) and "
            "both values, for example 'licence: MIT before GPL-3.0-only'",
        ),
    ),
    parents=("code.files",),
    origins={
        "duplicate_of": ("code.files.id",),
        "duplicate_of_repo": ("code.files.repo",),
        "duplicate_of_path": ("code.files.rel_path",),
        "why": ("code.files.rel_path", "code.licenses.license", "code.repositories.updated_at"),
        "*": ("code.files.content", "code.files.content_hash"),
    },
)

METADATA = Table(
    "code",
    "metadata",
    "Where to fetch every file of the corpus again, and the hash by which the fetched text is checked.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        LICENSE,
        BLOB_ID,
        CONTENT_HASH,
    ),
    parents=("code.files",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, metadata",
        columns=("repo", "commit_id", "rel_path", "language", "license", "blob_id", "content_hash"),
        configs=("Nemotron-Code-Metadata",),
        histograms=(("code.metadata", "license"),),
    ),
    origins={
        "license": ("code.curated.license",),
    },
)

ATTRIBUTIONS = Table(
    "code",
    "attributions",
    "Licence and notice texts that must be passed on together with the files of the corpus.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        Column(
            "rel_path",
            "string",
            "path of the text's file in the repository; LICENSES/<SPDX id>.txt for a standard text",
        ),
        Column(
            "license",
            "string",
            "SPDX expression of the corpus files that the text applies to, for a standard text the SPDX id of its "
            "licence; null: the files have different licences",
            nullable=True,
        ),
        Column(
            "origin",
            "string",
            "repository: the text is a file of the repository; standard: the general text of a licence that the "
            "repository only names, such as MIT; null: written before this column existed",
            nullable=True,
        ),
        Column("files", "int64", "number of files of the corpus that the text applies to"),
        Column("text", "string", "the licence or notice"),
        CONTENT_HASH,
    ),
    parents=("code.files",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, licences of its repositories",
        columns=("repo", "commit_id", "rel_path", "license", "origin", "text"),
        configs=("Attribution",),
    ),
    origins={
        "license": ("code.metadata.license",),
        "files": ("code.metadata.id",),
        "*": ("code.files.content",),
    },
)

TABLES = [REPOSITORIES, FILES, REJECTED_FILES, CONTENTS, DUPLICATES, METADATA, ATTRIBUTIONS]
