"""What the tests read: archives with any members, git repositories, and limits that are quick to reach."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from nemotron_assets.recipe.code.sources import CodeSource, CodeSources

LIMITS = CodeSources(max_file_mb=0.1, max_repository_mb=2, max_files=500, max_ratio=50, timeout_s=30)


def limits(**changes: Any) -> CodeSources:
    return CodeSources(**{**LIMITS.model_dump(), **changes})


def source(name: str, kind: str, path: Path, **more: Any) -> CodeSource:
    return CodeSource(name=name, kind=kind, path=str(path), **more)


def tar(members: list[tuple[str, bytes | None, dict[str, Any]]], mode: str = "w:gz", **options: Any) -> bytes:
    """A tar file of (name, content, header fields). The content is None for members without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, **options) as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            for field, value in fields.items():
                setattr(info, field, value)
            if content is not None:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    return out.getvalue()


def files(**contents: bytes) -> list[tuple[str, bytes, dict[str, Any]]]:
    return [(name, content, {}) for name, content in contents.items()]


def zipped(members: list[tuple[str | zipfile.ZipInfo, bytes]], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = comment
    return out.getvalue()


def git(folder: Path, *arguments: str, **options: Any) -> str:
    """The output of a git command in a folder, run as a developer runs it."""
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@x.example", "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@x.example", "GIT_AUTHOR_DATE": "2024-05-06T07:08:09Z",
        "GIT_COMMITTER_DATE": "2024-05-06T07:08:09Z",
    }  # fmt: skip
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, **options)
    return done.stdout.decode().strip()


def repository(folder: Path, contents: dict[str, bytes], *options: str) -> str:
    """Make a git repository with one commit of these files. Returns the commit's id."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *options)
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "first")
    return git(folder, "rev-parse", "HEAD")
