"""Rows of three code repositories, for the lake of the SQL tests."""

from __future__ import annotations

from typing import Any

from nemotron_assets.table.ids import content_hash, row_id
from tests.sql.web_rows import START

#: (repository, path, language, text, licence, decision, reasons to drop it)
_CODE_FILES = (
    ("o/one", "a.py", "Python", "x = 1", "MIT", "allowed", ()),
    ("o/one", "b.py", "Python", "print('b')", "MIT", "allowed", ("words", "lines")),
    ("o/one", "c.go", "Go", "package c", "MIT", "allowed", ()),
    ("o/two", "a.py", "Python", "x = 1", "MPL-2.0", "review", ("licence_review", "duplicate")),
    ("o/two", "gen.go", "Go", "package gen", None, "rejected", ("licence_rejected", "generated", "lines")),
    ("o/two", "d.go", "Go", "package two", "MPL-2.0", "review", ("licence_review",)),
    ("o/three", "m.go", "Go", "package m // me@example.org", "MIT", "allowed", ("secret",)),
    ("o/three", "n.go", "Go", "package n", "MIT", "allowed", ("minified",)),
)


def add_code(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Add three repositories.

    All files of o/one but one are kept. o/two has a copy of a kept file, and files whose licence a person must judge.
    No file of o/three is kept. Every kept file has a snippet, and the snippet in Python has a question.
    """
    for repo in ("o/one", "o/two", "o/three"):
        at = {"repo": repo, "commit_id": "a" * 40}
        count = sum(file[0] == repo for file in _CODE_FILES)
        rows["code.repositories"].append({**at, "id": row_id("code.repositories", repo), "source": "s", "kind": "git"})
        rows["code.contents"].append(
            {
                **at,
                "id": row_id("code.contents", repo),
                "parents": [row_id("code.repositories", repo)],
                "entries": count + 1,
                "files": count,
                "bytes": 5 * count,
                "fates": ["kept", "binary"],
                "fate_counts": [count, 1],
                "outcome": "read",
            }
        )
    for repo, path, language, text, licence, decision, rules in _CODE_FILES:
        file = row_id("code.files", repo, path)
        where = {"repo": repo, "commit_id": "a" * 40, "rel_path": path}
        of_file = {**where, "parents": [file]}
        rows["code.files"].append(
            {
                **where,
                "id": file,
                "parents": [row_id("code.repositories", repo)],
                "language": language,
                "language_by": "extension",
                "content": text,
                "bytes": len(text),
                "content_hash": content_hash(text),
            }
        )
        rows["code.licenses"].append(
            {
                **of_file,
                "id": row_id("code.licenses", file),
                "file": file,
                "license": licence,
                "decision": decision,
                "why": licence or "no licence",
                "scope": "repository" if licence else "none",
                "evidence_kind": licence and "licence_file",
                "evidence_path": licence and "LICENSE",
                "start_line": licence and 1,
                "evidence": "[]",
            }
        )
        judged = {**of_file, "language": language, "tokens": len(text)}
        if rules:
            rows["code.dropped"].append({**judged, "id": row_id("code.dropped", file), "rules": list(rules)})
            continue
        curated = {
            **judged,
            "id": row_id("code.curated", file),
            "license": licence,
            "content": text,
            "content_hash": content_hash(text),
        }
        rows["code.curated"].append(curated)
        snippet = {"id": row_id("code.snippets", file), "parents": [curated["id"]], "language": language,
                   "license": licence, "snippet": text, "origin_hash": curated["content_hash"]}  # fmt: skip
        rows["code.snippets"].append(snippet)
        if language == "Python":
            rows["code.qa"].append(
                {
                    "id": row_id("code.qa", snippet["id"]),
                    "parents": [snippet["id"]],
                    "language": language,
                    "text": "Set x.",
                    "attempt": 2,
                    "tokens": 9,
                    "origin_hash": curated["content_hash"],
                }
            )
        else:
            rows["quarantine.rows"].append(
                {
                    "id": row_id("quarantine.rows", snippet["id"]),
                    "stage": "code.qa",
                    "partition": language,
                    "row_id": snippet["id"],
                    "cause": "truncated",
                    "at": START,
                }
            )
    rows["code.duplicates"].append(
        {
            "repo": "o/two",
            "commit_id": "a" * 40,
            "rel_path": "a.py",
            "parents": [row_id("code.files", "o/two", "a.py")],
            "id": row_id("code.duplicates", "o/two", "a.py"),
            "duplicate_of": row_id("code.files", "o/one", "a.py"),
            "duplicate_of_repo": "o/one",
            "duplicate_of_path": "a.py",
            "kind": "exact",
            "similarity": 1.0,
            "containment": 1.0,
            "why": "licence: MIT before MPL-2.0",
        }
    )
    rows["code.attributions"].append(
        {
            "repo": "o/one",
            "commit_id": "a" * 40,
            "rel_path": "LICENSE",
            "id": row_id("code.attributions", "o/one"),
            "license": "MIT",
            "origin": "repository",
            "files": 2,
            "text": "The MIT License " + "and so on " * 40,
        }
    )
