"""Numbers of code repositories: where they come from, limits on reading them, and which files are copies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.addresses import Address
from nemotron_assets.recipe.dedup import Signatures
from nemotron_assets.recipe.section import Cron, Section

#: The 43 languages on the dataset card of the release, with the names that the card gives them.
CARD_LANGUAGES = (
    "Java", "Python", "JavaScript", "HTML", "C++", "Markdown", "PHP", "C#", "C", "CSS", "SQL", "R", "Shell",
    "TypeScript", "JSON", "Makefile", "XML", "YAML", "Go", "TeX", "Ruby", "Swift", "Rust", "Lua", "Dart", "Scala",
    "JupyterNotebook", "reStructuredText", "Pascal", "Perl", "Haskell", "Fortran", "VB.NET", "Verilog", "Assembly",
    "VHDL", "Julia", "Dockerfile", "Cuda", "Mathematica", "CommonLisp", "SystemVerilog", "OmniversePython",
)  # fmt: skip


class CodeSource(Section):
    """One place that repositories come from."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="name of the source; it appears in the tables"
    )
    kind: Literal["parquet", "git", "archive", "github"] = Field(
        description="parquet: a folder with files.parquet and perhaps repositories.parquet; git: a repository, a "
        "bundle, or a folder of them; archive: tar and zip files, also packages that are such files (.crate, "
        ".whl, .jar); github: archives that are fetched from `url`"
    )
    path: str = Field(
        min_length=1,
        description="'sample' (the embedded repositories), or a folder or file; for github the list of repositories: "
        "Parquet, JSON lines or CSV with the columns repo and commit_id",
    )
    url: Address = Field(
        "https://codeload.github.com",
        pattern=r"^https?://",
        description="server that archives are fetched from (kind github)",
    )
    template: str = Field(
        "{repo}/tar.gz/{commit_id}", description="path of the archive of a repository on this server (kind github)"
    )

    @model_validator(mode="after")
    def _names_both(self) -> CodeSource:
        if "{repo}" not in self.template or "{commit_id}" not in self.template:
            raise ValueError(f"template {self.template!r} must contain {{repo}} and {{commit_id}}")
        return self


class CodeSources(Section):
    """Repositories and the files in them (Nemotron Nano 2 §2.2.1: GitHub, 29 April 2025; the limits are default)."""

    sources: tuple[CodeSource, ...] = Field(
        (), description="where repositories come from; if two sources have a repository, it is read from the first"
    )
    max_repositories: int | None = Field(
        None,
        ge=1,
        description="most repositories that are read, the first ones that the sources offer; null: all (default)",
    )
    languages: tuple[str, ...] = Field(
        CARD_LANGUAGES,
        min_length=1,
        description="languages that plots and reports show one by one (published: these 43)",
    )
    max_file_mb: float = Field(4, gt=0, le=256, description="largest file that is read, in MiB (default)")
    max_files: int = Field(
        200_000,
        ge=1,
        description="most entries (files, links, folders) of a repository; a repository with more is not read to its "
        "end (default)",
    )
    max_repository_mb: float = Field(
        2_048, gt=0, description="most MiB of files that are read from one repository (default)"
    )
    max_archive_mb: int = Field(
        1_024, ge=1, description="largest archive or bundle that is read, in MiB as stored (compressed) (default)"
    )
    max_ratio: float = Field(
        200,
        ge=2,
        description="an archive that unpacks to more than so many times its size is not read, because it may be a zip "
        "bomb; text gives 3 to 20 times (default)",
    )
    timeout_s: float = Field(600, gt=0, description="longest time for reading one repository, in seconds (default)")
    git_memory_mb: int = Field(2_048, ge=128, description="address space of a git process, in MiB (default)")
    max_control_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="a file in which a larger share of the characters are control characters is binary and not kept "
        "(default)",
    )
    content_model: bool = Field(
        True,
        description="whether the model magika decides the language of a file whose name and first line do not tell it "
        "(default)",
    )
    schedule: Cron = Field(
        "0 4 * * 1",
        description="cron expression of the schedule that looks for changed repositories; '0 4 * * 1' is every Monday "
        "at 4 o'clock (default)",
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker process at a time (default)")
    batch_mb: int = Field(
        16, ge=1, le=512, description="most MiB of files handed to a worker process at a time (default)"
    )
    max_unreadable_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a check fails when a larger share of the repositories could not be read to the end (default)",
    )

    @model_validator(mode="after")
    def _distinct(self) -> CodeSources:
        names = [source.name for source in self.sources]
        if len(names) != len(set(names)):
            raise ValueError(f"two sources have the same name; the names are: {', '.join(names)}")
        return self


class CodeDedup(Section):
    """Copies among the files of all repositories (Nemotron Nano 2 §2.2.1: exact, then MinHash; numbers default)."""

    signatures: Signatures
    min_similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Jaccard similarity of their shingles from which two files are near-duplicates, 0 to 1 (default)",
    )
    max_bucket: int = Field(
        64,
        ge=1,
        description="a file is compared with so many of the best files that share a band with it, because a header "
        "that thousands of files share would give millions of pairs (default)",
    )
    memory_mb: int = Field(
        512, ge=64, description="memory of the joins, and of the texts that are compared at a time, in MB (default)"
    )
    within_language: bool = Field(
        True, description="whether only files of the same language can be near-duplicates (default)"
    )
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
        description="licences (SPDX ids), those with the fewest conditions first: of two copies the file whose licence "
        "comes first here is kept. Other licences come after these, and files that may not be used come last (default)",
    )
