"""Which licences code may have, and how the licence of a file is found.

Nano 2 §2.2.1 accepts permissive licences only, and fewer than BigCode. The list was not published. The default here has
the licences that both Blue Oak and ScanCode call permissive and that are in wide use.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section


class CodeLicences(Section):
    """Which licences are accepted, and how the licences of repositories and files are found."""

    allowed: tuple[str, ...] = Field(
        (
            "MIT",
            "MIT-0",
            "Apache-2.0",
            "BSD-2-Clause",
            "BSD-2-Clause-Views",
            "BSD-3-Clause",
            "0BSD",
            "ISC",
            "Unlicense",
            "CC0-1.0",
            "Zlib",
            "BSL-1.0",
            "PSF-2.0",
            "Python-2.0",
            "Python-2.0.1",
            "PostgreSQL",
            "WTFPL",
            "NCSA",
            "X11",
            "LicenseRef-scancode-protobuf",
        ),
        min_length=1,
        description="licences that are accepted, as SPDX ids or LicenseRefs, spelled as SPDX spells them. The one of "
        "protobuf is BSD-3-Clause and says that generated code belongs to the owner of its input; BSD-2-Clause-Views "
        "has no condition beyond BSD-2-Clause (default)",
    )
    exceptions: tuple[str, ...] = Field(
        ("LLVM-exception", "Swift-exception", "fmt-exception"),
        description="SPDX exceptions that are accepted after WITH if the licence before it is accepted (Apache-2.0 "
        "WITH LLVM-exception): exceptions that only add permissions (default)",
    )
    file_by_file: tuple[str, ...] = Field(
        (
            "MPL-1.0",
            "MPL-1.1",
            "MPL-2.0",
            "MPL-2.0-no-copyleft-exception",
            "EPL-1.0",
            "EPL-2.0",
            "CDDL-1.0",
            "CDDL-1.1",
        ),
        description="licences that are not accepted but bind single files only (MPL-2.0 §3.3): another file of the "
        "repository, whose own header names an accepted licence, may be used. Other rejected licences bind the "
        "repository as a whole (default)",
    )
    own_licence_in_rejected: Literal["review", "file_by_file", "allowed"] = Field(
        "review",
        description="what becomes of a file with an accepted licence of its own in a repository whose licence is "
        "rejected. review: a person must decide; file_by_file: it is used if the repository's licence binds single "
        "files only; allowed: it is used (default)",
    )
    bundled_in_texts: bool = Field(
        True,
        description="whether a licence text may hold the licences of bundled parts after the licence that the package "
        "manifest names. true: only the first licence applies to the repository, and a person decides about files that "
        "the text names; false: every licence in the text applies to every file (default)",
    )
    manifests_decide: bool = Field(
        True,
        description="whether the licence that a package manifest (package.json, Cargo.toml ...) names counts where "
        "there is no licence text (default)",
    )
    head_characters: int = Field(
        3_000,
        ge=200,
        le=100_000,
        description="characters at the start of a file that are searched for a licence (published in NVIDIA's "
        "annotation code)",
    )
    tail_characters: int = Field(
        1_500,
        ge=0,
        le=100_000,
        description="characters at the end of a file that are searched, too, if they mention a licence: some authors "
        "put it there; 0: never (default)",
    )
    licence_characters: int = Field(
        100_000,
        ge=1_000,
        le=1_000_000,
        description="characters at the start of a licence file that are searched; GPL-3.0 has 35,000 (default)",
    )
    min_score: float = Field(
        80,
        ge=0,
        le=100,
        description="a match with a lower ScanCode score, 0 to 100, does not allow a file to be used, because the "
        "licence text was changed (default)",
    )
    full_text: float = Field(
        0.9,
        gt=0,
        le=1,
        description="a text counts as the complete licence if it has this share of the licence's pairs of words. Where "
        "a repository has a smaller part, the standard text of the licence is added to code.attributions (default)",
    )
    deadline_s: float = Field(
        100,
        gt=0,
        le=3_600,
        description="longest time for one text, in CPU seconds (published in NVIDIA's annotation code)",
    )
    memory_mb: int = Field(
        4_096,
        ge=2_000,
        description="address space of the process that holds ScanCode's index, in MiB; the index needs about 1,400 MB "
        "(default)",
    )
    max_review_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="a check warns when a larger share of the files is left for a person to decide (default)",
    )

    @field_validator("allowed", "exceptions", "file_by_file")
    @classmethod
    def _single(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or any(c.isspace() or c in "()" for c in name):
                raise ValueError(
                    f"{name!r} is not a single SPDX id or LicenseRef: name MIT and Apache-2.0, not 'MIT OR Apache-2.0'"
                )
        return names
