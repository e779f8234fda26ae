"""Tables of where code comes from: repositories, files, the fate of every other file, copies, and the metadata."""

from __future__ import annotations

from nemotron_assets.code.columns import BYTES, COMMIT_ID, CONTENT, LANGUAGE, REL_PATH, REPO
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Published, Table

LICENSE = Column("license", "string", "SPDX expression the file is used under; null: not judged", nullable=True)

REPOSITORIES = Table(
    "code",
    "repositories",
    "The repositories that the recipe's sources offer, at one commit each.",
    (
        ID,
        REPO,
        COMMIT_ID,
        Column("source", "string", "name of the source in the recipe"),
        Column("kind", "string", "how it is read: parquet, git, bundle, archive or url"),
        Column("location", "string", "where it is: a path inside the source, or an address"),
        Column("version", "string", "version of the release, where the source knows it", nullable=True),
        Column("updated_at", "timestamp", "time of the commit, where the source knows it", nullable=True),
        Column("stars", "int64", "stars, where the source knows them", nullable=True),
        Column("fingerprint", "string", "changes when the repository's content changes"),
    ),
)

FILES = Table(
    "code",
    "files",
    "Text files of the repositories, decoded, each with its language.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        Column("language_by", "string", "what told the language: filename, extension, shebang, content or nothing"),
        CONTENT,
        BYTES,
        Column("encoding", "string", "how the bytes were decoded: utf-8, utf-8-sig, utf-16-le, ..."),
        Column("blob_id", "string", "git's id of the bytes (SHA-1), by which Software Heritage finds them as well"),
        CONTENT_HASH,
    ),
    part_by="repo",
    parents=("code.repositories",),
)

REJECTED_FILES = Table(
    "code",
    "rejected_files",
    "Entries of the repositories that are no text file to keep, each with its fate.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        Column("rel_path", "string", "path as the source writes it, unprintable characters escaped, cut at 1,000"),
        Column(
            "fate",
            "string",
            "binary, empty, too_large, lfs_pointer, symlink, submodule, special (devices and the "
            "like), undecodable, path_unsafe, duplicate_path, over_limit (of the repository), unreadable or rejected",
        ),
        Column("detail", "string", "what was found, at most 200 characters"),
        Column("bytes", "int64", "size as the source states it, in bytes; null where it does not", nullable=True),
    ),
    parents=("code.repositories",),
)

CONTENTS = Table(
    "code",
    "contents",
    "What is in each repository: entries by their fate, and where its licences are.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        Column("entries", "int64", "entries of the repository (folders aside), as the source lists them"),
        Column("files", "int64", "those kept in code.files"),
        Column("bytes", "int64", "bytes of the files kept"),
        Column("fates", "list[string]", "fates of the entries, kept included, the most frequent first"),
        Column("fate_counts", "list[int64]", "entries of each of the fates"),
        Column("licence_files", "list[string]", "paths of kept files whose names are those of licence texts"),
        Column("outcome", "string", "read, or why the repository could not be read to its end"),
        Column("state", "string", "what the row was made from; a re-run compares it", volatile=True),
    ),
    parents=("code.repositories",),
)

DUPLICATES = Table(
    "code",
    "duplicates",
    "Files that are dropped, because one that is kept has the same or nearly the same text, and why that one is kept.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        Column("duplicate_of", "string", "id of the file that is kept"),
        Column("duplicate_of_repo", "string", "repository of the file that is kept"),
        Column("duplicate_of_path", "string", "path of the file that is kept"),
        Column("kind", "string", "how they are alike: exact (same text) or near"),
        Column("similarity", "float64", "Jaccard similarity of their sets of shingles; 1.0 for the same text"),
        Column(
            "why",
            "string",
            "what made the other one win: place, licence, commit, version, files or name, with the two values",
        ),
    ),
    parents=("code.files",),
)

METADATA = Table(
    "code",
    "metadata",
    "Where every file of the corpus can be fetched again, and the hash its text must have in its repository.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        LICENSE,
        Column("blob_id", "string", "git's id of the bytes (SHA-1), by which Software Heritage finds them as well"),
        CONTENT_HASH,
    ),
    parents=("code.files",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, metadata",
        columns=("repo", "commit_id", "rel_path", "language", "license", "blob_id", "content_hash"),
        configs=("Nemotron-Code-Metadata",),
        histograms=(("code.metadata", "license"),),
    ),
)

ATTRIBUTIONS = Table(
    "code",
    "attributions",
    "Licence and notice texts of the repositories that files of the corpus are from, to be passed on with it.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LICENSE,
        Column(
            "origin",
            "string",
            "repository: its own text; standard: the licence's own text, which the repository only names",
            nullable=True,
        ),
        Column("files", "int64", "files of the corpus that the text stands above or is for"),
        Column("text", "string", "the licence or notice"),
        CONTENT_HASH,
    ),
    parents=("code.files",),
    published=Published(
        title="Nemotron-Pretraining-Code-v1, licences of its repositories",
        columns=("repo", "commit_id", "rel_path", "license", "origin", "text"),
        configs=("Attribution",),
    ),
)

TABLES = [REPOSITORIES, FILES, REJECTED_FILES, CONTENTS, DUPLICATES, METADATA, ATTRIBUTIONS]
