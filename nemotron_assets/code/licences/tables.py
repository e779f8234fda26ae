"""The tables `code.licenses` (decision and evidence for every file) and `code.license_scans` (cached answers)."""

from __future__ import annotations

from nemotron_assets.code.columns import COMMIT_ID, REL_PATH, REPO
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

LICENSES = Table(
    "code",
    "licenses",
    "The licence of every file, whether the recipe accepts it, which rule decided, and on what evidence.",
    (
        ID,
        PARENTS,
        Column("file", "string", "id of the file, in code.files"),
        REPO,
        COMMIT_ID,
        REL_PATH,
        Column(
            "license",
            "string",
            'licence of the file as an SPDX expression, such as "MIT OR GPL-2.0-only"; null: no licence was found or '
            "recognised",
            nullable=True,
        ),
        Column(
            "decision",
            "string",
            "allowed: the recipe accepts the licence; rejected: the recipe does not, or there is no licence; review: a "
            "person must look first",
        ),
        Column(
            "scope",
            "string",
            "where the deciding statement stands: file (its header, its .license file, or an entry of debian/copyright "
            "or REUSE.toml for exactly this file), folder (the nearest folder above it with a licence), repository "
            "(the root), or none",
        ),
        Column(
            "why",
            "string",
            'the rule that decided, a colon and its reason, such as "own_header: GPL-2.0-only is not on the list" or '
            '"repository_licence: MIT"; at most 500 characters',
        ),
        Column(
            "evidence_kind",
            "string",
            "kind of the deciding evidence: header, sidecar (a .license file), reuse, debian_copyright, licence_file, "
            "manifest or readme; null: no evidence",
            nullable=True,
        ),
        Column(
            "evidence_path",
            "string",
            "path of the file with the deciding evidence, inside the repository; null: no evidence",
            nullable=True,
        ),
        Column(
            "start_line", "int32", "first line of the deciding evidence in its file, from 1; null: none", nullable=True
        ),
        Column("end_line", "int32", "last line of the deciding evidence in its file; null: no evidence", nullable=True),
        Column(
            "rule",
            "string",
            "detection rule of ScanCode that matched the deciding evidence, such as mit_14.RULE; empty: a field of a "
            "manifest or the like names the licence; null: no evidence",
            nullable=True,
        ),
        Column(
            "score",
            "float64",
            "how much of the text of ScanCode's rule stands in the evidence, 0 to 100; null: no evidence",
            nullable=True,
        ),
        Column(
            "evidence",
            "string",
            "up to 20 pieces of evidence, the deciding one first, as a JSON list of objects with kind, path, start, "
            "end, expression, rule and score",
        ),
    ),
    part_by="repo",
    parents=("code.files",),
    origins={
        "file": ("code.files.id",),
        "*": ("code.files.content", "code.files.rel_path"),
    },
)

SCANS = Table(
    "code",
    "license_scans",
    "Answers of the licence library (ScanCode) about texts, such as headers and licence texts. Later runs use them.",
    (
        Column("id", "string", "xxh3-128 hex of the version of the library and the text"),
        Column(
            "library",
            "string",
            'version of the library and of the format of answers: "scancode-toolkit-mini 32.5.0, answers 3"',
        ),
        Column("text", "string", "xxh3-128 hex of the text"),
        Column(
            "findings",
            "string",
            "JSON object: detections (licences found, with their matches) and beside ({line: words of the line that "
            "belong to no match})",
        ),
        Column("problem", "string", "why the answer is incomplete; empty: it is complete"),
    ),
)

TABLES = [LICENSES, SCANS]
