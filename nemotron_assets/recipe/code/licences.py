"""Which licences code may have (Nano 2 §2.2.1: permissive ones only, fewer than BigCode accepts; the list itself was
not published, so that this one is a default: the licences that both Blue Oak and ScanCode call permissive and that are
in wide use)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section


class CodeLicences(Section):
    """Detection of licences in repositories and files, and what is accepted."""

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
        description="SPDX ids (or LicenseRefs) that are accepted, written as SPDX writes them; that of "
        "protobuf is BSD-3-Clause with a sentence that leaves generated code to its maker, and the views of "
        "BSD-2-Clause-Views add no condition",
    )
    exceptions: tuple[str, ...] = Field(
        ("LLVM-exception", "Swift-exception", "fmt-exception"),
        description="exceptions accepted behind WITH, when the licence before it is: those that only add permissions",
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
        description="licences not accepted that bind single files, so that a file beside them with an accepted header "
        "of its own may be used (MPL-2.0 §3.3); a repository under any other is a work as a whole",
    )
    own_licence_in_rejected: Literal["review", "file_by_file", "allowed"] = Field(
        "review",
        description="a file with an accepted licence of its own in a repository whose licence is rejected: a "
        "person must look; may be used if that licence binds single files only; may be used",
    )
    bundled_in_texts: bool = Field(
        True,
        description="whether a licence text that begins with the licence that the manifest names may go on with "
        "those of bundled parts; what it names among them is left to a person. Otherwise all of a text applies to all",
    )
    manifests_decide: bool = Field(
        True, description="whether a package manifest (package.json, Cargo.toml ...) is enough where no licence text is"
    )
    head_characters: int = Field(
        3_000, ge=200, le=100_000, description="start of a file that is examined (as in NVIDIA's annotation code)"
    )
    tail_characters: int = Field(
        1_500,
        ge=0,
        le=100_000,
        description="end of a file that is examined as well when it speaks of licences: some authors put them there",
    )
    licence_characters: int = Field(
        100_000, ge=1_000, le=1_000_000, description="start of a licence file that is examined; GPL-3.0 has 35,000"
    )
    min_score: float = Field(
        80, ge=0, le=100, description="ScanCode's score below which a match allows nothing: the text was changed"
    )
    full_text: float = Field(
        0.9,
        gt=0,
        le=1,
        description="share of a licence's pairs of words from which a text is the whole of it; "
        "below, its own text goes with the corpus, too (default)",
    )
    deadline_s: float = Field(
        100, gt=0, le=3_600, description="time one text may take, in seconds (NVIDIA's annotation code)"
    )
    memory_mb: int = Field(
        4_096, ge=2_000, description="address space of the process with the index, in MiB; it holds about 1,400 MB"
    )
    max_review_share: float = Field(
        0.25, ge=0, le=1, description="share of the files that may be undecided before the check warns"
    )

    @field_validator("allowed", "exceptions", "file_by_file")
    @classmethod
    def _single(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or any(c.isspace() or c in "()" for c in name):
                raise ValueError(f"{name!r} is not one SPDX id or LicenseRef; expressions are put together from them")
        return names
