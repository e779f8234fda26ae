"""Tables of licences: the decision about every file with its evidence, and what the library said about texts."""

from __future__ import annotations

from nemotron_assets.code.columns import COMMIT_ID, REL_PATH, REPO
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

LICENSES = Table(
    "code",
    "licenses",
    "The licence of every file, whether the recipe accepts it, and the evidence that decided.",
    (
        ID,
        PARENTS,
        Column("file", "string", "id of the file, in code.files"),
        REPO,
        COMMIT_ID,
        REL_PATH,
        Column(
            "license", "string", "SPDX expression the file is under; null: none was found or recognised", nullable=True
        ),
        Column(
            "decision",
            "string",
            "allowed; rejected (a known licence off the list, or none); review: a person must look",
        ),
        Column(
            "scope",
            "string",
            "what decided: file (its header, or what names exactly this file), folder (nearest "
            "licence upwards), repository, or none",
        ),
        Column("why", "string", "the accepted licences, or what stands against the file"),
        Column(
            "evidence_kind",
            "string",
            "header, sidecar, reuse, debian_copyright, licence_file, manifest or readme",
            nullable=True,
        ),
        Column("evidence_path", "string", "file the evidence stands in", nullable=True),
        Column("start_line", "int32", "its first line, from 1", nullable=True),
        Column("end_line", "int32", "its last line", nullable=True),
        Column(
            "rule",
            "string",
            "rule of the licence library that matched; empty where a field names the licence",
            nullable=True,
        ),
        Column("score", "float64", "how much of the rule's text stands there, 0 to 100", nullable=True),
        Column("evidence", "string", "all evidence, the deciding first, as JSON"),
    ),
    part_by="repo",
    parents=("code.files",),
)

SCANS = Table(
    "code",
    "license_scans",
    "What the licence library said about a text (a header, a licence file): asked once, used by every run after.",
    (
        Column("id", "string", "xxh3-128 hex of the version of the library and the text"),
        Column("library", "string", "name and version of the library"),
        Column("text", "string", "xxh3-128 hex of the text"),
        Column("findings", "string", "its detections with their matches, and what stands beside them, as JSON"),
        Column("problem", "string", "why there is no complete answer; empty if there is one"),
    ),
)

TABLES = [LICENSES, SCANS]
