"""Numbers of the code pipeline's first room: where repositories come from, and which files are copies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.dedup import Signatures
from nemotron_assets.recipe.section import Section

#: The 43 languages of the release's card, by the names it gives them.
CARD_LANGUAGES = (
    "Java", "Python", "JavaScript", "HTML", "C++", "Markdown", "PHP", "C#", "C", "CSS", "SQL", "R", "Shell",
    "TypeScript", "JSON", "Makefile", "XML", "YAML", "Go", "TeX", "Ruby", "Swift", "Rust", "Lua", "Dart", "Scala",
    "JupyterNotebook", "reStructuredText", "Pascal", "Perl", "Haskell", "Fortran", "VB.NET", "Verilog", "Assembly",
    "VHDL", "Julia", "Dockerfile", "Cuda", "Mathematica", "CommonLisp", "SystemVerilog", "OmniversePython",
)  # fmt: skip


class CodeSource(Section):
    """One place that has repositories."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="what the source is called in tables")
    kind: Literal["parquet", "git", "archive", "github"] = Field(
        description="parquet: a folder with files.parquet and, if there is one, repositories.parquet; git: a "
        "repository, a bundle, or a folder of them; archive: tar and zip files; github: archives fetched from `url`"
    )
    path: str = Field(
        min_length=1,
        description="'sample', a folder or file; for github the list of repositories: "
        "Parquet, JSON lines or CSV with columns repo and commit_id",
    )
    url: str = Field("https://codeload.github.com", pattern=r"^https?://", description="server of the archives")
    template: str = Field("{repo}/tar.gz/{commit_id}", description="path of a repository's archive on that server")

    @model_validator(mode="after")
    def _names_both(self) -> CodeSource:
        if "{repo}" not in self.template or "{commit_id}" not in self.template:
            raise ValueError(f"template {self.template!r} needs {{repo}} and {{commit_id}} in it")
        return self


class CodeSources(Section):
    """Repositories to files (Nemotron Nano 2 §2.2.1: GitHub, 29 April 2025; the limits are default)."""

    sources: tuple[CodeSource, ...] = Field((), description="where repositories come from; the first to offer one wins")
    languages: tuple[str, ...] = Field(
        CARD_LANGUAGES, min_length=1, description="languages that plots and reports tell apart (published: 43)"
    )
    max_file_mb: float = Field(4, gt=0, le=256, description="largest file read, in MB (default)")
    max_files: int = Field(200_000, ge=1, description="most entries of one repository (default)")
    max_repository_mb: float = Field(2_048, gt=0, description="most MB of one repository's files (default)")
    max_archive_mb: int = Field(1_024, ge=1, description="largest archive or bundle, compressed, in MB (default)")
    max_ratio: float = Field(
        200, ge=2, description="an archive may unpack to so many times its size (default; text is 3 to 20)"
    )
    timeout_s: float = Field(600, gt=0, description="longest time one repository may take, in seconds (default)")
    git_memory_mb: int = Field(2_048, ge=128, description="address space of a git process, in MB (default)")
    max_control_share: float = Field(
        0.02, ge=0, le=1, description="a file with more control characters than this is binary (default)"
    )
    content_model: bool = Field(
        True, description="ask magika where name and first line do not tell the language (default)"
    )
    schedule: str = Field("0 4 * * 1", description="cron expression of looking for changed repositories (default)")
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker at a time (default)")
    batch_mb: int = Field(16, ge=1, le=512, description="most MB of files handed to a worker at a time (default)")
    max_unreadable_share: float = Field(
        0.05, ge=0, le=1, description="largest share of repositories that could not be read to their end (default)"
    )

    @model_validator(mode="after")
    def _distinct(self) -> CodeSources:
        names = [source.name for source in self.sources]
        if len(names) != len(set(names)):
            raise ValueError(f"two sources have one name: {', '.join(names)}")
        return self


class CodeDedup(Section):
    """Copies among files of all repositories (Nemotron Nano 2 §2.2.1: exact, then MinHash; numbers not published)."""

    signatures: Signatures
    min_similarity: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity of shingles from which files are near-duplicates (default)"
    )
    max_bucket: int = Field(
        64,
        ge=1,
        description="a file is compared with the best so many others of a band (default); more would make "
        "millions of pairs of a header that thousands of files share",
    )
    memory_mb: int = Field(512, ge=64, description="memory of the joins and of the texts compared at a time, in MB")
    within_language: bool = Field(True, description="whether only files of one language are near-duplicates (default)")
    permissive_first: tuple[str, ...] = Field(
        (
            "CC0-1.0",
            "Unlicense",
            "0BSD",
            "MIT-0",
            "WTFPL",
            "MIT",
            "ISC",
            "X11",
            "Zlib",
            "BSL-1.0",
            "BSD-2-Clause",
            "BSD-3-Clause",
            "NCSA",
            "PostgreSQL",
            "Apache-2.0",
            "PSF-2.0",
            "Python-2.0",
        ),
        description="licences (SPDX) by how little they ask for: of two copies the one under the earlier is kept; "
        "others come after, files that were judged to be left out last (default)",
    )
